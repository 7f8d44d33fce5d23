"""BPR-MF: its loss, its draws, and whom it knows."""

import math

import numpy as np
import pytest

from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import bpr
from attention_from_scratch.models.bpr import BPR
from attention_from_scratch.networks import factorisation
from attention_from_scratch.networks.factorisation import bpr_loss, fold_in, sum_of_rows
from attention_from_scratch.training import save_model
from attention_from_scratch.training.negatives import draw_unseen
from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify import Case

N_ITEMS = 20
# Two tastes: items 1..10 and items 11..20; each user has met five of the ten.
TASTES = [np.arange(1, 11), np.arange(11, 21)]
HISTORIES = [
    np.random.default_rng(user).permutation(TASTES[user % 2])[:5].tolist() for user in range(40)
]
VALIDATION = np.array([(set(TASTES[u % 2]) - set(h)).pop() for u, h in enumerate(HISTORIES)])


def fitted(histories=HISTORIES, *, fit=None, **settings):
    model = BPR(N_ITEMS, **{"dim": 2, "regularization": 0.1} | settings)
    fit = {"epochs": 3, "lr": 0.05, "batch_size": 32, "threads": 1, "progress": False} | (fit or {})
    return model.fit(histories, **fit)


@pytest.fixture(scope="module")
def model():
    return fitted(fit={"epochs": 30})


