"""What holds of the encoder and its losses whatever the parameters."""

import inspect
import math

import numpy as np
import pytest

from attention_from_scratch import fast
from attention_from_scratch import ops as plain
from attention_from_scratch.models.sasrec import SASRecSettings
from attention_from_scratch.networks import sasrec
from attention_from_scratch.networks.events import embed
from attention_from_scratch.rows import tree_sum
from attention_from_scratch.tree import tree_leaves, tree_map
from attention_from_scratch.verify import assert_gradients


@pytest.fixture(params=["catalogue_loss", "sampled_loss"])
def loss(request):
    """A loss of (params, ids, targets), its negatives a fixed choice of each event and target."""
    if request.param == "catalogue_loss":
        return sasrec.catalogue_loss

    def sampled_loss(params, ids, targets, **settings):
        negatives = 1 + np.stack([ids + targets, 2 * ids + targets], axis=-1) % 7
        return sasrec.sampled_loss(params, ids, targets, negatives, **settings)

    return sampled_loss


def with_leaf(params, name, value):
    return params | {name: value}


def assert_trees_close(tree, other, atol=1e-12):
    leaves, others = dict(tree_leaves(tree)), dict(tree_leaves(other))
    assert leaves.keys() == others.keys()
    for path, leaf in leaves.items():
        np.testing.assert_allclose(leaf, others[path], rtol=0, atol=atol, err_msg=path)


def test_no_output_moves_when_a_later_input_does(params, settings):
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 8, (3, 6))
    output, _ = sasrec.encode(params, ids, **settings)
    for position in range(6):
        changed = ids.copy()
        changed[:, position] = 1 + ids[:, position] % 7
        moved, _ = sasrec.encode(params, changed, **settings)
        assert np.array_equal(moved[:, :position], output[:, :position])
        assert np.all(np.any(moved[:, position:] != output[:, position:], axis=-1))


def test_no_gradient_flows_back_from_the_past_to_the_future(params, settings):
    ids = np.array([[1, 2, 3, 4, 5]])
    output, backward = sasrec.encode(params, ids, **settings)
    d_output = np.zeros_like(output)
    d_output[:, 2] = output[:, 2] ** 2
    grads = backward(d_output)
    assert np.all(grads["items"][[0, 4, 5, 6, 7]] == 0)
    assert np.all(grads["items"][[1, 2, 3]] != 0)
    assert np.all(grads["positions"][[0, 4, 5]] == 0)  # of six positions five are in use
    assert np.all(grads["positions"][[1, 2, 3]] != 0)


def test_more_zeros_on_the_left_change_no_hidden_state(params, settings):
    histories = np.array([[3, 1, 4], [2, 2, 7]])
    narrow, _ = sasrec.encode(params, histories, **settings)
    for zeros in (1, 2, 3):
        wide, _ = sasrec.encode(params, np.pad(histories, ((0, 0), (zeros, 0))), **settings)
        np.testing.assert_allclose(wide[:, zeros:], narrow, rtol=0, atol=1e-12)


def test_more_zeros_on_the_left_change_no_loss_and_no_gradient(params, settings, loss):
    ids, targets = np.array([[3, 1, 4], [0, 2, 7]]), np.array([[1, 4, 2], [0, 7, 7]])
    value, backward = loss(params, ids, targets, **settings)
    padding = ((0, 1), (3, 0))  # and a user of nothing
    wide_value, wide_backward = loss(
        params, np.pad(ids, padding), np.pad(targets, padding), **settings
    )
    assert wide_value == pytest.approx(value, abs=1e-12)
    assert_trees_close(wide_backward(), backward())


def test_the_last_event_always_has_the_last_position(params):
    scale = math.sqrt(4)
    for length in range(1, 7):
        ids = np.arange(1, length + 1)[None]
        output, _ = embed(params, ids, scale=2.0)
        expected = scale * params["items"][ids[0]] + params["positions"][6 - length :]
        np.testing.assert_allclose(output[0], expected, rtol=0, atol=1e-15)


def test_rows_at_padding_are_exactly_zero(params, ids, settings):
    embedded, _ = embed(params, ids, scale=2.0)
    assert np.all(embedded[ids == 0] == 0)
    assert np.all(embedded[ids != 0] != 0)
    output, _ = sasrec.encode(params, ids, **settings)  # the norm of a row of zeros is its bias
    assert np.all(output[ids == 0] == params["norm"]["bias"])


def test_padding_gets_exactly_no_gradient_whatever_comes_back(params, ids, settings):
    output, backward = sasrec.encode(params, ids, **settings)
    d_output = np.random.default_rng(0).standard_normal(output.shape)
    grads = backward(d_output)
    assert np.all(grads["items"][0] == 0)
    assert np.all(grads["positions"][0] == 0)  # nobody is six events long
    at_padding = backward(np.where((ids == 0)[..., None], d_output, 0))
    for path, leaf in tree_leaves(at_padding):
        if path != "norm.bias":
            assert np.all(leaf == 0), path


def test_a_loss_sends_exactly_nothing_to_the_padding_item(params, ids, targets, settings, loss):
    grads = loss(params, ids, targets, **settings)[1]()
    assert np.all(grads["items"][0] == 0)
    assert np.all(grads["items"][1:] != 0)


def test_what_the_padding_row_holds_changes_nothing(params, ids, targets, settings, loss):
    items = params["items"].copy()
    items[0] = 1e3
    other = with_leaf(params, "items", items)
    value, backward = loss(params, ids, targets, **settings)
    other_value, other_backward = loss(other, ids, targets, **settings)
    assert other_value == value
    assert_trees_close(other_backward(), backward(), atol=0)
    scores = [sasrec.next_item_scores(p, ids, **settings) for p in (params, other)]
    assert np.array_equal(*scores)


