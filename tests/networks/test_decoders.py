"""Heads and decoders against the sums that they stand for, one number at a time."""

import math

import numpy as np
import pytest

from attention_from_scratch.networks import decoders
from attention_from_scratch.networks.transformer import decoder_block
from attention_from_scratch.tree import tree_leaves, tree_map

V, D = 6, 4
RNG = np.random.default_rng(0)
TABLE = RNG.standard_normal((V + 1, D))
STATES = RNG.standard_normal((3, 5, D))
REAL = np.array([[False, False, True, True, True], [True] * 5, [False, True, True, True, True]])
PREVIOUS = np.array([[2, 5, 0], [6, 6, 1], [3, 1, 2]])  # 0: the history ended


def params_of(name):
    rng = np.random.default_rng(1)
    fresh = decoders.init_decoder(rng, name, n_items=V, dim=D, n_next=4, dtype="float64")
    return tree_map(lambda leaf: leaf + 0.5 * rng.standard_normal(leaf.shape), fresh)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def dot(row, other):
    return sum(a * b for a, b in zip(row, other, strict=True))


def vector(item):
    return TABLE[item] if item else np.zeros(D)


# --- heads


TARGETS = np.array([[0, 2, 0, 5, 1], [6, 6, 0, 0, 3], [0, 1, 4, 4, 2]])  # 0: nothing is asked
ASKED = list(zip(*np.nonzero(TARGETS), strict=True))


def slopes(logits_of):
    """The loss, and its slope by every logit, of the softmax cross-entropy: one place at a time."""
    loss, found = 0.0, []
    for place in ASKED:
        logits = [float(logit) for logit in logits_of(STATES[place])]
        total = sum(math.exp(logit) for logit in logits)
        p = [math.exp(logit) / total for logit in logits]
        item = TARGETS[place] - 1
        loss -= math.log(p[item])
        found.append([(p[v] - (v == item)) / len(ASKED) for v in range(V)])
    return loss / len(ASKED), np.array(found)


def test_the_dense_head_has_a_column_for_each_item():
    params = params_of("dense")
    weight, bias = params["head"]["weight"], params["head"]["bias"]

    def logits_of(state):
        return [dot(state, weight[:, column]) + bias[column] for column in range(V)]

    close(decoders.dense_head(params, STATES[:, -1], TABLE), [logits_of(s) for s in STATES[:, -1]])
    loss, backward = decoders.dense_loss(params, STATES, TABLE, TARGETS)
    expected, d_logits = slopes(logits_of)
    assert loss == pytest.approx(expected, abs=1e-12)
    d_hidden, d_head, d_items = backward()
    asked = [STATES[place] for place in ASKED]
    close(d_head["bias"], d_logits.sum(axis=0))
    close(d_head["weight"], sum(np.outer(s, d) for s, d in zip(asked, d_logits, strict=True)))
    for place, d in zip(ASKED, d_logits, strict=True):
        close(d_hidden[place], [dot(weight[i], d) for i in range(D)])
    assert np.all(d_hidden[TARGETS == 0] == 0)
    assert d_items is None


def test_the_dot_head_is_each_state_times_each_item():
    def logits_of(state):
        return [dot(state, TABLE[1 + item]) for item in range(V)]

    states = STATES[:, -1]
    close(decoders.dot_head(params_of("dot"), states, TABLE), [logits_of(s) for s in states])
    loss, backward = decoders.dot_loss(params_of("dot"), STATES, TABLE, TARGETS)
    expected, d_logits = slopes(logits_of)
    assert loss == pytest.approx(expected, abs=1e-12)
    d_hidden, d_head, d_items = backward()
    asked = np.array([STATES[place] for place in ASKED])
    for place, d in zip(ASKED, d_logits, strict=True):
        close(d_hidden[place], sum(d[v] * TABLE[1 + v] for v in range(V)))
    assert np.all(d_hidden[TARGETS == 0] == 0)
    assert d_head is None
    for v in range(V):
        close(d_items[v], sum(d_logits[n, v] * asked[n] for n in range(len(asked))))


# --- decoders


def decoded(name, states=STATES, previous=PREVIOUS, real=REAL, table=TABLE, n_heads=2):
    params = params_of(name)["steps"]
    settings = {"real": real, "n_heads": n_heads}
    return decoders.STEPS[name](params, states, table, previous, **settings)


