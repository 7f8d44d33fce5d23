"""`train`: the run of a model, and what may go wrong on the way."""

import errno
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.commands import runs, train
from attention_from_scratch.commands.kinds import KINDS
from attention_from_scratch.data import leave_one_out, read_interactions
from attention_from_scratch.models import RecentlyPopular, SASRec, load


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
    assert result["model"] == "sasrec"
    assert result["settings"]["dim"] == 8
    assert result["fit"] == {
        "epochs": 4,
        "patience": 50,
        "evaluate_every": 2,
        "batch_size": 16,
        "lr": 1e-3,
        "schedule": "constant",
        "weight_decay": 0.0,
        "clip": None,
        "pool": 1,
        "pieces": False,
        "threads": 1,
        "processes": None,
    }
    assert result["epochs"] == 4
    assert result["interrupted"] is result["diverged"] is False
    assert set(result["test"]) == {"HR@10", "NDCG@10", "MRR", "coverage", "users"}
    assert shelf.trained.out.startswith("40 users, 20 items, ")
    assert f"written to {shelf.run}" in shelf.trained.out
    assert shelf.trained.err == ""


def test_a_file_without_titles_and_with_named_columns(tmp_path, call, tiny):
    data = tmp_path / "log.csv"
    rows = [f"{user},p{(user + step) % 7},{step}" for user in range(9) for step in range(5)]
    data.write_text("\n".join(["who,what,when", *rows]) + "\n")
    columns = ["--data", data, "--columns", "who, what,when"]
    run = tmp_path / "deep" / "run"
    options = ["--loss", "bce", "--norm", "paper", "--negatives", 2, "--out", run]
    assert call("train", *columns, *options, *tiny).status == 0
    assert call("evaluate", run, *columns).status == 0
    result = call("recommend", run, "--history", "p1,p2", "-k", 1)
    assert result.out.splitlines()[0] == "after  p1"


def test_train_without_anything_to_hold_out_keeps_the_last_epoch(tmp_path, call, tiny):
    data = tmp_path / "pairs.txt"
    data.write_text("\n".join(f"{user} {item}" for user in range(6) for item in (1, 2)) + "\n")
    result = call("train", "--data", data, "--out", tmp_path / "run", *tiny)
    assert result.status == 0, result.err
    assert "nothing is held out" in result.out
    assert "test" not in json.loads((tmp_path / "run" / "result.json").read_text())


def test_lines_for_an_order_are_said_so_by_train_and_evaluate(shelf, tmp_path, call, tiny):
    data = tmp_path / "log.txt"
    data.write_text("\n".join(f"{u} {(u + s) % 9 + 1}" for u in range(9) for s in range(5)) + "\n")
    run = tmp_path / "run"
    for arguments in (["train", "--out", run, *tiny], ["evaluate", run]):
        result = call(*arguments, "--data", data)
        assert result.status == 0
        assert [x for x in result.out.splitlines() if x.startswith("events are ordered by line")]
    assert "ordered by" not in shelf.trained.out


def test_train_may_overwrite_when_told(shelf, tmp_path, call, tiny):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    again = ["train", "--data", shelf.data, "--out", run, *tiny, "--seed", "5"]
    assert call(*again).status == 2
    assert (run / "model.npz").read_bytes() == (shelf.run / "model.npz").read_bytes()
    assert call(*again, "--overwrite").status == 0
    assert json.loads((run / "result.json").read_text())["settings"]["seed"] == 5


def test_a_mistake_spoils_no_run_that_is_there(shelf, tmp_path, call):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    result = call("train", "--data", shelf.data, "--out", run, "--overwrite", "--epochs", "0")
    assert result.status == 2
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_ctrl_c_keeps_the_epochs_that_are_over_and_says_so(
    shelf, tmp_path, monkeypatch, call, tiny
):
    def interrupted(self, *arguments, **keywords):
        if len(calls) == 30:  # an epoch has 24 shards
            raise KeyboardInterrupt
        calls.append(1)
        return loss(self, *arguments, **keywords)

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", interrupted)
    result = call("train", "--data", shelf.data, "--out", tmp_path / "run", "--ops", "plain", *tiny)
    assert (result.status, result.err) == (130, "attention-from-scratch train: interrupted\n")
    assert "1 epoch" in result.out
    assert call("recommend", tmp_path / "run", "--history", "101").status == 0


@pytest.mark.parametrize(
    ("where", "what", "error", "status"),
    [
        (train, "measured", KeyboardInterrupt(), 130),
        (train, "measured", MemoryError(), 2),
        (train, "outcome", OSError(errno.ENOSPC, "No space left on device"), 2),
        (runs, "describe_metrics", OSError(errno.EIO, "Input/output error"), 2),
    ],
)
def test_what_fails_after_training_does_not_cost_the_model(
    shelf, tmp_path, monkeypatch, where, what, error, status, call, tiny, fails_with
):
    monkeypatch.setattr(where, what, fails_with(error))
    result = call("train", "--data", shelf.data, "--out", tmp_path / "run", *tiny)
    assert (result.status, result.err.count("\n")) == (status, 1)
    asked = ["--history", "101,102"]
    kept, same = (call("recommend", run, *asked) for run in (tmp_path / "run", shelf.run))
    assert kept.status == 0
    assert kept.out == same.out


