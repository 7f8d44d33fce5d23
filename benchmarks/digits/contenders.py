"""Ours and PyTorch's: the value of each function, and its slope in each input, entry by entry."""

from functools import partial
from types import ModuleType

import numpy as np

from attention_from_scratch import ops as plain


def ours(name: str, inputs: tuple[np.ndarray, ...], ops: ModuleType = plain) -> list[np.ndarray]:
    """What the op gives; a loss, of each entry alone. erfc is no op, and has no slope."""
    if name == "erfc":
        return [ops.erfc(*inputs)]
    if name == "binary cross-entropy":
        op = partial(ops.binary_cross_entropy_with_logits, reduction="sum")
        results = []
        for entry in zip(*(np.split(array, array.size) for array in inputs), strict=True):
            loss, backward = op(*entry)
            results.append(np.stack([loss, *np.concatenate(backward())]))
        return list(np.stack(results, axis=-1))
    tanh_form = partial(ops.gelu, approximate="tanh")
    output, backward = (tanh_form if "tanh form" in name else getattr(ops, name))(*inputs)
    return [output, backward(np.ones_like(output))]


def pytorchs(name: str, inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """What PyTorch gives for a function: its value and its slopes, entry by entry."""
    import torch
    from torch.nn import functional

    losses = partial(functional.binary_cross_entropy_with_logits, reduction="none")
    functions = {
        "relu": functional.relu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "gelu": functional.gelu,
        "gelu, tanh form": partial(functional.gelu, approximate="tanh"),
        "erfc": torch.erfc,
        "binary cross-entropy": losses,
    }
    tensors = [torch.tensor(array, requires_grad=True) for array in inputs]
    output = functions[name](*tensors)
    output.sum().backward()
    return [output.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors)]
