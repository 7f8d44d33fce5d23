"""The loop, on a loss so small that every number of it is known."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.training import Adam, train
from attention_from_scratch.training.steps import batch_gradients
from attention_from_scratch.training.streams import stream
from attention_from_scratch.tree import tree_leaves


class Descent:
    """params - lr * grads, which remembers what it was given."""

    def __init__(self):
        self.grads, self.lr, self.lrs = [], 0.1, []

    def update(self, params, grads, parallel=map):
        self.grads.append(grads["w"].copy())
        self.lrs.append(self.lr)
        params["w"] -= self.lr * grads["w"]


def shard(*values):
    """Each value wants w to be there: its loss is (w - value)^2."""
    return SimpleNamespace(values=np.array(values, float), count=len(values))


def loss(params, shard, *, rng, total):
    distances = params["w"] - shard.values

    def backward():
        return {"w": (2 * distances).sum(keepdims=True) / total, "unused": None}

    return (distances**2).sum() / total, backward


def start(value=8.0):
    w = np.array([value])
    w.setflags(write=False)
    return {"w": w, "unused": None}


BATCHES = [[shard(1.0), shard(2.0, 3.0)], [shard(5.0)]]


def run(loss=loss, *, batches=lambda epoch: BATCHES, optimizer=None, **settings):
    settings = {"epochs": 4, "threads": 1, "progress": False} | settings
    return train(loss, start(), batches, optimizer or Descent(), **settings)


def scripted(*values, seen=None):
    """An evaluation that gives these values, one after the other, and notes the parameters."""
    remaining = iter(values)

    def evaluate(params):
        if seen is not None:
            seen.append(float(params["w"][0]))
        value = next(remaining)
        if value is KeyboardInterrupt:
            raise KeyboardInterrupt
        return {"score": value, "other": -value}

    return evaluate


def test_each_step_goes_down_the_gradient_of_the_batchs_mean():
    optimizer = Descent()
    result = run(optimizer=optimizer, epochs=1)
    w = 8.0
    first = 2 * (w - 2)  # the mean of 1, 2, 3
    w -= 0.1 * first
    second = 2 * (w - 5)
    np.testing.assert_allclose(np.ravel(optimizer.grads), [first, second], rtol=1e-14)
    assert result.params["w"][0] == pytest.approx(w - 0.1 * second)
    assert result.params["unused"] is None


def test_the_loss_of_an_epoch_is_the_mean_over_its_targets():
    losses = [(8 - v) ** 2 for v in (1, 2, 3)]
    w = 8 - 0.2 * (8 - 2)
    losses.append((w - 5) ** 2)
    assert run(epochs=1).history[0]["loss"] == pytest.approx(sum(losses) / 4)


def test_gradients_summed_over_shards_are_those_of_the_whole_batch():
    values = np.arange(10.0)
    params = start()
    whole = batch_gradients(loss, params, [shard(*values)], map, 0, 0)
    shards = [shard(*part) for part in np.array_split(values, 4)]
    value, grads, total = batch_gradients(loss, params, shards, map, 0, 0)
    assert total == whole[2] == 10
    assert value == pytest.approx(whole[0], rel=1e-14)
    np.testing.assert_allclose(grads["w"], whole[1]["w"], rtol=1e-14)


def test_the_parameters_passed_in_are_not_changed():
    params = {"w": np.array([8.0]), "unused": None}
    train(loss, params, lambda epoch: BATCHES, Descent(), epochs=3, threads=1, progress=False)
    assert params["w"].tolist() == [8.0]


def test_batches_are_asked_for_anew_each_epoch():
    epochs = []

    def batches(epoch):
        epochs.append(epoch)
        return iter(BATCHES)

    run(batches=batches, epochs=3)
    assert epochs == [1, 2, 3]


# --- evaluation, the best epoch, patience


def test_the_best_epoch_by_the_metric_is_kept():
    seen = []
    result = run(evaluate=scripted(1, 3, 2, 3, seen=seen), metric="score", evaluate_every=1)
    assert result.best_epoch == 2  # of equals the first
    assert result.params["w"][0] == seen[1]
    assert len(set(seen)) == 4
    assert not result.interrupted


def test_the_metric_that_was_asked_for_decides():
    result = run(evaluate=scripted(1, 3, 2, 3), metric="other", evaluate_every=1)
    assert result.best_epoch == 1


def test_without_an_evaluation_the_last_epoch_is_kept():
    optimizer = Descent()
    result = run(optimizer=optimizer, patience=1)
    assert result.best_epoch == len(result.history) == 4
    assert result.params["w"][0] == pytest.approx(8 - 0.1 * np.sum(optimizer.grads))


def test_it_is_evaluated_every_so_many_epochs_and_after_the_last():
    result = run(epochs=5, evaluate=scripted(1, 2, 3), metric="score", evaluate_every=2)
    rows = result.history
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["epoch"] for row in rows if "score" in row] == [2, 4, 5]
    assert [row["score"] for row in rows if "score" in row] == [1, 2, 3]
    assert all(set(row) >= {"epoch", "loss", "seconds"} for row in rows)
    assert all(row["seconds"] >= 0 for row in rows)
    losses = [row["loss"] for row in rows]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize(("patience", "last"), [(1, 4), (2, 5), (3, 6), (None, 9)])
def test_it_stops_when_nothing_has_got_better_for_so_many_epochs(patience, last):
    scores = (1, 2, 5, 4, 4, 4, 4, 4, 4)
    evaluate = scripted(*scores)
    result = run(epochs=9, evaluate=evaluate, metric="score", evaluate_every=1, patience=patience)
    assert len(result.history) == last
    assert result.best_epoch == 3


def test_patience_shorter_than_the_time_between_evaluations_waits_for_the_next():
    settings = {"metric": "score", "evaluate_every": 5, "patience": 2}
    result = run(epochs=30, evaluate=scripted(1, 2, 2, 3), **settings)
    assert [row["epoch"] for row in result.history if "score" in row] == [5, 10, 15]
    assert len(result.history) == 15
    assert result.best_epoch == 10


def test_a_better_epoch_renews_the_patience():
    evaluate = scripted(*range(9))
    result = run(epochs=9, evaluate=evaluate, metric="score", evaluate_every=1, patience=1)
    assert len(result.history) == result.best_epoch == 9


# --- what may go wrong


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_raises_and_names_the_epoch(bad):
    calls = itertools.count()

    def failing(*arguments, **keywords):
        value, backward = loss(*arguments, **keywords)
        return (bad if next(calls) >= 4 else value), backward  # three shards an epoch

    with pytest.raises(FloatingPointError, match=f"the loss became {bad} in epoch 2"):
        run(failing)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_parameters_that_are_no_numbers_are_found_before_they_are_evaluated(bad):
    class Careless(Descent):
        def update(self, params, grads, parallel=map):
            params["w"] += bad

    batches = [[shard(1.0)]]  # one step, after which no loss would show it
    with pytest.raises(FloatingPointError, match="a parameter became infinite or NaN in epoch 1"):
        run(batches=lambda epoch: batches, optimizer=Careless(), epochs=1, evaluate=scripted())


def test_an_evaluation_without_numbers_is_a_divergence_that_names_the_epoch():
    def evaluate(params):
        raise FloatingPointError("the scores became NaN")

    with pytest.raises(FloatingPointError, match="became NaN in epoch 3; a smaller lr may help"):
        run(evaluate=evaluate, metric="score", evaluate_every=3)


@pytest.mark.parametrize("where", ["loss", "update", "evaluate"])
def test_a_divergence_after_an_evaluation_returns_the_best_epoch(where):
    """In epoch 4, when 2 was the best of those that were evaluated."""
    calls, seen = itertools.count(), []

    def failing(*arguments, **keywords):
        value, backward = loss(*arguments, **keywords)
        return (np.nan if where == "loss" and next(calls) == 9 else value), backward

    class Failing(Descent):
        def update(self, params, grads, parallel=map):
            super().update(params, grads)
            if where == "update" and len(self.grads) == 8:
                params["w"] *= np.nan

    def evaluate(params):
        if len(seen) == 3:
            raise FloatingPointError("the scores became NaN")
        return script(params)

    script = scripted(1, 3, 2, seen=seen)
    settings = {"metric": "score", "evaluate_every": 1, "epochs": 9, "optimizer": Failing()}
    result = run(failing, evaluate=evaluate, **settings)
    assert result.diverged
    assert not result.interrupted
    assert (result.best_epoch, result.best) == (2, 3)
    assert result.params["w"][0] == seen[1]


def test_what_overflows_is_an_error_with_a_name_and_no_warning():
    """Warnings are errors in these tests."""
    far = np.float32(3e38)
    params = {"w": np.array([1.0], np.float32), "unused": None}

    def steep(params, shard, *, rng, total):
        return 1.0, lambda: {"w": params["w"] * far, "unused": None}

    for clip in (None, 1.0):
        for lr in (1e30, 1e300):
            adam, settings = Adam(params, lr=lr), {"clip": clip, "threads": 1, "progress": False}
            with pytest.raises(FloatingPointError, match="epoch 1"):
                train(steep, params, lambda epoch: [BATCHES[0]] * 3, adam, epochs=1, **settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, 0) for name in ("epochs", "evaluate_every", "patience", "clip", "threads")],
        *[(name, 1.5) for name in ("epochs", "evaluate_every", "patience", "threads")],
        ("patience", -1),
        ("patience", True),
        *[("clip", value) for value in (-1.0, float("inf"), float("nan"))],
    ],
)
def test_an_impossible_setting_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f"^{name} was {value}, but must be"):
        run(**{name: value})


def test_ctrl_c_in_an_evaluation_returns_the_best_so_far():
    seen = []
    evaluate = scripted(1, 3, 2, KeyboardInterrupt, seen=seen)
    result = run(epochs=9, evaluate=evaluate, metric="score", evaluate_every=1)
    assert result.interrupted
    assert result.best_epoch == 2
    assert result.params["w"][0] == seen[1]
    assert len(result.history) == 4
    assert "score" not in result.history[-1]


def interrupted_after(calls):
    """A loss that Ctrl-C meets after so many calls; an epoch has three, a step one or two."""
    remaining = iter(range(calls))

    def interrupted(*arguments, **keywords):
        if next(remaining, None) is None:
            raise KeyboardInterrupt
        return loss(*arguments, **keywords)

    return interrupted


@pytest.mark.parametrize(("calls", "epochs"), [(3, 1), (5, 1), (7, 2), (8, 2)])
@pytest.mark.parametrize("evaluate", [None, scripted()])
def test_ctrl_c_before_any_evaluation_returns_the_epochs_that_are_over(calls, epochs, evaluate):
    result = run(interrupted_after(calls), evaluate=evaluate, metric="score")
    assert result.interrupted
    assert [row["epoch"] for row in result.history] == list(range(1, epochs + 1))
    assert result.best_epoch == epochs
    assert result.params["w"][0] == run(epochs=epochs).params["w"][0]


def test_ctrl_c_in_the_first_evaluation_keeps_the_epoch_that_was_over():
    result = run(evaluate=scripted(KeyboardInterrupt), metric="score", evaluate_every=2)
    assert result.interrupted
    assert result.best_epoch == len(result.history) == 2
    assert result.params["w"][0] == run(epochs=2).params["w"][0]


@pytest.mark.parametrize("calls", [0, 2])
def test_ctrl_c_in_the_first_epoch_leaves_nothing_to_return(calls):
    with pytest.raises(KeyboardInterrupt):
        run(interrupted_after(calls))


# --- randomness and threads


def draws_of(seed, threads):
    """What each shard of each step draws."""
    drawn = {}

    def drawing(params, shard, *, rng, total):
        value, backward = loss(params, shard, rng=rng, total=total)
        drawn.setdefault(float(shard.values[0]), []).append(rng.random())
        return value, backward

    run(drawing, epochs=2, seed=seed, threads=threads)
    return drawn


def test_draws_are_keyed_by_seed_step_and_shard():
    drawn = draws_of(seed=3, threads=1)
    first = {  # by the first value of the shard: (step, shard) of its two turns
        1.0: [(0, 0), (2, 0)],
        2.0: [(0, 1), (2, 1)],
        5.0: [(1, 0), (3, 0)],
    }
    for value, keys in first.items():
        assert drawn[value] == [stream(3, "shard", *key).random() for key in keys]


def test_draws_do_not_depend_on_the_number_of_threads_but_on_the_seed():
    assert draws_of(3, threads=1) == draws_of(3, threads=2) == draws_of(3, threads=3)
    assert draws_of(3, threads=1) != draws_of(4, threads=1)


def test_any_number_of_threads_gives_the_same_parameters_bit_for_bit():
    rng = np.random.default_rng(0)
    batches = [[shard(*rng.standard_normal(n)) for n in (3, 1, 4, 2)] for _ in range(5)]
    results = []
    for threads in (1, 2, 3, None):
        adam = Adam(start())
        results.append(run(batches=lambda epoch: batches, optimizer=adam, threads=threads))
    for result in results[1:]:
        for path, leaf in tree_leaves(result.params):
            assert np.array_equal(leaf, dict(tree_leaves(results[0].params))[path])


def test_lr_stays_or_falls_along_half_a_wave():
    steps = {"constant": [0.1] * 4, "cosine": [0.1, 0.0854, 0.05, 0.0146]}
    for schedule, expected in steps.items():
        optimizer = Descent()
        run(optimizer=optimizer, epochs=4, schedule=schedule)
        np.testing.assert_allclose(optimizer.lrs, np.repeat(expected, len(BATCHES)), atol=1e-4)
    with pytest.raises(ValueError, match="schedule was 'linear', but must be one of"):
        run(schedule="linear")


def test_clipping_bounds_every_step():
    bounded, free = Descent(), Descent()
    run(optimizer=free, epochs=2)
    run(optimizer=bounded, epochs=2, clip=1.5)
    assert np.abs(free.grads).max() > 1.5
    np.testing.assert_allclose(np.abs(bounded.grads[0]), 1.5)
    assert np.abs(bounded.grads).max() <= 1.5 + 1e-12


def test_a_bar_shows_loss_metric_and_speed(capsys):
    run(progress=True, evaluate=scripted(0.25), metric="score", evaluate_every=4)
    bar = capsys.readouterr().err
    assert "4/4" in bar
    assert "loss " in bar
    assert "best score 0.2500" in bar
    assert "events/s" in bar


def test_no_bar_where_nobody_looks(capsys):
    run(progress=None)
    run(progress=False)
    assert capsys.readouterr().err == ""
