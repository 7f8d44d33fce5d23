"""torch.autograd.gradcheck, by a torch.autograd.Function that calls the op."""

from collections.abc import Callable
from functools import partial

import torch

from benchmarks.verdicts.contenders import Contender
from benchmarks.verdicts.flat import Flat


def contenders() -> list[Contender]:
    """Entry by entry of the Jacobian, and along one random direction."""
    torch.set_num_threads(1)
    version = f"torch {torch.__version__}"
    return [
        Contender("torch gradcheck", version, partial(check, fast_mode=False)),
        Contender("torch gradcheck, fast mode", version, partial(check, fast_mode=True)),
    ]


def check(op: Callable, inputs: tuple, keywords: dict, *, fast_mode: bool) -> str:
    """What gradcheck says at its default steps and tolerances."""
    flat = Flat(op, inputs, keywords)
    tensors = [torch.tensor(array, requires_grad=True) for array in flat.arrays]
    passed = torch.autograd.gradcheck(
        as_torch(flat), tensors, fast_mode=fast_mode, raise_exception=False
    )
    return "right" if passed else "wrong"


def as_torch(flat: Flat) -> Callable:
    """A function of tensors, with the op's backward pass."""

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            output, ctx.back = flat(*(tensor.detach().numpy() for tensor in tensors))
            return torch.from_numpy(output)

        @staticmethod
        def backward(ctx, d_output):
            return tuple(map(torch.from_numpy, ctx.back(d_output.numpy())))

    return Wrapped.apply
