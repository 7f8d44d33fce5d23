"""`evaluate`: the metrics of a run."""

import csv

import numpy as np
import pytest

from attention_from_scratch.data import read_interactions
from attention_from_scratch.evaluation import mask_seen
from attention_from_scratch.models import SASRec


def test_evaluate_prints_the_same_test_figures_as_train(shelf, call):
    result = call("evaluate", shelf.run, "--data", shelf.data)
    assert result.status == 0
    assert result.out.startswith("test: HR@10 0.")
    assert result.out in shelf.trained.out


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["-k", "3"], "NDCG@3 0."),
        (["--include-seen"], "NDCG@10 0."),
        (["--protocol", "paper-negatives", "-k", "5"], "HR@5 0."),
    ],
)
def test_evaluate_has_other_protocols(shelf, options, shown, call):
    result = call("evaluate", shelf.run, "--data", shelf.data, *options)
    assert result.status == 0, result.err
    assert shown in result.out


def test_evaluate_numbers_items_as_the_run_does(shelf, tmp_path, call):
    """A file with fewer items, whose own numbering would be another."""
    lines = shelf.data.read_text().splitlines()
    fewer = [line for line in lines if line.split("\t")[0] in ("user_id:token", "u3", "u17")]
    (tmp_path / "two.inter").write_text("\n".join(fewer) + "\n")
    result = call("evaluate", shelf.run, "--data", tmp_path / "two.inter")
    model = SASRec.load(shelf.run / "model.npz")
    histories = {"u3": [], "u17": []}
    for line in fewer[1:]:
        user, item, _ = line.split("\t")
        histories[user].append(int(item) - 100)
    hits = [h[-1] in model.recommend([h[:-1]], 10)[0] for h in histories.values()]
    assert f"HR@10 {np.mean(hits):.4f}" in result.out
    assert "(2 users)" in result.out


def test_a_k_beyond_the_catalogue_is_the_whole_of_it(shelf, call):
    data = ["--data", shelf.data]
    assert call("recommend", shelf.run, "--history", "105", "-k", 10**9).status == 0
    result = call("evaluate", shelf.run, *data, "-k", 10**9)
    assert result.status == 0
    assert result.out == call("evaluate", shelf.run, *data, "-k", "20").out
    assert "HR@20 " in result.out


# --- user by user


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "options", [[], ["-k", "3"], ["--include-seen"], ["--protocol", "paper-negatives"]]
)
def test_the_means_over_the_users_are_what_is_printed(shelf, call, tmp_path, options):
    out = tmp_path / "users.csv"
    result = call("evaluate", shelf.run, "--data", shelf.data, *options, "--per-user", out)
    assert result.status == 0, result.err
    assert result.out == call("evaluate", shelf.run, "--data", shelf.data, *options).out
    rows, k = rows_of(out), 3 if "-k" in options else 10
    assert list(rows[0]) == ["user", "item", "rank", "last_rank", f"HR@{k}", f"NDCG@{k}", "MRR"]
    assert f"({len(rows)} users)" in result.out
    for name in (f"HR@{k}", f"NDCG@{k}", "MRR"):
        assert f"{name} {np.mean([float(row[name]) for row in rows]):.4f}" in result.out


def test_each_user_has_the_rank_of_the_last_item(shelf, call, tmp_path):
    out = tmp_path / "users.csv"
    call("evaluate", shelf.run, "--data", shelf.data, "--per-user", out)
    data, model = read_interactions(shelf.data), SASRec.load(shelf.run / "model.npz")
    rows = rows_of(out)
    assert [row["user"] for row in rows] == data.users
    for row, history in zip(rows, data.histories, strict=True):
        assert row["item"] == data.items[history[-1]]
        (scores,) = mask_seen(model.scores([history[:-1]]), [history[:-1]])
        if history[-1] in history[:-1]:
            assert (row["rank"], row["last_rank"], row["MRR"]) == ("", "", "0.0")
            continue
        rank = 1 + np.count_nonzero(scores > scores[history[-1]])
        assert (row["rank"], row["last_rank"]) == (str(rank), str(rank))
        assert float(row["MRR"]) == pytest.approx(1 / rank)
        assert row["HR@10"] == ("1.0" if rank <= 10 else "0.0")


def test_users_without_a_last_item_to_rank_have_no_line(shelf, call, tmp_path):
    """They come first here, so that a place in the file is no user."""
    head, *rows = shelf.data.read_text().splitlines()
    few = [f"{user}\t10{user}\t{time}" for user in (1, 2) for time in range(user)]
    (tmp_path / "more.inter").write_text("\n".join([head, *few, *rows]) + "\n")
    for data, out in ((shelf.data, "a.csv"), (tmp_path / "more.inter", "b.csv")):
        options = ["--data", data, "--per-user", tmp_path / out]
        assert call("evaluate", shelf.run, *options).status == 0
    assert rows_of(tmp_path / "a.csv") == rows_of(tmp_path / "b.csv")


def test_of_equal_scores_the_rank_is_a_range(shelf, call, tmp_path, monkeypatch):
    def level(self, histories, context=None):
        scores = np.zeros((len(histories), 21), np.float32)
        scores[:, 0] = -np.inf
        return scores

    monkeypatch.setattr(SASRec, "scores", level)
    options = ["--include-seen", "--per-user", tmp_path / "users.csv"]
    assert call("evaluate", shelf.run, "--data", shelf.data, *options).status == 0
    for row in rows_of(tmp_path / "users.csv"):
        assert (row["rank"], row["last_rank"], row["HR@10"]) == ("1", "20", "0.5")


# --- mistakes


def other_items(s, tmp):
    (tmp / "other.inter").write_text(s.data.read_text().replace("\t105\t", "\t999\t"))
    return tmp / "other.inter"


MISTAKES = {
    "evaluate --per-user onto a folder": (
        lambda s, tmp: ["evaluate", s.run, "--data", s.data, "--per-user", tmp],
        "but must be a file, not a folder",
    ),
    "evaluate --per-user below a file": (
        lambda s, tmp: [
            *("evaluate", s.run, "--data", s.data, "--per-user", s.below_a_file(tmp) / "u.csv")
        ],
        "--per-user was ",
    ),
    "evaluate -k 0": (lambda s, tmp: ["evaluate", s.run, "--data", s.data, "-k", "0"], "-k: was 0"),
    "evaluate -k of no number": (
        lambda s, tmp: ["evaluate", s.run, "--data", s.data, "-k", "ten"],
        "was ten, but must be an integer",
    ),
    "evaluate with an unknown protocol": (
        lambda s, tmp: ["evaluate", s.run, "--data", s.data, "--protocol", "kind"],
        "invalid choice: 'kind'",
    ),
    "evaluate with more negatives than items": (
        lambda s, tmp: ["evaluate", s.run, "--data", s.data, "--protocol", "negatives"],
        "items to draw from",
    ),
    "evaluate on a file that is not there": (
        lambda s, tmp: ["evaluate", s.run, "--data", tmp / "none.inter"],
        "none.inter: No such file or directory",
    ),
    "evaluate on other items": (
        lambda s, tmp: ["evaluate", s.run, "--data", other_items(s, tmp)],
        "other.inter holds item '999', which the run in ",
    ),
    "evaluate on other items, with the number of those known": (
        lambda s, tmp: ["evaluate", s.run, "--data", other_items(s, tmp)],
        "run was not trained on (20 items)",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
