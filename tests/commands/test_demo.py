import contextlib
import errno
import functools
import io

import pytest

from attention_from_scratch.cli import main
from attention_from_scratch.commands import demo, runs
from attention_from_scratch.models import SASRec


def test_the_demo_prints_the_worked_example_and_writes_its_pictures(tmp_path, capsys):
    demo.demo(tmp_path, users=200, epochs=2, progress=False)
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines()]
    assert ["0.200", "0.300", "0.200", "0.200", "0.100"] in rows
    assert "answer: item 2" in output
    assert "NDCG@10" in output
    pictures = sorted(tmp_path.iterdir())
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert str(picture) in output


def test_ctrl_c_ends_the_demo(tmp_path, monkeypatch):
    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 6:  # an epoch has 2 batches, of at most 4 shards each
            raise KeyboardInterrupt
        return loss(self, *arguments, **keywords)

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.demo(tmp_path, users=200, epochs=3, progress=False)
    assert not list(tmp_path.iterdir())


def test_demo_prints_what_it_can_where_the_output_is_not_utf_8(tmp_path, monkeypatch):
    small = functools.partial(demo.demo, users=200, epochs=1, progress=False)
    monkeypatch.setattr(demo, "demo", small)
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with contextlib.redirect_stdout(out):
        assert main(["demo", "--out", str(tmp_path)]) == 0
    assert "scores X X?" in out.buffer.getvalue().decode("cp1252")
    assert len(list(tmp_path.iterdir())) == 3


def test_demo_tries_its_folder_before_it_trains(tmp_path, monkeypatch, call, fails_with):
    monkeypatch.setattr(demo, "demo", fails_with(AssertionError("too late")))
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    monkeypatch.setattr(runs.tempfile, "TemporaryFile", fails_with(denied))
    result = call("demo", "--out", tmp_path / "pictures")
    expected = f"attention-from-scratch demo: error: {tmp_path}: Permission denied\n"
    assert (result.status, result.err) == (2, expected)
    assert list(tmp_path.iterdir()) == []


# --- mistakes


MISTAKES = {
    "demo --out below a file": (
        lambda s, tmp: ["demo", "--out", s.below_a_file(tmp)],
        "Not a directory",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
