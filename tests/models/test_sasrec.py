"""SASRec as people use it: fit, scores, recommend, attention_weights, save, load."""

import json
import pickle

import numpy as np
import pytest

from attention_from_scratch import rows
from attention_from_scratch.evaluation import evaluate, sampled_negatives, whole_catalogue
from attention_from_scratch.models import Recommender, SASRec, trained
from attention_from_scratch.networks import sasrec as network
from attention_from_scratch.training import checkpoint, save_model
from attention_from_scratch.tree import tree_leaves

N_ITEMS = 6
SIZES = ("n_items", "max_len", "dim", "n_blocks", "n_heads", "n_negatives")
SMALL = {"max_len": 5, "dim": 4, "n_blocks": 2, "n_heads": 2, "dropout": 0.3}


@pytest.fixture(params=["pre", "paper"])
def norm(request):
    return request.param


def circle(start, length):
    """1 -> 2 -> ... -> 6 -> 1 -> ..., from any start."""
    return [1 + (start + step) % N_ITEMS for step in range(length)]


HISTORIES = [circle(start, 3 + start % 5) for start in range(24)]
VALIDATION = np.array([1 + history[-1] % N_ITEMS for history in HISTORIES])


def fitted(histories=HISTORIES, *, epochs=2, threads=1, validation=None, fit=None, **settings):
    model = SASRec(N_ITEMS, **SMALL | settings)
    fit = {"lr": 1e-2, "batch_size": 7} | (fit or {})
    return model.fit(
        histories, epochs=epochs, validation=validation, threads=threads, progress=False, **fit
    )


def leaves(model):
    return dict(tree_leaves(model.params))


def assert_same_parameters(model, other):
    ours, theirs = leaves(model), leaves(other)
    assert ours.keys() == theirs.keys()
    for path, leaf in ours.items():
        assert np.array_equal(leaf, theirs[path]), path


@pytest.fixture(scope="module")
def model():
    return fitted()


# --- learning


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_fit_learns_what_always_follows(norm, loss):
    sizes = {"max_len": 4, "dim": 16, "n_blocks": 1, "dropout": 0.0, "n_negatives": 3}
    model = SASRec(N_ITEMS, norm=norm, loss=loss, **sizes)
    model.fit(HISTORIES * 4, epochs=12, lr=2e-2, batch_size=16, threads=1, progress=False)
    asked = [circle(start, length) for start in range(N_ITEMS) for length in (1, 3, 7)]
    ids, _ = model.recommend(asked, k=1, exclude_seen=False)
    assert ids[:, 0].tolist() == [1 + history[-1] % N_ITEMS for history in asked]
    losses = [row["loss"] for row in model.history]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_fast_ops_train_and_score_as_the_plain_ones_do_but_for_rounding(
    norm, loss, tmp_path, monkeypatch
):
    monkeypatch.setitem(trained.SHARDS, "fast", trained.SHARDS["plain"])  # each draws its negatives
    settings = {"loss": loss, "norm": norm, "dropout": 0.0, "dtype": "float64"}
    plain, quick = fitted(ops="plain", **settings), fitted(**settings)
    assert quick.ops is not plain.ops
    np.testing.assert_allclose(quick.scores(HISTORIES), plain.scores(HISTORIES), atol=1e-7)
    quick.save(tmp_path / "quick.npz")
    loaded = SASRec.load(tmp_path / "quick.npz")
    assert loaded.ops is quick.ops
    assert np.array_equal(loaded.scores(HISTORIES), quick.scores(HISTORIES))


def test_users_side_by_side_get_what_each_gets_alone(monkeypatch):
    model = fitted(fast=True)
    asked = [*HISTORIES, [], [1], *HISTORIES[::-1]]
    alone = [model.recommend([history], k=2) for history in asked]
    monkeypatch.setattr(trained, "SCORING_BATCH", 7)
    ids, scores = model.recommend(asked, k=2)
    for place, (one_id, one_score) in enumerate(alone):
        assert np.array_equal(ids[place], one_id[0])
        np.testing.assert_allclose(scores[place], one_score[0], rtol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"loss": "bce", "n_negatives": 2}, {"norm": "paper"}, {}, {"fast": False}]
)
def test_a_seed_gives_the_same_parameters_bit_for_bit_on_any_number_of_threads(settings):
    first = fitted(**settings)
    for threads in (1, 2, 3):
        assert_same_parameters(fitted(threads=threads, **settings), first)