def test_shards_with_the_whole_batchs_total_sum_to_the_whole_batch(
    params, ids, targets, settings, loss
):
    value, backward = loss(params, ids, targets, **settings)
    total = np.count_nonzero(targets)
    shards = [
        loss(params, ids[part], targets[part], total=total, **settings)
        for part in ([0], [1, 3], [2])
    ]
    assert sum(shard_value for shard_value, _ in shards) == pytest.approx(value, abs=1e-12)
    assert_trees_close(tree_sum([shard_backward() for _, shard_backward in shards]), backward())


def test_nothing_to_predict_is_loss_0_and_gradient_0(params, ids, settings, loss):
    value, backward = loss(params, ids, np.zeros_like(ids), **settings)
    assert value == 0
    for path, leaf in tree_leaves(backward()):
        assert np.all(leaf == 0), path


def test_the_gradient_scales_with_d_output_and_backward_can_be_asked_twice(
    params, ids, targets, settings, loss
):
    _, backward = loss(params, ids, targets, **settings)
    first = backward()
    assert_trees_close(backward(3.0), tree_map(lambda leaf: 3 * leaf, first))
    assert_trees_close(backward(), first, atol=0)


def test_dropout_draws_from_rng_alone(params, ids, settings):
    def output(seed, dropout_p=0.5):
        rng = None if seed is None else np.random.default_rng(seed)
        return sasrec.encode(params, ids, dropout_p=dropout_p, rng=rng, **settings)[0]

    assert np.array_equal(output(1), output(1))
    assert not np.array_equal(output(1), output(2))
    assert np.array_equal(output(None), output(1, dropout_p=0.0))


def test_all_stays_in_the_dtype_of_the_parameters(params, ids, targets, settings, loss):
    single = tree_map(lambda leaf: leaf.astype(np.float32), params)
    value, backward = loss(single, ids, targets, **settings)
    assert value.dtype == np.float32
    assert {leaf.dtype for _, leaf in tree_leaves(backward())} == {np.dtype(np.float32)}
    assert sasrec.next_item_scores(single, ids, **settings).dtype == np.float32


def test_fresh_parameters_have_the_shapes_that_are_written_down(norm):
    rng = np.random.default_rng(0)
    fresh = sasrec.init_params(rng, n_items=9, max_len=5, dim=4, n_blocks=3, norm=norm)
    assert fresh["items"].shape == (10, 4)
    assert fresh["positions"].shape == (5, 4)
    assert len(fresh["blocks"]) == 3
    assert {leaf.dtype for _, leaf in tree_leaves(fresh)} == {np.dtype(np.float32)}
    queries = [block["attention"]["query"]["weight"] for block in fresh["blocks"]]
    assert not np.array_equal(queries[0], queries[1])
    assert np.abs(queries[0]).max() <= math.sqrt(6 / 8)


@pytest.mark.parametrize("shape", [(4,), (2, 0), (2, 9), (1, 2, 3)])
def test_ids_that_are_no_table_of_histories_are_an_error(shape):
    params = sasrec.init_params(np.random.default_rng(0), n_items=3, max_len=8, dim=4, n_blocks=1)
    with pytest.raises(ValueError, match=r"ids has shape .* must be \(B, 1..8\)"):
        sasrec.encode(params, np.ones(shape, int), n_heads=1)


def test_positions_are_counted_from_the_end_or_from_the_start(params):
    ids = np.array([[0, 0, 3, 1, 4], [2, 6, 5, 3, 1]])
    zeros = with_leaf(params, "items", np.zeros_like(params["items"]))
    table = params["positions"]
    for ops in (plain, fast):
        end, _ = embed(zeros, ids, scale=2.0, ops=ops)
        start, _ = embed(zeros, ids, scale=2.0, count_from="start", ops=ops)
        assert np.array_equal(end, [[*np.zeros_like(table[:2]), *table[3:]], table[1:]])
        assert np.array_equal(start, [[*np.zeros_like(table[:2]), *table[:3]], table[:5]])


def test_counted_from_the_start_every_gradient_is_the_derivative(params, settings):
    ids, targets = np.array([[0, 0, 3, 1], [2, 6, 5, 3]]), np.array([[0, 3, 1, 4], [6, 5, 3, 1]])
    assert_gradients(sasrec.catalogue_loss, params, ids, targets, count_from="start", **settings)


def test_counted_from_the_start_more_zeros_on_the_left_change_nothing(params, settings):
    settings, histories = settings | {"count_from": "start"}, np.array([[3, 1, 4], [2, 2, 7]])
    narrow, _ = sasrec.encode(params, histories, **settings)
    wide, _ = sasrec.encode(params, np.pad(histories, ((0, 0), (2, 0))), **settings)
    np.testing.assert_allclose(wide[:, 2:], narrow, rtol=0, atol=1e-12)


def test_what_the_network_takes_for_said_is_what_the_model_does():
    parameters = inspect.signature(sasrec.embedded).parameters
    for name in ("norm", "mask_padding", "count_from"):
        assert parameters[name].default == getattr(SASRecSettings(7), name)


@pytest.mark.parametrize("norm", ["pre", "post", "paper"])
@pytest.mark.parametrize("said", [None, True, False])
def test_network_and_model_agree_whether_there_is_an_output_projection(norm, said):
    sizes = {"n_items": 7, "max_len": 4, "dim": 4, "n_blocks": 1}
    params = sasrec.init_params(
        np.random.default_rng(0), **sizes, norm=norm, output_projection=said
    )
    there = params["blocks"][0]["attention"]["output"] is not None
    assert there == (norm != "paper" if said is None else said)
    settings = SASRecSettings(7, norm=norm, output_projection=said)
    assert settings.output_projection is there
