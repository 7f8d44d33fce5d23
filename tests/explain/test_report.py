"""The report over all users: against loops and hand counts, and what it must keep to itself."""

import numpy as np
import pytest

from attention_from_scratch.explain.report import aggregate_report
from attention_from_scratch.models import Pipeline, Recommender, SASRec

N_ITEMS = 6
NAMES = ["", "bread", "butter", "jam", "tea", "milk", "caviar"]
PULL = np.log(np.arange(1, 50) % 7 + 1).reshape(7, 7)  # of a held item on each item's score


class Pulls(Recommender):
    """The score of an item: the sum of what each item held pulls, the last one twice."""

    n_items = N_ITEMS

    def __init__(self):
        self.asked = 0

    def scores(self, histories):
        self.asked += len(histories)
        rows = [PULL[sorted(set(h))].sum(axis=0) + PULL[h[-1]] for h in histories]
        scores = np.array(rows).reshape(len(histories), N_ITEMS + 1)
        scores[:, 0] = -np.inf
        return scores


def log_p(history):
    scores = Pulls().scores([history])[0, 1:]
    return np.concatenate([[-1e9], scores - np.log(np.exp(scores).sum())])  # of the padding, no inf


@pytest.fixture(scope="module")
def people():
    """Thirty users of items 1..5, two of whom also met item 6, and one of nothing; time 0..2."""
    rng = np.random.default_rng(0)
    histories = [rng.integers(1, 6, rng.integers(1, 9)) for _ in range(30)] + [np.array([], int)]
    times = [np.sort(rng.uniform(0, 2, len(history))) for history in histories]
    for user in (3, 8):
        histories[user] = np.append(histories[user], 6)
        times[user] = np.append(times[user], 2.0)
    return histories, times


@pytest.fixture(scope="module")
def report(people):
    return aggregate_report(Pulls(), *people, period=1, min_users=3)


def test_expectations_are_the_mean_over_all_users_against_the_share_so_far(people, report):
    histories, _ = people
    found = report.expectations
    for item, expected, so_far in zip(found.items, found.expected, found.so_far, strict=True):
        p = [np.exp(log_p(history)[item]) for history in histories if len(history)]
        events = [event for history in histories for event in history]
        assert expected == pytest.approx(np.mean(p), rel=1e-12)
        assert so_far == pytest.approx(events.count(item) / len(events))
    ratios = found.expected / found.so_far
    assert (np.diff(ratios) <= 0).all()
    assert (report.n_users, report.n_asked) == (30, 30)


def test_influences_are_mean_losses_over_those_who_hold_the_cause(people, report):
    histories, _ = people
    found = report.influences
    assert len(found.causes) == len(found.effects) == 5
    for row, cause in enumerate(found.causes):
        losses = []
        for history in histories:
            rest = [item for item in history if item != cause]
            if rest and len(rest) < len(history):
                losses.append((log_p(history) - log_p(rest))[found.effects])
        assert found.users[row] == len(losses)
        np.testing.assert_allclose(found.loss[row], np.mean(losses, axis=0), atol=1e-12)
        error = np.std(losses, axis=0) / np.sqrt(len(losses))
        np.testing.assert_allclose(found.error[row], error, atol=1e-12)
    assert (np.diff(found.users) <= 0).all()
    specific = found.loss - found.loss.mean(axis=1)[:, None]
    assert [specific[pair] for pair in found.top(7)] == sorted(specific.ravel())[:-8:-1]


def test_trends_are_those_of_the_counts(people, report):
    histories, times = people
    found = report.trends
    for item, before, latest in zip(found.items, found.before, found.latest, strict=True):
        when = np.concatenate([t[h == item] for h, t in zip(histories, times, strict=True)])
        if not np.isnan(before):
            assert before == np.count_nonzero(when <= found.periods[1])
        if not np.isnan(latest):
            assert latest == np.count_nonzero(when > found.periods[1])
    assert found.n_before + found.n_latest == sum(map(len, histories))


def test_what_rests_on_few_users_is_nowhere(people, report):
    assert 6 not in report.trends.items
    assert 6 not in report.expectations.items
    assert 6 not in report.influences.causes
    assert 6 not in report.influences.effects
    assert "caviar" not in report.describe(NAMES, top=100)
    assert "caviar" in aggregate_report(Pulls(), *people, min_users=1).describe(NAMES, top=100)


def test_lifts_on_few_users_are_hidden(people):
    histories, times = people
    found = aggregate_report(Pulls(), histories, times, min_users=4).influences
    hidden = 0
    for row, cause in enumerate(found.causes):
        for column, effect in enumerate(found.effects):
            pair = [cause, effect]
            users = sum(
                any(list(history[at : at + 2]) == pair for at in range(len(history)))
                for history in histories
            )
            assert np.isnan(found.lift[row, column]) == (users < 4)
            hidden += users < 4
    assert 0 < hidden < found.lift.size


def test_causes_held_by_few_of_the_asked_are_left_out():
    # All hold 1 and 2; three hold 3; five hold nothing but 4, so nothing is left without it.
    histories = [[1, 2]] * 7 + [[1, 2, 3]] * 3 + [[4, 4]] * 5
    times = [list(range(len(history))) for history in histories]
    found = aggregate_report(Pulls(), histories, times, period=2, min_users=4).influences
    assert found.causes.tolist() == [1, 2]
    assert found.users.tolist() == [10, 10]
    assert found.effects.tolist() == [1, 2, 4]