def test_another_seed_gives_another_model():
    model, other = fitted(seed=0), fitted(seed=1)
    for path, leaf in leaves(model).items():
        assert not np.array_equal(leaf, leaves(other)[path]), path


def test_fit_starts_afresh_each_time(model):
    again = fitted(HISTORIES[:4])
    again.fit(HISTORIES, epochs=2, lr=1e-2, batch_size=7, threads=1, progress=False)
    assert_same_parameters(again, model)
    assert len(again.history) == 2


def test_the_parameters_are_those_of_the_best_epoch(monkeypatch):
    metrics = iter([0.0, 0.1, 0.3, 0.2, 0.3])  # the first is asked of one user, before all
    monkeypatch.setattr(
        "attention_from_scratch.models.trained.evaluate",
        lambda *arguments, **keywords: {"NDCG@10": next(metrics)},
    )
    model = fitted(epochs=4, validation=VALIDATION, fit={"evaluate_every": 1})
    assert model.best_epoch == 2
    assert_same_parameters(model, fitted(epochs=2))


def test_the_metric_in_the_history_is_that_of_the_model():
    protocol = whole_catalogue(exclude_seen=False)
    fit = {"evaluate_every": 1, "protocol": protocol}
    model = fitted(epochs=3, validation=VALIDATION, fit=fit)
    metrics = [row["NDCG@10"] for row in model.history]
    assert model.best_epoch == 1 + int(np.argmax(metrics))
    result = evaluate(model.scores, HISTORIES, VALIDATION, protocol=protocol)
    assert result["NDCG@10"] == max(metrics)


