"""The pipeline as people use it: it learns, whatever its stages, and says what it cannot do."""

import math
from dataclasses import asdict

import numpy as np
import pytest

from attention_from_scratch.evaluation import evaluate, whole_catalogue
from attention_from_scratch.models import Pipeline, SASRec, gru4rec, trained
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.decoders import STEPS
from attention_from_scratch.proofs.cases import covering, every_pipeline
from attention_from_scratch.tree import tree_leaves, tree_map

N_ITEMS = 8
SMALL = {"max_len": 6, "dim": 8, "n_blocks": 1, "n_next": 2}


def ring(start, length):
    """... -> 7 -> 8 -> 1 -> 2 -> ..., from any start."""
    return 1 + (start + np.arange(length)) % N_ITEMS


def following(history, steps=1):
    """What comes after a piece of the ring."""
    return 1 + (history[-1] + steps - 1) % N_ITEMS


HISTORIES = [ring(start, length) for start in range(N_ITEMS) for length in (3, 4, 5, 6)]
BEHAVIOUR = [1 + history % 2 for history in HISTORIES]
FEATURES = {"genre": np.arange(18.0).reshape(9, 2) / 9}


def fitted(histories=HISTORIES, *, epochs=2, fit=None, **settings):
    model = Pipeline(N_ITEMS, **SMALL | settings)
    fit = {"lr": 1e-2, "batch_size": 16, "threads": 1, "progress": False} | (fit or {})
    return model.fit(histories, epochs=epochs, **fit)


KNOWING = {"context": {"behaviour": 2}, "features": FEATURES, "id_dropout": 0.2}
VARIED = {
    "one that predicts everywhere": KNOWING | {"n_heads": 2, "dropout": 0.3},
    "one that looks ahead": KNOWING | {"encoder": "gru", "attention": "global", "decoder": "dense"},
    "one that goes on": {
        "encoder": "lstm",
        "attention": "featurewise",
        "aggregation": "pooled",
        "decoder": "rnn",
    },
    "one that goes on from all": KNOWING
    | {"encoder": "rnn", "attention": "local", "window": 2, "decoder": "transformer"},
}
every_kind = pytest.mark.parametrize("settings", VARIED.values(), ids=VARIED)


def context_of(settings, histories=HISTORIES):
    return {"behaviour": [1 + h % 2 for h in histories]} if "context" in settings else None


def assert_same_parameters(model, other):
    ours, theirs = dict(tree_leaves(model.params)), dict(tree_leaves(other.params))
    assert ours.keys() == theirs.keys()
    for path, leaf in ours.items():
        assert np.array_equal(leaf, theirs[path]), path


def fitted_kind(settings, **fit):
    return fitted(fit={"context": context_of(settings)} | fit, **settings)


# --- learning


def is_symmetric(stages):
    """Whether it compares an item with another as that with it: what comes first is lost."""
    mapped = stages.projections and stages.attention != "none"
    return stages.encoder == "embedding" and stages.decoder == "dot" and not mapped


def families(length, seed):
    """Users who stay among two items, in any order."""
    rng = np.random.default_rng(seed)
    return [1 + 2 * (user % 4) + rng.integers(0, 2, length) for user in range(32)]


COVERING = covering(every_pipeline())


