"""`attention`: the picture of the weights."""

import pytest


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_attention_draws_a_picture_and_says_where(shelf, tmp_path, name, start, call):
    out = tmp_path / name
    result = call("attention", shelf.run, "--history", "101,102,103,104,105,106,107", "--out", out)
    assert (result.status, result.out) == (0, f"{out}\n")
    assert out.read_bytes().startswith(start)


# --- mistakes


MISTAKES = {
    "attention --out below a file": (
        lambda s, tmp: [
            *("attention", s.run, "--history", "101", "--out", s.below_a_file(tmp) / "a.png")
        ],
        "there is no folder",
    ),
    "attention --out of unknown kind": (
        lambda s, tmp: ["attention", s.run, "--history", "101", "--out", tmp / "a.xyz"],
        "must end in one of",
    ),
    "attention of nothing": (
        lambda s, tmp: ["attention", s.run, "--history", " , ", "--out", tmp / "a.png"],
        "history is empty",
    ),
    "attention of an unknown item": (
        lambda s, tmp: ["attention", s.run, "--history", "101,7", "--out", tmp / "a.png"],
        "unknown item '7'",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