def test_users_come_in_another_order_each_epoch_and_for_each_seed(monkeypatch):
    def orders(seed):
        met, loss = [], SASRec.loss

        def noting(self, params, shard, **keywords):
            met.extend(history.tolist() for history in shard.histories)
            return loss(self, params, shard, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(SASRec, "loss", noting)
            fitted(seed=seed)
        assert sorted(met[:24]) == sorted(met[24:]) == sorted(HISTORIES)
        return met[:24], met[24:]

    first, second = orders(0)
    assert first != second
    assert (first, second) == orders(0)
    assert first != orders(1)[0]


def test_users_without_two_events_teach_nothing_but_are_counted():
    model = fitted([*HISTORIES, [], [3]])
    assert_same_parameters(model, fitted())
    assert model.item_counts.sum() == sum(map(len, HISTORIES)) + 1
    assert model.item_counts[3] == sum(history.count(3) for history in HISTORIES) + 1


def test_only_the_latest_events_are_learnt_from():
    long = [circle(start, 9) for start in range(6)]
    latest = [history[-(SMALL["max_len"] + 1) :] for history in long]
    assert_same_parameters(fitted(long), fitted(latest))


def test_an_interrupted_fit_leaves_a_model_that_works(monkeypatch):
    def impatient(self, *arguments, **keywords):
        if len(calls) == 12:
            raise KeyboardInterrupt
        calls.append(1)
        return loss(self, *arguments, **keywords)

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", impatient)
    model = fitted(epochs=50, fit={"batch_size": 24}, ops="plain")
    assert model.interrupted
    assert len(model.history) == 1
    assert model.recommend([[1, 2]])[0].shape == (1, 10)


def test_a_fit_that_fails_leaves_the_model_as_it_was(monkeypatch):
    def failing(self, *arguments, **keywords):
        raise error

    model, twin = fitted(), fitted()
    before = model.scores([[], [1, 2]])
    for error in (MemoryError(), KeyboardInterrupt(), FloatingPointError()):
        with monkeypatch.context() as patch:
            patch.setattr(SASRec, "loss", failing)
            with pytest.raises(type(error)):
                model.fit([[5, 5, 5]], epochs=1, threads=1, progress=False)
        assert_same_parameters(model, twin)
        assert np.array_equal(model.scores([[], [1, 2]]), before)
        assert [row["loss"] for row in model.history] == [row["loss"] for row in twin.history]
        assert (model.best_epoch, model.interrupted, model.diverged) == (2, False, False)


def test_a_fresh_model_whose_fit_fails_is_not_fitted(monkeypatch):
    monkeypatch.setattr(SASRec, "loss", lambda *arguments, **keywords: 1 / 0)
    model = SASRec(N_ITEMS, **SMALL)
    with pytest.raises(ZeroDivisionError):
        model.fit(HISTORIES, epochs=1, threads=1, progress=False)
    assert not model.item_counts.any()
    with pytest.raises(ValueError, match="has not been trained"):
        model.scores([[1]])


def test_popularity_in_a_validation_is_that_of_the_histories_of_this_fit():
    """Somebody without a history, whose next event is the item that is met most often."""
    model = fitted(fit={"lr": 1e-3})
    histories, validation = [[2, 2, 2], [3, 3], []], np.array([0, 0, 2])
    fit = {"protocol": whole_catalogue(exclude_seen=False), "evaluate_every": 1}
    fit |= {"validation": validation, "threads": 1, "progress": False}
    model.fit(histories, epochs=1, **fit)
    assert model.history[0]["MRR"] == 1


def test_a_model_that_diverges_keeps_its_best_epoch(monkeypatch):
    def diverging(self, *arguments, **keywords):
        value, backward = loss(self, *arguments, **keywords)
        calls.append(1)
        return (value if len(calls) <= 2 * 32 else np.nan), backward  # an epoch has 4 x 8 shards

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", diverging)
    fit = {"evaluate_every": 1}
    model = fitted(epochs=9, validation=VALIDATION, fit=fit, ops="plain")
    assert model.diverged
    assert len(model.history) == 2
    assert np.isfinite(model.scores([[1, 2]])[0, 1:]).all()


@pytest.mark.parametrize("norm", ["pre", "paper"])
@pytest.mark.parametrize("lr", [1e10, 1e20, 1e38])
def test_an_lr_far_too_large_is_one_error_that_says_so(lr, norm):
    """And no warning: those are errors in these tests."""
    fit = {"lr": lr, "batch_size": 24, "evaluate_every": 1}
    with pytest.raises(FloatingPointError, match="in epoch 1; a smaller lr may help"):
        fitted(validation=VALIDATION, norm=norm, fit=fit)


# --- scores and recommendations


def test_an_empty_history_is_scored_by_popularity(model):
    scores = model.scores([[], [1, 2], []])
    for row in (0, 2):
        np.testing.assert_allclose(scores[row, 1:], np.log1p(model.item_counts[1:]), rtol=1e-6)
    assert model.item_counts.tolist() == np.bincount(np.concatenate(HISTORIES)).tolist()
    np.testing.assert_allclose(scores[1], model.scores([[1, 2]])[0], rtol=1e-4)


def test_of_an_overlong_history_the_last_max_len_events_count(model):
    long = [*circle(3, 4), 6, 2, 2, 5, 1]
    assert np.array_equal(model.scores([long]), model.scores([long[-5:]]))
    assert not np.array_equal(model.scores([long]), model.scores([long[-4:]]))


def test_the_users_around_one_do_not_change_the_scores():
    model = fitted(dtype="float64")
    histories = [circle(start, start % 9) for start in range(300)]
    together = model.scores(histories)
    assert together.shape == (300, N_ITEMS + 1)
    for user in (0, 5, 7, 131, 299):
        np.testing.assert_allclose(together[user], model.scores([histories[user]])[0], atol=1e-12)


def test_padding_can_never_be_recommended(model):
    assert np.all(model.scores([[], [1], [2, 3]])[:, 0] == -np.inf)
    assert model.scores([]).shape == (0, N_ITEMS + 1)


@pytest.mark.parametrize("item", [0, 7, -1])
@pytest.mark.parametrize("method", ["scores", "recommend", "attention_weights", "fit"])
def test_an_unknown_item_is_an_error_that_names_it(model, method, item):
    keywords = {"epochs": 1} if method == "fit" else {}
    history = [1, item, 2]
    argument = history if method == "attention_weights" else [[3], history]
    with pytest.raises(ValueError, match=f"holds {item}, but may hold 1..6"):
        getattr(model, method)(argument, **keywords)


def test_a_history_that_is_no_list_of_integers_is_an_error(model):
    with pytest.raises(
        TypeError, match="histories of user 0 was of float64, but must be of integers"
    ):
        model.scores([[1.0, 2.0]])
    with pytest.raises(
        ValueError, match=r"histories of user 1 was of shape \(1, 2\), but must have one axis"
    ):
        model.scores([[1], [[1, 2]]])


def test_recommend_leaves_out_what_is_seen_and_fills_up_with_0(model):
    ids, scores = model.recommend([[1, 2, 2], [1, 2, 3, 4, 5, 6]], k=9)
    assert sorted(ids[0, :4].tolist()) == [3, 4, 5, 6]
    assert np.all(np.diff(scores[0, :4]) <= 0)
    assert np.all(ids[0, 4:] == 0)
    assert np.all(ids[1] == 0)
    assert np.all(scores[ids == 0] == -np.inf)
    expected = model.scores([[1, 2, 2]])[0, ids[0, :4]]
    np.testing.assert_allclose(scores[0, :4], expected, rtol=1e-4)


def test_recommend_may_repeat_what_is_seen_when_asked(model):
    ids, scores = model.recommend([[1, 2, 2]], k=8, exclude_seen=False)
    assert sorted(ids[0].tolist()) == [0, 0, 1, 2, 3, 4, 5, 6]
    assert np.all(np.diff(scores[0, :6]) <= 0)


def test_recommend_leaves_out_what_is_seen_before_the_last_max_len_events(model):
    ids, _ = model.recommend([[6, 1, 1, 1, 1, 1, 1]], k=6)
    assert sorted(ids[0].tolist()) == [0, 0, 2, 3, 4, 5]


def test_a_recommender_of_ones_own_needs_scores_only():
    class Favourite(Recommender):
        n_items = 4

        def scores(self, histories):
            return np.tile([-np.inf, 1.0, 4.0, 3.0, 2.0], (len(histories), 1))

    ids, _ = Favourite().recommend([[2], []], k=2)
    assert ids.tolist() == [[3, 4], [2, 3]]
    with pytest.raises(NotImplementedError):
        Recommender().scores([])


@pytest.mark.parametrize("length", [1, 3, 5, 8])
def test_attention_weights_are_causal_and_their_rows_sum_to_one(norm, length):
    model = fitted(norm=norm)
    weights = model.attention_weights(circle(0, length))
    shown = min(length, 5)
    assert weights.shape == (2, 2, shown, shown)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
    assert np.all(weights[..., ~np.tri(shown, dtype=bool)] == 0)
    assert np.all(weights[..., np.tri(shown, dtype=bool)] > 0)


def test_attention_of_an_empty_history_is_an_error(model):
    with pytest.raises(ValueError, match="history is empty"):
        model.attention_weights([])


# --- what cannot be


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(n, value) for n in SIZES for value in (0, 4.0, True, None, "4")],
        *[("seed", value) for value in (-1, 1.5, None, False)],
        ("dim", -4),
        ("n_heads", 3),
        *[("dropout", p) for p in (1.0, -0.1, 1.5, float("nan"), None)],
        ("norm", "last"),
        ("loss", "hinge"),
        *[("dtype", value) for value in ("float16", "single malt", None)],
    ],
)
def test_an_impossible_size_or_choice_is_an_error_that_names_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^{name} was {value!r}, but must"):
        SASRec(**{"n_items": N_ITEMS} | SMALL | {name: value})


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "f4", "float32"])
def test_a_dtype_may_be_said_in_all_of_numpys_ways(dtype, tmp_path):
    model = fitted(dtype=dtype)
    assert model.config["dtype"] == "float32"
    model.save(tmp_path / "model.npz")
    assert SASRec.load(tmp_path / "model.npz").config == model.config


