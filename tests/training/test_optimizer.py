"""Adam by hand, by loop and by textbook; and the bound on a step."""

import math

import numpy as np
import pytest

from attention_from_scratch.rows import Rows
from attention_from_scratch.training import Adam, clip_gradients, optimizer, pieces, shard_pool
from attention_from_scratch.tree import tree_leaves, tree_map


def test_the_first_steps_are_those_computed_by_hand():
    params = {"w": np.array([1.0])}
    adam = Adam(params, lr=0.1, betas=(0.9, 0.99), eps=0.5)
    adam.update(params, {"w": np.array([2.0])})
    # m = 0.1 * 2 = 0.2, v = 0.01 * 4 = 0.04; corrected by 1 - 0.9 and 1 - 0.99: 2 and 4
    assert params["w"][0] == pytest.approx(1 - 0.1 * 2 / (2 + 0.5), abs=1e-15)
    adam.update(params, {"w": np.array([-1.0])})
    # m = 0.9 * 0.2 - 0.1 * 1 = 0.08, v = 0.99 * 0.04 + 0.01 = 0.0496
    second = 0.1 * (0.08 / 0.19) / (math.sqrt(0.0496 / 0.0199) + 0.5)
    assert params["w"][0] == pytest.approx(0.92 - second, abs=1e-15)
    assert adam.step_count == 2


def test_the_first_step_is_lr_long_whatever_the_size_of_the_gradient():
    params = {"w": np.zeros(4)}
    Adam(params, lr=0.01).update(params, {"w": np.array([1e-4, 1.0, -1e4, 0.0])})
    np.testing.assert_allclose(params["w"], [-0.01, -0.01, 0.01, 0], rtol=1e-3)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_five_steps_are_those_of_the_textbook_number_by_number(weight_decay):
    rng = np.random.default_rng(0)
    shapes = {"matrix": (2, 3), "blocks": [{"bias": (3,), "table": (4, 1)}], "none": None}

    def draw():
        return {
            "matrix": rng.standard_normal(shapes["matrix"]),
            "blocks": [{n: rng.standard_normal(s) for n, s in shapes["blocks"][0].items()}],
            "none": None,
        }

    params, gradients = draw(), [draw() for _ in range(5)]
    lr, beta1, beta2, eps = 0.05, 0.8, 0.95, 1e-3

    expected = {}
    for path, leaf in tree_leaves(params):
        values = leaf.copy()
        for index in np.ndindex(leaf.shape):
            p, m, v = float(leaf[index]), 0.0, 0.0
            for t, grads in enumerate(gradients, 1):
                g = float(dict(tree_leaves(grads))[path][index])
                m = beta1 * m + (1 - beta1) * g
                v = beta2 * v + (1 - beta2) * g**2
                m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
                decay = weight_decay if leaf.ndim > 1 else 0  # not on biases and norms
                p = p - lr * m_hat / (math.sqrt(v_hat) + eps) - lr * decay * p
            values[index] = p
        expected[path] = values

    adam = Adam(params, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)
    for grads in gradients:
        adam.update(params, grads)
    for path, leaf in tree_leaves(params):
        np.testing.assert_allclose(leaf, expected[path], rtol=0, atol=1e-13, err_msg=path)


def test_weight_decay_shrinks_matrices_and_leaves_biases_alone():
    params = {"weight": np.ones((2, 2)), "bias": np.ones(2)}
    adam = Adam(params, lr=0.1, weight_decay=0.5)
    adam.update(params, tree_map(np.zeros_like, params))
    np.testing.assert_allclose(params["weight"], 0.95, rtol=1e-15)
    assert np.all(params["bias"] == 1)


def test_adam_takes_only_shapes_and_does_not_write_to_gradients():
    params, grads = {"w": np.ones(3, np.float32)}, {"w": np.ones(3, np.float32)}
    grads["w"].setflags(write=False)
    adam = Adam(params)
    assert np.all(params["w"] == 1)
    adam.update(params, grads)
    assert params["w"].dtype == adam.mean["w"].dtype == adam.square["w"].dtype == np.float32


def test_adam_walks_to_the_lowest_point():
    params = {"w": np.array([5.0, -3.0])}
    adam = Adam(params, lr=0.1)
    for _ in range(400):
        adam.update(params, {"w": 2 * (params["w"] - [1, 2])})
    np.testing.assert_allclose(params["w"], [1, 2], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("lr", value) for value in (0, -1, math.nan, math.inf, None)],
        *[("eps", value) for value in (0.0, -1e-8, math.inf)],
        *[("weight_decay", value) for value in (-0.1, math.nan, math.inf)],
    ],
)
def test_an_impossible_setting_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f"^{name} was {value}, but must be finite and "):
        Adam({"w": np.ones(1)}, **{name: value})


def test_betas_that_cannot_be_are_an_error():
    with pytest.raises(ValueError, match=r"betas were \(0.9, 1\), but must be"):
        Adam({"w": np.ones(1)}, betas=(0.9, 1))


