"""The Transformer and SASRec, written once for every framework.

Each step is a call from the framework's own table, so that its automatic differentiation runs
through the whole network. What the networks mean stands in `networks/transformer.py` and
`networks/sasrec.py`; here they are only said again, without a backward pass.
"""

import math

import numpy as np

from attention_from_scratch.networks.transformer import EPS
from attention_from_scratch.ops import causal_mask, padding_mask


def transformer_calls(calls: dict, constant, transpose) -> dict:
    """A table from the name of each block and loss of ours to the same in the framework.

    Parameters
    ----------
    calls : the framework's table of ops
    constant : (array, like) -> a tensor with the dtype of `like`; with like=None its own
    transpose : of a matrix
    """
    linear, relu, embedding = calls["linear"], calls["relu"], calls["embedding"]

    def normalize(params, x, eps):
        return calls["layer_norm"](x, params["weight"], params["bias"], eps=eps)

    def feed_forward(params, x):
        return linear(relu(linear(x, **params["up"])), **params["down"])

    def pre_norm_block(params, x, *, n_heads, mask, eps):
        normed = normalize(params["attention_norm"], x, eps)
        attend = calls["multi_head_attention"]
        middle = x + attend(params["attention"], normed, normed, normed, n_heads=n_heads, mask=mask)
        return middle + feed_forward(
            params["feed_forward"], normalize(params["feed_forward_norm"], middle, eps)
        )

    def paper_block(params, x, *, n_heads, mask, eps):
        query = normalize(params["attention_norm"], x, eps)
        attend = calls["multi_head_attention"]
        middle = query + attend(params["attention"], query, x, x, n_heads=n_heads, mask=mask)
        normed = normalize(params["feed_forward_norm"], middle, eps)
        return normed + feed_forward(params["feed_forward"], normed)

    def post_norm_block(params, x, *, n_heads, mask, eps):
        attend = calls["multi_head_attention"]
        attended = attend(params["attention"], x, x, x, n_heads=n_heads, mask=mask)
        middle = normalize(params["attention_norm"], x + attended, eps)
        fed = feed_forward(params["feed_forward"], middle)
        return normalize(params["feed_forward_norm"], middle + fed, eps)

    def decoder_block(params, x, memory, *, n_heads, mask, memory_mask, eps):
        attend, heads = calls["multi_head_attention"], {"n_heads": n_heads}
        normed = normalize(params["attention_norm"], x, eps)
        heard = x + attend(params["attention"], normed, normed, normed, mask=mask, **heads)
        normed = normalize(params["memory_norm"], heard, eps)
        middle = heard + attend(
            params["memory_attention"], normed, memory, memory, mask=memory_mask, **heads
        )
        return middle + feed_forward(
            params["feed_forward"], normalize(params["feed_forward_norm"], middle, eps)
        )

    blocks = {"pre": pre_norm_block, "post": post_norm_block, "paper": paper_block}

    def transformer_encoder(params, x, *, real, norm, n_heads, mask, eps):
        for block_params in params["blocks"]:
            x = blocks[norm](block_params, x, n_heads=n_heads, mask=mask, eps=eps)
            x = x * constant(np.asarray(real), x)
        return normalize(params["norm"], x, eps)

    def embed(params, ids, scale):
        real = np.asarray(ids)[..., None] != 0
        items = embedding(ids, params["items"])
        x = scale * items + params["positions"][-ids.shape[1] :]
        return x * constant(real, x)

    def encode(params, ids, *, n_heads, norm, mask_padding=True):
        real = (np.asarray(ids)[..., None] != 0) | (not mask_padding)
        mask = causal_mask(ids.shape[1])
        mask = constant(mask & padding_mask(np.asarray(ids)) if mask_padding else mask, None)
        settings = {"real": real, "norm": norm, "n_heads": n_heads, "mask": mask, "eps": EPS}
        x = embed(params, ids, math.sqrt(params["items"].shape[-1]))
        return transformer_encoder(params, x, **settings)

    def catalogue_loss(params, ids, targets, **settings):
        hidden = encode(params, ids, **settings)
        logits = linear(hidden, transpose(params["items"][1:]))
        loss = calls["cross_entropy"](logits, targets - 1, ignore_index=-1, reduction="sum")
        return loss / np.count_nonzero(np.asarray(targets))

    def sampled_loss(params, ids, targets, negatives, **settings):
        hidden = encode(params, ids, **settings)
        wanted = np.asarray(targets)[..., None]
        candidates = np.concatenate([wanted, np.asarray(negatives)], axis=-1)
        vectors = embedding(constant(candidates, None), params["items"])
        logits = (vectors @ hidden[..., None])[..., 0]
        labels = constant(np.arange(candidates.shape[-1]) == np.zeros_like(candidates), hidden)
        counted = constant(np.broadcast_to(wanted != 0, candidates.shape), hidden)
        loss = calls["binary_cross_entropy_with_logits"](
            logits, labels, position_weights=counted, reduction="sum"
        )
        return loss / np.count_nonzero(wanted)

    return {
        "pre_norm_block": pre_norm_block,
        "post_norm_block": post_norm_block,
        "paper_block": paper_block,
        "decoder_block": decoder_block,
        "transformer_encoder": transformer_encoder,
        "sasrec.embed": embed,
        "sasrec.catalogue_loss": catalogue_loss,
        "sasrec.sampled_loss": sampled_loss,
    }
