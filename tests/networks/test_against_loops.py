"""The models against the sums as the paper writes them: one number at a time."""

import math

import numpy as np
import pytest

from attention_from_scratch.networks import initial, sasrec, transformer
from attention_from_scratch.ops import causal_mask, padding_mask

EPS = 1e-8


def normalised(row, params):
    mean = sum(row) / len(row)
    variance = sum((value - mean) ** 2 for value in row) / len(row)
    return [
        (value - mean) / math.sqrt(variance + EPS) * weight + bias
        for value, weight, bias in zip(row, params["weight"], params["bias"], strict=True)
    ]


def affine(row, params):
    weight, bias = params["weight"], params["bias"]
    return [sum(row[i] * weight[i, j] for i in range(len(row))) + bias[j] for j in range(len(bias))]


def added(*rows):
    return [sum(values) for values in zip(*rows, strict=True)]


def dot(row, other):
    return sum(a * b for a, b in zip(row, other, strict=True))


def softmax_of(scores):
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [e / sum(exponentials) for e in exponentials]


def head_weights(queries, keys, ids, head):
    """Row i: the weights of one head on the real events up to i, in slice `head` of the width."""
    rows = np.zeros((len(queries), len(keys)))
    for i, query in enumerate(queries):
        visible = [j for j in range(i + 1) if ids[j] != 0]
        scores = [dot(query[head], keys[j][head]) / math.sqrt(len(query[head])) for j in visible]
        if visible:
            rows[i, visible] = softmax_of(scores)
    return rows


def heads_of(width, n_heads):
    step = width // n_heads
    return [slice(h * step, (h + 1) * step) for h in range(n_heads)]


def loop_block(params, x, ids, n_heads, norm):
    """One block over one sequence: the output, and the weights of each head."""
    attention = params["attention"]
    normed = [normalised(row, params["attention_norm"]) for row in x]
    seen = x if norm == "paper" else normed  # the paper normalises queries only
    queries = [affine(row, attention["query"]) for row in normed]
    keys = [affine(row, attention["key"]) for row in seen]
    values = [affine(row, attention["value"]) for row in seen]
    heads = heads_of(len(x[0]), n_heads)
    weights = [head_weights(queries, keys, ids, head) for head in heads]
    output = []
    for i in range(len(x)):
        attended = []
        for rows, head in zip(weights, heads, strict=True):
            for column in range(head.start, head.stop):
                attended.append(sum(rows[i, j] * values[j][column] for j in range(len(x))))
        if norm == "paper":  # the residual starts from what is normalised; no output projection
            middle = added(normed[i], attended)
            start = normalised(middle, params["feed_forward_norm"])
            fed_in = start
        else:
            middle = added(x[i], affine(attended, attention["output"]))
            start = middle
            fed_in = normalised(middle, params["feed_forward_norm"])
        hidden = [max(value, 0) for value in affine(fed_in, params["feed_forward"]["up"])]
        output.append(added(start, affine(hidden, params["feed_forward"]["down"])))
    return output, weights


def loop_encode(params, ids, n_heads, norm):
    """One sequence through the whole model: hidden states, and weights by block and head."""
    width, n_positions = params["items"].shape[1], len(params["positions"])
    zeros = [0.0] * width
    x = []
    for i, item in enumerate(ids):
        position = params["positions"][n_positions - len(ids) + i]
        scaled = [math.sqrt(width) * value for value in params["items"][item]]
        x.append(added(scaled, position) if item else zeros)
    maps = []
    for block in params["blocks"]:
        x, weights = loop_block(block, x, ids, n_heads, norm)
        x = [row if item else zeros for row, item in zip(x, ids, strict=True)]
        maps.append(weights)
    return [normalised(row, params["norm"]) for row in x], maps


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-11)


def test_a_block_is_the_block_of_the_paper(params, norm, ids):
    x = np.random.default_rng(0).standard_normal((*ids.shape, 4))
    mask = causal_mask(5) & padding_mask(ids)
    block = params["blocks"][0]
    output, _ = transformer.BLOCKS[norm](block, x, n_heads=2, mask=mask, eps=EPS)
    pairs = zip(x, ids, strict=True)
    close(output, [loop_block(block, rows, row, 2, norm)[0] for rows, row in pairs])


