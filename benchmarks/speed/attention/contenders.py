"""Causal attention, forward and backward, of every contender."""

from functools import partial

from benchmarks.speed.ours import drawn, in_parts, numpy_on, pool_of

POSITIONS, WIDTH = 8192, 64  # so many positions in all, whatever the length
GROUPS = 8  # of the blocks of one sequence, for the cores to share


def ours(*, length, threads, ops="fast"):
    """Causal attention: sequences side by side, or, if there is one only, groups of its blocks."""
    from attention_from_scratch.models.trained import OPS

    n = max(1, POSITIONS // length)
    which, (parallel, stack) = OPS[ops], pool_of(threads)
    attention = partial(which.scaled_dot_product_attention, mask=which.causal_mask(length))
    if n == 1 and ops == "fast":
        attention = partial(one_sequence, parallel=parallel)
    parts = in_parts(drawn(n, length, WIDTH, n=4), min(n, threads))

    def forward_backward(part):
        *inputs, d_output = part
        _, backward = attention(*inputs)
        backward(d_output)

    def run(stack=stack):
        list((map if n == 1 else parallel)(forward_backward, parts))

    return run, numpy_on(threads)


def one_sequence(query, key, value, *, parallel):
    """Causal attention whose blocks are dealt out to threads."""
    from attention_from_scratch import fast
    from attention_from_scratch.fast.blocks import attention_in_blocks
    from attention_from_scratch.fast.dropout import Dropout

    mask, none = fast.causal_mask(query.shape[-2]), Dropout(0.0, None, None, query.dtype)
    scale = query.shape[-1] ** -0.5
    groups = {"over": parallel, "n_groups": GROUPS}
    return attention_in_blocks(query, key, value, mask, scale, none, **groups)


def torch(*, length, threads):
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
