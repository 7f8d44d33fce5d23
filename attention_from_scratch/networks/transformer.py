"""The Transformer block, in the forms that recommenders use."""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.settings import EPS
from attention_from_scratch.tree import Tree


def feed_forward(params: Tree, x: np.ndarray, *, dropout_p: float = 0.0, rng=None, ops=plain):
    """relu(x W_up + b_up) W_down + b_down, at each position by itself.

    Parameters
    ----------
    params : {"up": {"weight": (D, D_hidden), "bias"}, "down": {"weight": (D_hidden, D), "bias"}}
    x : (..., L, D)
    ops : module
        `attention_from_scratch.ops`, or `fast`, whose ops have the same names.

    Returns
    -------
    output : (..., L, D)
    backward : d_output (..., L, D) -> grads, d_x

    Source: Kang & McAuley (2018), section III-B: two convolutions of width 1 are two linear maps.
    """
    hidden, back_up = ops.project(params["up"], x)
    active, back_relu = ops.relu(hidden)
    kept, back_dropout = ops.dropout(active, p=dropout_p, rng=rng)
    down, back_down = ops.project(params["down"], kept)
    output, back_last_dropout = ops.dropout(down, p=dropout_p, rng=rng)

    def backward(d_output):
        d_down_params, d_kept = back_down(back_last_dropout(d_output))
        d_up_params, d_x = back_up(back_relu(back_dropout(d_kept)))
        return {"up": d_up_params, "down": d_down_params}, d_x

    return output, backward


def noises(dropout_p=0.0, attention_dropout_p=None, rng=None) -> tuple[dict, dict]:
    """Settings of dropout on the attention weights (None: dropout_p) and everywhere else."""
    on_weights = dropout_p if attention_dropout_p is None else attention_dropout_p
    return {"dropout_p": on_weights, "rng": rng}, {"dropout_p": dropout_p, "rng": rng}


def pre_norm_block(
    params: Tree, x: np.ndarray, *, n_heads, mask, eps, memory=None, ops=plain, **noise
):
    """x + attention(normalize(x)), then x + feed_forward(normalize(x)).

    The residual path carries x unchanged from the first block to the last.

    Parameters
    ----------
    params : {"attention_norm", "attention", "feed_forward_norm", "feed_forward"}
    x : (B, L, D)
    n_heads, mask
        As in `multi_head_attention`.
    eps : float
        Of the layer norms.
    memory : (B, L', D) or None
        What is attended to, if not x; it gets no gradient.
    ops : module
        `attention_from_scratch.ops`, or `fast`.
    **noise
        dropout_p, attention_dropout_p, rng as in `noises`.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads, d_x

    Source: Xiong et al., On Layer Normalization in the Transformer Architecture (2020), fig. 1b.
    """
    in_attention, elsewhere = noises(**noise)
    normed, back_norm = normalize(params["attention_norm"], x, eps, ops)
    seen = normed if memory is None else normalize(params["attention_norm"], memory, eps, ops)[0]
    attended, back_attention = ops.multi_head_attention(
        params["attention"], normed, seen, seen, n_heads=n_heads, mask=mask, **in_attention
    )
    middle = x + attended
    normed_middle, back_middle_norm = normalize(params["feed_forward_norm"], middle, eps, ops)
    fed, back_feed_forward = feed_forward(
        params["feed_forward"], normed_middle, **elsewhere, ops=ops
    )
    output = middle + fed

    def backward(d_output):
        grads = {}
        grads["feed_forward"], d_normed_middle = back_feed_forward(d_output)
        grads["feed_forward_norm"], d_through_norm = back_middle_norm(d_normed_middle)
        d_middle = d_output + d_through_norm
        grads["attention"], d_query, d_key, d_value = back_attention(d_middle)
        grads["attention_norm"], d_through_norm = back_norm(d_query + d_key + d_value)
        return grads, d_middle + d_through_norm

    return output, backward


def paper_block(
    params: Tree, x: np.ndarray, *, n_heads, mask, eps, memory=None, ops=plain, **noise
):
    """q + attention(q, x, x) with q = normalize(x), then f + feed_forward(f) with f = normalize(.).

    SASRec as its authors' code has it. It differs from `pre_norm_block` in three places: only
    the queries are normalised, the residual starts from what is normalised, and there is no output
    projection (params["attention"]["output"] is None).

    Parameters and returns are those of `pre_norm_block`.

    Source: Kang & McAuley, SASRec (2018), section III; code kang205/SASRec, modules.py.
    """
    in_attention, elsewhere = noises(**noise)
    query, back_norm = normalize(params["attention_norm"], x, eps, ops)
    seen = x if memory is None else memory
    attended, back_attention = ops.multi_head_attention(
        params["attention"], query, seen, seen, n_heads=n_heads, mask=mask, **in_attention
    )
    middle = query + attended
    normed_middle, back_middle_norm = normalize(params["feed_forward_norm"], middle, eps, ops)
    fed, back_feed_forward = feed_forward(
        params["feed_forward"], normed_middle, **elsewhere, ops=ops
    )
    output = normed_middle + fed

    def backward(d_output):
        grads = {}
        grads["feed_forward"], d_normed_middle = back_feed_forward(d_output)
        grads["feed_forward_norm"], d_middle = back_middle_norm(d_output + d_normed_middle)
        grads["attention"], d_query, d_key, d_value = back_attention(d_middle)
        grads["attention_norm"], d_through_norm = back_norm(d_middle + d_query)
        return grads, d_through_norm + d_key + d_value

    return output, backward


