"""`recommend`: what comes next."""

import csv
import shutil
import tracemalloc

import numpy as np
import pytest

from attention_from_scratch.commands import recommend
from attention_from_scratch.data import Interactions, read_interactions
from attention_from_scratch.models import MostPopular, SASRec


def test_recommend_shows_the_history_and_titles(shelf, call):
    result = call("recommend", shelf.run, "--history", "105, 106,107", "-k", "4")
    assert result.status == 0
    lines = result.out.splitlines()
    assert [line.split(maxsplit=2)[2] for line in lines[:3]] == [
        "Film 105 (1905)",
        "Film 106 (1906)",
        "Film 107 (1907)",
    ]
    assert lines[3].split() == ["rank", "score", "item"]
    ranks, scores, labels, titles = zip(*(x.split(maxsplit=3) for x in lines[4:]), strict=True)
    assert ranks == ("1", "2", "3", "4")
    assert sorted(map(float, scores), reverse=True) == list(map(float, scores))
    assert not {"105", "106", "107"} & set(labels)
    assert [f"Film {label} ({int(label) + 1800})" for label in labels] == list(titles)
    ids, _ = SASRec.load(shelf.run / "model.npz").recommend([[5, 6, 7]], 4)
    assert [str(100 + item) for item in ids[0]] == list(labels)


def test_recommend_without_a_history_goes_by_popularity(shelf, call):
    result = call("recommend", shelf.run, "--history", "", "-k", "2")
    assert result.status == 0
    assert result.out.startswith("no history: the items most often met in training")
    assert result.out.count("Film ") == 2


def test_recommend_may_repeat_the_history_and_ends_where_the_catalogue_does(shelf, call):
    for option, expected in ([], 19), (["--include-seen"], 20):
        result = call("recommend", shelf.run, "--history", "105", "-k", "50", *option)
        assert result.status == 0
        assert len(result.out.splitlines()) == 2 + expected


def test_a_label_with_a_comma_can_be_asked_for_in_quotes(shelf, tmp_path, call):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    text = (run / "catalogue.json").read_text()
    (run / "catalogue.json").write_text(text.replace('"101"', '"1, 2"'))
    result = call("recommend", run, "--history", '103, "1, 2",  102', "-k", "1")
    assert result.status == 0, result.err
    assert [line.split()[1] for line in result.out.splitlines()[:3]] == ["103", "1,", "102"]


# --- every user of a file


def for_all(call, shelf, out, *options):
    result = call("recommend", shelf.run, "--all", "--data", shelf.data, "--out", out, *options)
    assert (result.status, result.err) == (0, "")
    assert result.out == f"40 users, written to {out}\n"
    return out.read_text(encoding="utf-8")


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_rows_for_all_are_what_the_model_recommends(shelf, call, tmp_path, exclude_seen):
    options = ["-k", 3, *([] if exclude_seen else ["--include-seen"])]
    head, *rows = csv.reader(for_all(call, shelf, tmp_path / "top.csv", *options).splitlines())
    data, model = read_interactions(shelf.data), SASRec.load(shelf.run / "model.npz")
    ids, scores = model.recommend(data.histories, 3, exclude_seen=exclude_seen)
    assert head == ["user", "rank", "item", "score"]
    assert [row[:3] for row in rows] == [
        [label, str(rank + 1), data.items[ids[user, rank]]]
        for user, label in enumerate(data.users)
        for rank in range(3)
    ]
    assert np.array_equal(np.array([row[3] for row in rows], np.float32), scores.ravel())


def test_a_list_for_all_ends_where_nothing_is_left_to_recommend(shelf, call, tmp_path):
    rows = list(csv.DictReader(for_all(call, shelf, tmp_path / "t.csv", "-k", 50).splitlines()))
    for label, history in zip(*users_of(shelf), strict=True):
        mine = [row for row in rows if row["user"] == label]
        assert [row["rank"] for row in mine] == [*map(str, range(1, 21 - len(set(history))))]


def users_of(shelf):
    data = read_interactions(shelf.data)
    return data.users, data.histories


