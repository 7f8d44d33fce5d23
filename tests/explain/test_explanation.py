"""What a recommendation rests on: against loops, by hand, and where it must be nothing."""

import numpy as np
import pytest

from attention_from_scratch.explain.agreement import agreement
from attention_from_scratch.explain.correlation import spearman
from attention_from_scratch.explain.explanation import CAUTION, Explanation, explain
from attention_from_scratch.explain.rollout import attention_rollout
from attention_from_scratch.models import Pipeline, Recommender, SASRec, gru4rec
from attention_from_scratch.models.popularity import MostPopular
from attention_from_scratch.tree import tree_map

N_ITEMS = 7
HISTORY = np.array([3, 1, 4, 1, 5])
COUNTS = np.array([0, 9, 3, 0, 4, 2, 1, 1])
SMALL = {"max_len": 6, "dim": 4, "dtype": "float64"}


def ready(model):
    """The model with parameters away from zeros and ones, as if it had been trained."""
    rng = np.random.default_rng(3)
    fresh = model.initial_params()
    model.params = tree_map(lambda leaf: leaf + 0.5 * rng.standard_normal(leaf.shape), fresh)
    model.item_counts = COUNTS
    return model


def sasrec(**settings):
    return ready(SASRec(N_ITEMS, **SMALL | {"n_blocks": 2, "n_heads": 2} | settings))


def pipeline(**settings):
    return ready(Pipeline(N_ITEMS, **SMALL | settings))


def log_p(model, history, *context):
    scores = model.scores([history], *context)[0, 1:]
    return scores - np.log(np.exp(scores).sum())


# --- by leaving out


@pytest.mark.parametrize("model", [sasrec(), sasrec(norm="paper"), gru4rec(N_ITEMS, **SMALL)])
def test_the_loss_is_that_of_scoring_again_without_each_event(model):
    ready(model)
    found = model.explain(HISTORY, item=6)
    whole = log_p(model, HISTORY)[5]
    assert found.log_probability == pytest.approx(whole, rel=1e-12)
    for event in range(len(HISTORY)):
        rest = [item for place, item in enumerate(HISTORY) if place != event]
        assert found.loss[event] == pytest.approx(whole - log_p(model, rest)[5], abs=1e-12)
        score_loss = model.scores([HISTORY])[0, 6] - model.scores([rest])[0, 6]
        assert found.score_loss[event] == pytest.approx(score_loss, abs=1e-12)
    assert found.history.tolist() == HISTORY.tolist()
    assert found.n_older == 0


def test_what_is_known_of_an_event_leaves_with_it():
    model = pipeline(context={"behaviour": 3})
    behaviours = np.array([1, 2, 3, 1, 2])
    found = explain(model, HISTORY, 2, {"behaviour": behaviours})
    whole = log_p(model, HISTORY, {"behaviour": [behaviours]})[1]
    for event in range(len(HISTORY)):
        rest, known = np.delete(HISTORY, event), np.delete(behaviours, event)
        without = log_p(model, rest, {"behaviour": [known]})[1]
        assert found.loss[event] == pytest.approx(whole - without, abs=1e-12)


def test_an_event_outside_the_window_loses_nothing():
    found = pipeline(encoder="embedding", attention="local", window=2).explain(HISTORY, 3)
    assert (found.loss[:-2] == 0).all()
    assert (found.score_loss[:-2] == 0).all()
    assert (found.attention[:-2] == 0).all()
    assert (found.loss[-2:] != 0).all()


def test_what_the_model_does_not_look_at_neither_counts_nor_comes_into_view():
    model, older = sasrec(), [2, 7, 6, 3]
    long = np.concatenate([older, [2], HISTORY])
    found, cut = model.explain(long, 4), model.explain(long[-6:], 4)
    assert (found.n_older, cut.n_older) == (4, 0)
    assert np.array_equal(found.loss, cut.loss)
    assert np.array_equal(found.attention, cut.attention)
    assert len(found.loss) == 6
    assert "4 older ones are not looked at" in str(found)


def test_context_is_cut_with_the_history():
    model = pipeline(context={"behaviour": 3})
    long, behaviours = np.arange(8) % 7 + 1, np.arange(8) % 3 + 1
    found = model.explain(long, 4, {"behaviour": behaviours})
    cut = model.explain(long[-6:], 4, {"behaviour": behaviours[-6:]})
    assert np.array_equal(found.loss, cut.loss)
    with pytest.raises(ValueError, match="behaviour"):  # of another length, which a cut would hide
        model.explain(long, 4, {"behaviour": behaviours[1:]})


