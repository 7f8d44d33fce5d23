"""Ops made of code that does not keep our contract: pairs of functions, PyTorch, JAX, Keras."""

import functools
from collections.abc import Callable

from attention_from_scratch.verify.frameworks import FRAMEWORKS, load


def as_op(code, framework: str | None = None) -> Callable:
    """An op, (*inputs, **keywords) -> (output, backward), of what a reader has.

    Parameters
    ----------
    code
        - an op of our contract: the same op, but what it returns is looked at;
        - a pair of plain functions, forward(*inputs, **keywords) -> output and
          backward(d_output, *inputs, **keywords) -> the gradients in the order of the inputs;
        - a torch.autograd.Function: its own backward is used;
        - with framework="torch", "jax" or "keras", a function of that framework's arrays:
          differentiated by the framework.
    framework : name or None

    Raises
    ------
    TypeError
        For anything else; for a function that turns out to return no (output, backward), when the
        op is called.
    """
    if framework is not None:
        return load(framework).as_op(code)
    if is_autograd_function(code):
        return load("torch").as_op(code)
    if isinstance(code, tuple) and len(code) == 2 and all(map(callable, code)):
        return pair_op(*code)
    if callable(code):
        ours = (getattr(code, "__module__", None) or "").startswith("attention_from_scratch.")
        return code if ours else looked_at(code)
    kind = f"tuple of {len(code)}" if isinstance(code, tuple) else type(code).__name__
    raise TypeError(
        f"code is a {kind}, but must be an op, a pair of functions (forward, backward), a "
        f"torch.autograd.Function, or a function with framework={' or '.join(FRAMEWORKS)}"
    )


def pair_op(forward: Callable, backward: Callable) -> Callable:
    """An op of two plain functions; what backward needs it computes again."""

    @functools.wraps(forward)  # for the names of its arguments
    def op(*inputs, **keywords):
        def back(d_output=1.0):
            gradients = backward(d_output, *inputs, **keywords)
            one_list = len(inputs) == 1 and isinstance(inputs[0], list)
            return tuple(gradients) if isinstance(gradients, list) and not one_list else gradients

        return forward(*inputs, **keywords), back

    op.__name__ = getattr(forward, "__name__", "pair")
    return op


def looked_at(code: Callable) -> Callable:
    """An op that calls `code`, and says what to do about it where that turns out to be no op."""
    name = getattr(code, "__name__", type(code).__name__)
    hint = (
        f"a function of PyTorch's, JAX's or Keras' arrays becomes one by as_op({name}, \"torch\")"
    )

    @functools.wraps(code)
    def op(*inputs, **keywords):
        try:
            result = code(*inputs, **keywords)
        except (TypeError, AttributeError) as error:
            if "tensor" in str(error).lower() or "ndarray" in str(error):
                raise TypeError(f"{name} is no op of arrays: {error}; {hint}") from error
            raise
        if not (isinstance(result, tuple) and len(result) == 2 and callable(result[1])):
            raise TypeError(
                f"{name} returned a {type(result).__name__}, but an op returns (output, backward); "
                f"{hint}"
            )
        return result

    op.__name__ = name
    return op


def is_autograd_function(code) -> bool:
    """Whether it is a torch.autograd.Function, without importing torch."""
    return isinstance(code, type) and any(
        f"{base.__module__}.{base.__name__}" == "torch.autograd.function.Function"
        for base in code.__mro__
    )
