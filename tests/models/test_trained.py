"""What every trained model shares: what reaches its batches and its scores, and what it refuses."""

from dataclasses import dataclass

import numpy as np
import pytest

from attention_from_scratch.evaluation import sampled_negatives
from attention_from_scratch.models.trained import TrainedRecommender, TrainedSettings
from attention_from_scratch.settings import Flag, Kinds, Whole, option
from attention_from_scratch.training import cut_batches, epoch_batches, save_model

N_ITEMS, MAX_LEN = 30, 4


@dataclass(frozen=True)
class ToySettings(TrainedSettings):
    """What a Toy is told."""

    max_len: int = option(MAX_LEN, Whole(), "latest events looked at")
    context: dict | None = option(None, Kinds(), "what else is known of an event")
    cut: bool = option(False, Flag(), "cut histories in two")


class Toy(TrainedRecommender):
    """Learns nothing, notes its shards, and scores by a formula of the last event and context."""

    KIND = "toy"
    Settings = ToySettings

    def __init__(self, **settings):
        told = {"n_items": N_ITEMS, "max_len": MAX_LEN, "dtype": "float64"}
        super().__init__(**told | settings)
        self.kinds = self.settings.context
        self.shards_seen = []

    def initial_params(self):
        return {"table": np.zeros((2, 3)), "none": None, "blocks": [{"bias": np.zeros(2)}]}

    def batches(self, sequences, batch_size, epoch, *, pieces, **columns):
        settings = {"max_len": MAX_LEN, "batch_size": batch_size, "n_shards": 2, **columns}
        settings["rng"] = self.stream("order", epoch)
        if self.settings.cut:
            return cut_batches(sequences, n_targets=2, cuts=50, **settings)
        return epoch_batches(sequences, pieces=pieces, **settings)

    def loss(self, params, shard, *, rng, total):
        self.shards_seen.append(shard)
        return 0.0, lambda: {
            "table": np.zeros((2, 3)),
            "none": None,
            "blocks": [{"bias": np.zeros(2)}],
        }

    def batch_scores(self, params, item_counts, ids, context):
        """1 for the item that is the last one plus the last of the context."""
        scores = np.zeros((len(ids), N_ITEMS + 1))
        wanted = ids[:, -1] + sum(column[:, -1] for column in context.values())
        scores[np.arange(len(ids)), wanted % (N_ITEMS + 1)] = 1
        return scores


RNG = np.random.default_rng(0)
HISTORIES = [RNG.permutation(N_ITEMS)[:length] + 1 for length in (3, 1, 9, 0, 6, 2)]
BEHAVIOUR = [10 + history for history in HISTORIES]  # told by its item, so that a mix-up shows
WANTED = [RNG.random(len(history)) < 0.6 for history in HISTORIES]
CONTEXT = {"behaviour": BEHAVIOUR}
CALM = {"threads": 1, "progress": False}


def toy(**settings):
    return Toy(context={"behaviour": N_ITEMS + 10}, **settings)


def fit(model, histories=HISTORIES, **keywords):
    return model.fit(histories, **{"epochs": 1, "batch_size": 4} | CALM | keywords)


# --- what reaches the batches


@pytest.mark.parametrize(
    ("cut", "pieces"),
    [(False, False), (False, True), (True, False)],
    ids=["last events", "in pieces", "cut in two"],
)
def test_the_batches_have_the_context_of_each_event_and_only_targets_that_are_wanted(cut, pieces):
    model = fit(toy(cut=cut), context=CONTEXT, wanted=WANTED, pieces=pieces)
    learnt = []
    for shard in model.shards_seen:
        before, after = shard.ids, shard.targets
        assert np.array_equal(shard.context["behaviour"], np.where(before, 10 + before, 0))
        if cut:
            before, after = before[:, -1:], after[:, :1]
        learnt += zip(before[after > 0].tolist(), after[after > 0].tolist(), strict=True)
    expected = [
        (int(history[place - 1]), int(history[place]))
        for history, flags in zip(HISTORIES, WANTED, strict=True)
        for place in range(1, len(history))
        if flags[place] and (cut or pieces or place >= len(history) - MAX_LEN)
    ]
    assert 5 <= len(expected) < sum(len(history) - 1 for history in HISTORIES if len(history))
    assert sorted(learnt) == sorted(expected)


