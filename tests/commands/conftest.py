"""What the tests of the commands share: a run, a way to call, and what a mistake may cost."""

import contextlib
import io
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.cli import main

SIZES = ["--max-len", "6", "--dim", "8", "--batch-size", "16"]
TINY = [*SIZES, "--epochs", "4", "--evaluate-every", "2", "--threads", "1"]


def call_command(*arguments):
    """Run one command in this process; a status that argparse exits with counts too."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leave:
            status = leave.code
    return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())


@pytest.fixture(scope="session")
def call():
    return call_command


@pytest.fixture(scope="session")
def tiny():
    """A small SASRec and a short training."""
    return TINY


def write_events(path):
    """Users who walk through twenty items, each from a place of its own, most by steps of one."""
    rng = np.random.default_rng(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(40):
        item = int(rng.integers(20))
        for time in range(int(rng.integers(4, 10))):
            lines.append(f"u{user}\t{101 + item}\t{time}")
            item = (item + (1 if rng.random() < 0.8 else 2)) % 20
    path.write_text("\n".join(lines) + "\n")


def write_titles(path):
    lines = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    genres = ("Drama", "Comedy War", "Comedy")
    lines += [
        f"{item}\tFilm {item}\t{1900 + item - 100}\t{genres[item % 3]}" for item in range(101, 121)
    ]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """A data file with titles, a run made of it, and what training said."""
    folder = tmp_path_factory.mktemp("shelf")
    write_events(folder / "films.inter")
    write_titles(folder / "films.item")
    trained = call_command(
        "train", "--data", folder / "films.inter", "--out", folder / "run", *TINY
    )
    assert trained.status == 0, trained.err
    return SimpleNamespace(
        folder=folder,
        data=folder / "films.inter",
        items=folder / "films.item",
        run=folder / "run",
        trained=trained,
        below_a_file=below_a_file,
        spoiled=lambda *arguments: spoiled(folder / "run", *arguments),
    )


def below_a_file(tmp):
    (tmp / "file").write_text("")
    return tmp / "file" / "run"


def spoiled(run, tmp, name, content):
    """A copy of the run with one file spoiled (or gone)."""
    shutil.copytree(run, tmp / "spoiled")
    (tmp / "spoiled" / name).unlink()
    if content is not None:
        (tmp / "spoiled" / name).write_bytes(content)
    return tmp / "spoiled"


@pytest.fixture(scope="session")
def fails_with():
    def failing(error):
        def fail(*arguments, **keywords):
            raise error

        return fail

    return failing


@pytest.fixture
def costs_one_line(tmp_path):
    """Status 2, one line on stderr that says what is wrong, and nothing written."""

    def check(arguments, message):
        result = call_command(*arguments)
        assert result.status == 2
        assert message in result.err
        assert result.err.startswith("attention-from-scratch")
        assert ": error: " in result.err
        assert result.err.count("\n") == 1
        assert result.err.endswith("\n")
        assert "Traceback" not in result.err
        assert result.out == "" or arguments[0] != "verify"
        assert not (tmp_path / "run").exists()
        assert not list(tmp_path.glob("*.png"))

    return check