def test_a_run_that_was_overwritten_keeps_no_result_of_the_old_one(
    shelf, tmp_path, monkeypatch, call, tiny, fails_with
):
    run = tmp_path / "run"
    shutil.copytree(shelf.run, run)
    monkeypatch.setattr(train, "measured", fails_with(KeyboardInterrupt()))
    options = ["--data", shelf.data, "--out", run, "--overwrite", "--seed", "5"]
    assert call("train", *options, *tiny).status == 130
    assert sorted(path.name for path in run.iterdir()) == ["catalogue.json", "model.npz"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), MemoryError(), FloatingPointError("lr"), ValueError("no")]
)
def test_a_training_that_comes_to_nothing_leaves_no_folder(
    shelf, tmp_path, monkeypatch, error, call, tiny, fails_with
):
    monkeypatch.setattr(SASRec, "loss", fails_with(error))
    out = ["--out", tmp_path / "deep" / "run"]
    result = call("train", "--data", shelf.data, *out, *tiny)
    assert (result.status, result.err.count("\n")) in ((130, 1), (2, 1), (1, 1))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "deep" / "run").mkdir(parents=True)  # what was there before stays
    call("train", "--data", shelf.data, *out, *tiny)
    assert list((tmp_path / "deep" / "run").iterdir()) == []


def test_an_lr_far_too_large_is_status_1_and_one_line(shelf, tmp_path, call, tiny):
    options = ["--data", shelf.data, "--out", tmp_path / "run", *tiny]
    result = call("train", *options, "--lr", "1e10", "--evaluate-every", "1")
    assert result.status == 1
    assert "in epoch 1; a smaller lr may help\n" in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_later_keeps_the_best_epoch_and_says_so(
    shelf, tmp_path, monkeypatch, call, tiny
):
    def diverging(self, *arguments, **keywords):
        value, backward = loss(self, *arguments, **keywords)
        calls.append(1)
        return (value if len(calls) <= 3 * 24 else np.nan), backward  # an epoch has 24 shards

    calls, loss = [], SASRec.loss
    monkeypatch.setattr(SASRec, "loss", diverging)
    result = call("train", "--data", shelf.data, "--out", tmp_path / "run", "--ops", "plain", *tiny)
    assert (result.status, result.err) == (0, "")
    assert result.out.count("a smaller --lr may help\n") == 1
    written = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (written["epochs"], written["best_epoch"], written["diverged"]) == (3, 2, True)


# --- every model

SMALL = ["--epochs", "2", "--evaluate-every", "1", "--threads", "1", "--dim", "4"]
MODELS = {
    "sasrec": ["--max-len", "5", *SMALL],
    "gru4rec": ["--fast", "--max-len", "5", *SMALL],
    "pipeline": ["--max-len", "5", *SMALL],
    "bpr": SMALL,
    "item-knn": ["--k", "3"],
    "user-knn": ["--half-life", "none"],
    "markov": ["--smoothing", "0.5"],
    "popular": [],
    "recently-popular": ["--share", "0.5"],
    "content-based": ["--features"],
}


@pytest.fixture(scope="module", params=MODELS)
def any_run(request, shelf, call):
    """A run of each model, the options it was made with, and what training said."""
    options = [
        *("--model", request.param),
        *MODELS[request.param],
        *([shelf.items] if "--features" in MODELS[request.param] else []),
    ]
    run = shelf.folder / f"run-{request.param}"
    trained = call("train", "--data", shelf.data, "--out", run, *options)
    assert (trained.status, trained.err) == (0, "")
    return SimpleNamespace(name=request.param, run=run, trained=trained)


def test_a_run_holds_any_model(any_run):
    files = {path.name for path in any_run.run.iterdir()}
    always = {"model.npz", "catalogue.json", "result.json"}
    trained = KINDS[any_run.name].is_trained
    assert files == always | ({"learning-curves.png"} if trained else set())
    result = json.loads((any_run.run / "result.json").read_text())
    assert result["model"] == any_run.name
    assert ("fit" in result, "epochs" in result) == (trained, trained)
    model = load(any_run.run / "model.npz")
    assert isinstance(model, KINDS[any_run.name].model)
    assert result["settings"] == model.config


