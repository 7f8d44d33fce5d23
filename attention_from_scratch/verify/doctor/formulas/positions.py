"""Which positions a gradient takes, as weights: all once, the last alone, a mean."""

import numpy as np

from attention_from_scratch.verify.doctor.formulas.choices import RIGHT

SUMMED = (
    "only the last {} enters {}: a loop overwrites what it should add up",
    "only the first {} enters {}",
    "the last {} is missing from {}",
    "the first {} is missing from {}",
)
KEPT = (
    "only the last {} of {} has a gradient, the others are overwritten or never reached",
    "only the first {} of {} has a gradient, the others are never reached",
    "the last {} of {} has no gradient",
    "the first {} of {} has no gradient",
)


def over_positions(shape: tuple[int, ...], added_up: str) -> dict[str, np.ndarray]:
    """The weight of each position in a sum over all, by words for what becomes of the sum."""
    count, ones = int(np.prod(shape)), np.ones(shape)
    options = parts_of(shape, SUMMED, added_up)
    options[f"{added_up} over positions is a mean"] = ones / max(count, 1)
    for axis, n in enumerate(shape):
        options[f"{added_up} over axis {axis} is a mean"] = ones / max(n, 1)
        if len(shape) > 1:  # an op may do so only where there is such an axis beside others
            options[f"{added_up} over axis {axis} (of x with a batch) is a mean"] = ones / max(n, 1)
    return options


def kept_positions(shape: tuple[int, ...], name: str) -> dict[str, np.ndarray]:
    """1 at the positions of a gradient that are there, by words for those that are not."""
    return parts_of(shape, KEPT, name)


def parts_of(shape: tuple[int, ...], words: tuple[str, ...], name: str) -> dict[str, np.ndarray]:
    """Single positions, and indices of an axis, alone and left out."""
    count = int(np.prod(shape))
    counted = {"position": (np.arange(count).reshape(shape), count)} if count > 1 else {}
    for axis, n in enumerate(shape):
        at = np.arange(n).reshape((-1,) + (1,) * (len(shape) - axis - 1)) * np.ones(shape)
        counted[f"index of axis {axis}"] = at, n
        if len(shape) > 1:  # an op may do so only where there is such an axis beside others
            counted[f"index of axis {axis} (of x with a batch)"] = at, n
    if shape:
        counted["position of each sequence"] = np.arange(shape[-1]) * np.ones(shape), shape[-1]
    options = {RIGHT: np.ones(shape)}
    for what, (at, n) in counted.items():
        masks = at == n - 1, at == 0, at != n - 1, at != 0
        said = (text.format(what, name) for text in words)
        options |= {w: 1.0 * mask for w, mask in zip(said, masks, strict=True)}
    return options


def sizes_of(shape: tuple[int, ...], **more) -> dict[str, float]:
    """Numbers that a factor may follow."""
    sizes = {"the number of positions": float(np.prod(shape))}
    if len(shape) > 1:
        sizes["the batch size"] = float(shape[0])
        sizes["the length"] = float(shape[-1])
    sizes |= {name.replace("_", " "): float(value) for name, value in more.items()}
    return sizes | {f"the root of {name}": float(np.sqrt(size)) for name, size in sizes.items()}