def test_sizes_are_stored_as_pythons_integers():
    model = SASRec(np.int64(6), max_len=np.int32(5), dim=np.uint8(4), seed=np.int64(3))
    for name in (*SIZES, "seed"):
        assert type(model.config[name]) is int
    assert type(model.n_items) is type(model.max_len) is int


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, 0) for name in ("epochs", "batch_size", "lr", "threads", "evaluate_every")],
        *[(name, 1.5) for name in ("epochs", "batch_size", "threads", "evaluate_every")],
        *[("patience", value) for value in (0, -1)],
        *[("lr", value) for value in (float("inf"), float("nan"))],
        *[("clip", value) for value in (0, -1.0, float("inf"))],
        ("weight_decay", -0.1),
    ],
)
def test_an_impossible_setting_of_fit_is_an_error_that_names_it(name, value):
    model = SASRec(N_ITEMS, **SMALL)
    keywords = {"epochs": 1, "threads": 1, "progress": False, name: value}
    with pytest.raises(ValueError, match=f"^{name} was {value}, but must be"):
        model.fit(HISTORIES, validation=np.ones(24, int), **keywords)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ([1, 2, 3], "validation has 3 targets, but there are 24 users"),
        ([0] * 24, "validation holds only zeros"),
        ([0] * 23 + [7], "validation holds item 7, but the catalogue has items 1..6"),
        ([0] * 23 + [-1], "validation holds item -1, but"),
        ([1.0] * 24, r"validation is float64 of shape \(24,\), but must be"),
        ([[1]] * 24, r"validation is int64 of shape \(24, 1\), but must be"),
    ],
)
def test_a_validation_that_cannot_be_is_an_error_before_anything_is_trained(
    monkeypatch, validation, message
):
    monkeypatch.setattr(SASRec, "loss", lambda *arguments, **keywords: 1 / 0)
    with pytest.raises(ValueError, match=message):
        fitted(validation=validation)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ({"metric": "NDCG@7"}, "metric was 'NDCG@7', but must be one of HR@10, NDCG@10"),
        ({"metric": "coverage", "protocol": sampled_negatives(2)}, "metric was 'coverage'"),
        ({"protocol": sampled_negatives(6)}, "n is 6, but user 5 has 2"),
    ],
)
def test_what_cannot_be_measured_is_an_error_before_anything_is_trained(monkeypatch, fit, message):
    monkeypatch.setattr(SASRec, "loss", lambda *arguments, **keywords: 1 / 0)
    validation = np.where(np.arange(24) == 5, VALIDATION, 0)
    with pytest.raises(ValueError, match=message):
        fitted(validation=validation, fit=fit)


