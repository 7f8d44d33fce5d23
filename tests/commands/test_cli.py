"""The command line: what works, and what a mistake costs (status 2 and one line)."""

import contextlib
import errno
import functools
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.cli import COMMANDS, main
from attention_from_scratch.commands import demo, runs
from attention_from_scratch.models import SASRec

ITEMS = range(101, 121)
SIZES = ["--max-len", "6", "--dim", "8", "--batch-size", "16"]
TINY = [*SIZES, "--epochs", "4", "--evaluate-every", "2", "--threads", "1"]


def call(*arguments):
    """Run one command in this process; a status that argparse exits with counts too."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leave:
            status = leave.code
    return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())


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
    lines = ["item_id:token\tmovie_title:token_seq\trelease_year:token"]
    lines += [f"{item}\tFilm {item}\t{1900 + item - 100}" for item in ITEMS]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A data file with titles, a run made of it, and what training said."""
    folder = tmp_path_factory.mktemp("shelf")
    write_events(folder / "films.inter")
    write_titles(folder / "films.item")
    trained = call("train", "--data", folder / "films.inter", "--out", folder / "run", *TINY)
    assert trained.status == 0, trained.err
    return SimpleNamespace(
        folder=folder, data=folder / "films.inter", run=folder / "run", trained=trained
    )


# --- what works