def post_norm_block(
    params: Tree, x: np.ndarray, *, n_heads, mask, eps, memory=None, ops=plain, **noise
):
    """normalize(x + attention(x)), then normalize(y + feed_forward(y)): the original Transformer.

    Parameters and returns are those of `pre_norm_block`.

    Source: Vaswani et al. (2017), section 3.1; Xiong et al. (2020), fig. 1a.
    """
    in_attention, elsewhere = noises(**noise)
    seen = x if memory is None else memory
    attended, back_attention = ops.multi_head_attention(
        params["attention"], x, seen, seen, n_heads=n_heads, mask=mask, **in_attention
    )
    middle, back_norm = normalize(params["attention_norm"], x + attended, eps, ops)
    fed, back_feed_forward = feed_forward(params["feed_forward"], middle, **elsewhere, ops=ops)
    output, back_last_norm = normalize(params["feed_forward_norm"], middle + fed, eps, ops)

    def backward(d_output):
        grads = {}
        grads["feed_forward_norm"], d_sum = back_last_norm(d_output)
        grads["feed_forward"], d_middle = back_feed_forward(d_sum)
        grads["attention_norm"], d_sum = back_norm(d_sum + d_middle)
        grads["attention"], d_query, d_key, d_value = back_attention(d_sum)
        return grads, d_sum + d_query + d_key + d_value

    return output, backward


def decoder_block(
    params: Tree,
    x: np.ndarray,
    memory: np.ndarray,
    *,
    n_heads,
    mask,
    memory_mask,
    eps,
    ops=plain,
    **noise,
):
    """x + attention(x), then + attention to the memory, then + feed_forward; each normalises first.

    The block of an autoregressive decoder: x is what has been said so far, and sees itself only
    backwards; the memory is what the encoder knows. Attention to the memory is the same op with
    keys and values from elsewhere.

    Parameters
    ----------
    params : {"attention_norm", "attention", "memory_norm", "memory_attention",
            "feed_forward_norm", "feed_forward"}
    x : (B, M, D)
    memory : (B, L, D)
    mask, memory_mask : bool, broadcast to (B, M, M) and (B, M, L)
    n_heads, eps, ops, **noise
        As in `pre_norm_block`.

    Returns
    -------
    output : (B, M, D)
    backward : d_output (B, M, D) -> grads, d_x, d_memory

    Source: Vaswani et al. (2017), section 3.1, with the norms where Xiong et al. (2020) have them.
    """
    in_attention, elsewhere = noises(**noise)
    normed, back_norm = normalize(params["attention_norm"], x, eps, ops)
    attended, back_attention = ops.multi_head_attention(
        params["attention"], normed, normed, normed, n_heads=n_heads, mask=mask, **in_attention
    )
    heard = x + attended
    normed_heard, back_memory_norm = normalize(params["memory_norm"], heard, eps, ops)
    remembered, back_memory = ops.multi_head_attention(
        params["memory_attention"],
        normed_heard,
        memory,
        memory,
        n_heads=n_heads,
        mask=memory_mask,
        **in_attention,
    )
    middle = heard + remembered
    normed_middle, back_middle_norm = normalize(params["feed_forward_norm"], middle, eps, ops)
    fed, back_feed_forward = feed_forward(
        params["feed_forward"], normed_middle, **elsewhere, ops=ops
    )
    output = middle + fed

    def backward(d_output):
        grads = {}
        grads["feed_forward"], d_normed = back_feed_forward(d_output)
        grads["feed_forward_norm"], d_through_norm = back_middle_norm(d_normed)
        d_middle = d_output + d_through_norm
        grads["memory_attention"], d_query, d_key, d_value = back_memory(d_middle)
        d_memory = d_key + d_value
        grads["memory_norm"], d_through_norm = back_memory_norm(d_query)
        d_heard = d_middle + d_through_norm
        grads["attention"], d_query, d_key, d_value = back_attention(d_heard)
        grads["attention_norm"], d_through_norm = back_norm(d_query + d_key + d_value)
        return grads, d_heard + d_through_norm, d_memory

    return output, backward