def test_how_many_are_asked_about_at_a_time_changes_nothing(shelf, call, tmp_path, monkeypatch):
    whole = for_all(call, shelf, tmp_path / "a.csv", "-k", 4)
    asked, ask = [], SASRec.recommend
    noting = lambda self, some, *rest, **words: (
        asked.append(len(some)) or ask(self, some, *rest, **words)
    )
    monkeypatch.setattr(SASRec, "recommend", noting)
    monkeypatch.setattr(recommend, "MOST_USERS", 7)
    parts = for_all(call, shelf, tmp_path / "b.csv", "-k", 4)
    assert asked == [7, 7, 7, 7, 7, 5]
    for one, other in zip(*(csv.DictReader(x.splitlines()) for x in (whole, parts)), strict=True):
        assert float(one.pop("score")) == pytest.approx(float(other.pop("score")), abs=1e-5)
        assert one == other


def test_memory_does_not_grow_with_the_number_of_users(tmp_path):
    """Nor do a few users of a large catalogue take more than some scores at a time."""
    assert recommend.users_at_a_time(20) == recommend.MOST_USERS
    assert recommend.users_at_a_time(10**6) == 4
    assert recommend.users_at_a_time(10**9) == 1
    model = MostPopular(99).fit([[1, 2, 3]])
    catalogue = Interactions([], [], ["", *map(str, range(1, 100))])

    def peak(n_users):
        histories, users = [np.array([1])] * n_users, ["u"] * n_users
        tracemalloc.start()
        try:
            lists = recommend.for_all(model, histories, 5, exclude_seen=True)
            recommend.write_lists(tmp_path / "top.csv", lists, users, catalogue)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak(recommend.MOST_USERS)
    assert peak(4 * recommend.MOST_USERS) < 1.1 * few + 2**19  # lists of histories, 8 bytes a user


def test_what_fails_halfway_leaves_the_file_of_before(shelf, call, tmp_path, monkeypatch):
    def fails_later(self, some, *rest, **words):
        if calls:
            raise MemoryError
        calls.append(1)
        return ask(self, some, *rest, **words)

    calls, ask, out = [], SASRec.recommend, tmp_path / "top.csv"
    out.write_text("before")
    monkeypatch.setattr(SASRec, "recommend", fails_later)
    monkeypatch.setattr(recommend, "MOST_USERS", 7)
    result = call("recommend", shelf.run, "--all", "--data", shelf.data, "--out", out)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["top.csv"]
    assert out.read_text() == "before"


# --- mistakes


def empty(tmp):
    (tmp / "empty.inter").touch()
    return tmp / "empty.inter"


def other_items(s, tmp):
    (tmp / "other.inter").write_text(s.data.read_text().replace("\t105\t", "\t999\t"))
    return tmp / "other.inter"


def all_with(*words):
    return lambda s, tmp: ["recommend", s.run, "--all", *words]


MISTAKES = {
    "all without data": (all_with("--out", "top.csv"), "--all needs --data"),
    "all without out": (all_with("--data", "films.inter"), "--all needs --out"),
    "all with a history": (all_with("--history", "101"), "--all goes without --history"),
    "out with a history": (
        lambda s, tmp: ["recommend", s.run, "--history", "101", "--out", tmp / "top.csv"],
        "--out goes with --all, not with --history",
    ),
    "all of an empty file": (
        lambda s, tmp: [
            *("recommend", s.run, "--all", "--data", empty(tmp), "--out", tmp / "top.csv")
        ],
        "empty.inter: the file is empty",
    ),
    "all of other items": (
        lambda s, tmp: [
            *("recommend", s.run, "--all", "--data", other_items(s, tmp), "--out", tmp / "top.csv")
        ],
        "other.inter holds item '999', which the run in ",
    ),
    "all into a folder that is not there": (
        lambda s, tmp: [
            *("recommend", s.run, "--all", "--data", s.data, "--out", tmp / "none" / "top.csv")
        ],
        "but there is no folder",
    ),
    "an unknown item": (
        lambda s, tmp: ["recommend", s.run, "--history", "101,nothing"],
        "unknown item 'nothing'",
    ),
    "padding as an item": (
        lambda s, tmp: ["recommend", s.run, "--history", "0"],
        "unknown item '0'",
    ),
    "recommend -k 0": (
        lambda s, tmp: ["recommend", s.run, "--history", "101", "-k", "0"],
        "-k: was 0",
    ),
    "a history of two lines": (
        lambda s, tmp: ["recommend", s.run, "--history", "101\n102"],
        "--history was '101\\n102', but must be one line of items",
    ),
    "recommend without a history": (
        lambda s, tmp: ["recommend", s.run],
        "required: --history",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