def test_train_writes_the_whole_run(shelf):
    assert sorted(path.name for path in shelf.run.iterdir()) == [
        "catalogue.json",
        "learning-curves.png",
        "model.npz",
        "result.json",
    ]
    assert (shelf.run / "learning-curves.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((shelf.run / "result.json").read_text())
    assert result["data"] == "films.inter"
    assert result["settings"]["dim"] == 8
    assert result["fit"] == {
        "epochs": 4,
        "patience": 50,
        "evaluate_every": 2,
        "batch_size": 16,
        "lr": 1e-3,
        "schedule": "constant",
        "pieces": False,
        "threads": 1,
        "processes": 1,
    }
    assert result["epochs"] == 4
    assert result["interrupted"] is result["diverged"] is False
    assert set(result["test"]) == {"HR@10", "NDCG@10", "MRR", "coverage", "users"}
    assert shelf.trained.out.startswith("40 users, 20 items, ")
    assert f"written to {shelf.run}" in shelf.trained.out
    assert shelf.trained.err == ""


def test_evaluate_prints_the_same_test_figures_as_train(shelf):
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
def test_evaluate_has_other_protocols(shelf, options, shown):
    result = call("evaluate", shelf.run, "--data", shelf.data, *options)
    assert result.status == 0, result.err
    assert shown in result.out


def test_evaluate_numbers_items_as_the_run_does(shelf, tmp_path):
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


def test_recommend_shows_the_history_and_titles(shelf):
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


def test_recommend_without_a_history_goes_by_popularity(shelf):
    result = call("recommend", shelf.run, "--history", "", "-k", "2")
    assert result.status == 0
    assert result.out.startswith("no history: the items most often met in training")
    assert result.out.count("Film ") == 2


def test_recommend_may_repeat_the_history_and_ends_where_the_catalogue_does(shelf):
    for option, expected in ([], 19), (["--include-seen"], 20):
        result = call("recommend", shelf.run, "--history", "105", "-k", "50", *option)
        assert result.status == 0
        assert len(result.out.splitlines()) == 2 + expected


def test_a_k_beyond_the_catalogue_is_the_whole_of_it(shelf):
    data = ["--data", shelf.data]
    assert call("recommend", shelf.run, "--history", "105", "-k", 10**9).status == 0
    result = call("evaluate", shelf.run, *data, "-k", 10**9)
    assert result.status == 0
    assert result.out == call("evaluate", shelf.run, *data, "-k", "20").out
    assert "HR@20 " in result.out


def test_a_label_with_a_comma_can_be_asked_for_in_quotes(shelf, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    text = (run / "catalogue.json").read_text()
    (run / "catalogue.json").write_text(text.replace('"101"', '"1, 2"'))
    result = call("recommend", run, "--history", '103, "1, 2",  102', "-k", "1")
    assert result.status == 0, result.err
    assert [line.split()[1] for line in result.out.splitlines()[:3]] == ["103", "1,", "102"]


def test_lines_for_an_order_are_said_so_by_train_and_evaluate(shelf, tmp_path):
    data = tmp_path / "log.txt"
    data.write_text("\n".join(f"{u} {(u + s) % 9 + 1}" for u in range(9) for s in range(5)) + "\n")
    run = tmp_path / "run"
    for arguments in (["train", "--out", run, *TINY], ["evaluate", run]):
        result = call(*arguments, "--data", data)
        assert result.status == 0
        assert [x for x in result.out.splitlines() if x.startswith("events are ordered by line")]
    assert "ordered by" not in shelf.trained.out


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_attention_draws_a_picture_and_says_where(shelf, tmp_path, name, start):
    out = tmp_path / name
    result = call("attention", shelf.run, "--history", "101,102,103,104,105,106,107", "--out", out)
    assert (result.status, result.out) == (0, f"{out}\n")
    assert out.read_bytes().startswith(start)


def test_a_file_without_titles_and_with_named_columns(tmp_path):
    data = tmp_path / "log.csv"
    rows = [f"{user},p{(user + step) % 7},{step}" for user in range(9) for step in range(5)]
    data.write_text("\n".join(["who,what,when", *rows]) + "\n")
    columns = ["--data", data, "--columns", "who, what,when"]
    run = tmp_path / "deep" / "run"
    options = ["--loss", "bce", "--norm", "paper", "--negatives", 2, "--out", run]
    assert call("train", *columns, *options, *TINY).status == 0
    assert call("evaluate", run, *columns).status == 0
    result = call("recommend", run, "--history", "p1,p2", "-k", 1)
    assert result.out.splitlines()[0] == "after  p1"


def test_train_without_anything_to_hold_out_keeps_the_last_epoch(tmp_path):
    data = tmp_path / "pairs.txt"
    data.write_text("\n".join(f"{user} {item}" for user in range(6) for item in (1, 2)) + "\n")
    result = call("train", "--data", data, "--out", tmp_path / "run", *TINY)
    assert result.status == 0, result.err
    assert "nothing is held out" in result.out
    assert "test" not in json.loads((tmp_path / "run" / "result.json").read_text())


def test_train_may_overwrite_when_told(shelf, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    again = ["train", "--data", shelf.data, "--out", run, *TINY, "--seed", "5"]
    assert call(*again).status == 2
    assert (run / "model.npz").read_bytes() == (shelf.run / "model.npz").read_bytes()
    assert call(*again, "--overwrite").status == 0
    assert json.loads((run / "result.json").read_text())["settings"]["seed"] == 5


def test_a_mistake_spoils_no_run_that_is_there(shelf, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    result = call("train", "--data", shelf.data, "--out", run, "--overwrite", "--epochs", "0")
    assert result.status == 2
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_ctrl_c_keeps_the_epochs_that_are_over_and_says_so(shelf, tmp_path, monkeypatch):
    def interrupted(self, *arguments, **keywords):
        if len(calls) == 30:  # an epoch has 24 shards
            raise KeyboardInterrupt
        calls.append(1)
        return loss(self, *arguments, **keywords)

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", interrupted)
    result = call("train", "--data", shelf.data, "--out", tmp_path / "run", *TINY)
    assert (result.status, result.err) == (130, "attention-from-scratch train: interrupted\n")
    assert "1 epoch" in result.out
    assert call("recommend", tmp_path / "run", "--history", "101").status == 0


def fails_with(error):
    def fail(*arguments, **keywords):
        raise error

    return fail


@pytest.mark.parametrize(
    ("what", "error", "status"),
    [
        ("evaluate", KeyboardInterrupt(), 130),
        ("evaluate", MemoryError(), 2),
        ("outcome", OSError(errno.ENOSPC, "No space left on device"), 2),
        ("describe_metrics", OSError(errno.EIO, "Input/output error"), 2),
    ],
)
def test_what_fails_after_training_does_not_cost_the_model(
    shelf, tmp_path, monkeypatch, what, error, status
):
    monkeypatch.setattr(runs, what, fails_with(error))
    result = call("train", "--data", shelf.data, "--out", tmp_path / "run", *TINY)
    assert (result.status, result.err.count("\n")) == (status, 1)
    asked = ["--history", "101,102"]
    kept, same = (call("recommend", run, *asked) for run in (tmp_path / "run", shelf.run))
    assert kept.status == 0
    assert kept.out == same.out


def test_a_run_that_was_overwritten_keeps_no_result_of_the_old_one(shelf, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    monkeypatch.setattr(runs, "evaluate", fails_with(KeyboardInterrupt()))
    options = ["--data", shelf.data, "--out", run, "--overwrite", "--seed", "5"]
    assert call("train", *options, *TINY).status == 130
    assert sorted(path.name for path in run.iterdir()) == ["catalogue.json", "model.npz"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), FloatingPointError("lr"), ValueError("no")]
)
def test_a_training_that_comes_to_nothing_leaves_no_folder(shelf, tmp_path, monkeypatch, error):
    monkeypatch.setattr(SASRec, "loss", fails_with(error))
    out = ["--out", tmp_path / "deep" / "run"]
    result = call("train", "--data", shelf.data, *out, *TINY)
    assert (result.status, result.err.count("\n")) in ((130, 1), (2, 1), (1, 1))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "deep" / "run").mkdir(parents=True)  # what was there before stays
    call("train", "--data", shelf.data, *out, *TINY)
    assert list((tmp_path / "deep" / "run").iterdir()) == []


def test_an_lr_far_too_large_is_status_1_and_one_line(shelf, tmp_path):
    options = ["--data", shelf.data, "--out", tmp_path / "run", *TINY]
    result = call("train", *options, "--lr", "1e10", "--evaluate-every", "1")
    assert result.status == 1
    assert "in epoch 1; a smaller lr may help\n" in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_later_keeps_the_best_epoch_and_says_so(
    shelf, tmp_path, monkeypatch
):
    def diverging(self, *arguments, **keywords):
        value, backward = loss(self, *arguments, **keywords)
        calls.append(1)
        return (value if len(calls) <= 3 * 24 else np.nan), backward  # an epoch has 24 shards

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", diverging)
    result = call("train", "--data", shelf.data, "--out", tmp_path / "run", *TINY)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("a smaller --lr may help\n") == 1
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (written["epochs"], written["best_epoch"], written["diverged"]) == (3, 2, True)


# --- signals, pipes, streams


@pytest.fixture(params=["SIGTERM", "SIGHUP"])
def number(request):
    """A signal, at its default: under nohup the tests would inherit that SIGHUP is ignored."""
    number = getattr(signal, request.param)
    inherited = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, inherited)


def test_a_signal_that_ends_it_keeps_the_epochs_that_are_over(shelf, tmp_path, monkeypatch, number):

    def interrupted(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 30:  # an epoch has 24 shards
            os.kill(os.getpid(), number)
        return loss(self, *arguments, **keywords)

    calls, loss, before = [], SASRec.loss, signal.getsignal(number)
    monkeypatch.setattr(SASRec, "loss", interrupted)
    again = lambda *arguments: os.kill(os.getpid(), number)  # `timeout` sends it twice
    monkeypatch.setattr(runs, "evaluate", again)
    monkeypatch.setattr(runs, "describe_metrics", str)
    out = ["--out", tmp_path / "run"]
    result = call("train", "--data", shelf.data, *out, *TINY, "--epochs", "500")
    assert (result.status, result.err) == (130, "attention-from-scratch train: interrupted\n")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["interrupted"] is True
    assert call("recommend", tmp_path / "run", "--history", "101").status == 0
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_ignored_and_other_threads_set_none(shelf, monkeypatch):
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


def test_train_works_on_when_nobody_reads_what_it_prints(shelf, tmp_path):
    command = [sys.executable, "-u", "-m", "attention_from_scratch", "train", *TINY]
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


# --- demo


def test_demo_prints_what_it_can_where_the_output_is_not_utf_8(tmp_path, monkeypatch):
    small = functools.partial(demo.demo, users=200, epochs=1, progress=False)
    monkeypatch.setattr(demo, "demo", small)
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with contextlib.redirect_stdout(out):
        assert main(["demo", "--out", str(tmp_path)]) == 0
    assert "scores X X?" in out.buffer.getvalue().decode("cp1252")
    assert len(list(tmp_path.iterdir())) == 3


def test_demo_tries_its_folder_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "demo", fails_with(AssertionError("too late")))
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path))
    monkeypatch.setattr(runs.tempfile, "TemporaryFile", fails_with(denied))
    result = call("demo", "--out", tmp_path / "pictures")
    expected = f"attention-from-scratch demo: error: {tmp_path}: Permission denied\n"
    assert (result.status, result.err) == (2, expected)
    assert list(tmp_path.iterdir()) == []