BLOCKS = {"pre": pre_norm_block, "post": post_norm_block, "paper": paper_block}

# What attends to what in each block: of x and its normalised form, (query, key).
ATTENDS = {
    "pre": lambda x, normed: (normed, normed),
    "post": lambda x, normed: (x, x),
    "paper": lambda x, normed: (normed, x),
}


def transformer_encoder(params: Tree, x: np.ndarray, *, real, norm: str, ops=plain, **settings):
    """Block after block, and a last norm; between blocks, rows that are not real are 0.

    Parameters
    ----------
    params : {"blocks": [...], "norm"}
    x : (B, L, D)
    real : bool (B, L, 1)
        Where there is an event.
    norm : "pre", "post" or "paper"
        Which of `BLOCKS`.
    **settings
        n_heads, mask, eps and noise of the block.

    Returns
    -------
    output : (B, L, D)
    backward : d_output (B, L, D) -> grads, d_x
    """
    back_blocks = []
    for block_params in params["blocks"]:
        x, back_block = BLOCKS[norm](block_params, x, ops=ops, **settings)
        x = only_real(x, real)
        back_blocks.append(back_block)
    output, back_norm = normalize(params["norm"], x, settings["eps"], ops)

    def backward(d_output):
        d_norm, d_x = back_norm(d_output)
        d_blocks = []
        for back_block in reversed(back_blocks):
            d_block, d_x = back_block(only_real(d_x, real))
            d_blocks.append(d_block)
        return {"blocks": d_blocks[::-1], "norm": d_norm}, d_x

    return output, backward


def last_state(
    params: Tree, x: np.ndarray, *, real, norm: str, mask, last_mask, ops=plain, **settings
) -> np.ndarray:
    """What `transformer_encoder` says at the last position, (B, D), and nothing else: for scoring.

    The last block has one query a user; what it attends to is all that the blocks before it say.

    Parameters
    ----------
    params, x, real, norm, mask, **settings
        As in `transformer_encoder`; `mask` is for all blocks but the last.
    last_mask : bool, broadcasts to (B, 1, L), or None
        What the query of the last block may attend to.
    """
    *blocks, last = params["blocks"]
    for block_params in blocks:
        x, _ = BLOCKS[norm](block_params, x, mask=mask, ops=ops, **settings)
        x = only_real(x, real)
    state, _ = BLOCKS[norm](last, x[:, -1:], memory=x, mask=last_mask, ops=ops, **settings)
    state = only_real(state, real[:, -1:])
    output, _ = normalize(params["norm"], state, settings["eps"], ops)
    return output[:, 0]


def attention_maps_of(
    blocks, x: np.ndarray, *, real, norm: str, ops=plain, **settings
) -> list[np.ndarray]:
    """Who attends to whom in each block of `transformer_encoder`: each (B, H, L, L)."""
    maps = []
    for params in blocks:
        normed, _ = normalize(params["attention_norm"], x, settings["eps"], ops)
        query, key = ATTENDS[norm](x, normed)
        heads = {"n_heads": settings["n_heads"], "mask": settings["mask"]}
        weights, _ = ops.multi_head_attention_weights(params["attention"], query, key, **heads)
        maps.append(weights)
        x, _ = BLOCKS[norm](params, x, ops=ops, **settings)
        x = only_real(x, real)
    return maps


def causal_settings(ids: np.ndarray, *, n_heads, norm="pre", mask_padding=True, ops=plain) -> dict:
    """What `transformer_encoder` needs where an event sees itself and those before it.

    Parameters
    ----------
    ids : (B, L) of integers, 0 for padding
    n_heads, norm
        Of the blocks.
    mask_padding : bool
        Hide padding from attention and keep its rows at 0.
    """
    mask, real = ops.causal_mask(ids.shape[-1]), (ids != 0)[..., None] | (not mask_padding)
    if not real.all():
        mask = mask & ops.padding_mask(ids)
    return {"real": real, "norm": norm, "n_heads": n_heads, "mask": mask, "eps": EPS}


def only_real(x: np.ndarray, real: np.ndarray) -> np.ndarray:
    """x, and exactly 0 where there is no event; x itself where there are only events."""
    if real.all():
        return x
    x = x.copy()
    x[~real[..., 0]] = 0
    return x


def normalize(params: Tree, x: np.ndarray, eps: float, ops=plain):
    """`layer_norm` with its parameters in a tree; backward gives grads, a tree like it, and d_x."""
    output, back_layer_norm = ops.layer_norm(x, **params, eps=eps)

    def backward(d_output):
        d_x, d_weight, d_bias = back_layer_norm(d_output)
        return {"weight": d_weight, "bias": d_bias}, d_x

    return output, backward