@pytest.mark.parametrize(
    "stages", COVERING, ids=lambda s: f"{s.encoder}, {s.attention}, {s.aggregation}, {s.decoder}"
)
def test_it_learns_what_always_follows_whatever_its_stages(stages, monkeypatch):
    """Any two choices meet in one of these; a model that guesses has a loss of ln 8 = 2.1."""
    monkeypatch.setitem(trained.SHARDS, "fast", {"n_shards": 1})  # so few users are faster in one
    symmetric = is_symmetric(stages)
    histories, asked = HISTORIES, [ring(s, n) for s in range(N_ITEMS) for n in (2, 3, 4, 5)]
    if symmetric:
        histories, asked = families(6, seed=0), families(3, seed=1)
    settings = {"dim": 16, "dropout": 0.0} | asdict(stages)
    fit = {"lr": 0.02, "batch_size": 16 if stages.predicts_everywhere else 64}
    model = fitted(histories, epochs=16, fit=fit, **settings)
    ids, _ = model.recommend(asked, k=1, exclude_seen=False)
    losses = [row["loss"] for row in model.history]
    if symmetric:
        assert losses[-1] < math.log(2) + 0.1 < losses[0] - 0.5
        assert np.all((ids[:, 0] - 1) // 2 == [(history[0] - 1) // 2 for history in asked])
        return
    assert losses[-1] < min(math.log(N_ITEMS), losses[0]) / 3
    right = ids[:, 0] == [following(history) for history in asked]
    assert right.mean() >= 0.9
    if stages.decoder in STEPS:
        chain = model.recommend_in_order(asked, 2, exclude_seen=False)
        expected = [[following(history, step) for step in (1, 2)] for history in asked]
        assert (chain == expected).mean() >= 0.9


def test_the_covering_pipelines_are_few_and_one_alone_is_symmetric():
    assert len(COVERING) == 25
    assert sum(map(is_symmetric, COVERING)) == 1


def test_what_is_known_of_an_event_is_used():
    """After behaviour 1 comes the next item, after behaviour 2 the one after that."""
    rng, histories, behaviours = np.random.default_rng(0), [], []
    for user in range(48):
        behaviour, items = rng.integers(1, 3, 7), [1 + user % N_ITEMS]
        for step in behaviour[:-1]:
            items.append(1 + (items[-1] - 1 + step) % N_ITEMS)
        histories.append(np.array(items))
        behaviours.append(behaviour)
    context = {"behaviour": behaviours}
    settings = {"encoder": "embedding", "context": {"behaviour": 2}, "dropout": 0.0, "dim": 16}
    model = fitted(histories, epochs=25, fit={"context": context, "lr": 0.02}, **settings)
    asked = [history[:4] for history in histories]
    for behaviour in (1, 2):
        around = {"behaviour": [np.append(b[:3], behaviour) for b in behaviours]}
        ids, _ = model.recommend(asked, k=1, exclude_seen=False, context=around)
        assert np.mean(ids[:, 0] == [following(h, behaviour) for h in asked]) > 0.9


def test_an_item_without_events_is_recommended_for_what_it_is():
    """Item 8 never occurs, but it is of the same kind as items 1 and 2, and so for their users."""
    kind = np.array([0, 0, 0, 1, 1, 2, 2, 2, 0])  # of item 0..8
    features = {"kind": np.eye(3)[kind]}
    rng = np.random.default_rng(0)
    histories = [rng.choice(np.flatnonzero(kind[1:8] == user % 3) + 1, 6) for user in range(30)]
    settings = {"encoder": "embedding", "dropout": 0.0, "features": features, "id_dropout": 0.5}
    model = fitted(histories, epochs=15, fit={"lr": 0.02}, **settings)
    scores = model.scores([[1, 2, 1], [3, 4], [5, 6]])
    others = scores[:, 3:8].max(axis=1)
    assert scores[0, 8] > others[0]
    assert np.all(scores[1:, 8] < others[1:])
    noise = model.params["items"]["ids"].copy()
    noise[8] += 100  # its id has learnt nothing, and is not asked
    model.params["items"]["ids"] = noise
    assert np.array_equal(model.scores([[1, 2, 1], [3, 4], [5, 6]]), scores)


@pytest.fixture
def noted(monkeypatch):
    """What the loss was called with, in training."""
    calls, loss = [], pipeline.next_item_loss

    def noting(params, ids, targets, **settings):
        calls.append(settings | {"ids": ids, "targets": targets})
        return loss(params, ids, targets, **settings)

    monkeypatch.setattr(pipeline, "next_item_loss", noting)
    return calls


def test_the_ids_of_some_items_are_left_out_in_training(noted):
    fitted(id_dropout=0.25, features=FEATURES, epochs=10)
    kept = [call["keep"] for call in noted]
    assert np.shape(kept)[1] == N_ITEMS + 1
    assert np.mean(kept) == pytest.approx(0.75, abs=0.05)
    assert len({keep.tobytes() for keep in kept}) > len(kept) / 4  # drawn anew at each step
    noted.clear()
    fitted(features=FEATURES, epochs=1)
    assert all(call["keep"] is None for call in noted)


def test_without_any_id_items_that_are_alike_are_alike():
    features = {"kind": np.eye(3)[np.arange(N_ITEMS + 1) % 3]}
    model = fitted(id_dropout=1, features=features, epochs=2)
    (scores,) = model.scores([[1, 2, 3]])
    kinds = [scores[1:][np.arange(1, N_ITEMS + 1) % 3 == kind] for kind in range(3)]
    for same in kinds:
        np.testing.assert_allclose(same, same[0], rtol=1e-6)
    assert len({same[0] for same in kinds}) == 3


def test_features_told_after_training_speak_for_items_that_nobody_met():
    kinds = np.eye(3)[np.arange(N_ITEMS + 1) % 3]
    unmet = np.arange(N_ITEMS + 1) >= N_ITEMS - 1
    histories = [history[~unmet[history]] for history in HISTORIES]
    features = {"kind": np.where(unmet[:, None], np.nan, kinds)}
    model = fitted(histories, features=features, epochs=2)
    told = model.with_features({"kind": kinds})
    before, after = model.scores(histories), told.scores(histories)
    assert np.array_equal(before[:, ~unmet], after[:, ~unmet])
    assert np.all(before[:, unmet] == 0)
    assert np.all(after[:, unmet] != 0)
    assert not model.features["kind"][unmet].any()  # the model itself stays as it was


def test_features_told_after_training_are_those_that_it_has_learnt():
    model = fitted(features={"kind": np.ones((N_ITEMS + 1, 3))}, epochs=1)
    with pytest.raises(ValueError, match=r"widths \{'kind': 2\}.*learnt \{'kind': 3\}"):
        model.with_features({"kind": np.ones((N_ITEMS + 1, 2))})
    with pytest.raises(ValueError, match=r"has 2 rows"):
        model.with_features({"kind": np.ones((2, 3))})


def test_training_has_the_dropout_that_was_asked_for_and_scores_have_none(noted):
    model = fitted(dropout=0.3, epochs=1)
    assert {call["dropout_p"] for call in noted} == {0.3}
    assert all(call["rng"] is not None for call in noted)
    assert np.array_equal(model.scores(HISTORIES), model.scores(HISTORIES))


@pytest.mark.parametrize(("decoder", "n_targets"), [("dot", 1), ("rnn", 3), ("transformer", 3)])
def test_histories_are_cut_in_as_many_places_as_was_asked_for(noted, decoder, n_targets):
    """All targets of one step of an epoch: one item, or as many as the decoder learns."""
    fitted(attention="global", decoder=decoder, cuts=2, n_next=3, epochs=1)
    targets = [call["targets"] for call in noted]
    assert {array.shape[1] for array in targets} == {n_targets}
    assert sum(map(len, targets)) == 2 * len(HISTORIES)
    lengths = {int((row > 0).sum()) for call in noted for row in call["ids"]}
    assert lengths == {1, 2, 3, 4, 5}


# --- the same every time


@every_kind
def test_a_seed_gives_the_same_parameters_bit_for_bit_on_any_number_of_threads(settings):
    first = fitted_kind(settings)
    for threads in (1, 2, 3):
        assert_same_parameters(fitted_kind(settings, threads=threads), first)


@every_kind
def test_another_seed_gives_another_model(settings):
    one, other = fitted_kind(settings), fitted_kind(settings | {"seed": 1})
    ours, theirs = dict(tree_leaves(one.params)), dict(tree_leaves(other.params))
    for path, leaf in ours.items():
        assert not np.array_equal(leaf, theirs[path]), path


@every_kind
def test_what_is_saved_scores_as_before(settings, tmp_path):
    model = fitted_kind(settings)
    model.save(tmp_path / "model.npz")
    loaded = Pipeline.load(tmp_path / "model.npz")
    assert loaded.config == model.config
    assert loaded.stages == model.stages
    assert loaded.history == model.history
    assert loaded.best_epoch == model.best_epoch
    assert np.array_equal(loaded.item_counts, model.item_counts)
    assert loaded.features.keys() == model.features.keys()
    for name, matrix in model.features.items():
        assert np.array_equal(loaded.features[name], matrix)
        assert loaded.features[name].dtype == matrix.dtype
    tree_map(np.testing.assert_array_equal, loaded.params, model.params)
    context = context_of(settings)
    assert np.array_equal(loaded.scores(HISTORIES, context), model.scores(HISTORIES, context))
    assert_same_parameters(
        loaded.fit(
            HISTORIES,
            epochs=2,
            context=context,
            lr=1e-2,
            batch_size=16,
            threads=1,
            progress=False,
        ),
        model,
    )


def test_a_file_of_another_model_is_an_error(tmp_path):
    path = tmp_path / "model.npz"
    fitted().save(path)
    with pytest.raises(ValueError, match=r"model\.npz holds a pipeline model, not a sasrec"):
        SASRec.load(path)


# --- scores and recommendations


@every_kind
def test_the_users_around_one_do_not_change_the_scores(settings):
    model = fitted_kind(settings | {"dtype": "float64"})
    histories = [ring(user, user % 9) for user in range(300)]
    context = context_of(settings, histories)
    together = model.scores(histories, context)
    assert together.shape == (300, N_ITEMS + 1)
    assert together.dtype == np.float64
    assert np.all(together[:, 0] == -np.inf)
    for user in (0, 5, 7, 131, 299):
        alone = model.scores([histories[user]], context_of(settings, [histories[user]]))
        np.testing.assert_allclose(together[user], alone[0], rtol=0, atol=1e-12)


@every_kind
def test_of_a_long_history_the_latest_events_count_and_of_none_the_popularity(settings):
    model = fitted_kind(settings)
    long = [ring(3, 11)]
    latest = [long[0][-6:]]
    assert np.array_equal(
        model.scores(long, context_of(settings, long)),
        model.scores(latest, context_of(settings, latest)),
    )
    nothing = [np.zeros(0, int)]
    scores = model.scores(nothing, context_of(settings, nothing))
    np.testing.assert_allclose(scores[0, 1:], np.log1p(model.item_counts[1:]), rtol=1e-6)


def test_recommend_hands_the_context_on_and_leaves_out_what_is_seen():
    model = fitted_kind(KNOWING)
    context = context_of(KNOWING)
    ids, scores = model.recommend(HISTORIES, k=3, context=context)
    expected = model.scores(HISTORIES, context)
    for user, history in enumerate(HISTORIES):
        unseen = [item for item in range(1, N_ITEMS + 1) if item not in history]
        best = sorted(unseen, key=lambda item: -expected[user, item])[:3]
        assert ids[user, : len(best)].tolist() == best
        assert np.all(ids[user, len(best) :] == 0)
        assert np.array_equal(scores[user, : len(best)], expected[user, best])


def test_the_metric_in_the_history_is_that_of_the_model_with_its_context():
    protocol = whole_catalogue(exclude_seen=False)
    validation = np.array([following(history) for history in HISTORIES])
    fit = {"validation": validation, "protocol": protocol, "evaluate_every": 1}
    model = fitted_kind(KNOWING, **fit)
    metrics = [row["NDCG@10"] for row in model.history]
    assert model.best_epoch == 1 + int(np.argmax(metrics))
    result = evaluate(
        model.scores, HISTORIES, validation, protocol=protocol, context=context_of(KNOWING)
    )
    assert result["NDCG@10"] == max(metrics)


# --- what comes next, in its order


GOING_ON = {name: VARIED[name] for name in ("one that goes on", "one that goes on from all")}
each_that_goes_on = pytest.mark.parametrize("settings", GOING_ON.values(), ids=GOING_ON)


def loop_in_order(model, history, length, context, exclude_seen):
    """One item after the other, for one user, from the scores of the model's functions."""
    ids = np.array(history[-model.config["max_len"] :])[None]
    around = {name: np.array(row[-ids.shape[1] :])[None] for name, row in context.items()}
    keep = model.item_counts > 0 if model.features else None
    said = []
    for _ in range(length):
        scores = pipeline.next_item_scores(
            model.params,
            ids,
            stages=model.stages,
            context=around,
            features=model.features,
            keep=keep,
            said=np.array(said, int)[None],
        )[0]
        left_out = {*said, *(history if exclude_seen else ())}
        allowed = [item for item in range(1, N_ITEMS + 1) if item not in left_out]
        said.append(max(allowed, key=lambda item: scores[item], default=0))
    return said


@each_that_goes_on
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_items_in_order_are_the_best_given_those_before_them(settings, exclude_seen):
    model = fitted_kind(settings | {"dtype": "float64", "n_next": 4})
    histories = [ring(user, 1 + user % 7) for user in range(150)]
    context = context_of(settings, histories)
    chosen = model.recommend_in_order(histories, 4, context=context, exclude_seen=exclude_seen)
    assert chosen.shape == (150, 4)
    assert chosen.dtype == np.int64
    for user, history in enumerate(histories):
        items = chosen[user][chosen[user] > 0]
        assert len(set(items)) == len(items)
        if exclude_seen:
            assert not set(items) & set(history.tolist())
            assert len(items) == min(4, N_ITEMS - len(set(history.tolist())))
        around = {name: column[user] for name, column in (context or {}).items()}
        if user % 10 == 0:
            expected = loop_in_order(model, history, 4, around, exclude_seen)
            assert chosen[user].tolist() == expected


def test_the_second_item_depends_on_the_first(monkeypatch):
    """Told that another item came first, the decoder goes on otherwise."""
    model = fitted(epochs=30, decoder="rnn", dropout=0.0, fit={"lr": 0.02, "batch_size": 64})
    ids = np.array([[1, 2, 3]])
    after = [
        model.batch_scores(model.params, model.item_counts, ids, {}, np.array([[said]])).argmax()
        for said in (4, 7)
    ]
    assert after[0] == 5
    assert after[0] != after[1]


@pytest.mark.parametrize(
    ("settings", "call", "message"),
    [
        ({"decoder": "dense"}, ([[1]], 2), "decoder was 'dense', but items in order need one of"),
        ({"decoder": "dot"}, ([[1]], 2), "decoder was 'dot', but items in order need one of rnn, "),
        ({"decoder": "rnn"}, ([[1], []], 2), "a history is empty, but a decoder goes on from a"),
        ({"decoder": "rnn"}, ([[1]], 0), "length was 0, but must be an integer from 1 on"),
        ({"decoder": "rnn"}, ([[1]], 1.5), "length was 1.5, but must be an integer from 1 on"),
        ({"decoder": "rnn"}, ([[9]], 1), "histories of user 0 holds 9, but may hold 1.."),
        (
            {"decoder": "transformer"},
            ([[1]], 3),
            r"length was 3, but the decoder has learnt 2 places \(n_next\)",
        ),
    ],
)
def test_items_in_order_that_cannot_be_are_an_error(settings, call, message):
    model = fitted(epochs=1, **settings)
    with pytest.raises(ValueError, match=f"^{message}"):
        model.recommend_in_order(*call)


# --- looking inside


def test_attention_weights_are_those_of_the_functions():
    settings = KNOWING | {"n_heads": 2, "attention": "local", "window": 2}
    model = fitted_kind(settings)
    weights = model.attention_weights([1, 2, 3, 4], {"behaviour": [1, 2, 1, 2]})
    assert weights.shape == (2, 2, 4, 4)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
    assert np.all(weights[0, :, ~np.tri(4, dtype=bool)] == 0)
    assert np.all((weights[1] > 0) == (np.tri(4, dtype=bool) & ~np.tri(4, k=-2, dtype=bool)))
    expected = pipeline.attention_maps(
        model.params,
        np.array([[1, 2, 3, 4]]),
        stages=model.stages,
        context={"behaviour": np.array([[1, 2, 1, 2]])},
        features=model.features,
        keep=model.item_counts > 0,
        ops=model.ops,
    )
    assert np.array_equal(weights, expected[:, 0])
    other = model.attention_weights([1, 2, 3, 4], {"behaviour": [2, 1, 2, 1]})
    assert not np.array_equal(other, weights)


@pytest.mark.parametrize(
    "settings",
    [{"attention": "none"}, {"attention": "featurewise", "aggregation": "pooled"}],
    ids=["none", "featurewise"],
)
def test_what_compares_nothing_has_no_weights(settings):
    model = fitted(encoder="gru", epochs=1, **settings)
    with pytest.raises(ValueError, match=r"^a pipeline model compares no event with anoth"):
        model.attention_weights([1, 2])
    with pytest.raises(ValueError, match=r"^history is empty, but attention needs"):
        model.attention_weights([])


def test_looking_inside_and_items_in_order_want_the_context_too():
    model = fitted_kind(KNOWING | {"decoder": "rnn"})
    message = r"^context has nothing, but the model was made for \['behaviour'\]"
    with pytest.raises(ValueError, match=message):
        model.attention_weights([1, 2])
    with pytest.raises(ValueError, match=message):
        model.recommend_in_order([[1, 2]], 1)
    with pytest.raises(ValueError, match=r"^context\['behaviour'\] of user 0 holds 3, but may hol"):
        model.attention_weights([1, 2], {"behaviour": [1, 3]})


def test_gru4rec_is_a_gru_and_the_dot_product():
    model = gru4rec(N_ITEMS, 5, 4, dropout=0.1)
    assert model.stages == pipeline.Stages(encoder="gru", attention="none", decoder="dot")
    assert model.stages.predicts_everywhere
    assert model.config["positions"] is False
    assert (model.config["max_len"], model.config["dim"], model.config["dropout"]) == (5, 4, 0.1)
    assert model.initial_params()["positions"] is None


# --- what cannot be


INTEGERS = ("n_items", "max_len", "dim", "n_heads", "n_blocks", "n_next", "cuts")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *[
            ({name: value}, f"{name} was {value!r}, but must be an integer from 1 on")
            for name in INTEGERS
            for value in (0, 4.0, True, "4")
        ],
        ({"n_heads": 3}, "n_heads was 3, but must divide dim, which is 8"),
        ({"seed": -1}, "seed was -1, but must be an integer from 0 on"),
        *[
            ({name: value}, f"{name} was {value}, but must be at least 0 and {most} 1")
            for name, value, most in [
                *(("dropout", value, "below") for value in (1.0, -0.1, None)),
                *(("id_dropout", value, "at most") for value in (1.1, -0.1, None)),
            ]
        ],
        ({"id_dropout": 1}, "id_dropout was 1, but without features nothing is left of an item"),
        ({"dtype": "float16"}, "dtype was 'float16', but must be one of"),
        ({"encoder": "cnn"}, "encoder was 'cnn', but must be one of embedding, rnn, gru, lstm, "),
        ({"attention": "flash"}, "attention was 'flash', but must be one of global, causal, local"),
        ({"aggregation": "sum"}, "aggregation was 'sum', but must be one of matrix, pooled"),
        ({"decoder": "mlp"}, "decoder was 'mlp', but must be one of dense, dot, rnn, transformer"),
        ({"attention": "local", "window": 0}, "window was 0, but must be an integer from 1 on"),
        ({"window": 3}, "window was 3, but attention 'causal' has none"),
        (
            {"attention": "featurewise"},
            "attention was 'featurewise', but that has projections, one head and aggregation='poo",
        ),
        ({"context": {"a b": 2}}, "context has the name 'a b', but a name must be a word"),
        ({"context": {1: 2}}, "context has the name 1, but a name must be a word"),
        ({"context": {"b": 0}}, r"context\['b'\] was 0, but must be an integer from 1 on"),
        ({"context": ["b"]}, "context was a list, but must be a mapping from names to a number"),
        (
            {"features": {"genre": np.ones((8, 2))}},
            r"features\['genre'\] has 8 rows, but the catalogue needs 9 \(row 0 is padding\)",
        ),
        (
            {"features": {"genre": np.full((9, 2), np.inf)}},
            r"features\['genre'\] holds an infinity; what is not known is NaN",
        ),
    ],
)
def test_settings_that_cannot_be_are_one_error_that_names_them(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Pipeline(**{"n_items": N_ITEMS} | SMALL | settings)


@pytest.mark.parametrize(
    "use",
    [
        lambda model, path: model.scores([[1]]),
        lambda model, path: model.recommend([[1]]),
        lambda model, path: model.recommend_in_order([[1]], 1),
        lambda model, path: model.attention_weights([1]),
        lambda model, path: model.save(path),
    ],
    ids=["scores", "recommend", "recommend_in_order", "attention_weights", "save"],
)
def test_a_model_has_to_be_fitted_first(use, tmp_path):
    with pytest.raises(ValueError, match=r"^the model has not been trained: call fit, or load"):
        use(Pipeline(N_ITEMS, decoder="rnn"), tmp_path / "model.npz")