# --- help


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command):
    result = call(command, "--help")
    assert (result.status, result.err) == (0, "")
    text = " ".join(result.out.split())
    assert f"example: attention-from-scratch {command} " in text


def test_the_examples_are_understood():
    from attention_from_scratch.cli import build_parser

    for command, (_, _, _, example) in COMMANDS.items():
        words = example.replace('"', "").split()
        assert build_parser().parse_args([command, *words]).command == command


def test_python_m_is_the_command():
    run = subprocess.run(
        [sys.executable, "-m", "attention_from_scratch", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: attention-from-scratch ")
    for command in COMMANDS:
        assert f"\n    {command}" in run.stdout


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


# --- verify


@pytest.mark.parametrize("name", ["softmax", "paper_block"])
def test_verify_of_one_op_passes(name):
    result = call("verify", "--op", name)
    assert result.status == 0
    assert name in result.out
    assert "cases passed" in result.out
    assert "FAILED" not in result.out


def test_verify_in_float32_uses_the_complex_step_alone():
    result = call("verify", "--op", "layer_norm", "--dtype", "float32")
    assert result.status == 0
    assert "4 of 4 cases passed" in result.out


def test_verify_finds_a_planted_wrong_gradient(monkeypatch):
    from attention_from_scratch import ops

    def relu(x):
        output, _ = right(x)
        return output, lambda d_output: d_output  # as if it were the identity

    right = ops.relu
    monkeypatch.setattr(ops, "relu", relu)
    result = call("verify", "--op", "relu")
    assert result.status == 1
    assert "FAILED" in result.out
    assert "0 of 2 cases passed" in result.out
    assert "some gradients are wrong" in result.err
    assert "<- wrong" in result.err


def test_verify_writes_json_that_any_reader_takes_even_when_rows_failed(monkeypatch, tmp_path):
    from attention_from_scratch import ops

    def relu(x):
        return right(x)[0], lambda d_output: d_output * np.nan

    right = ops.relu
    monkeypatch.setattr(ops, "relu", relu)
    result = call("verify", "--op", "relu", "--json", tmp_path / "rows.json")
    assert result.status == 1
    text = (tmp_path / "rows.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert [record["passed"] for record in json.loads(text)] == [False, False]
    assert json.loads(text)[0]["errors"]["complex step"] is None


@pytest.fixture
def framework(monkeypatch):
    """Our own ops in the place of a framework's."""
    from attention_from_scratch.proofs import checks, ops

    module = SimpleNamespace(
        __name__="verify.frameworks.torch",
        VERSION="torch 0",
        CANNOT={},
        REMARKS={},
        CALLS={name: getattr(ops, name) for name in ("relu", "softmax")},
        as_op=lambda op: op,
    )
    monkeypatch.setattr(checks, "load", lambda name: module)
    return module


def test_verify_against_a_framework(framework):
    result = call("verify", "--framework", "torch", "--op", "softmax")
    assert (result.status, result.err) == (0, "")
    assert "8 of 8 rows passed" in result.out


def test_an_op_that_a_framework_has_not_is_not_compared(framework):
    result = call("verify", "--framework", "torch", "--op", "gelu")
    assert result.status == 0
    assert "not compared: no entry in this framework's table" in result.out


def test_a_gradient_of_the_wrong_form_is_a_row_that_failed(framework, tmp_path):
    framework.CALLS["relu"] = lambda x: (np.maximum(x, 0), lambda d_output: d_output.sum())
    result = call("verify", "--framework", "torch", "--op", "relu", "--json", tmp_path / "r.json")
    assert result.status == 1
    assert "the gradient of x (torch)" in result.err
    assert json.loads((tmp_path / "r.json").read_text())[0]["error"] is None


# --- mistakes


def train_with(*options):
    return lambda s, tmp: ["train", "--data", s.data, "--out", tmp / "run", *options]


def below_a_file(tmp):
    (tmp / "file").write_text("")
    return tmp / "file" / "run"


def malformed(tmp):
    lines = ["user_id:token\titem_id:token\ttimestamp:float", "1\t2\t3", "1\t2"]
    (tmp / "bad.inter").write_text("\n".join(lines) + "\n")
    return tmp / "bad.inter"


def spoiled(s, tmp, name, content):
    """A copy of the run with one file spoiled (or gone)."""
    shutil.copytree(s.run, tmp / "spoiled")
    (tmp / "spoiled" / name).unlink()
    if content is not None:
        (tmp / "spoiled" / name).write_bytes(content)
    return tmp / "spoiled"


def three_events(tmp):
    lines = [f"{user} {item}" for user in range(4) for item in (1, 2, 3)]
    (tmp / "three.txt").write_text("\n".join(lines) + "\n")
    return tmp / "three.txt"


def one_event(tmp):
    (tmp / "one.txt").write_text("1 1\n2 2\n")
    return tmp / "one.txt"


def other_items(s, tmp):
    (tmp / "other.inter").write_text(s.data.read_text().replace("\t105\t", "\t999\t"))
    return tmp / "other.inter"


MISTAKES = {
    "a data file that is not there": (
        lambda s, tmp: ["train", "--data", tmp / "none.inter", "--out", tmp / "run"],
        "none.inter: No such file or directory",
    ),
    "a folder for a data file": (
        lambda s, tmp: ["train", "--data", tmp, "--out", tmp / "run"],
        "Is a directory",
    ),
    "a malformed line": (
        lambda s, tmp: ["train", "--data", malformed(tmp), "--out", tmp / "run"],
        "bad.inter line 3: expected 3 tab-separated fields, found 2",
    ),
    "columns that are too few": (train_with("--columns", "user"), "--columns was 'user'"),
    "columns that are not there": (train_with("--columns", "who,what"), "no user column 'who'"),
    "dim 0": (train_with("--dim", "0"), "--dim: was 0"),
    "heads that do not divide": (train_with("--heads", "3", "--dim", "50"), "n_heads was 3"),
    "heads 0": (train_with("--heads", "0"), "--heads: was 0"),
    "blocks 0": (train_with("--blocks", "0"), "--blocks: was 0"),
    "epochs 0": (train_with("--epochs", "0"), "--epochs: was 0"),
    "dropout 1.5": (train_with("--dropout", "1.5"), "dropout was 1.5"),
    "lr 0": (train_with("--lr", "0"), "lr was 0.0, but must be finite and above 0"),
    "lr inf": (train_with("--lr", "inf"), "lr was inf, but must be finite and above 0"),
    "lr nan": (train_with("--lr", "nan"), "lr was nan"),
    "dim beyond all machines": (
        train_with("--dim", "1" + 24 * "0"),
        f"--dim: was 1{24 * '0'}, but must be an integer from 1 to 1000000000",
    ),
    "batch size 0": (train_with("--batch-size", "0"), "--batch-size: was 0"),
    "threads 0": (train_with("--threads", "0"), "--threads: was 0"),
    "processes 0": (train_with("--processes", "0"), "--processes: was 0"),
    "max len 0": (train_with("--max-len", "0"), "--max-len: was 0"),
    "negatives 0": (train_with("--loss", "bce", "--negatives", "0"), "--negatives: was 0"),
    "evaluate every 0": (train_with("--evaluate-every", "0"), "--evaluate-every: was 0"),
    "seed -1": (train_with("--seed", "-1"), "--seed: was -1"),
    "a number that is none": (train_with("--epochs", "many"), "was many, but must be an integer"),
    "an unknown loss": (train_with("--loss", "hinge"), "invalid choice: 'hinge'"),
    "an unknown model": (train_with("--model", "gru"), "invalid choice: 'gru'"),
    "an unknown option": (train_with("--colour", "red"), "unrecognized arguments: --colour red"),
    "train without data": (lambda s, tmp: ["train"], "required: --data"),
    "a run that is there": (
        lambda s, tmp: ["train", "--data", s.data, "--out", s.run],
        "holds a model already",
    ),
    "train --out below a file": (
        lambda s, tmp: ["train", "--data", s.data, "--out", below_a_file(tmp)],
        "Not a directory",
    ),
    "demo --out below a file": (
        lambda s, tmp: ["demo", "--out", below_a_file(tmp)],
        "Not a directory",
    ),
    "attention --out below a file": (
        lambda s, tmp: [
            *("attention", s.run, "--history", "101", "--out", below_a_file(tmp) / "a.png")
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
    "users of three events": (
        lambda s, tmp: ["train", "--data", three_events(tmp), "--out", tmp / "run"],
        "has no user with two events to learn from, after the last two events of each user were",
    ),
    "users of one event": (
        lambda s, tmp: ["train", "--data", one_event(tmp), "--out", tmp / "run"],
        "no history has two events",
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
    "a run that is not there": (
        lambda s, tmp: ["recommend", tmp / "nowhere", "--history", "101"],
        "nowhere is not a folder",
    ),
    "a folder that is no run": (
        lambda s, tmp: ["recommend", tmp, "--history", "101"],
        "model.npz: No such file or directory",
    ),
    "a file for a run": (lambda s, tmp: ["evaluate", s.data, "--data", s.data], "not a folder"),
    "a model that is garbage": (
        lambda s, tmp: ["recommend", spoiled(s, tmp, "model.npz", b"junk"), "--history", "101"],
        "model.npz is not a model",
    ),
    "a model that is empty": (
        lambda s, tmp: ["recommend", spoiled(s, tmp, "model.npz", b""), "--history", "101"],
        "model.npz is not a model",
    ),
    "no catalogue": (
        lambda s, tmp: ["recommend", spoiled(s, tmp, "catalogue.json", None), "--history", "101"],
        "catalogue.json: No such file or directory",
    ),
    "a catalogue that is garbage": (
        lambda s, tmp: [
            *("recommend", spoiled(s, tmp, "catalogue.json", b"\xff{"), "--history", "101")
        ],
        "catalogue.json is not a catalogue",
    ),
    "a catalogue of something else": (
        lambda s, tmp: [
            *("recommend", spoiled(s, tmp, "catalogue.json", b'{"items": 3}'), "--history", "101")
        ],
        "catalogue.json is not a catalogue",
    ),
    "a catalogue of other items": (
        lambda s, tmp: [
            "attention",
            spoiled(s, tmp, "catalogue.json", b'{"items": ["", "101"], "titles": null}'),
            *("--history", "101"),
        ],
        "has 1 items, but the model 20",
    ),
    "recommend without a history": (
        lambda s, tmp: ["recommend", s.run],
        "required: --history",
    ),
    "an unknown op": (lambda s, tmp: ["verify", "--op", "hardmax"], "--op was 'hardmax'"),
    "an unknown op with a framework": (
        lambda s, tmp: ["verify", "--framework", "torch", "--op", "hardmax"],
        "--op was 'hardmax'",
    ),
    "verify --json into a folder that is not there": (
        lambda s, tmp: ["verify", "--op", "relu", "--json", tmp / "none" / "rows.json"],
        "but there is no folder",
    ),
    "verify --json onto a folder": (
        lambda s, tmp: ["verify", "--op", "relu", "--json", tmp],
        "but must be a file, not a folder",
    ),
    "verify --npz with a framework": (
        lambda s, tmp: [
            *("verify", "--op", "relu", "--npz", tmp / "a.npz", "--framework", "torch")
        ],
        "--npz goes without --framework",
    ),
    "verify --npz with a dtype": (
        lambda s, tmp: ["verify", "--op", "relu", "--npz", tmp / "a.npz", "--dtype", "float32"],
        "--npz goes without --dtype",
    ),
    "verify --npz without an op": (
        lambda s, tmp: ["verify", "--npz", tmp / "a.npz"],
        "--npz needs --op",
    ),
    "verify --npz of a file that is not there": (
        lambda s, tmp: ["verify", "--op", "relu", "--npz", tmp / "a.npz"],
        "a.npz: No such file",
    ),
    "an unknown dtype": (lambda s, tmp: ["verify", "--dtype", "half"], "invalid choice: 'half'"),
    "an unknown command": (lambda s, tmp: ["dance"], "invalid choice: 'dance'"),
    "no command": (lambda s, tmp: [], "required: COMMAND"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(shelf, tmp_path, arguments, message):
    result = call(*arguments(shelf, tmp_path))
    assert result.status == 2
    assert message in result.err
    assert result.err.startswith("attention-from-scratch")
    assert ": error: " in result.err
    assert result.err.count("\n") == 1
    assert result.err.endswith("\n")
    assert "Traceback" not in result.err
    assert result.out == "" or arguments(shelf, tmp_path)[0] != "verify"
    assert not (tmp_path / "run").exists()
    assert not list(Path(tmp_path).glob("*.png"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("Unable to allocate 7 TiB",) * 2, ("", "not enough memory for this size")],
)
def test_more_memory_than_there_is_costs_one_line(shelf, monkeypatch, text, shown):
    def greedy(*arguments, **keywords):
        raise MemoryError(*text.splitlines())

    monkeypatch.setattr(SASRec, "recommend", greedy)
    result = call("recommend", shelf.run, "--history", "101")
    assert result.status == 2
    expected = f"attention-from-scratch recommend: error: {shown}\n"
    assert result.err == expected


LABELS = ["", *map(str, ITEMS)]
CATALOGUES = {
    "lists for items": {"items": ["", *[["101"]] * 20], "titles": None},
    "objects for items": {"items": ["", *[{"a": 1}] * 20], "titles": None},
    "numbers for items": {"items": ["", *ITEMS], "titles": None},
    "an item twice": {"items": ["", *["101"] * 20], "titles": None},
    "an object of items": {"items": dict.fromkeys(LABELS), "titles": None},
    "a string of items": {"items": "", "titles": None},
    "an object of titles": {"items": LABELS, "titles": dict.fromkeys(LABELS)},
    "a string of titles": {"items": LABELS, "titles": "x" * 21},
    "an empty title": {"items": LABELS, "titles": ""},
    "numbers for titles": {"items": LABELS, "titles": [1] * 21},
    "titles too few": {"items": LABELS, "titles": LABELS[:-1]},
    "no titles": {"items": LABELS},
    "no items": {"titles": None},
    "a list": [LABELS, None],
    "nothing": None,
}


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
def test_a_catalogue_that_somebody_edited_is_status_2_and_one_line(shelf, tmp_path, catalogue):
    refused(shelf, tmp_path, json.dumps(catalogue))


def test_a_catalogue_too_deep_to_read_is_status_2_and_one_line(shelf, tmp_path):
    refused(shelf, tmp_path, '{"items": ' + "[" * 200_000 + "]" * 200_000 + "}")


def refused(shelf, tmp_path, catalogue):
    run = spoiled(shelf, tmp_path, "catalogue.json", catalogue.encode())
    result = call("recommend", run, "--history", "101")
    assert result.status == 2
    error = f"error: {run / 'catalogue.json'} is not a catalogue that train wrote\n"
    assert result.err == f"attention-from-scratch recommend: {error}"
