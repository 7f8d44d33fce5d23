"""Ops made of code that does not keep our contract: pairs, layers, PyTorch, JAX, Keras."""

import functools
from collections.abc import Callable

from attention_from_scratch.verify.frameworks import FRAMEWORKS, load
from attention_from_scratch.verify.outputs import takes


def as_op(code, framework: str | None = None) -> Callable:
    """An op, (*inputs, **keywords) -> (output, backward), of what a reader has.

    Parameters
    ----------
    code
        - an op of our contract: the same op, but what it returns is looked at;
        - a pair of plain functions, forward(*inputs, **keywords) -> output and
          backward(d_output, *inputs, **keywords) -> the gradients in the order of the inputs; where
          forward gives (output, cache), as in CS231n, backward(d_output, cache);
        - a layer, an object with the methods `forward` and `backward` that remembers its last
          call, or the pair of its methods;
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
    if not isinstance(code, type) and all(
        callable(getattr(code, name, None)) for name in ("forward", "backward")
    ):
        return pair_op(code.forward, code.backward, name=type(code).__name__)
    if callable(code):
        ours = (getattr(code, "__module__", None) or "").startswith("attention_from_scratch.")
        return code if ours else looked_at(code)
    kind = f"tuple of {len(code)}" if isinstance(code, tuple) else type(code).__name__
    raise TypeError(
        f"code is a {kind}, but must be an op, a pair of functions (forward, backward), a layer "
        "with these methods, a torch.autograd.Function, or a function with "
        f"framework={' or '.join(FRAMEWORKS)}"
    )


def pair_op(forward: Callable, backward: Callable, *, name: str | None = None) -> Callable:
    """An op of two functions; what backward needs is computed again just before it is asked.

    So a layer that remembers its last call remembers the right one.
    """

    @functools.wraps(forward)  # for the names of its arguments
    def op(*inputs, **keywords):
        result = forward(*inputs, **keywords)
        cached = gives_cache(result, backward, len(inputs))

        def back(*d_outputs):
            d_outputs = d_outputs or (1.0,)
            again = forward(*inputs, **keywords)
            if cached:
                given, named = (*d_outputs, again[1]), {}
            elif takes(backward, len(d_outputs) + len(inputs)):
                given, named = (*d_outputs, *inputs), keywords
            else:
                given, named = d_outputs, {}
            gradients = backward(*given, **named)
            one_list = len(inputs) == 1 and isinstance(inputs[0], list)
            return tuple(gradients) if isinstance(gradients, list) and not one_list else gradients

        return result[0] if cached else result, back

    op.__name__ = name or getattr(forward, "__name__", "pair")
    return op


def gives_cache(result, backward: Callable, n_inputs: int) -> bool:
    """Whether a forward pass gave (output, cache): then backward takes d_output and the cache."""
    two = isinstance(result, tuple) and len(result) == 2
    return two and takes(backward, 2) and (n_inputs != 1 or not takes(backward, 3))


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
            what = "(output, cache)" if is_pair(result) else f"a {type(result).__name__}"
            raise TypeError(
                f"{name} returned {what}, but an op returns (output, backward); "
                + (f"hand in the pair ({name}, its backward)" if is_pair(result) else hint)
            )
        return result

    op.__name__ = name
    return op


def is_pair(result) -> bool:
    """Whether a function gave two things, as one does that hands on a cache."""
    return isinstance(result, tuple) and len(result) == 2


def is_autograd_function(code) -> bool:
    """Whether it is a torch.autograd.Function, without importing torch."""
    return isinstance(code, type) and any(
        f"{base.__module__}.{base.__name__}" == "torch.autograd.function.Function"
        for base in code.__mro__
    )
