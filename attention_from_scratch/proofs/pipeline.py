"""The pipeline, written once for every framework, as `transformer.py` is.

Means over time are products with a constant matrix here, and attention without projections has
identities for them: said in another way, the same sums.
"""

import math

import numpy as np

from attention_from_scratch.networks.transformer import EPS
from attention_from_scratch.ops import causal_mask, local_mask, padding_mask


def pipeline_calls(calls: dict, constant, transpose) -> dict:
    """A table with the loss of the pipeline, from its name to the same in the framework.

    Parameters are those of `transformer_calls`, whose table is already part of `calls`.
    """
    linear, embedding = calls["linear"], calls["embedding"]

    def tensor(array):
        return constant(array, None)

    def item_table(params, features, keep):
        table = params["ids"] * constant(keep[:, None], params["ids"])
        for name, weight in params["projections"].items():
            table = table + features[name] @ weight
        return table

    def embed(params, table, ids, context):
        x = embedding(tensor(ids), table) + params["positions"][-ids.shape[1] :]
        for name, kinds in params["context"].items():
            x = x + embedding(context[name], kinds)
        return x * constant(ids[..., None] != 0, x)

    def encode(params, x, ids, stages):
        real = ids != 0
        if stages.encoder == "embedding":
            return x
        if stages.encoder != "transformer":
            return calls[stages.encoder](params, x, mask=tensor(real))
        mask = tensor(causal_mask(ids.shape[1]) & padding_mask(ids))
        settings = {"n_heads": stages.n_heads, "mask": mask, "eps": EPS}
        real = real[..., None]
        x = calls["transformer_encoder"](params, x, real=real, norm="pre", **settings)
        return x * constant(real, x)

    def attend(params, x, ids, stages):
        length, width = ids.shape[1], x.shape[-1]
        if params is None:
            same = {"weight": constant(np.eye(width), x), "bias": constant(np.zeros(width), x)}
            params = {"query": same, "key": same, "value": same}
        if not stages.scaled:  # undo the scale that the framework puts in
            factor = math.sqrt(width / stages.n_heads)
            query = {name: factor * array for name, array in params["query"].items()}
            params = params | {"query": query}
        masks = {
            "global": np.ones((length, length), bool),
            "causal": causal_mask(length),
            "local": causal_mask(length) & local_mask(length, stages.window or 1),
        }
        mask = tensor(masks[stages.attention] & padding_mask(ids))
        params = params | {"output": None}
        attended = calls["multi_head_attention"](params, x, x, x, n_heads=stages.n_heads, mask=mask)
        return attended * constant(ids[..., None] != 0, x)

    def featurewise(params, x, ids):
        real = ids[..., None] != 0
        weights = calls["softmax"](linear(x, **params["query"]), axis=1, where=tensor(real))
        weighted = weights * linear(x, **params["value"])
        return constant(np.ones((1, ids.shape[1])), x) @ weighted

    def running_mean(x, ids):
        before = np.tri(ids.shape[1]) * (ids != 0)[:, None, :]
        return constant(before / np.maximum(before.sum(axis=-1, keepdims=True), 1), x) @ x

    def aggregate(params, x, ids, stages):
        if stages.attention == "featurewise":
            return featurewise(params, x, ids)
        if stages.attention != "none":
            x = attend(params, x, ids, stages)
        return running_mean(x, ids) if stages.aggregation == "pooled" else x

    def transformer_decoder(params, memory, table, previous, real, n_heads):
        length = previous.shape[1]
        x = embedding(tensor(previous), table) + params["positions"][:length]
        masks = {"mask": tensor(causal_mask(length)), "memory_mask": tensor(real[:, None, :])}
        settings = {"n_heads": n_heads, "eps": EPS}
        x = calls["decoder_block"](params["block"], x, memory, **masks, **settings)
        return calls["layer_norm"](x, params["norm"]["weight"], params["norm"]["bias"], eps=EPS)

    def next_states(params, table, ids, previous, context, stages):
        x = encode(params["encoder"], embed(params, table, ids, context), ids, stages)
        known, real = aggregate(params["attention"], x, ids, stages), ids != 0
        if stages.predicts_everywhere:
            return known
        if stages.decoder in ("dense", "dot"):
            return known[:, -1:]
        steps = params["decoder"]["steps"]
        if stages.decoder == "rnn":
            return calls["rnn"](steps, embedding(tensor(previous), table), known[:, -1])
        if stages.aggregation == "pooled":
            known, real = known[:, -1:], real[:, -1:]
        return transformer_decoder(steps, known, table, previous, real, stages.n_heads)

    def next_item_loss(params, ids, targets, *, stages, context, features, keep):
        ids, targets = np.asarray(ids), np.asarray(targets)
        previous = np.concatenate([ids[:, -1:], targets[:, :-1]], axis=1)
        table = item_table(params["items"], features, np.asarray(keep))
        hidden = next_states(params, table, ids, previous, context, stages)
        head = params["decoder"]["head"] or {"weight": transpose(table[1:])}
        logits = linear(hidden, **head)
        loss = calls["cross_entropy"](logits, tensor(targets - 1), ignore_index=-1, reduction="sum")
        return loss / np.count_nonzero(targets)

    return {"pipeline.next_item_loss": next_item_loss}