def small_params(n_users=5, n_items=6, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    sizes = {"n_users": n_users, "n_items": n_items, "dim": dim}
    params = factorisation.init_params(rng, **sizes, dtype="float64")
    return {name: leaf + rng.standard_normal(leaf.shape) for name, leaf in params.items()}


USERS = np.array([0, 3, 3, 1, 0, 3])
POSITIVES = np.array([2, 5, 1, 2, 2, 6])  # 2 thrice, and 5 and 1 on either side
NEGATIVES = np.array([5, 1, 4, 4, 3, 1])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# --- the loss


@pytest.mark.parametrize("settings", [{}, {"regularization": 0.3}, {"total": 11}])
def test_every_gradient_of_the_loss_is_the_derivative(settings):
    report = Case(bpr_loss, (small_params(), USERS, POSITIVES, NEGATIVES), settings).check()
    assert report.passed, report
    assert report.error("complex step") <= 1e-12
    assert {"params.users", "params.items", "params.bias"} <= {row.name for row in report.rows}


def test_the_loss_is_that_of_a_loop_over_the_triples():
    params, r = small_params(), 0.3
    total = 0.0
    for user, i, j in zip(USERS, POSITIVES, NEGATIVES, strict=True):
        w, h_i, h_j = params["users"][user], params["items"][i], params["items"][j]
        b_i, b_j = params["bias"][i], params["bias"][j]
        total -= math.log(sigmoid(w @ h_i + b_i - w @ h_j - b_j))
        total += r / 2 * (w @ w + h_i @ h_i + h_j @ h_j + b_i**2 + b_j**2)
    triples = (USERS, POSITIVES, NEGATIVES)
    assert bpr_loss(params, *triples, regularization=r)[0] == pytest.approx(total / 6)
    assert bpr_loss(params, *triples, regularization=r, total=10)[0] == pytest.approx(total / 10)


def test_a_step_on_one_triple_is_the_papers():
    """Its figure 4 with section 4.3.1: w <- w + a (s (h_i - h_j) - r w), and so on."""
    params, r, a = small_params(), 0.2, 0.1
    w, h_i, h_j = params["users"][3], params["items"][5], params["items"][1]
    s = 1 - sigmoid(w @ (h_i - h_j) + params["bias"][5] - params["bias"][1])
    _, backward = bpr_loss(params, *np.array([[3], [5], [1]]), regularization=r)
    grads = backward()
    assert np.allclose(w - a * grads["users"][3], w + a * (s * (h_i - h_j) - r * w))
    assert np.allclose(h_i - a * grads["items"][5], h_i + a * (s * w - r * h_i))
    assert np.allclose(h_j - a * grads["items"][1], h_j + a * (-s * w - r * h_j))
    assert np.count_nonzero(grads["users"].any(axis=1)) == 1
    assert np.count_nonzero(grads["bias"]) == 2


def test_no_triples_are_loss_0_and_gradient_0():
    nothing = np.zeros(0, np.int64)
    loss, backward = bpr_loss(small_params(), nothing, nothing, nothing, regularization=0.1)
    assert loss == 0
    assert not any(leaf.any() for _, leaf in tree_leaves(backward()))


@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_sum_of_rows_adds_up_what_has_the_same_id(shape):
    ids = np.array([1, 3, 1, 1, 0])
    rows = np.random.default_rng(0).standard_normal((5, *shape[1:]))
    expected = np.zeros(shape)
    for place, row in zip(ids, rows, strict=True):
        expected[place] += row
    assert np.allclose(sum_of_rows(ids, rows, np.ones(shape)), expected)


# --- draws


def test_every_unseen_item_is_drawn_equally_often_and_no_seen_one():
    histories = [[2, 5, 2], [1, 2, 3, 4, 5, 6], [7], [1, 7, 4]]
    histories = [np.array(history) for history in histories]
    n = 6000
    users = np.tile(np.arange(4), n)
    drawn = draw_unseen(histories, users, 7, np.random.default_rng(0))
    for user, history in enumerate(histories):
        counts = np.bincount(drawn[users == user], minlength=8)
        unseen = np.setdiff1d(np.arange(1, 8), history)
        assert counts.sum() == counts[unseen].sum() == n
        # Five standard deviations of a binomial count.
        share = 1 / len(unseen)
        assert np.abs(counts[unseen] - n * share).max() <= 5 * (n * share * (1 - share)) ** 0.5


def test_who_has_seen_everything_gets_any_item():
    histories = [np.array([3, 1, 2]), np.array([2])]
    drawn = draw_unseen(histories, np.array([0] * 200 + [1]), 3, np.random.default_rng(0))
    assert set(drawn[:200]) == {1, 2, 3}
    assert drawn[200] in (1, 3)


def triples_of(model, histories, **columns):
    histories = [np.array(history) for history in histories]
    return [list(model.batches(histories, 7, epoch, **columns)) for epoch in (1, 2)]


def test_an_epoch_has_every_event_once_with_an_item_that_the_user_has_not_met():
    epochs = triples_of(BPR(N_ITEMS), HISTORIES[:5])
    for batches in epochs:
        assert [sum(shard.count for shard in batch) for batch in batches] == [7, 7, 7, 4]
        met = [
            triple
            for batch in batches
            for shard in batch
            for triple in zip(shard.users, shard.positives, shard.negatives, strict=True)
        ]
        expected = [(user, item) for user in range(5) for item in HISTORIES[user]]
        assert sorted(triple[:2] for triple in met) == sorted(expected)
        assert all(negative not in HISTORIES[user] for user, _, negative in met)
    first, second = (batches[0][0] for batches in epochs)
    assert first.users.tolist() != second.users.tolist()


def test_only_wanted_events_are_learnt_but_no_seen_one_is_drawn_against_them():
    wanted = [np.arange(5) >= 2 for _ in HISTORIES]
    for batches in triples_of(BPR(N_ITEMS), HISTORIES, wanted=wanted):
        for shard in (shard for batch in batches for shard in batch):
            for user, positive, negative in zip(
                shard.users, shard.positives, shard.negatives, strict=True
            ):
                assert positive in HISTORIES[user][2:]
                assert negative not in HISTORIES[user]


# --- learning


def test_what_is_recommended_is_to_the_users_taste(model):
    ids, _ = model.recommend(HISTORIES, k=5)
    mine = [np.isin(row, TASTES[user % 2]).mean() for user, row in enumerate(ids)]
    assert np.mean(mine) > 0.95
    assert model.history[-1]["loss"] < 0.7 * model.history[0]["loss"]


def test_a_seed_gives_the_same_parameters_bit_for_bit_on_any_number_of_threads():
    first = dict(tree_leaves(fitted().params))
    for threads in (1, 3):
        for path, leaf in tree_leaves(fitted(fit={"threads": threads}).params):
            assert np.array_equal(leaf, first[path]), path
    other = dict(tree_leaves(fitted(seed=1).params))
    assert not any(np.array_equal(leaf, other[path]) for path, leaf in first.items())


def test_the_epoch_is_chosen_by_validation():
    model = fitted(fit={"epochs": 6, "validation": VALIDATION, "evaluate_every": 2})
    metrics = {row["epoch"]: row["NDCG@10"] for row in model.history if "NDCG@10" in row}
    assert list(metrics) == [2, 4, 6]
    assert metrics[model.best_epoch] == max(metrics.values())
    assert evaluate(model.scores, HISTORIES, VALIDATION)["NDCG@10"] == max(metrics.values())


def test_a_fit_that_fails_leaves_the_model_as_it_was(model, monkeypatch):
    monkeypatch.setattr(BPR, "loss", lambda *arguments, **keywords: 1 / 0)
    users, scores = model.users, model.scores(HISTORIES)
    with pytest.raises(ZeroDivisionError):
        model.fit(HISTORIES[:3], epochs=1, threads=1, progress=False)
    assert model.users is users
    assert np.array_equal(model.scores(HISTORIES), scores)


# --- who is who


def scores_by_hand(model, user):
    params = model.params
    scores = [
        params["users"][user] @ params["items"][item] + params["bias"][item]
        for item in range(1, N_ITEMS + 1)
    ]
    return [-math.inf, *scores]


def test_a_user_is_known_by_the_training_history_and_what_came_after_it(model):
    later = [[*history, 1 + history[0] % N_ITEMS] for history in HISTORIES]
    for histories in (HISTORIES, later, [history + history for history in HISTORIES]):
        scores = model.scores(histories)
        for user in range(len(HISTORIES)):
            assert np.allclose(scores[user], scores_by_hand(model, user), atol=1e-5)


def test_who_is_not_known_is_folded_in(model):
    vectors = model.params["users"]
    strangers = [
        HISTORIES[0][:3],  # not all of a training history
        HISTORIES[0][::-1],  # another order
        [*HISTORIES[0], *HISTORIES[1], 3],  # a training history makes less than half of it
    ]
    for vector in model.user_vectors(model.params, [np.array(h) for h in strangers]):
        assert vector.any()
        assert not (vectors == vector).all(axis=1).any()


def test_users_with_one_event_teach_nothing_and_are_strangers():
    model = fitted([[5], *HISTORIES, [7]])
    assert len(model.users) == len(model.params["users"]) == len(HISTORIES)
    assert np.allclose(model.scores(HISTORIES)[3], scores_by_hand(model, 3), atol=1e-5)


def test_the_first_of_two_users_with_the_same_history_stands_for_both():
    model = fitted([*HISTORIES, HISTORIES[0]])
    assert len(model.params["users"]) == len(HISTORIES) + 1
    assert np.allclose(model.scores([HISTORIES[0]])[0], scores_by_hand(model, 0), atol=1e-5)


def test_a_stranger_gets_what_is_to_their_taste_whoever_is_asked_with_them(model):
    strangers = [[1, 3], [17, 11], [12, 2, 3]]
    ids, scores = model.recommend(strangers, k=8)
    assert set(ids[0]) == set(TASTES[0]) - {1, 3}
    assert set(ids[1]) == set(TASTES[1]) - {17, 11}
    for one, row in zip(strangers, scores, strict=True):
        assert np.allclose(model.recommend([one], k=8)[1], row, atol=1e-6)


@pytest.mark.parametrize("regularization", [0.05, 0.3])
def test_fold_in_ends_where_the_gradient_of_the_loss_is_0(regularization):
    params, history = small_params(), np.array([2, 5])
    positives = np.repeat(history, bpr.FOLD_IN_NEGATIVES)
    nobody = np.zeros(len(positives), np.int64)
    negatives = draw_unseen([history], nobody, 6, np.random.default_rng(0))
    vector = fold_in(params, positives, negatives, regularization=regularization)
    here, start = (
        bpr_loss(
            params | {"users": users[None]},
            nobody,
            positives,
            negatives,
            regularization=regularization,
        )[1]()["users"]
        for users in (vector, np.zeros(3))
    )
    assert np.abs(here).max() < 1e-2 * np.abs(start).max()


def test_a_stranger_has_a_vector_even_without_regularization():
    """Of two items, one chosen: any vector far enough that way would do, so none is the best."""
    params = small_params(n_items=2)
    chosen = np.ones(bpr.FOLD_IN_NEGATIVES, int)
    vector = fold_in(params, chosen, 2 * chosen, regularization=0.0)
    apart = params["items"][1] - params["items"][2]
    assert 0 < vector @ apart < 100
    assert np.allclose(vector, (vector @ apart) / (apart @ apart) * apart)


def test_an_empty_history_is_scored_by_popularity(model):
    counts = np.bincount(np.concatenate(HISTORIES), minlength=N_ITEMS + 1)
    scores = model.scores([[], HISTORIES[1]])
    assert np.allclose(scores[0, 1:], np.log1p(counts[1:]))
    assert (scores[:, 0] == -np.inf).all()


# --- files and mistakes


def test_a_saved_model_knows_its_users(model, tmp_path):
    model.save(tmp_path / "model.npz")
    loaded = BPR.load(tmp_path / "model.npz")
    asked = [*HISTORIES, [1, 3], []]
    assert np.array_equal(loaded.scores(asked), model.scores(asked))
    assert loaded.config == model.config


def test_a_file_with_other_users_is_an_error(model, tmp_path):
    tree = {"model": model.params, "item_counts": model.item_counts}
    tree["constants"] = {"users": model.users[:3]}
    description = {"model": "bpr", "config": model.config, "best_epoch": 1, "history": []}
    save_model(tmp_path / "model.npz", tree, description)
    with pytest.raises(ValueError, match=r"has no users of shape \(3, 2\)"):
        BPR.load(tmp_path / "model.npz")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_items": 0}, "n_items was 0, but must be an integer from 1 on"),
        ({"dim": 2.5}, "dim was 2.5, but must be an integer from 1 on"),
        ({"regularization": -1}, "regularization was -1, but must be finite and at least 0"),
        ({"regularization": math.nan}, "regularization was nan, but must be finite"),
        ({"dtype": "float16"}, "dtype was 'float16', but must be one of"),
        ({"users": np.zeros((2, 3))}, r"users is float64 of shape \(2, 3\), but must be uint8"),
    ],
)
def test_a_setting_that_cannot_be_is_an_error_that_names_it(settings, message):
    with pytest.raises(ValueError, match=message):
        BPR(**{"n_items": N_ITEMS} | settings)


def test_scoring_before_fit_and_unknown_items_are_errors(model):
    with pytest.raises(ValueError, match="has not been trained"):
        BPR(N_ITEMS).scores([[1]])
    with pytest.raises(ValueError, match="histories of user 0 holds 21"):
        model.scores([[21]])


def test_both_ops_teach_the_same_to_the_last_bit():
    """So the shell, where they can be chosen for other models, asks nobody."""
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 61, rng.integers(2, 30)) for _ in range(100)]
    plain, quick = (
        BPR(60, 8, ops=ops).fit(histories, epochs=3, batch_size=128, progress=False)
        for ops in ("plain", "fast")
    )
    for name, array in plain.params.items():
        np.testing.assert_array_equal(array, quick.params[name])
    strangers = [[1, 2, 3], [7], []]
    np.testing.assert_array_equal(plain.scores(strangers), quick.scores(strangers))