GRADS = {"a": np.array([[3.0, 0.0]]), "b": [np.array([0.0, -4.0]), None]}  # their norm is 5


def test_clipped_gradients_keep_their_direction_and_have_the_norm_asked_for():
    clipped, norm = clip_gradients(GRADS, 2.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [[1.2, 0]], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"][0], [0, -1.6], rtol=1e-15)
    assert clipped["b"][1] is None
    assert clip_gradients(clipped, 9.0)[1] == pytest.approx(2.0)
    assert GRADS["a"].tolist() == [[3, 0]]


@pytest.mark.parametrize("max_norm", [5.0, 7.0])
def test_small_gradients_are_left_as_they_are(max_norm):
    clipped, norm = clip_gradients(GRADS, max_norm)
    assert norm == 5.0
    assert np.array_equal(clipped["a"], GRADS["a"])
    assert np.array_equal(clipped["b"][0], GRADS["b"][0])


def test_clipping_keeps_the_dtype():
    clipped, _ = clip_gradients({"w": np.full(4, 10, np.float32)}, 1.0)
    assert clipped["w"].dtype == np.float32


def test_a_step_in_pieces_and_side_by_side_is_the_step_in_one_piece(monkeypatch):
    rng, after = np.random.default_rng(0), []
    params = {"table": rng.normal(size=(50, 3)), "bias": rng.normal(size=7), "number": np.ones(())}
    turned = {"table": np.asfortranarray(params["table"])}
    grads = [{name: rng.normal(size=leaf.shape) for name, leaf in params.items()} for _ in "ab"]
    for piece, threads, start in ((2**17, 1, params), (16, 2, params), (16, 2, params | turned)):
        monkeypatch.setattr(pieces, "PIECE", piece)
        trained = {name: leaf.copy("K") for name, leaf in start.items()}
        adam = Adam(trained, weight_decay=0.1)
        with shard_pool(threads) as parallel:
            for step in grads:
                adam.update(trained, step, parallel)
        after.append(trained)
    for other in after[1:]:
        for name, leaf in after[0].items():
            np.testing.assert_array_equal(other[name], leaf)
            assert (leaf != params[name]).all()


@pytest.mark.parametrize("piece", [2**17, 16])
def test_a_step_with_rows_is_the_step_with_the_array_they_stand_for(piece, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", piece)
    rng = np.random.default_rng(0)
    start = {"table": rng.normal(size=(50, 3)), "bias": rng.normal(size=7)}
    few, dense = (tree_map(np.copy, start) for _ in "ab")
    of_few, of_dense = (Adam(start, weight_decay=0.1) for _ in "ab")
    for ids in ([3, 17, 49], [0, 17], []):
        rows = Rows(np.array(ids, int), rng.normal(size=(len(ids), 3)), 50)
        bias = rng.normal(size=7)
        of_few.update(few, {"table": rows, "bias": bias})
        of_dense.update(dense, {"table": rows.dense(), "bias": bias})
    for found, expected in ((few, dense), (of_few.mean, of_dense.mean)):
        np.testing.assert_allclose(found["table"], expected["table"], rtol=1e-13, atol=1e-16)
        np.testing.assert_array_equal(found["bias"], expected["bias"])
    np.testing.assert_allclose(of_few.square["table"], of_dense.square["table"], rtol=1e-13)


def test_rows_are_clipped_as_the_array_they_stand_for():
    rows = Rows(np.array([2]), np.array([[3.0, -4.0]]), 5)
    clipped, norm = clip_gradients({"w": rows}, 1.0)
    assert norm == 5.0
    expected, _ = clip_gradients({"w": rows.dense()}, 1.0)
    np.testing.assert_array_equal(clipped["w"].dense(), expected["w"])


def test_a_part_of_an_optimizer_has_its_settings_and_its_moments():
    adam = Adam({"a": np.ones((4, 2)), "b": np.ones(3)}, lr=0.3, weight_decay=0.2)
    adam.update({"a": np.ones((4, 2)), "b": np.ones(3)}, {"a": np.ones((4, 2)), "b": np.ones(3)})
    part = adam.part(lambda tree: [tree["a"][1:3].copy()])
    assert (part.lr, part.weight_decay, part.step_count) == (0.3, 0.2, 1)
    np.testing.assert_array_equal(part.mean[0], adam.mean["a"][1:3])
    part.update([np.ones((2, 2))], [np.ones((2, 2))])
    assert adam.step_count == 1
    assert len(np.unique(adam.mean["a"])) == 1


def test_the_norm_of_gradients_does_not_depend_on_their_order():
    grads = {"large": np.array([2.0**27])} | {f"{n}": np.ones(1) for n in range(100)}
    backwards = dict(reversed(grads.items()))
    assert optimizer.gradient_norm(grads) == optimizer.gradient_norm(backwards) > 2.0**27
