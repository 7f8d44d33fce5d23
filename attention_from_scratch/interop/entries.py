"""What a loader takes: each entry by its name and shape, and none left over."""

from collections.abc import Container, Mapping

import numpy as np

from attention_from_scratch.interop.tensors import as_array

SHOWN = 5  # entries that an error names, at most


def take(state: Mapping, name: str, *shape: int | str) -> np.ndarray:
    """An entry of a state dict, or an error that says what is there.

    It must have the given shape, in which a word stands for any size.
    """
    if name not in state:
        there = ", ".join(list(state)[:SHOWN])
        raise ValueError(
            f"the state dict has no {name!r}; it has {len(state)} entries: {there} ..."
        )
    return of_shape(name, as_array(state[name]), *shape)


def take_bias(state: Mapping, name: str, width: int) -> np.ndarray | None:
    """A bias in a state dict, which must have this width; None where there is none."""
    return take(state, name, width) if state.get(name) is not None else None


def of_shape(name: str, array: np.ndarray, *shape: int | str) -> np.ndarray:
    """The array, which must have this shape, in which a word stands for any size."""
    fits = [isinstance(n, str) or n == size for n, size in zip(shape, array.shape, strict=False)]
    if array.ndim != len(shape) or not all(fits):
        wanted = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
        raise ValueError(f"{name} has shape {array.shape}, but must be ({wanted})")
    return array


def refuse_surplus(
    holder: str, entries: Mapping, known: Container[str], layout: str = "this layout"
) -> None:
    """Raise unless all entries are known: what a loader leaves out would change the result.

    None is no entry. `holder` says in the error where they are: "the state dict"; `layout` what has
    no place for them.
    """
    surplus = [repr(name) for name in entries if name not in known and entries[name] is not None]
    if surplus:
        more = ", ..." if len(surplus) > SHOWN else ""
        names = ", ".join(surplus[:SHOWN]) + more
        raise ValueError(f"{holder} has {names}, which {layout} has not")


def under(state: Mapping, prefix: str) -> dict:
    """The entries of a state dict whose names begin with the prefix."""
    return {name: state[name] for name in state if name.startswith(prefix)}
