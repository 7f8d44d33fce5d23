"""`recommend`: what comes next."""

import shutil

import pytest

from attention_from_scratch.models import SASRec


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


# --- mistakes


MISTAKES = {
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