def test_users_with_fewer_than_two_events_are_in_no_batch_but_are_counted():
    model = fit(toy(), context=CONTEXT)
    met = [tuple(history) for shard in model.shards_seen for history in shard.histories]
    assert sorted(met) == sorted(tuple(h) for h in HISTORIES if len(h) > 1)
    assert (
        model.item_counts.tolist()
        == np.bincount(np.concatenate(HISTORIES), minlength=N_ITEMS + 1).tolist()
    )


@pytest.mark.parametrize(("pieces", "most"), [(False, MAX_LEN), (True, 500)])
def test_processes_are_chosen_by_the_events_that_are_learned_from(monkeypatch, pieces, most):
    counts = []
    monkeypatch.setattr(
        "attention_from_scratch.models.trained.processes_that_help",
        lambda n_events, n_shards: counts.append(n_events) or 1,
    )
    long = [RNG.integers(1, N_ITEMS + 1, 500) for _ in range(4)]
    Toy().fit([*long, [1, 2]], epochs=2, pieces=pieces, progress=False)
    assert counts == [2 * (4 * most + 2)]


def test_a_model_without_context_needs_none():
    model = fit(Toy())
    assert all(shard.context == {} for shard in model.shards_seen)
    assert np.array_equal(model.scores([[3]]), model.scores([[3]], {}))


# --- what reaches the scores


def test_the_context_of_a_user_goes_with_the_user():
    """Users are scored in the order of their lengths, many at a time."""
    model = fit(toy(), context=CONTEXT)
    rng = np.random.default_rng(1)
    histories = [rng.integers(1, N_ITEMS + 1, rng.integers(1, 9)) for _ in range(300)]
    behaviours = [rng.integers(0, N_ITEMS, len(history)) for history in histories]
    scores = model.scores(histories, {"behaviour": behaviours})
    for user, (history, behaviour) in enumerate(zip(histories, behaviours, strict=True)):
        wanted = (history[-1] + behaviour[-1]) % (N_ITEMS + 1)
        assert np.flatnonzero(scores[user] == 1).tolist() == ([wanted] if wanted else [])
    assert np.all(scores[:, 0] == -np.inf)


def test_the_validation_is_scored_with_the_context():
    histories = [np.array([user + 1]) for user in range(12)] + [np.array([1, 2])]
    behaviours = [np.full(len(history), 1 + user) for user, history in enumerate(histories)]
    validation = np.array([2 * (user + 1) for user in range(12)] + [0])
    model = fit(
        toy(),
        histories,
        context={"behaviour": behaviours},
        validation=validation,
        protocol=sampled_negatives(5),
    )
    assert model.history[0]["MRR"] == 1
    assert model.history[0]["users"] == 12


def test_recommend_hands_on_what_scores_takes():
    model = fit(toy(), context=CONTEXT)
    ids, scores = model.recommend([[3, 4], [5]], k=1, context={"behaviour": [[1, 2], [7]]})
    assert ids[:, 0].tolist() == [6, 12]
    assert scores[:, 0].tolist() == [1, 1]


# --- what cannot be


