"""`explain`: which events a recommendation rests on."""

import pytest

from attention_from_scratch.models import load

ASKED = ["--history", "105,106,107", "--item", "108"]
NAMES = ["", *(f"Film {item} ({1800 + item})" for item in range(101, 121))]


def made(shelf, call, tmp_path, *options):
    """A run of another model."""
    run = tmp_path / "other"
    small = ["--epochs", "1", "--dim", "4", "--threads", "1"] if options[-1] != "markov" else []
    assert call("train", "--data", shelf.data, "--out", run, *options, *small).status == 0
    return run


def test_it_prints_what_the_model_says_with_the_names_of_the_catalogue(shelf, call):
    result = call("explain", shelf.run, *ASKED)
    assert (result.status, result.err) == (0, "")
    said = load(shelf.run / "model.npz").explain([5, 6, 7], 8).describe(NAMES)
    assert result.out == f"{said}\n"
    assert result.out.startswith("Film 108 (1908): probability 0.")
    assert "Film 106 (1906)\n" in result.out


@pytest.mark.parametrize(("name", "start"), [("e.png", b"\x89PNG"), ("e.svg", b"<?xml")])
def test_it_draws_a_picture_and_says_where(shelf, call, tmp_path, name, start):
    out = tmp_path / name
    result = call("explain", shelf.run, *ASKED, "--out", out)
    assert result.status == 0
    assert result.out == call("explain", shelf.run, *ASKED).out + f"{out}\n"
    assert out.read_bytes().startswith(start)


@pytest.mark.parametrize("options", [["--loss", "bce"], ["--model", "bpr"]])
def test_of_a_model_that_was_trained_to_rank_it_says_so(shelf, call, tmp_path, options):
    result = call("explain", made(shelf, call, tmp_path, *options), *ASKED)
    assert result.status == 0
    assert result.out.endswith("say what stands high, not how likely.\n")
    assert "trained to rank" not in call("explain", shelf.run, *ASKED).out


def test_a_model_that_counts_has_no_logits_to_explain(shelf, call, tmp_path, costs_one_line):
    run = made(shelf, call, tmp_path, "--model", "markov")
    with pytest.raises(ValueError, match=r"^a markov model counts: its scores are no") as said:
        load(run / "model.npz").explain([5, 6, 7], 8)
    message = str(said.value)
    costs_one_line(["explain", run, *ASKED], message)


MISTAKES = {
    "no item": (lambda s, tmp: [s.run, "--history", "101"], "required: --item"),
    "no history": (lambda s, tmp: [s.run, "--item", "101"], "required: --history"),
    "an empty history": (
        lambda s, tmp: [s.run, "--history", "", "--item", "101"],
        "history is empty, but an explanation needs at least one event",
    ),
    "an unknown item": (
        lambda s, tmp: [s.run, "--history", "101", "--item", "7"],
        "unknown item '7'",
    ),
    "an unknown event": (
        lambda s, tmp: [s.run, "--history", "7", "--item", "101"],
        "unknown item '7'",
    ),
    "a picture of unknown kind": (
        lambda s, tmp: [s.run, *ASKED, "--out", tmp / "a.xyz"],
        "must end in one of",
    ),
    "a picture below a file": (
        lambda s, tmp: [s.run, *ASKED, "--out", s.below_a_file(tmp) / "a.png"],
        "there is no folder",
    ),
    "a run that is not there": (lambda s, tmp: [tmp / "none", *ASKED], "none is not a folder"),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(shelf, tmp_path, costs_one_line, words, message):
    costs_one_line(["explain", *words(shelf, tmp_path)], message)