def test_every_command_takes_a_run_of_any_model(any_run, shelf, call, tmp_path):
    evaluated = call("evaluate", any_run.run, "--data", shelf.data)
    assert (evaluated.status, evaluated.err) == (0, "")
    assert evaluated.out.splitlines()[-1] in any_run.trained.out
    asked = [any_run.run, "--history", "105,106,107"]
    recommended = call("recommend", *asked, "-k", 2)
    assert (recommended.status, recommended.out.count("Film ")) == (0, 5)
    drawn = call("attention", *asked, "--out", tmp_path / "a.png")
    assert drawn.status == (0 if any_run.name in ("sasrec", "pipeline") else 2)
    assert drawn.err.count("\n") == (drawn.status != 0)
    assert drawn.status == 0 or "compares no event with another: it has no " in drawn.err


def test_the_options_of_a_model_reach_it(any_run):
    told = load(any_run.run / "model.npz").config
    expected = {
        "sasrec": {"ops": "fast", "max_len": 5, "dim": 4},
        "gru4rec": {"encoder": "gru", "positions": False, "max_len": 5, "ops": "fast"},
        "pipeline": {"ops": "fast", "encoder": "transformer"},
        "bpr": {"dim": 4},
        "item-knn": {"k": 3, "half_life": 1.0},
        "user-knn": {"half_life": None},
        "markov": {"smoothing": 0.5},
        "popular": {},
        "recently-popular": {"share": 0.5},
        "content-based": {"half_life": 2.0},
    }[any_run.name]
    assert expected.items() <= told.items()


def test_recently_popular_counts_the_latest_events_of_all(shelf, call, tmp_path):
    """Everybody starts at time 0: by time the long histories have the latest events."""
    options = ["--model", "recently-popular", "--share", "0.1"]
    assert call("train", "--data", shelf.data, "--out", tmp_path / "a", *options).status == 0
    counts = load(tmp_path / "a" / "model.npz").item_counts
    data = read_interactions(shelf.data)
    train = leave_one_out(data.histories).train
    times = [row[: len(history)] for row, history in zip(data.times, train, strict=True)]
    by_time = RecentlyPopular(20, 0.1).fit(train, times=times)
    assert np.array_equal(counts, by_time.item_counts)
    assert not np.array_equal(counts, RecentlyPopular(20, 0.1).fit(train).item_counts)


def test_a_pipeline_may_look_at_features(shelf, call, tmp_path):
    options = ["--model", "pipeline", "--id-dropout", "0.5", *SMALL]
    out = ["--data", shelf.data, "--out", tmp_path / "run", "--features", shelf.items]
    assert call("train", *out, *options).status == 0
    model = load(tmp_path / "run" / "model.npz")
    assert set(model.features) == {"genres", "year"}
    assert model.settings.id_dropout == 0.5


def test_a_run_without_a_name_is_called_after_what_it_is(shelf, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("train", "--data", shelf.data, "--model", "markov").status == 0
    assert call("train", "--data", shelf.data, "--model", "bpr", "--seed", 3, *SMALL).status == 0
    bce = ["--loss", "bce", "--epochs", "1", "--dim", "4", "--threads", "1"]
    assert call("train", "--data", shelf.data, *bce).status == 0
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    assert names == {"films-markov", "films-bpr-seed3", "films-bce-seed0"}


def test_a_model_that_counts_says_that_nothing_is_held_out(call, tmp_path):
    data = tmp_path / "pairs.txt"
    data.write_text("\n".join(f"{user} {item}" for user in range(6) for item in (1, 2)) + "\n")
    result = call("train", "--data", data, "--out", tmp_path / "run", "--model", "popular")
    assert result.status == 0, result.err
    assert "no user has 3 events: nothing is held out\n" in result.out
    assert call("evaluate", tmp_path / "run", "--data", data).status == 2


# --- mistakes


def train_with(*options):
    return lambda s, tmp: ["train", "--data", s.data, "--out", tmp / "run", *options]


def malformed(tmp):
    lines = ["user_id:token\titem_id:token\ttimestamp:float", "1\t2\t3", "1\t2"]
    (tmp / "bad.inter").write_text("\n".join(lines) + "\n")
    return tmp / "bad.inter"


def three_events(tmp):
    lines = [f"{user} {item}" for user in range(4) for item in (1, 2, 3)]
    (tmp / "three.txt").write_text("\n".join(lines) + "\n")
    return tmp / "three.txt"


def one_event(tmp):
    (tmp / "one.txt").write_text("1 1\n2 2\n")
    return tmp / "one.txt"


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
        lambda s, tmp: ["train", "--data", s.data, "--out", s.below_a_file(tmp)],
        "Not a directory",
    ),
    "users of three events": (
        lambda s, tmp: ["train", "--data", three_events(tmp), "--out", tmp / "run"],
        "has no user with two events to learn from, after the last two events of each user were",
    ),
    "users of one event": (
        lambda s, tmp: ["train", "--data", one_event(tmp), "--out", tmp / "run"],
        "no history has two events",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_status_2_and_one_clear_line(
    shelf, tmp_path, costs_one_line, arguments, message
):
    costs_one_line(arguments(shelf, tmp_path), message)