CONTEXTS = {
    "nothing": (None, r"context has nothing, but the model was made for \['behaviour'\]"),
    "another": ({"place": BEHAVIOUR}, r"context has \['place'\], but the model was made for \['b"),
    "one more": (CONTEXT | {"place": BEHAVIOUR}, r"context has \['behaviour', 'place'\], but the "),
    "a list": ([BEHAVIOUR], "context was a list, but must be a mapping from names to one sequence"),
    "too few users": (
        {"behaviour": BEHAVIOUR[:2]},
        r"context\['behaviour'\] was of 2 users, but must be of 6",
    ),
    "a number": ({"behaviour": 3}, r"context\['behaviour'\] was 3, but must be one sequence per u"),
    "too few events": (
        {"behaviour": [BEHAVIOUR[0][:2], *BEHAVIOUR[1:]]},
        r"context\['behaviour'\] of user 0 was of shape \(2,\), but must be of \(3,\), one entry",
    ),
    "too large": (
        {"behaviour": [*BEHAVIOUR[:5], np.array([1, 41])]},
        r"context\['behaviour'\] of user 5 holds 41, but may hold 0..40",
    ),
    "negative": (
        {"behaviour": [*BEHAVIOUR[:5], np.array([1, -1])]},
        r"context\['behaviour'\] of user 5 holds -1, but may hold 0..40",
    ),
}


@pytest.mark.parametrize(("context", "message"), CONTEXTS.values(), ids=CONTEXTS)
def test_a_context_that_cannot_be_is_an_error_that_names_it(context, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        fit(toy(), context=context)
    model = fit(toy(), context=CONTEXT)
    with pytest.raises(ValueError, match=f"^{message}"):
        model.scores(HISTORIES, context)
    with pytest.raises(ValueError, match=f"^{message}"):
        model.recommend(HISTORIES, context=context)


def test_a_context_of_floats_is_an_error():
    context = {"behaviour": [behaviour.astype(float) for behaviour in BEHAVIOUR]}
    with pytest.raises(TypeError, match=r"user 0 was of float64, but must be of integers"):
        fit(toy(), context=context)


def test_a_model_made_for_no_context_takes_none():
    with pytest.raises(ValueError, match=r"^context has \['behaviour'\], but the model was made f"):
        fit(Toy(), context=CONTEXT)


ALL = [np.ones(len(history), bool) for history in HISTORIES]
WANTS = {
    "too few users": (ALL[:3], "wanted was of 3 users, but must be of 6"),
    "no list": (True, "wanted was True, but must be one sequence per user"),
    "too few events": (
        [ALL[0][:2], *ALL[1:]],
        r"wanted of user 0 was of shape \(2,\), but must be of \(3,\), one entry for each event",
    ),
    "integers": (
        [ALL[0].astype(int), *ALL[1:]],
        "wanted of user 0 was of int64, but must be of booleans",
    ),
    "none of them": (
        [np.zeros(len(history), bool) for history in HISTORIES],
        "wanted holds no event after a first one: there is nothing to learn",
    ),
    "first ones": (
        [np.arange(len(history)) == 0 for history in HISTORIES],
        "wanted holds no event after a first one: there is nothing to learn",
    ),
}


@pytest.mark.parametrize(("wanted", "message"), WANTS.values(), ids=WANTS)
def test_what_cannot_be_wanted_is_an_error_that_names_it(wanted, message):
    model = Toy()
    with pytest.raises(ValueError, match=f"^{message}"):
        fit(model, wanted=wanted)
    assert not model.shards_seen


def test_a_file_that_lacks_a_part_or_has_one_too_many_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "model.npz"
    model = fit(Toy(cut=True))
    model.save(path)
    loaded = Toy.load(path)
    assert loaded.config == model.config
    assert loaded.params["none"] is None
    description = {"model": "toy", "config": model.config, "best_epoch": 1, "history": []}
    for params, message in (
        ({"table": np.zeros((2, 3))}, r"has no blocks.0.bias of shape \(2,\)"),
        (model.params | {"table": np.zeros((3, 2))}, r"has no table of shape \(2, 3\)"),
        (model.params | {"more": np.zeros(1)}, "has a more, which the model has not"),
    ):
        save_model(path, {"model": params, "item_counts": model.item_counts}, description)
        with pytest.raises(ValueError, match=message):
            Toy.load(path)
    save_model(path, {"item_counts": model.item_counts}, description)
    with pytest.raises(ValueError, match=r"model\.npz lacks a part of a toy model"):
        Toy.load(path)
    save_model(path, {"model": model.params}, description | {"model": "other"})
    with pytest.raises(ValueError, match="holds a other model, not a toy"):
        Toy.load(path)
