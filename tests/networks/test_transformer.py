"""The block of a decoder against its sums, and the stack of an encoder without its padding."""

import math

import numpy as np
import pytest

from attention_from_scratch.networks import initial, transformer
from attention_from_scratch.networks.transformer import BLOCKS
from attention_from_scratch.ops import causal_mask, padding_mask
from attention_from_scratch.rows import tree_sum
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify import check_gradients

DIM, EPS = 4, 1e-8
IDS = np.array([[0, 0, 3, 1, 5], [2, 4, 4, 1, 6], [0, 1, 2, 3, 2]])
RNG = np.random.default_rng(0)
MEMORY, SAID = RNG.standard_normal((3, 5, DIM)), RNG.standard_normal((3, 3, DIM))


def noisy(fresh, seed=1):
    rng = np.random.default_rng(seed)
    return tree_map(lambda leaf: leaf + 0.5 * rng.standard_normal(leaf.shape), fresh)


BLOCK = noisy(initial.init_decoder_block(RNG, DIM, dtype="float64"))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def affine(row, params):
    return row @ params["weight"] + params["bias"]


def normalised(row, params):
    centred = row - row.sum() / len(row)
    deviation = math.sqrt((centred**2).sum() / len(row) + EPS)
    return centred / deviation * params["weight"] + params["bias"]


def attended(params, query, seen, n_heads):
    """One query over the rows that it may look at, head by head."""
    q, parts = affine(query, params["query"]), []
    keys = [affine(row, params["key"]) for row in seen]
    values = [affine(row, params["value"]) for row in seen]
    for head in np.split(np.arange(DIM), n_heads):
        shares = np.exp([q[head] @ key[head] / math.sqrt(len(head)) for key in keys])
        shares = shares / shares.sum()
        parts.append(sum(share * value[head] for share, value in zip(shares, values, strict=True)))
    return affine(np.concatenate(parts), params["output"])


def fed(params, row):
    return affine(np.maximum(affine(row, params["up"]), 0), params["down"])


def loop_decoder_block(params, x, memory, n_heads):
    """One sequence of what was said, and the real rows of one memory."""
    said = [normalised(row, params["attention_norm"]) for row in x]
    output = []
    for i, row in enumerate(x):
        row = row + attended(params["attention"], said[i], said[: i + 1], n_heads)
        asked = normalised(row, params["memory_norm"])
        row = row + attended(params["memory_attention"], asked, memory, n_heads)
        output.append(
            row + fed(params["feed_forward"], normalised(row, params["feed_forward_norm"]))
        )
    return output


def decoder_settings(n_heads=2):
    masks = {"mask": causal_mask(3), "memory_mask": padding_mask(IDS)}
    return masks | {"n_heads": n_heads, "eps": EPS}


@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_a_decoder_block_is_three_sums_of_what_was_there_and_something_more(n_heads):
    output, _ = transformer.decoder_block(BLOCK, SAID, MEMORY, **decoder_settings(n_heads))
    for user in range(3):
        memory = MEMORY[user][IDS[user] != 0]
        close(output[user], loop_decoder_block(BLOCK, SAID[user], memory, n_heads))


def test_what_is_said_later_is_not_heard_and_padding_not_remembered():
    settings = decoder_settings()
    output, backward = transformer.decoder_block(BLOCK, SAID, MEMORY, **settings)
    said, memory = SAID.copy(), MEMORY.copy()
    said[:, 2], memory[IDS == 0] = 7, 9
    moved, _ = transformer.decoder_block(BLOCK, said, memory, **settings)
    assert np.array_equal(moved[:, :2], output[:, :2])
    assert np.all(moved[:, 2] != output[:, 2])
    d_output = np.zeros_like(output)
    d_output[:, 1] = output[:, 1]
    _, d_said, d_memory = backward(d_output)
    assert np.all(d_said[:, 2] == 0)
    assert np.all(d_memory[IDS == 0] == 0)
    assert np.all(d_memory[IDS != 0] != 0)


