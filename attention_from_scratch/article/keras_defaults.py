"""What Keras does unless told otherwise: its Adam, its initial values, its order of weights."""

from collections.abc import Callable, Sequence

import numpy as np

from attention_from_scratch.interop.keras import recurrent_from_keras, recurrent_to_keras
from attention_from_scratch.interop.tensors import as_array
from attention_from_scratch.networks.initial import init_linear
from attention_from_scratch.training import Adam
from attention_from_scratch.tree import Tree


class KerasAdam(Adam):
    """Adam with eps where Keras has it: next to sqrt(v), before the correction of its bias.

        p <- p - lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)

    Seen from algorithm 1, as `Adam` has it, eps is larger by 1 / sqrt(1 - b2^t): 32 times at the
    first step.

    With TensorFlow beneath it, Keras (3.15) adds up the squares of an item's gradients, one for
    each time it occurs in the batch, where this, and Keras on JAX or PyTorch, squares their sum.

    Source: Kingma & Ba (2015), end of section 2, there called epsilon hat.
    """

    def __init__(self, params: Tree, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-7):
        super().__init__(params, lr=lr, betas=betas, eps=eps)
        self.eps_hat = eps

    def update(self, params: Tree, grads: Tree, parallel: Callable = map) -> None:
        """Take one step, with eps where Keras has it; writes into the arrays of `params`."""
        self.eps = self.eps_hat / (1 - self.betas[1] ** (self.step_count + 1)) ** 0.5
        super().update(params, grads, parallel)


def init_params(rng, n_items: int, n_classes: int, dim: int, dtype="float32") -> Tree:
    """Draw the parameters as the layers of Keras do: a tree as of `pipeline.init_params`.

    Embedding: uniform in ±0.05. Kernels: Glorot's uniform. The LSTM's recurrent kernel: orthonormal
    rows. Biases: 0, and 1 for the forget gate. The LSTM has one bias, so ours of the state is None.

    Source: Glorot & Bengio (2010), eq. 16; Saxe et al. (2014); Jozefowicz et al. (2015) for the
    forget gate.
    """

    def dense(n_in, n_out):
        return init_linear(rng, n_in, n_out, dtype)

    table = rng.uniform(-0.05, 0.05, (n_items + 1, dim)).astype(dtype)
    gates = dense(dim, 4 * dim)
    gates["bias"][dim : 2 * dim] = 1  # i, f, g, o
    return {
        "items": {"ids": table, "projections": {}},
        "context": {},
        "positions": None,
        "encoder": {
            "input": gates,
            "hidden": {"weight": orthogonal(rng, dim, 4 * dim).astype(dtype), "bias": None},
        },
        "attention": {"query": dense(dim, dim), "value": dense(dim, dim)},
        "decoder": {"head": dense(dim, n_classes), "steps": None},
    }


def orthogonal(rng, rows: int, columns: int) -> np.ndarray:
    """A matrix with orthonormal rows, every such matrix equally likely; rows <= columns."""
    q, r = np.linalg.qr(rng.standard_normal((columns, rows)))
    return (q * np.sign(np.diag(r))).T


def params_from_keras(weights: Sequence) -> Tree:
    """Our tree of parameters, made of what get_weights() of the Keras model gives.

    In its order: the embedding; kernel, recurrent kernel and bias of the LSTM; kernel and bias each
    of self.W (our query), self.V (our value) and the last Dense.
    """
    table, *lstm, w, w_bias, v, v_bias, head, head_bias = map(as_array, weights)
    encoder = recurrent_from_keras(lstm, "lstm")
    encoder["hidden"]["bias"] = None  # a second one would take its own steps of Adam
    return {
        "items": {"ids": table, "projections": {}},
        "context": {},
        "positions": None,
        "encoder": encoder,
        "attention": {
            "query": {"weight": w, "bias": w_bias},
            "value": {"weight": v, "bias": v_bias},
        },
        "decoder": {"head": {"weight": head, "bias": head_bias}, "steps": None},
    }


def params_to_keras(params: Tree) -> list[np.ndarray]:
    """The inverse of `params_from_keras`, which takes a tree of gradients as well."""
    encoder, attention, head = params["encoder"], params["attention"], params["decoder"]["head"]
    bias = encoder["input"]["bias"]
    hidden = {"weight": encoder["hidden"]["weight"], "bias": np.zeros_like(bias)}
    linears = [attention["query"], attention["value"], head]
    return [
        params["items"]["ids"],
        *recurrent_to_keras({"input": encoder["input"], "hidden": hidden}, "lstm"),
        *(linear[part] for linear in linears for part in ("weight", "bias")),
    ]
