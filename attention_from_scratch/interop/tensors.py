"""Between NumPy arrays and the tensors of a framework."""

import numpy as np


def as_array(tensor) -> np.ndarray:
    """A NumPy array of a tensor of any framework; float32 of what has 16 bits."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if tensor.is_floating_point() and tensor.element_size() == 2:  # NumPy has no bfloat16
            tensor = tensor.float()
        tensor = tensor.numpy()
    array = np.array(tensor)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def as_tensors(state: dict) -> dict:
    """The arrays as PyTorch tensors, where torch is installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return state
    return {name: torch.tensor(array) for name, array in state.items()}
