"""Single layers, forward and backward: attention and LSTM, of every contender."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import numpy as np

POSITIONS, WIDTH = 8192, 64  # of attention: so many in all, whatever the length
GROUPS = 8  # of the blocks of one sequence, for the cores to share
SEQUENCES, STEPS, UNITS = 128, 50, 64  # of the LSTM


def drawn(*shape, n):
    """Arrays of standard normal numbers."""
    return np.random.default_rng(0).standard_normal((n, *shape)).astype(np.float32)


def pool_of(threads) -> tuple[Callable, ExitStack]:
    """A map over threads, and what is to be held on to as long as it is used."""
    from attention_from_scratch.training.threads import shard_pool

    stack = ExitStack()
    return stack.enter_context(shard_pool(threads)), stack


def cut(arrays, n_parts):
    """The same rows of all arrays, in so many parts."""
    return list(zip(*(np.array_split(array, n_parts) for array in arrays), strict=True))


def our_attention(*, length, threads, plain=False):
    """Causal attention: sequences side by side, or, if there is one only, groups of its blocks."""
    from attention_from_scratch import fast, ops

    n = max(1, POSITIONS // length)
    which, (parallel, stack) = ops if plain else fast, pool_of(threads)
    attention = partial(which.scaled_dot_product_attention, mask=which.causal_mask(length))
    if n == 1 and not plain:
        attention = partial(one_sequence, parallel=parallel)
    parts = cut(drawn(n, length, WIDTH, n=4), min(n, threads))

    def forward_backward(part):
        *inputs, d_output = part
        _, backward = attention(*inputs)
        backward(d_output)

    def run(stack=stack):
        list((map if n == 1 else parallel)(forward_backward, parts))

    return run, f"NumPy {np.__version__}, {threads} threads"


def one_sequence(query, key, value, *, parallel):
    """Causal attention whose blocks are dealt out to threads."""
    from attention_from_scratch import fast
    from attention_from_scratch.fast.blocks import attention_in_blocks
    from attention_from_scratch.fast.dropout import Dropout

    mask, none = fast.causal_mask(query.shape[-2]), Dropout(0.0, None, None, query.dtype)
    scale = query.shape[-1] ** -0.5
    groups = {"over": parallel, "n_groups": GROUPS}
    return attention_in_blocks(query, key, value, mask, scale, none, **groups)


def torch_attention(*, length, threads):
    """PyTorch's scaled_dot_product_attention."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    n = max(1, POSITIONS // length)
    *inputs, d_output = map(torch.tensor, drawn(n, 1, length, WIDTH, n=4))
    for array in inputs:
        array.requires_grad_()

    def run():
        output = F.scaled_dot_product_attention(*inputs, is_causal=True)
        torch.autograd.grad(output, inputs, d_output)

    return run, f"PyTorch {torch.__version__}"


def our_lstm(*, threads, plain=False):
    """Half of the sequences on each thread."""
    from attention_from_scratch import fast, ops

    lstm = ops.lstm if plain else fast.lstm
    x, d_output = drawn(SEQUENCES, STEPS, UNITS, n=2)
    weight, hidden = 0.1 * drawn(UNITS, 4 * UNITS, n=2)
    bias, hidden_bias = 0.1 * drawn(4 * UNITS, n=2)
    params = {
        "input": {"weight": weight, "bias": bias},
        "hidden": {"weight": hidden, "bias": hidden_bias},
    }

    parallel, stack = pool_of(threads)
    parts = cut((x, d_output), threads)

    def forward_backward(part):
        _, backward = lstm(params, part[0])
        backward(part[1])

    def run(stack=stack):
        list(parallel(forward_backward, parts))

    return run, f"NumPy {np.__version__}, {threads} threads"


def torch_lstm(*, threads):
    """torch.nn.LSTM."""
    import torch

    torch.set_num_threads(threads)
    x, d_output = map(torch.tensor, drawn(SEQUENCES, STEPS, UNITS, n=2))
    x.requires_grad_()
    layer = torch.nn.LSTM(UNITS, UNITS, batch_first=True)
    inputs = [x, *layer.parameters()]

    def run():
        output, _ = layer(x)
        torch.autograd.grad(output, inputs, d_output)

    return run, f"PyTorch {torch.__version__}"