def test_histories_that_teach_nothing_are_an_error():
    with pytest.raises(ValueError, match="no history has two events"):
        fitted([[1], [], [2]])


@pytest.mark.parametrize(
    "use",
    [
        lambda model, path: model.scores([[1]]),
        lambda model, path: model.recommend([[1]]),
        lambda model, path: model.attention_weights([1]),
        lambda model, path: model.save(path),
    ],
    ids=["scores", "recommend", "attention_weights", "save"],
)
def test_a_model_has_to_be_fitted_first(use, tmp_path):
    with pytest.raises(ValueError, match="has not been trained"):
        use(SASRec(N_ITEMS), tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


# --- saving


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_model_scores_as_before(norm, dtype, tmp_path):
    model = fitted(norm=norm, dtype=dtype, loss="bce", validation=VALIDATION)
    model.save(tmp_path / "model.npz")
    loaded = SASRec.load(tmp_path / "model.npz")
    asked = [[], [1], circle(2, 4), circle(1, 9)]
    assert loaded.scores(asked).dtype == dtype
    assert np.array_equal(loaded.scores(asked), model.scores(asked))
    assert_same_parameters(loaded, model)
    assert loaded.config == model.config
    assert loaded.history == model.history
    assert loaded.best_epoch == model.best_epoch
    for block in loaded.params["blocks"]:  # "paper" has no output projection, before and after
        assert (block["attention"]["output"] is None) == (norm == "paper")
    assert [path.name for path in tmp_path.iterdir()] == ["model.npz"]


def test_a_loaded_model_can_be_fitted_and_saved_again(tmp_path):
    path = tmp_path / "model.npz"
    fitted().save(path)
    loaded = SASRec.load(path)
    loaded.fit(HISTORIES, epochs=2, lr=1e-2, batch_size=7, threads=1, progress=False)
    assert_same_parameters(loaded, fitted())
    loaded.save(path)
    assert_same_parameters(SASRec.load(path), loaded)


def test_a_model_whose_sizes_are_numpy_integers_can_be_saved(tmp_path):
    model = SASRec(np.max(HISTORIES[4]), max_len=np.int64(5), dim=np.int32(4), dropout=np.float32())
    model.fit(HISTORIES, epochs=1, threads=1, progress=False).save(tmp_path / "model.npz")
    assert SASRec.load(tmp_path / "model.npz").config == model.config


def test_a_write_that_fails_leaves_the_old_model_and_no_temporary_file(
    model, tmp_path, monkeypatch
):
    def full_disk(file, **arrays):
        file.write(b"half a model")
        raise OSError("no space left on device")

    path = tmp_path / "model.npz"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(checkpoint.np, "savez", full_disk)
    with pytest.raises(OSError, match="no space left"):
        fitted(seed=1).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.npz"]


def test_there_is_no_pickle_in_the_file(model, tmp_path):
    model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert not any(array.dtype.hasobject for array in arrays.values())
    assert json.loads(str(arrays["description"]))["model"] == "sasrec"


def garbage(path, model):
    path.write_text("this is no model\n")


def empty(path, model):
    path.write_bytes(b"")


def a_pickle(path, model):
    path.write_bytes(pickle.dumps({"params": [1, 2, 3]}))


def one_array(path, model):
    with path.open("wb") as file:
        np.save(file, np.arange(3))


def other_arrays(path, model):
    with path.open("wb") as file:
        np.savez(file, x=np.arange(3))


def no_parameters(path, model):
    with path.open("wb") as file:
        np.savez(file, description=np.array("{}"))


def a_list_for_a_description(path, model):
    with path.open("wb") as file:
        np.savez(file, **{"description": np.array("[1]"), "params.x": np.arange(3)})


def half_a_file(path, model):
    model.save(path)
    path.write_bytes(path.read_bytes()[:-400])


def a_flipped_bit(path, model):
    model.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(model.params["items"].tobytes()) + 3] ^= 255
    path.write_bytes(content)