def test_the_cost_is_bounded(people):
    model = Pulls()
    found = aggregate_report(model, *people, min_users=3, max_users=10, max_causes=2)
    assert found.n_asked == 10
    assert len(found.influences.causes) == 2
    assert 10 < model.asked <= 10 * (1 + 2)


def test_a_seed_draws_the_same_users(people):
    def expected(seed):
        few = aggregate_report(Pulls(), *people, min_users=3, max_users=10, seed=seed)
        return few.expectations.expected

    assert np.array_equal(expected(0), expected(0))
    assert not np.array_equal(expected(0), expected(1))


def test_an_event_is_taken_with_its_context_and_old_ones_are_not_looked_at():
    rng = np.random.default_rng(1)
    histories = [rng.integers(1, 5, rng.integers(2, 9)) for _ in range(12)]
    context = {"behaviour": [history % 3 + 1 for history in histories]}
    times = [np.arange(len(history)) for history in histories]
    model = Pipeline(N_ITEMS, 4, 4, context={"behaviour": 3}, dtype="float64")
    model.params = model.initial_params()
    found = aggregate_report(model, histories, times, context=context, min_users=2).influences
    cause, losses = found.causes[0], []

    def score(history):
        row = model.scores([history], {"behaviour": [history % 3 + 1]})[0, 1:]
        return (row - np.log(np.exp(row).sum()))[found.effects - 1]

    for history in histories:
        seen = history[-4:]
        rest = seen[seen != cause]
        if 0 < len(rest) < len(seen):
            losses.append(score(seen) - score(rest))
    np.testing.assert_allclose(found.loss[0], np.mean(losses, axis=0), atol=1e-12)


def test_a_trained_model_tells_what_leads_to_what():
    # After 1 comes 2 and after 3 comes 4; after the others, anything.
    rng = np.random.default_rng(0)
    drawn = rng.integers(1, 7, (300, 6))
    for place in range(5):
        drawn[:, place + 1][drawn[:, place] == 1] = 2
        drawn[:, place + 1][drawn[:, place] == 3] = 4
    model = SASRec(N_ITEMS, 6, 16, n_blocks=1, dropout=0.0)
    model.fit(list(drawn), epochs=6, lr=1e-2, batch_size=32, threads=1, progress=False)
    times = np.tile(np.arange(6), (300, 1))
    found = aggregate_report(model, drawn, times).influences
    pairs = {(found.causes[row], found.effects[column]) for row, column in found.top(2)}
    assert pairs == {(1, 2), (3, 4)}


# --- in words


def test_the_words_hold_the_numbers(report):
    text = report.describe(NAMES)
    assert str(report).count("item 1") == text.count("bread")
    assert text.startswith("30 users, 30 of them asked the model about; nothing is shown that")
    row, column = report.influences.top(1)[0]
    line = next(line for line in text.splitlines() if "->" in line)
    assert line.split()[0] == f"{report.influences.loss[row, column]:+.3f}"
    cause, effect = report.influences.causes[row], report.influences.effects[column]
    assert line.endswith(f"{NAMES[cause]} -> {NAMES[effect]}")
    assert len(report.describe(NAMES, top=1).splitlines()) < len(text.splitlines())


def test_what_rises_and_falls_in_words():
    # Of sixty users each, bread goes up from 20 to 40 and jam down; tea is new, on few before.
    before = [[1]] * 20 + [[3]] * 40
    latest = [[1]] * 40 + [[3]] * 8 + [[4]] * 12
    histories, times = before + latest, [[1.0]] * 60 + [[2.0]] * 60
    lines = aggregate_report(Pulls(), histories, times, period=1, min_users=8).describe(NAMES)
    lines = lines.splitlines()
    rising = next(place for place, line in enumerate(lines) if line.endswith("rising"))
    falling = next(place for place, line in enumerate(lines) if line.endswith("falling"))
    assert [line.split()[-1] for line in lines[rising + 1 : rising + 3]] == ["bread", "tea"]
    assert lines[rising + 1].split()[:5] == ["20", "33.33%", "40", "66.67%", "+33.33"]
    assert lines[rising + 2].split()[:5] == ["0", "0.00%", "12", "20.00%", "+20.00"]
    assert lines[falling + 1].split()[:5] == ["40", "66.67%", "8", "13.33%", "-53.33"]


def test_where_all_is_hidden_the_report_is_empty():
    histories, times = [[1 + user % 6] for user in range(20)], [[user % 2] for user in range(20)]
    found = aggregate_report(Pulls(), histories, times, period=1, min_users=10)
    assert not len(found.trends.items) + len(found.expectations.items) + found.influences.loss.size
    for words in ("nothing is rising", "nothing is falling", "not shown: 6", "nothing leads to"):
        assert words in str(found)
    assert "item" not in str(found).replace("items", "").replace("no item", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_users": 0}, "min_users was 0, but must be an integer from 1 on"),
        ({"min_users": 31}, "histories has 30 users with events, must have 31"),
        ({"max_users": 2}, "max_users was 2, but must be an integer from 10 on"),
        ({"max_causes": 0}, "max_causes was 0, but must be an integer from 1 on"),
        ({"confidence": 1}, "confidence was 1, but must be at least 0 and below 1"),
        ({"period": -1}, "period was -1, but must be finite and above 0"),
        ({"context": {"gap": []}}, "context has"),
    ],
)
def test_errors(people, change, message):
    with pytest.raises(ValueError, match=message):
        aggregate_report(Pulls(), *people, **change)