def test_paper_block_has_no_output_projection_and_pre_norm_block_has_one():
    rng = np.random.default_rng(0)
    for projection in (True, False):
        block = initial.init_block(rng, 4, output_projection=projection, dtype="float64")
        assert (block["attention"]["output"] is not None) == projection


def test_paper_block_normalises_queries_only():
    """Keys and values see the size of x, queries do not: doubling x doubles what is attended to."""
    rng = np.random.default_rng(0)
    block = initial.init_block(rng, 4, output_projection=False, dtype="float64")
    block["attention"]["key"]["weight"][:] = 0  # uniform weights, whatever the keys
    x = rng.standard_normal((1, 3, 4))
    x = x - x.mean(axis=-1, keepdims=True)
    settings = {"n_heads": 1, "mask": causal_mask(3), "eps": 0.0}
    query, _ = transformer.normalize(block["attention_norm"], x, 0.0)
    value = x @ block["attention"]["value"]["weight"]
    for factor in (1, 2):
        attended = np.stack([factor * value[:, : i + 1].mean(axis=1) for i in range(3)], axis=1)
        middle, _ = transformer.normalize(block["feed_forward_norm"], query + attended, 0.0)
        fed, _ = transformer.feed_forward(block["feed_forward"], middle)
        output, _ = transformer.paper_block(block, factor * x, **settings)
        close(output, middle + fed)


def test_the_encoder_is_the_figure_from_bottom_to_top(params, ids, settings):
    output, _ = sasrec.encode(params, ids, **settings)
    close(output, [loop_encode(params, row, **settings)[0] for row in ids])


def test_attention_maps_are_the_weights_that_the_encoder_uses(params, ids, settings):
    maps = sasrec.attention_maps(params, ids, **settings)
    assert maps.shape == (2, 4, 2, 5, 5)
    for user, row in enumerate(ids):
        close(maps[:, user], loop_encode(params, row, **settings)[1])


@pytest.mark.parametrize("total", [None, 23])
def test_catalogue_loss_is_minus_the_log_of_each_next_items_share(
    params, ids, targets, settings, total
):
    losses = []
    for row, wanted in zip(ids, targets, strict=True):
        hidden, _ = loop_encode(params, row, **settings)
        for state, target in zip(hidden, wanted, strict=True):
            if target:
                shares = softmax_of([dot(state, item) for item in params["items"][1:]])
                losses.append(-math.log(shares[target - 1]))
    loss, _ = sasrec.catalogue_loss(params, ids, targets, total=total, **settings)
    close(loss, sum(losses) / (total or len(losses)))


@pytest.mark.parametrize("total", [None, 23])
def test_sampled_loss_is_one_yes_and_k_noes_for_each_next_item(
    params, ids, targets, settings, total
):
    negatives = np.random.default_rng(0).integers(1, 8, (*ids.shape, 3))
    losses = []
    for user, row in enumerate(ids):
        hidden, _ = loop_encode(params, row, **settings)
        for i, state in enumerate(hidden):
            if targets[user, i]:
                yes = dot(state, params["items"][targets[user, i]])
                noes = [dot(state, params["items"][item]) for item in negatives[user, i]]
                loss = -math.log(1 / (1 + math.exp(-yes)))
                losses.append(loss - sum(math.log(1 - 1 / (1 + math.exp(-no))) for no in noes))
    loss, _ = sasrec.sampled_loss(params, ids, targets, negatives, total=total, **settings)
    close(loss, sum(losses) / (total or len(losses)))


def test_the_scores_are_the_last_state_against_each_item(params, ids, settings):
    scores = sasrec.next_item_scores(params, ids, **settings)
    assert np.all(scores[:, 0] == -np.inf)
    for user, row in enumerate(ids):
        last = loop_encode(params, row, **settings)[0][-1]
        close(scores[user, 1:], [dot(last, item) for item in params["items"][1:]])
