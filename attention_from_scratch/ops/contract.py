"""What every op shares: two names for its signature, checks of its arguments, and `unbroadcast`.

A check raises an error that names the argument, what it was and what it may be, or does nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

# Parameters: a dict of arrays (or of None, for what is left out), or of dicts of them.
Params = dict[str, Any]

# The gradient of the loss with respect to the output -> those with respect to the inputs.
Backward = Callable[..., Any]

FLOAT_DTYPES = (np.dtype("float32"), np.dtype("float64"), np.dtype("complex128"))


def check_floats(**arrays: np.ndarray | None) -> None:
    """Raise unless all arrays (None is passed over) share one float dtype.

    A silent promotion would hide a float64 in a float32 model, and a float32 in a proof. Complex
    numbers are let through for one purpose: the complex step of `verify`.
    """
    first = None
    for name, array in arrays.items():
        if array is None:
            continue
        if not isinstance(array, np.ndarray | np.generic):
            raise TypeError(f"{name} is a {type(array).__name__}, but must be a NumPy array")
        if array.dtype not in FLOAT_DTYPES:
            raise TypeError(f"{name} has dtype {array.dtype}, but must be float32 or float64")
        if first is None:
            first, dtype = name, array.dtype
        elif array.dtype != dtype:
            raise TypeError(
                f"{name} has dtype {array.dtype}, but {first} has {dtype} (one float dtype a call)"
            )


def check_ids(name: str, ids: np.ndarray, n_rows: int, holder: str) -> None:
    """Raise unless `ids` are integers in 0..n_rows-1.

    `holder` says in the error where the rows are: "weight has 6 rows".
    """
    if not np.issubdtype(ids.dtype, np.integer):
        raise TypeError(f"{name} has dtype {ids.dtype}, but must be integers")
    wrong = ids[(ids < 0) | (ids >= n_rows)]
    if wrong.size:
        raise ValueError(
            f"{name} holds {wrong.flat[0]}, but {holder} (valid {name} are 0..{n_rows - 1})"
        )


def check_bools(name: str, array: np.ndarray) -> None:
    """Raise unless `array` is an array of booleans."""
    if getattr(array, "dtype", None) != np.dtype(bool):
        kind = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"{name} has dtype {kind}, but must be bool (True means: takes part)")


def check_mask(
    name: str, mask: np.ndarray | None, shape: tuple[int, ...], meaning: str = ""
) -> None:
    """Raise unless `mask` is None, or is boolean and broadcasts to `shape`.

    `meaning` says in the error what the axes are, where that is not plain.
    """
    if mask is None:
        return
    check_bools(name, mask)
    try:
        fits = np.broadcast_shapes(mask.shape, shape) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} has shape {mask.shape}, but must broadcast to {tuple(shape)}{meaning}"
        )


def check_width(name: str, array: np.ndarray, width: int, meaning: str) -> None:
    """Raise unless the last axis of `array` is `width` long.

    `meaning` says in the error why: "4 long, as weight is (4, 5)".
    """
    if array.ndim == 0 or array.shape[-1] != width:
        raise ValueError(f"{name} has shape {array.shape}, but its last axis must be {meaning}")


def check_d_output(d_output: np.ndarray | float, output: np.ndarray | np.floating) -> None:
    """Raise unless d_output has the shape and dtype of the output.

    Where the output is one number, as a loss is, a plain Python number will do.
    """
    if np.ndim(output) == 0 and type(d_output) in (int, float):
        return
    if np.shape(d_output) != np.shape(output):
        raise ValueError(
            f"d_output has shape {np.shape(d_output)}, but the output has {np.shape(output)}"
        )
    if d_output.dtype != output.dtype:
        raise TypeError(f"d_output has dtype {d_output.dtype}, but the output has {output.dtype}")


def check_same_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise unless `array` has exactly this shape."""
    if np.shape(array) != tuple(shape):
        raise ValueError(f"{name} has shape {np.shape(array)}, but must be {tuple(shape)}")


def check_matrix(**arrays: np.ndarray) -> None:
    """Raise unless each array has a position axis and a feature axis."""
    for name, array in arrays.items():
        if array.ndim < 2:
            raise ValueError(f"{name} has shape {array.shape}, but must be (..., length, width)")


def unbroadcast(d_x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Undo a broadcast: from the gradient of x as it was stretched, that of x, of this shape.

    Where one entry of x was used many times, its gradient is the sum over its uses. NumPy repeats
    an array in two ways, along new axes in front and along axes of length 1; so each is summed.
    """
    if d_x.shape == tuple(shape):
        return d_x
    new_axes = tuple(range(d_x.ndim - len(shape)))
    d_x = d_x.sum(axis=new_axes)
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and d_x.shape[i] != 1)
    return d_x.sum(axis=stretched, keepdims=True)