def another_model(path, model):
    save_model(path, {"model": model.params}, {"model": "gru4rec"})


def no_counts(path, model):
    described = {"model": "sasrec", "config": model.config, "history": [], "best_epoch": 0}
    save_model(path, {"model": model.params}, described)


def no_settings(path, model):
    save_model(path, {"model": model.params, "item_counts": model.item_counts}, {"model": "sasrec"})


def other_settings(path, model):
    described = {"model": "sasrec", "config": model.config | {"dim": 8}}
    tree = {"model": model.params, "item_counts": model.item_counts}
    save_model(path, tree, described | {"history": [], "best_epoch": 0})


def impossible_settings(path, model):
    described = {"model": "sasrec", "config": model.config | {"dim": 4.5}}
    tree = {"model": model.params, "item_counts": model.item_counts}
    save_model(path, tree, described | {"history": [], "best_epoch": 0})


@pytest.mark.parametrize(
    "write",
    [
        garbage,
        empty,
        a_pickle,
        one_array,
        other_arrays,
        no_parameters,
        a_list_for_a_description,
        half_a_file,
        a_flipped_bit,
        another_model,
        no_counts,
        no_settings,
        other_settings,
        impossible_settings,
    ],
)
def test_a_file_that_is_no_such_model_is_a_value_error_that_names_it(write, model, tmp_path):
    path = tmp_path / "model.npz"
    write(path, model)
    with pytest.raises(ValueError, match=r"model\.npz"):
        SASRec.load(path)