def test_the_gradient_of_a_decoder_block_holds_with_dropout():
    def op(params, x, memory):
        noise = {"dropout_p": 0.3, "rng": np.random.default_rng(2)}
        return transformer.decoder_block(params, x, memory, **decoder_settings(), **noise)

    assert check_gradients(op, BLOCK, SAID, MEMORY, projections=2).passed


def stack_of(norm, n_blocks=2):
    fresh = [
        initial.init_block(RNG, DIM, output_projection=norm != "paper", dtype="float64")
        for _ in range(n_blocks)
    ]
    return noisy({"blocks": fresh, "norm": initial.init_norm(DIM, "float64")})


@pytest.mark.parametrize("norm", BLOCKS)
def test_an_encoder_is_its_blocks_and_a_norm_of_each_sequence_without_its_padding(norm):
    params, heads = stack_of(norm), {"n_heads": 2, "eps": EPS}
    output, backward = transformer.transformer_encoder(
        params,
        np.where(IDS[..., None], MEMORY, 0),
        real=(IDS != 0)[..., None],
        norm=norm,
        mask=causal_mask(5) & padding_mask(IDS),
        **heads,
    )
    assert np.all(output[IDS == 0] == params["norm"]["bias"])  # the norm of a row of zeros
    d_output = np.where(IDS[..., None], np.random.default_rng(4).standard_normal(output.shape), 0)
    grads, d_x = backward(d_output)
    summed = []
    for user in range(3):
        real = IDS[user] != 0
        x, back_blocks = MEMORY[user][real][None], []
        for block in params["blocks"]:
            x, back_block = BLOCKS[norm](block, x, mask=causal_mask(real.sum()), **heads)
            back_blocks.append(back_block)
        close(output[user][real], [normalised(row, params["norm"]) for row in x[0]])
        _, back_norm = transformer.normalize(params["norm"], x, EPS)
        d_norm, d_row = back_norm(d_output[user][real][None])
        d_blocks = [None, None]
        for number in (1, 0):
            d_blocks[number], d_row = back_blocks[number](d_row)
        close(d_x[user][real], d_row[0])
        summed.append({"blocks": d_blocks, "norm": d_norm})
    tree_map(close, grads, tree_sum(summed))


@pytest.mark.parametrize("norm", BLOCKS)
def test_the_maps_of_an_encoder_are_the_softmax_of_what_each_norm_compares(norm):
    params = stack_of(norm, n_blocks=1)
    x = np.random.default_rng(5).standard_normal((1, 4, DIM))
    settings = {"n_heads": 2, "mask": causal_mask(4), "eps": EPS}
    (weights,) = transformer.attention_maps_of(
        params["blocks"], x, real=np.ones((1, 4, 1), bool), norm=norm, **settings
    )
    (block,) = params["blocks"]
    query = np.array([normalised(row, block["attention_norm"]) for row in x[0]])
    query, key = {"pre": (query, query), "post": (x[0], x[0]), "paper": (query, x[0])}[norm]
    for i in range(4):
        q = affine(query[i], block["attention"]["query"])
        for head, part in enumerate((slice(0, 2), slice(2, 4))):
            keys = [affine(row, block["attention"]["key"])[part] for row in key[: i + 1]]
            shares = np.exp([q[part] @ k / math.sqrt(2) for k in keys])
            close(weights[0, head, i, : i + 1], shares / shares.sum())
            assert np.all(weights[0, head, i, i + 1 :] == 0)


def test_fresh_blocks_have_all_their_parts_and_no_two_weights_alike():
    block = initial.init_decoder_block(np.random.default_rng(0), DIM, dtype="float32")
    parts = {"attention_norm", "attention", "memory_norm", "memory_attention"}
    assert block.keys() == parts | {"feed_forward_norm", "feed_forward"}
    weights = [leaf for path, leaf in tree_leaves(block) if leaf.ndim == 2]
    assert len(weights) == 10
    assert len({leaf.tobytes() for leaf in weights}) == 10
    assert {leaf.dtype for _, leaf in tree_leaves(block)} == {np.dtype("float32")}
