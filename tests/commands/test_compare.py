"""`compare`: a table of models on one file of events."""

import numpy as np
import pytest

from attention_from_scratch.commands import compare
from attention_from_scratch.commands.events import Events, learn, measured
from attention_from_scratch.commands.kinds import KINDS
from attention_from_scratch.data import read_interactions
from attention_from_scratch.models import BPR, ItemKNN

COUNTING = {"ItemKNN", "UserKNN", "MarkovChain", "MostPopular", "RecentlyPopular"}
HEAD = ["model", "HR@10", "NDCG@10", "MRR", "coverage", "seeds", "training"]


def cells(text):
    """The cells of a table in Markdown; nothing else may stand beside it."""
    lines = text.splitlines()
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    head, rule, *rows = [line.strip("| ").split(" | ") for line in lines]
    assert (head, rule) == (HEAD, ["---"] * len(HEAD))
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_the_models_that_count_stand_in_a_table_the_best_first(shelf, call):
    result = call("compare", "--data", shelf.data)
    assert result.status == 0
    rows = cells(result.out)
    assert set(rows) == COUNTING
    quality = [float(row["NDCG@10"]) for row in rows.values()]
    assert quality == sorted(quality, reverse=True)
    assert {row["seeds"] for row in rows.values()} == {"-"}
    assert "40 users, 20 items" in result.err
    assert "content-based is left out: it needs --features" in result.err


def test_a_row_is_what_the_model_achieves_on_the_test_events(shelf, call):
    data = read_interactions(shelf.data)
    events = Events.of(shelf.data, data)
    model = ItemKNN(data.n_items)
    learn(model, events)
    row = cells(call("compare", "--data", shelf.data, "--models", "item-knn").out)["ItemKNN"]
    test = measured(model, events.split)
    assert [row[name] for name in HEAD[1:5]] == [f"{test[name]:.4f}" for name in HEAD[1:5]]


def test_trained_models_have_a_mean_and_a_spread_over_seeds(shelf, call):
    words = ["--models", "bpr", "--seeds", 3, "--epochs", 2, "--threads", 1]
    row = cells(call("compare", "--data", shelf.data, *words).out)["BPR"]
    assert row["seeds"] == "3"
    data = read_interactions(shelf.data)
    events, found = Events.of(shelf.data, data), []
    for seed in range(3):
        model = BPR(data.n_items, seed=seed)
        learn(model, events, epochs=2, threads=1)
        found.append(measured(model, events.split)["MRR"])
    assert row["MRR"] == f"{np.mean(found):.4f} ± {np.std(found, ddof=1):.4f}"


def test_features_bring_in_the_model_that_needs_them(shelf, call):
    words = ["--data", shelf.data, "--features", shelf.items]
    result = call("compare", *words)
    assert set(cells(result.out)) == COUNTING | {"ContentBased"}
    assert "left out" not in result.err
    assert set(cells(call("compare", *words, "--models", "content-based").out)) == {"ContentBased"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", list(KINDS)),
        ("trained", ["sasrec", "gru4rec", "pipeline", "bpr"]),
        ("bpr, markov,bpr", ["bpr", "markov"]),
        ("markov,counting", ["markov", *(n for n in compare.GROUPS["counting"] if n != "markov")]),
    ],
)
def test_models_are_named_one_by_one_or_in_groups_and_each_comes_once(text, names):
    chosen, left_out = compare.kinds_of(text, with_features=True)
    assert [kind.name for kind in chosen] == names
    assert left_out == []


def test_the_table_goes_to_a_file_as_well(shelf, call, tmp_path):
    words = ["--data", shelf.data, "--models", "popular,markov", "--out", tmp_path / "table.md"]
    result = call("compare", *words)
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == result.out


def test_what_there_is_when_it_is_interrupted_is_shown(shelf, call, monkeypatch, fails_with):
    monkeypatch.setattr(BPR, "loss", fails_with(KeyboardInterrupt()))
    result = call("compare", "--data", shelf.data, "--models", "popular,bpr,markov")
    assert result.status == 130
    assert set(cells(result.out)) == {"MostPopular"}
    assert result.err.endswith("attention-from-scratch compare: interrupted\n")


def test_a_training_that_is_interrupted_later_is_not_in_the_table(shelf, call, monkeypatch):
    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return loss(self, *arguments, **keywords)

    calls, loss = [], BPR.loss
    monkeypatch.setattr(BPR, "loss", interrupted)
    result = call("compare", "--data", shelf.data, "--models", "popular,bpr", "--threads", 1)
    assert result.status == 130
    assert set(cells(result.out)) == {"MostPopular"}


# --- mistakes


def two_events(tmp):
    (tmp / "two.txt").write_text("1 1\n1 2\n2 2\n2 1\n")
    return tmp / "two.txt"


def empty(tmp):
    (tmp / "empty.csv").touch()
    return tmp / "empty.csv"


MISTAKES = {
    "a file that is not there": (lambda s, tmp: ["--data", tmp / "none.inter"], "No such file"),
    "an empty file": (lambda s, tmp: ["--data", empty(tmp)], "empty.csv: the file is empty"),
    "an unknown model": (
        lambda s, tmp: ["--data", s.data, "--models", "bpr,magic"],
        "--models has 'magic', but may have sasrec, gru4rec, ",
    ),
    "no model": (lambda s, tmp: ["--data", s.data, "--models", ""], "--models has ''"),
    "features that nobody gave": (
        lambda s, tmp: ["--data", s.data, "--models", "content-based"],
        "--models has content-based, which needs --features",
    ),
    "out below a file": (
        lambda s, tmp: ["--data", s.data, "--out", s.below_a_file(tmp) / "t.md"],
        "but there is no folder",
    ),
    "seeds 0": (lambda s, tmp: ["--data", s.data, "--seeds", "0"], "--seeds: was 0"),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(shelf, tmp_path, costs_one_line, words, message):
    costs_one_line(["compare", *words(shelf, tmp_path)], message)


def test_users_of_two_events_leave_nothing_to_rank(call, tmp_path):
    result = call("compare", "--data", two_events(tmp_path))
    assert (result.status, result.out) == (2, "")
    assert "has no user with 3 events, so there is nothing to rank" in result.err
