"""Is backward the same when it is called again, and when the op is run again?"""

from collections.abc import Callable

import numpy as np

from attention_from_scratch.tree import tree_map

ACCUMULATES = (
    "what backward gives is added up over calls: the second call gave twice the first. A gradient "
    "is made anew at every call (ops/__init__.py)"
)
REMEMBERS = (
    "what backward gives is kept from one run of the op to the next: run again on the same inputs, "
    "it gave another answer (ops/__init__.py)"
)
DIFFERS = (
    "backward gives another answer at every call: something is drawn anew in it, or changed by it. "
    "What is drawn in the forward pass has to be kept for the backward pass (ops/dropout.py)"
)


def unsteady(first: dict, again: Callable[[], dict], run_again: Callable[[], dict]) -> dict:
    """The names of gradients that are another at a second call, with words for each.

    `again` calls backward once more, `run_again` the op and its backward. What they raise is no
    matter of the numbers.
    """
    kept = tree_map(np.copy, first)
    try:
        second, third = again(), run_again()
    except Exception:  # a backward pass that can be called once alone, as in some frameworks
        return {}
    words = {}
    for name, gradient in kept.items():
        if not alike(second.get(name), gradient):
            doubled = alike(second.get(name), 2 * gradient)
            words[name] = ACCUMULATES if doubled else DIFFERS
        elif not alike(third.get(name), gradient):
            words[name] = REMEMBERS
    return words


def alike(a, b) -> bool:
    """Whether two gradients are equal, but for the last digits."""
    if np.shape(a) != np.shape(b):
        return False
    near = 1e-5 if getattr(b, "dtype", None) == np.float32 else 1e-10
    return bool(np.allclose(a, b, rtol=near, atol=near * np.abs(b).max(initial=0), equal_nan=True))
