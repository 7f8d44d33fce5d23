"""What models check of what they are told: heads, targets, wanted events, features of items."""

from collections.abc import Mapping, Sequence

import numpy as np

from attention_from_scratch.arguments import check_names, check_per_event, row_of


def check_heads(n_heads: int, width: int) -> None:
    """Raise unless the heads divide the width."""
    if width % n_heads:
        raise ValueError(f"n_heads was {n_heads}, but must divide dim, which is {width}")


# --- of users


def check_validation(validation: Sequence[int], n_users: int, n_items: int) -> np.ndarray:
    """Return the targets as an array, if there is one a user, an item or 0, and not only zeros."""
    targets = np.asarray(validation)
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise ValueError(
            f"validation is {targets.dtype} of shape {targets.shape}, but must be (users,) integers"
        )
    if len(targets) != n_users:
        raise ValueError(f"validation has {len(targets)} targets, but there are {n_users} users")
    wrong = targets[(targets < 0) | (targets > n_items)]
    if wrong.size:
        raise ValueError(
            f"validation holds item {wrong[0]}, but the catalogue has items 1..{n_items} (0: none)"
        )
    if not targets.any():
        raise ValueError("validation holds only zeros, but must have a target for some user")
    return targets


def check_wanted(
    wanted: Sequence | None, histories: Sequence[np.ndarray]
) -> list[np.ndarray] | None:
    """Return which events to learn as booleans, if there is one an event; None stays None."""
    if wanted is None:
        return None
    rows = check_per_event("wanted", wanted, histories)
    for user, row in enumerate(rows):
        if row.size and row.dtype != bool:
            raise ValueError(
                f"{row_of('wanted', user)} was of {row.dtype}, but must be of booleans"
            )
    if not any(row[1:].any() for row in rows):
        raise ValueError("wanted holds no event after a first one: there is nothing to learn")
    return [row.astype(bool, copy=False) for row in rows]


# --- of items


def check_matrix(name: str, matrix, n_items: int, dtype: str) -> np.ndarray:
    """Return a feature matrix as an array of the dtype, in which NaN is what is not known.

    Parameters
    ----------
    name : str
        Of the matrix in `features`.
    matrix : (V + 1, F) array
        A row for each item, after that of the padding.
    n_items : int
        Number of items V.
    dtype : str

    Raises
    ------
    ValueError
        If it is no matrix of numbers, has not a row for every item and one for padding, or holds
        an infinity.
    """
    try:
        matrix = np.asarray(matrix, dtype)
    except (TypeError, ValueError):
        raise ValueError(f"features[{name!r}] is no matrix of numbers") from None
    if matrix.ndim != 2 or not matrix.shape[1]:
        raise ValueError(
            f"features[{name!r}] has shape {matrix.shape}, but must be ({n_items + 1}, width)"
        )
    if len(matrix) != n_items + 1:
        raise ValueError(
            f"features[{name!r}] has {len(matrix)} rows, but the catalogue needs {n_items + 1} "
            "(row 0 is padding)"
        )
    if np.isinf(matrix).any():
        raise ValueError(f"features[{name!r}] holds an infinity; what is not known is NaN")
    return matrix


def check_features(features: Mapping | None, n_items: int, dtype: str) -> dict[str, np.ndarray]:
    """Return feature matrices as new arrays of the model's dtype, with zeros for unknown rows.

    A row with a NaN says that this is not known of the item, and becomes zeros; so does row 0.

    Raises
    ------
    ValueError
        If a name is no word, or a matrix is none by `check_matrix`.
    """
    checked = {}
    for name, matrix in check_names("features", features, "matrices").items():
        matrix = check_matrix(name, matrix, n_items, dtype)
        missing = np.isnan(matrix).any(axis=1)
        missing[0] = True
        checked[name] = np.where(missing[:, None], 0, matrix)
    return checked


def check_counts(counts: np.ndarray, n_items: int) -> np.ndarray:
    """How often each item occurred, (V + 1,), as a file has it; raise unless it can be."""
    if counts.shape != (n_items + 1,) or counts.dtype.kind not in "iu":
        raise ValueError(
            f"item_counts was {counts.dtype} of shape {counts.shape}, but must be integers of "
            f"shape ({n_items + 1},)"
        )
    return counts
