"""How a command behaves at the shell: signals, pipes, streams, memory."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from attention_from_scratch.cli import main
from attention_from_scratch.commands import runs, train
from attention_from_scratch.models import SASRec


@pytest.fixture(params=["SIGTERM", "SIGHUP"])
def number(request):
    """A signal, at its default: under nohup the tests would inherit that SIGHUP is ignored."""
    number = getattr(signal, request.param)
    inherited = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, inherited)


def test_a_signal_that_ends_it_keeps_the_epochs_that_are_over(
    shelf, tmp_path, monkeypatch, number, call, tiny
):

    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 30:  # an epoch has 24 shards
            os.kill(os.getpid(), number)
        return loss(self, *arguments, **keywords)

    calls, loss, before = [], SASRec.loss, signal.getsignal(number)
    monkeypatch.setattr(SASRec, "loss", interrupted)
    again = lambda *arguments: os.kill(os.getpid(), number)  # `timeout` sends it twice
    monkeypatch.setattr(train, "measured", again)
    monkeypatch.setattr(runs, "describe_metrics", str)
    out = ["--out", tmp_path / "run"]
    result = call("train", "--data", shelf.data, *out, *tiny, "--epochs", "500")
    assert (result.status, result.err) == (130, "attention-from-scratch train: interrupted\n")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["interrupted"] is True
    assert call("recommend", tmp_path / "run", "--history", "101").status == 0
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored_and_other_threads_set_none(
    shelf, monkeypatch, call
):
    seen = []

    def look(*arguments):
        seen.append([signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGTERM)])
        raise ValueError("seen")

    monkeypatch.setattr(runs, "load", look)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert call("recommend", shelf.run, "--history", "1").status == 2
        thread = threading.Thread(target=call, args=("recommend", shelf.run, "--history", "1"))
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGHUP, before)
    (hup, term), in_thread = seen
    assert hup == signal.SIG_IGN
    assert term not in (signal.SIG_DFL, signal.getsignal(signal.SIGTERM))
    assert in_thread == [signal.SIG_IGN, signal.getsignal(signal.SIGTERM)]


def test_train_works_on_when_nobody_reads_what_it_prints(shelf, tmp_path, tiny):
    command = [sys.executable, "-u", "-m", "attention_from_scratch", "train", *tiny]
    process = subprocess.Popen(
        [*command, "--data", shelf.data, "--out", tmp_path / "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), error) == (0, b"")
    assert len(list((tmp_path / "run").iterdir())) == 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_for_what_is_printed_is_status_2_and_one_line(shelf):
    command = [sys.executable, "-m", "attention_from_scratch", "recommend", shelf.run]
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [*command, "--history", "101"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    expected = "attention-from-scratch recommend: error: No space left on device\n"
    assert (run.returncode, run.stderr) == (2, expected)


def test_closed_output_is_no_error(shelf, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)  # what Python makes of >&- and 2>&-
    assert main(["verify", "--op", "softmax"]) == 0
    assert main(["evaluate", str(shelf.run), "--data", str(shelf.data)]) == 0
    assert main(["recommend", str(shelf.run), "--history", "nothing"]) == 2
    assert sys.stdout is sys.stderr is None


def test_what_the_output_cannot_encode_becomes_a_question_mark(shelf, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    catalogue = json.loads((run / "catalogue.json").read_text())
    catalogue["titles"][1] = "Ран √ \ud800"
    (run / "catalogue.json").write_text(json.dumps(catalogue))
    for encoding, expected in (("cp1252", "??? ? ?"), ("utf-8", "Ран √ ?")):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with contextlib.redirect_stdout(out):
            assert main(["recommend", str(run), "--history", "101"]) == 0
        assert expected in out.buffer.getvalue().decode(encoding)


def test_a_reader_who_has_seen_enough_is_no_error(shelf):
    process = subprocess.Popen(
        [sys.executable, "-m", "attention_from_scratch", "recommend", shelf.run, "--history", ""],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()  # before anything is written
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), error) == (0, b"")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Unable to allocate 7 TiB",) * 2, ("", "not enough memory for this size")],
)
def test_more_memory_than_there_is_costs_one_line(shelf, monkeypatch, text, shown, call):
    def greedy(*arguments, **keywords):
        raise MemoryError(*text.splitlines())

    monkeypatch.setattr(SASRec, "recommend", greedy)
    result = call("recommend", shelf.run, "--history", "101")
    assert result.status == 2
    expected = f"attention-from-scratch recommend: error: {shown}\n"
    assert result.err == expected