def test_without_its_only_event_an_item_is_as_probable_as_it_is_popular():
    model = sasrec()
    found = model.explain([4], item=2)
    popularity = (1 + COUNTS[2]) / (N_ITEMS + COUNTS.sum())
    assert found.loss[0] == pytest.approx(log_p(model, [4])[1] - np.log(popularity))
    assert np.isnan(found.score_loss).all()
    assert found.attention.tolist() == [1.0]
    assert np.isnan(found.correlation)
    assert "as probable as it is popular" in str(found)


def test_a_shift_of_all_scores_together_means_nothing():
    class Shifted(Recommender):
        n_items = N_ITEMS

        def scores(self, histories):
            return model.scores(histories) + np.array([[len(set(h))] for h in histories])

    model = sasrec()
    plain, shifted = explain(model, HISTORY, 6), explain(Shifted(), HISTORY, 6)
    np.testing.assert_allclose(shifted.loss, plain.loss, atol=1e-12)
    np.testing.assert_allclose(shifted.score_loss - plain.score_loss, [1, 0, 1, 0, 1], atol=1e-12)


# --- by attention


def test_one_block_and_head_give_half_of_their_last_row_and_half_to_the_last_event():
    model = sasrec(n_blocks=1, n_heads=1)
    last = model.attention_weights(HISTORY)[0, 0, -1]
    expected = last / 2
    expected[-1] += 1 / 2
    np.testing.assert_allclose(model.explain(HISTORY, 1).attention, expected, rtol=1e-12)


def test_rollout_is_the_product_of_all_blocks():
    model = sasrec()
    (a1, b1), (a2, b2) = model.attention_weights(HISTORY)
    product = np.eye(5)
    for heads in ((a1, b1), (a2, b2)):
        product = (0.5 * (heads[0] + heads[1]) / 2 + 0.5 * np.eye(5)) @ product
    attention = model.explain(HISTORY, 1).attention
    np.testing.assert_allclose(attention, product[-1], rtol=1e-12)
    assert attention.sum() == pytest.approx(1)


def test_the_attention_stage_of_the_pipeline_has_no_way_round_it():
    model = pipeline(encoder="embedding", attention="global", n_heads=2)
    maps = model.attention_weights(HISTORY)
    np.testing.assert_allclose(model.explain(HISTORY, 1).attention, maps[0].mean(axis=0)[-1])

    model = pipeline(encoder="transformer", attention="causal", n_blocks=1)
    (block,), (stage,) = model.attention_weights(HISTORY)
    expected = stage[-1] @ (block + np.eye(5)) / 2
    np.testing.assert_allclose(model.explain(HISTORY, 1).attention, expected)


def test_where_the_mean_over_all_events_is_read_all_rows_count():
    model = pipeline(encoder="embedding", attention="global", aggregation="pooled")
    rows = model.attention_weights(HISTORY)[0, 0]
    np.testing.assert_allclose(model.explain(HISTORY, 1).attention, rows.mean(axis=0))


def test_rollout_by_hand():
    first = np.array([[1, 0], [0.4, 0.6]])
    second = np.array([[1, 0], [0.2, 0.8]])
    # r = (0.2 + 0, 0.8 + 1) / 2 = (0.1, 0.9); then (0.1 + 0.36, 0.54) / 2 + (0.05, 0.45).
    maps = np.array([first, second])[:, None]
    np.testing.assert_allclose(attention_rollout(maps), [0.28, 0.72])
    np.testing.assert_allclose(attention_rollout(maps, bypass=[True, False]), [0.36, 0.64])


@pytest.mark.parametrize(
    "model",
    [
        gru4rec(N_ITEMS, **SMALL),
        Pipeline(N_ITEMS, **SMALL, attention="featurewise", aggregation="pooled"),
        Pipeline(N_ITEMS, **SMALL, decoder="transformer"),
    ],
)
def test_where_no_weights_say_what_is_read_there_are_none(model):
    found = ready(model).explain(HISTORY, 2)
    assert found.attention is found.correlation is found.same_first is None
    assert np.isfinite(found.loss).all()
    assert "No attention weights" in str(found)
    assert CAUTION not in str(found)
    with pytest.raises(ValueError, match="no attention weights"):
        agreement(model, [HISTORY], [2])


def test_popularity_rests_on_no_event():
    found = explain(MostPopular(N_ITEMS).fit([[1, 2], [2, 3]]), HISTORY, 2)
    assert found.attention is None
    assert (found.loss == 0).all()


# --- the two compared


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 3, 4], [0, 10, 11, 1000], 1),
        ([1, 2, 3, 4], [9, 5, 4, -2], -1),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),  # 1 - 6 * (1 + 1 + 1 + 1) / (5 * 24)
        ([1, 2, 2, 4], [1, 3, 2, 4], 4.5 / np.sqrt(4.5 * 5)),  # ranks 1, 2.5, 2.5, 4
        ([0, 0, 0, 7], [1, 2, 3, 3], 2 / np.sqrt(3 * 4.5)),  # 2, 2, 2, 4 and 1, 2, 3.5, 3.5
        ([5, 5, 5], [1, 2, 3], np.nan),
        ([1, 2], [1, 2], np.nan),
        ([], [], np.nan),
    ],
)
def test_spearman_by_hand(x, y, expected):
    x, y = np.array(x, float), np.array(y, float)
    assert spearman(x, y) == pytest.approx(expected, nan_ok=True)
    assert spearman(y, x) == pytest.approx(expected, nan_ok=True)


