"""jax.test_util.check_grads, by a jax.custom_vjp whose two functions call back the op."""

from collections.abc import Callable

import jax
import numpy as np
from jax.test_util import check_grads

from benchmarks.verdicts.contenders import Contender
from benchmarks.verdicts.flat import Flat


def contenders() -> list[Contender]:
    """One random direction of all inputs, and one of the output."""
    jax.config.update("jax_enable_x64", True)  # or float64 would quietly become float32
    return [Contender("JAX check_grads", f"jax {jax.__version__}", check)]


def check(op: Callable, inputs: tuple, keywords: dict) -> str:
    """What check_grads says of the first derivative, backwards, at its default tolerances."""
    flat = Flat(op, inputs, keywords)
    try:
        check_grads(as_jax(flat), flat.arrays, order=1, modes=("rev",))
    except AssertionError:
        return "wrong"
    finally:
        jax.clear_caches()  # 7 MB of compiled callbacks, which nobody calls again
    return "right"


def as_jax(flat: Flat) -> Callable:
    """A function of JAX's arrays, with the op's backward pass."""
    like_output, *like_arrays = (
        jax.ShapeDtypeStruct(array.shape, array.dtype) for array in (flat.output, *flat.arrays)
    )

    def forward(*arrays):
        def call(*arrays):
            return flat(*map(np.asarray, arrays))[0]

        return jax.pure_callback(call, like_output, *arrays)

    def backward(arrays, d_output):
        def call(d_output, *arrays):
            return flat.gradients(tuple(map(np.asarray, arrays)), np.asarray(d_output))

        return jax.pure_callback(call, tuple(like_arrays), d_output, *arrays)

    function = jax.custom_vjp(forward)
    function.defvjp(lambda *arrays: (forward(*arrays), arrays), backward)
    return function