def test_the_rnn_decoder_goes_on_from_the_last_state_with_the_item_before_each():
    params = params_of("rnn")["steps"]
    output, backward = decoded("rnn")
    for user in range(3):
        state = STATES[user, -1]
        for step, item in enumerate(PREVIOUS[user]):
            state = [
                math.tanh(
                    dot(vector(item), params["input"]["weight"][:, i])
                    + params["input"]["bias"][i]
                    + dot(state, params["hidden"]["weight"][:, i])
                    + params["hidden"]["bias"][i]
                )
                for i in range(D)
            ]
            close(output[user, step], state)
    _, d_states, d_table = backward(output)
    assert d_states.shape == STATES.shape
    assert np.all(d_states[:, :-1] == 0)
    assert np.all(d_states[:, -1] != 0)
    assert np.all(d_table[[0, 4]] == 0)  # of nobody the item before another
    assert np.all(d_table[[1, 2, 3, 5, 6]] != 0)


@pytest.mark.parametrize("n_heads", [1, 2])
def test_the_transformer_decoder_is_its_block_over_what_was_said_so_far(n_heads):
    """Each place by itself: a block that is given no more than what comes before it."""
    params = params_of("transformer")["steps"]
    output, _ = decoded("transformer", n_heads=n_heads)
    for user in range(3):
        memory = STATES[user][REAL[user]][None]
        for step in range(3):
            said = [vector(item) for item in PREVIOUS[user, : step + 1]]
            x = np.array([v + params["positions"][i] for i, v in enumerate(said)])[None]
            masks = {
                "mask": np.tri(step + 1, dtype=bool),
                "memory_mask": np.ones((step + 1, memory.shape[1]), bool),
            }
            heard, _ = decoder_block(params["block"], x, memory, n_heads=n_heads, eps=1e-8, **masks)
            row = heard[0, -1] - heard[0, -1].mean()
            row = row / math.sqrt((row**2).mean() + 1e-8)
            close(output[user, step], row * params["norm"]["weight"] + params["norm"]["bias"])


def test_the_transformer_decoder_sees_all_events_but_no_padding():
    output, backward = decoded("transformer")
    grads, d_states, d_table = backward(np.random.default_rng(2).standard_normal(output.shape))
    assert np.all(d_states[~REAL] == 0)
    assert np.all(d_states[REAL] != 0)
    assert np.all(d_table[[0, 4]] == 0)
    assert np.all(grads["positions"][3] == 0)  # a fourth item was not asked for
    assert np.all(grads["positions"][:3] != 0)
    other = np.where(REAL[..., None], STATES, 5)
    assert np.array_equal(decoded("transformer", states=other)[0], output)


@pytest.mark.parametrize("name", decoders.STEPS)
def test_what_is_said_later_changes_nothing_before_and_the_padding_row_never(name):
    output, _ = decoded(name)
    table = TABLE.copy()
    table[0] = 9
    assert np.array_equal(decoded(name, table=table)[0], output)
    previous = PREVIOUS.copy()
    previous[:, 1:] = 4
    moved, _ = decoded(name, previous=previous)
    assert np.array_equal(moved[:, 0], output[:, 0])
    assert np.all(moved[:, 1:] != output[:, 1:])
    for length in (1, 2):
        close(decoded(name, previous=PREVIOUS[:, :length])[0], output[:, :length])


def test_more_items_ahead_than_a_transformer_has_learnt_are_an_error():
    previous = np.ones((3, 5), int)
    with pytest.raises(
        ValueError, match=r"^5 items ahead were asked for, but the decoder has lear"
    ):
        decoded("transformer", previous=previous)
    assert decoded("rnn", previous=previous)[0].shape == (3, 5, D)


def test_a_decoder_has_a_head_or_steps_or_neither():
    shapes = {
        name: {path: leaf.shape for path, leaf in tree_leaves(params_of(name))}
        for name in ("dense", "dot", "rnn", "transformer")
    }
    assert shapes["dense"] == {"head.weight": (D, V), "head.bias": (V,)}
    assert shapes["dot"] == {}
    assert shapes["rnn"] == {
        f"steps.{part}.{name}": (D, D)[: 2 if name == "weight" else 1]
        for part in ("input", "hidden")
        for name in ("weight", "bias")
    }
    assert shapes["transformer"]["steps.positions"] == (4, D)
    assert params_of("dot") == {"head": None, "steps": None}