def explanation(attention, loss):
    loss, history = np.array(loss, float), np.arange(1, len(loss) + 1)
    attention = None if attention is None else np.array(attention, float)
    return Explanation(2, np.log(0.25), history, 0, attention, loss, loss)


@pytest.mark.parametrize(
    ("attention", "loss", "words"),
    [
        ([0.1, 0.2, 0.3, 0.4], [-1, 0, 1, 2], "ranks the events much as"),
        ([0.3, 0.2, 0.1, 0.4], [0.1, 0.2, 0.3, 2], "names the same event first"),
        ([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, -2], "but not whether they speak for"),
        ([0.4, 0.1, 0.2, 0.3], [0.5, -0.1, 0.6, 0.7], "only in part"),
        ([0.4, 0.3, 0.1, 0.2], [0.1, 0.7, 0.3, 0.5], "does not tell"),
        ([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], "against what leaving"),
        ([0.5, 0.5], [1, 2], "Too few events"),
        ([0.2, 0.3, 0.5], [0, 0, 0], "Too few events, or all alike"),
    ],
)
def test_the_sentence_fits_the_numbers(attention, loss, words):
    told = explanation(attention, loss).describe()
    assert words in told
    assert told.endswith(CAUTION)
    assert "Jain & Wallace 2019" in told
    assert "Wiegreffe & Pinter 2019" in told


def test_the_table_reads_event_by_event():
    names = ["", "cart", "bike"]
    found = explanation([0.125, 0.875], [-np.log(2), np.log(2)])
    lines = found.describe(names).splitlines()
    assert lines[0] == "bike: probability 0.25 after 2 events, oldest first"
    assert lines[2].split() == ["0.125", "-0.693", "0.5", "cart"]
    assert lines[3].split() == ["0.875", "+0.693", "0.125", "bike"]
    assert "item 2: probability" in str(found)
    assert str(explanation(None, [1.0, 2.0])).splitlines()[2].split()[:2] == ["-", "+1.000"]


def test_agreement_is_that_of_the_users_explanations():
    model = sasrec()
    histories, items = [HISTORY, [2, 3], [], [6, 5, 4, 3], [1, 2, 7]], [6, 1, 1, 2, 3]
    found = agreement(model, histories, items)
    singles = [explain(model, histories[user], items[user]) for user in (0, 3, 4)]
    assert np.isnan(found.attention[[1, 2]]).all()
    assert np.isnan(found.last_first[[1, 2]]).all()
    expected = np.array([e.correlation for e in singles])
    np.testing.assert_array_equal(found.attention[[0, 3, 4]], expected)
    np.testing.assert_array_equal(found.size[[0, 3, 4]], [e.size_correlation for e in singles])
    recency = [spearman(np.arange(len(e.loss)), e.loss) for e in singles]
    np.testing.assert_array_equal(found.recency[[0, 3, 4]], recency)
    last_first = [e.loss[-1] == max(e.loss) for e in singles]
    np.testing.assert_array_equal(found.last_first[[0, 3, 4]], last_first)
    same = [list(e.loss).index(max(e.loss)) == e.attention.argmax() for e in singles]
    np.testing.assert_array_equal(found.same_first[[0, 3, 4]], same)
    assert found.mean == pytest.approx(expected.sum() / 3)
    assert found.std == pytest.approx(np.sqrt(((expected - found.mean) ** 2).sum() / 3))
    row = str(found).splitlines()[1].split()
    assert row[-3:] == [f"{found.mean:.2f}", f"{found.std:.2f}", "3"]


def test_agreement_of_nobody_is_undefined():
    found = agreement(sasrec(), [[1, 2]], [3])
    assert np.isnan(found.mean)
    assert np.isnan(found.std)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sasrec().explain([], 1), "history is empty, but"),
        (lambda: sasrec().explain([1], 0), "item was 0, but must be an integer from 1 on"),
        (lambda: sasrec().explain([1], 8), r"item was 8, but the catalogue has items 1\.\.7"),
        (lambda: sasrec().explain([8], 1), "histories of user 0 holds 8"),
        (lambda: SASRec(7, **SMALL).explain([1], 1), "has not been trained"),
        (lambda: sasrec().explain([1], 1, {"gap": [1]}), "context has"),
        (lambda: agreement(sasrec(), [[1]], [1, 2]), "items has 2 entries, but there are 1 users"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
