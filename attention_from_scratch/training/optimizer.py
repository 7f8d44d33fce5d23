"""Adam, and a bound on the size of a step."""

import copy
import math
from collections.abc import Callable

import numpy as np

from attention_from_scratch.arguments import check_positive
from attention_from_scratch.rows import Rows
from attention_from_scratch.training.divergence import SILENT
from attention_from_scratch.training.pieces import in_pieces
from attention_from_scratch.tree import Tree, leaves, tree_map

# Share of the training that is over -> what lr is multiplied by.
SCHEDULES = {
    "constant": lambda over: 1.0,
    "cosine": lambda over: (1 + math.cos(math.pi * over)) / 2,
}
"""Cosine: Loshchilov & Hutter, SGDR (ICLR 2017), equation 5, without restarts."""


class Adam:
    """Adam with bias correction and, optionally, decoupled weight decay (AdamW).

    With g the gradient, at step t and for every parameter by itself,

        m <- b1 m + (1 - b1) g          v <- b2 v + (1 - b2) g^2
        p <- p - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) - lr * weight_decay * p

    Parameters
    ----------
    params : tree of arrays
        Only its shapes and dtypes are taken.
    lr, betas, eps, weight_decay
        Those of the formulas above, as in `torch.optim.AdamW`. Weight decay acts on matrices, not
        on biases and norms.

    Source: Kingma & Ba (2015), algorithm 1; Loshchilov & Hutter (2019), algorithm 2.
    """

    def __init__(self, params: Tree, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        check_positive("lr", lr)
        check_positive("eps", eps)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas were {betas}, but must be at least 0 and below 1")
        if not 0 <= weight_decay < math.inf:
            raise ValueError(f"weight_decay was {weight_decay}, but must be finite and at least 0")
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self.step_count = 0
        self.mean = tree_map(np.zeros_like, params)
        self.square = tree_map(np.zeros_like, params)

    def part(self, share: Callable[[Tree], list]) -> "Adam":
        """An Adam for a share of the parameters, which `share` copies out of a tree like them."""
        part = copy.copy(self)
        part.mean, part.square = share(self.mean), share(self.square)
        return part

    def update(self, params: Tree, grads: Tree, parallel: Callable = map) -> None:
        """Take one step. Writes into the arrays of `params`: it owns the model while it trains.

        Where a gradient is `Rows`, the moments move every row of the parameter all the same; only
        the rows that are there add a gradient to them. `parallel` is the map of `shard_pool`.
        """
        self.step_count += 1
        beta1, beta2 = self.betas
        step = self.lr / (1 - beta1**self.step_count)
        correction = (1 - beta2**self.step_count) ** 0.5

        @np.errstate(**SILENT)
        def move(grad, param, mean, square):
            if isinstance(grad, Rows):
                mean *= beta1
                square *= beta2
                mean[grad.ids] += (1 - beta1) * grad.rows
                square[grad.ids] += (1 - beta2) * grad.rows * grad.rows
            else:
                mean += (1 - beta1) * (grad - mean)
                square += (1 - beta2) * (grad * grad - square)
            param -= step * mean / (np.sqrt(square) / correction + self.eps)

        tree_map(self.check_and_decay, params, grads)
        in_pieces(move, grads, (params, self.mean, self.square), parallel)

    def check_and_decay(self, param: np.ndarray, grad: np.ndarray | Rows) -> None:
        """Raise unless the gradient is that of the parameter; let a matrix decay."""
        if grad.shape != param.shape:
            raise ValueError(f"a gradient has shape {grad.shape}, its parameter {param.shape}")
        if self.weight_decay and param.ndim > 1:
            param -= self.lr * self.weight_decay * param


def clip_gradients(grads: Tree, max_norm: float) -> tuple[Tree, float]:
    """Shrink all gradients by one factor so that their common norm is at most `max_norm`.

    Returns the gradients and the norm they had. The direction stays (Pascanu et al. 2013).
    """
    norm = gradient_norm(grads)
    return tree_map(lambda leaf: shrunk(leaf, norm, max_norm), grads), norm


def gradient_norm(grads: Tree) -> float:
    """The Euclidean norm of all gradients as one vector, whatever their order."""
    found = (leaf.rows if isinstance(leaf, Rows) else leaf for leaf in leaves(grads))
    return math.sqrt(math.fsum(np.square(leaf, dtype=np.float64).sum() for leaf in found))


def shrunk(grad: np.ndarray | Rows, norm: float, max_norm: float) -> np.ndarray | Rows:
    """A gradient times max_norm / norm if `norm`, that of all gradients together, is larger."""
    return grad if norm <= max_norm else grad * (max_norm / norm)
