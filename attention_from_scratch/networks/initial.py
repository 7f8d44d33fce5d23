"""What the parts of a network start from: parameters drawn anew."""

import numpy as np

from attention_from_scratch.tree import Tree


def init_block(rng, dim: int, *, output_projection: bool, dtype, small: bool = False) -> Tree:
    """Fresh parameters of a block; its feed-forward layer is as wide as the model, as in SASRec.

    With `small`, what is added to the residual path starts close to 0: the output projection and
    the feed-forward layers are drawn with standard deviation 0.02.
    """

    def square(small=False):
        return init_linear(rng, dim, dim, dtype, deviation=0.02 if small else None)

    attention = {"query": square(), "key": square(), "value": square()}
    return {
        "attention_norm": init_norm(dim, dtype),
        "attention": attention | {"output": square(small) if output_projection else None},
        "feed_forward_norm": init_norm(dim, dtype),
        "feed_forward": {"up": square(small), "down": square(small)},
    }


def init_decoder_block(rng, dim: int, *, dtype) -> Tree:
    """Fresh parameters of a `decoder_block`: those of a block, and attention to the memory."""
    block = init_block(rng, dim, output_projection=True, dtype=dtype)
    memory = init_block(rng, dim, output_projection=True, dtype=dtype)
    return block | {
        "memory_norm": memory["attention_norm"],
        "memory_attention": memory["attention"],
    }


def init_linear(rng, n_in: int, n_out: int, dtype, *, deviation: float | None = None) -> Tree:
    """Fresh parameters of a linear map: the bias is 0, and the weights are random.

    They are uniform with variance 2 / (in + out) (Glorot & Bengio 2010, eq. 16); given a deviation,
    normal with that standard deviation.
    """
    bound = (6 / (n_in + n_out)) ** 0.5
    if deviation is None:
        weight = rng.uniform(-bound, bound, (n_in, n_out))
    else:
        weight = rng.normal(0, deviation, (n_in, n_out))
    return {"weight": weight.astype(dtype), "bias": np.zeros(n_out, dtype)}


def init_norm(dim: int, dtype) -> Tree:
    """Fresh parameters of a layer norm: weight 1 and bias 0."""
    return {"weight": np.ones(dim, dtype), "bias": np.zeros(dim, dtype)}
