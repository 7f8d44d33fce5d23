"""Where the time of a step goes, op by op, and what its matrix products alone would take."""

import time
from collections import defaultdict
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from attention_from_scratch import fast
from attention_from_scratch.fast import attention as heads
from attention_from_scratch.fast.blocks import block_size
from attention_from_scratch.fast.losses import CHUNK
from attention_from_scratch.networks import sasrec
from attention_from_scratch.training import Adam
from benchmarks.speed.ours import BETAS, in_shards
from benchmarks.speed.training_step.contenders import LR, draw

PARTS = {
    "embedding": "embedding",
    "project": "linear maps",
    "scaled_dot_product_attention": "attention",
    "layer_norm": "layer norm",
    "dropout": "dropout outside attention",
    "relu": "relu",
    "binary_cross_entropy_with_logits": "loss",
    "linear_cross_entropy": "loss",
}
"""Op -> the part of the step that it is counted as."""
ADAM, REST = "Adam", "the rest"


class Stopwatch:
    """The fast ops, each of which adds its time to its part; forward and backward."""

    def __init__(self):
        self.seconds = defaultdict(float)
        self.ops_timed = {n: self.timed(part, getattr(fast, n)) for n, part in PARTS.items()}
        untimed = {name: getattr(fast, name) for name in fast.__all__}
        self.ops = SimpleNamespace(**untimed | self.ops_timed)

    def inside_heads(self):
        """While this context lasts, the parts of `fast.multi_head_attention` are timed too."""
        parts = ("project", "scaled_dot_product_attention")
        return patch.multiple(heads, **{name: self.ops_timed[name] for name in parts})

    def timed(self, part: str, op):
        """The op, and its backward pass, with the clock running."""

        def run(*inputs, **settings):
            output, backward = self.count(part, op, *inputs, **settings)
            return output, lambda *d_output: self.count(part, backward, *d_output)

        return run

    def count(self, part: str, function, *inputs, **settings):
        """Call it, and add what it took."""
        start = time.perf_counter()
        result = function(*inputs, **settings)
        self.seconds[part] += time.perf_counter() - start
        return result


def profiled_step(loss: str, dropout: float, shape: dict, n_shards: int):
    """A function that takes a step on one thread and returns part -> seconds."""
    sizes = {name: shape[name] for name in ("n_items", "dim", "n_blocks")}
    params = sasrec.init_params(np.random.default_rng(1), max_len=shape["length"], **sizes)
    arrays = draw(shape["n_items"], shape["length"], shape["batch"])
    shards = in_shards(arrays, shape["batch"] // n_shards)
    optimizer = Adam(params, lr=LR, betas=BETAS)
    total = shape["batch"] * shape["length"]

    def step() -> dict[str, float]:
        watch, start = Stopwatch(), time.perf_counter()
        settings = {"n_heads": shape["n_heads"], "dropout_p": dropout, "ops": watch.ops}
        settings |= {"rng": np.random.default_rng(0), "total": total}
        with watch.inside_heads():
            for ids, targets, negatives in shards:
                if loss == "bce":
                    found = sasrec.sampled_loss(params, ids, targets, negatives, **settings)
                else:
                    found = sasrec.catalogue_loss(params, ids, targets, **settings)
                _, backward = found
                grads = backward()
        watch.count(ADAM, optimizer.update, params, grads)
        whole = time.perf_counter() - start
        return dict(watch.seconds) | {REST: whole - sum(watch.seconds.values())}

    return step


def products(loss: str, shape: dict, n_shards: int):
    """A function that multiplies the matrices of such a step, and returns part -> seconds."""
    length, dim, n_heads = shape["length"], shape["dim"], shape["n_heads"]
    users = shape["batch"] // n_shards
    rng = np.random.default_rng(0)

    def normal(*sizes):
        return rng.standard_normal(sizes).astype(np.float32)

    rows, d_rows, weight = (
        normal(users * length, dim),
        normal(users * length, dim),
        normal(dim, dim),
    )
    query, key = (normal(users, n_heads, length, dim // n_heads) for _ in range(2))
    key_t = np.ascontiguousarray(key.swapaxes(-1, -2))
    table = normal(shape["n_items"], dim)
    table_t = np.ascontiguousarray(table.T)

    def maps():
        for _ in range(6):
            _ = rows @ weight, d_rows @ weight.T, rows.T @ d_rows

    def attention():
        size = block_size(length)
        for start in range(0, length, size):
            end = min(start + size, length)
            block, keys, keys_t = query[..., start:end, :], key[..., :end, :], key_t[..., :end]
            scores = block @ keys_t
            # forward: scores, output; backward: scores, d_weights, d_value, d_query, d_key
            _ = scores @ keys, block @ keys_t, block @ keys_t
            _ = scores.swapaxes(-1, -2) @ block, scores @ keys, scores.swapaxes(-1, -2) @ block

    def catalogue():
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            logits = chunk @ table_t
            _ = logits @ table, logits.T @ chunk

    def multiply() -> dict[str, float]:
        watch = Stopwatch()
        for _ in range(n_shards):
            for _ in range(shape["n_blocks"]):
                watch.count(PARTS["project"], maps)
                watch.count(PARTS["scaled_dot_product_attention"], attention)
            if loss == "softmax":
                watch.count(PARTS["linear_cross_entropy"], catalogue)
        return dict(watch.seconds)

    return multiply