def test_a_file_that_is_not_there_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        SASRec.load(tmp_path / "model.npz")


def test_small_maps_start_what_a_block_adds_close_to_zero():
    model = SASRec(N_ITEMS, dim=64, norm="paper", output_projection=True, init="small")
    for block in model.initial_params()["blocks"]:
        for small in (block["attention"]["output"], *block["feed_forward"].values()):
            assert small["weight"].std() == pytest.approx(0.02, rel=0.05)
        assert block["attention"]["query"]["weight"].std() == pytest.approx(1 / 8, rel=0.05)


@pytest.mark.parametrize("norm", ["pre", "paper"])
def test_an_output_projection_is_there_unless_the_norm_is_the_papers_or_as_one_says(norm):
    for asked, there in ((None, norm != "paper"), (True, True), (False, False)):
        model = SASRec(N_ITEMS, norm=norm, output_projection=asked)
        assert model.config["output_projection"] is there
        for block in model.initial_params()["blocks"]:
            assert (block["attention"]["output"] is not None) is there


@pytest.mark.parametrize("few", [True, False])
def test_a_loss_by_way_of_the_items_that_occur_is_the_loss_bit_for_bit(few, monkeypatch):
    monkeypatch.setattr(rows, "LARGE", 90 if few else 2**15)
    rng = np.random.default_rng(0)
    model = SASRec(90, max_len=5, dim=8, n_blocks=1)
    params = model.initial_params()
    ids, targets = rng.integers(1, 91, (2, 4, 5))
    ids[0, :2] = targets[0, :2] = targets[1, 3] = 0
    arguments = params, ids, targets, rng.integers(1, 91, (4, 5, 2))
    settings = {"n_heads": 2, "dropout_p": 0.5, "total": 9, "ops": model.ops}
    value, backward = network.sampled_loss(*arguments, **settings, rng=np.random.default_rng(1))
    found, back_found = model.by_few_items(
        network.sampled_loss, *arguments, **settings, rng=np.random.default_rng(1)
    )
    assert found == value
    for _ in "ab":
        grads, of_few = backward(0.7), back_found(0.7)
        assert isinstance(of_few["items"], rows.Rows) is few
        if few:
            assert len(of_few["items"].ids) < 60
            of_few = of_few | {"items": of_few["items"].dense()}
        expected = dict(tree_leaves(grads))
        for path, leaf in tree_leaves(of_few):
            assert np.array_equal(leaf, expected[path]), path


def test_ops_are_fast_unless_asked_otherwise_and_fast_is_another_word_for_them():
    assert SASRec(3).settings.ops == SASRec(3, fast=True).settings.ops == "fast"
    assert SASRec(3, fast=False).settings.ops == SASRec(3, ops="plain").settings.ops == "plain"
    with pytest.raises(ValueError, match="fast was True, but ops was 'plain': say one of them"):
        SASRec(3, fast=True, ops="plain")


def test_parameters_of_another_dtype_and_counts_of_another_catalogue_are_errors(model, tmp_path):
    tree, description = model.state()
    described = {"model": "sasrec", "config": model.config} | description
    wrong = tree | {"model": tree["model"] | {"items": tree["model"]["items"].astype(np.float64)}}
    save_model(tmp_path / "m.npz", wrong, described)
    with pytest.raises(ValueError, match="has items in float64, but must be float32"):
        SASRec.load(tmp_path / "m.npz")
    save_model(tmp_path / "m.npz", tree | {"item_counts": np.zeros(3, int)}, described)
    with pytest.raises(ValueError, match=r"item_counts was int64 of shape \(3,\), but must be"):
        SASRec.load(tmp_path / "m.npz")


def test_a_switch_is_true_or_false():
    assert SASRec(3, mask_padding=np.bool_(False)).settings.mask_padding is False
    with pytest.raises(ValueError, match="mask_padding was 'no', but must be True or False"):
        SASRec(3, mask_padding="no")
