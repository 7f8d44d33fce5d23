"""Speed: contenders take turns, who fails is told, and the tables say what the seconds say."""

import json
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.models import SASRec, pipeline
from benchmarks.speed import __main__ as speed
from benchmarks.speed import contest, showing
from benchmarks.speed.contest import Contender, fastest, ratio, shown, take_turns
from benchmarks.speed.fit import contenders as fit
from benchmarks.speed.gru4rec import contenders as gru4rec
from benchmarks.speed.gru4rec import question as of_encoders
from benchmarks.speed.ladder import contenders as rungs
from benchmarks.speed.ladder import question as ladder
from benchmarks.speed.profile import parts
from benchmarks.speed.profile import question as profile
from benchmarks.speed.scaling import question as growth
from benchmarks.speed.training_step import question as training_step
from benchmarks.speed.training_step.contenders import ours

ATTENTION = "benchmarks.speed.attention.contenders"
LSTM = "benchmarks.speed.lstm.contenders"
MEASURED = sorted(path.stem for path in speed.RESULTS.glob("*.json"))


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    monkeypatch.setattr(contest, "PAUSE", 0)


def test_every_contender_has_a_time_in_every_round_and_says_what_it_is():
    taking_part = {
        "ours": Contender(LSTM, "ours", {"threads": 1}),
        "absent": Contender("no_such_module", "run", {}),
    }
    found = take_turns(taking_part, 2, "turns")
    assert len(found["ours"]["seconds"]) == 2
    assert min(found["ours"]["seconds"]) > 0
    assert found["ours"]["peak"] > 2**20
    assert found["ours"]["about"].startswith("NumPy")
    assert found["absent"] == {"failed": "ModuleNotFoundError: No module named 'no_such_module'"}


def test_a_contender_that_stops_is_named():
    process = Contender(ATTENTION, "ours", {"length": 16, "threads": 0})
    found = take_turns({"nobody": process}, 1, "turns")
    assert "threads was 0" in found["nobody"]["failed"]


def made_up(**medians):
    """A row of contenders with these seconds in three rounds."""
    return {
        who: {"about": who, "seconds": [0.9 * s, s, 1.1 * s], "peak": 2**20}
        for who, s in medians.items()
    }


def test_ratios_are_taken_round_by_round():
    ours_, theirs = {"seconds": [1.0, 4.0, 9.0]}, {"seconds": [1.0, 2.0, 3.0]}
    assert ratio(ours_, theirs) == "2.00 (1.50 to 2.50)"
    assert shown(theirs) == "2 (1.5 to 2.5)"


def test_the_fastest_of_those_that_ran_is_the_best_peer():
    found = made_up(slow=3.0, quick=1.0) | {"failed one": {"failed": "no"}}
    assert fastest(found, list(found)) == "quick"


def test_the_table_of_a_step_holds_us_against_the_best_of_the_others():
    found = made_up(**{"ours": 1.0, "ours, plain ops": 0.1, "PyTorch": 4.0, "JAX, jitted": 2.0})
    found["PyTorch, compiled"] = {"failed": "no compiler"}
    text = training_step.tables({"shape": {"batch": 8}, "rows": {"bce": found}})
    assert "| bce | 1 (0.95 to 1.05) | JAX, jitted | 2 (1.9 to 2.1) | 0.50 (0.50 to 0.50) |" in text
    assert "failed: no compiler" in text


@pytest.mark.parametrize(
    "asked", ["attention", "lstm", "scoring", "epoch", "training_step", "fit", "gru4rec"]
)
def test_a_page_and_a_figure_come_from_the_numbers_alone(asked, tmp_path, monkeypatch):
    name = {"attention": "128", "lstm": "lstm", "scoring": "all users", "gru4rec": "gru"}.get(
        asked, "softmax"
    )
    row = made_up(**{"ours": 1.0, "ours, plain op": 2.0, "ours, plain ops": 2.0, "PyTorch": 4.0})
    memory = {"fast": {"128": 2**20, "256": 2**21}, "plain": {"128": 2**22}}
    rows = {name: row} | ({"256": row} if name == "128" else {})
    around = dict.fromkeys(
        ("python", "machine", "cores", "allocator", "load_before", "load_after"), 1
    )
    one = {"calls": 9, "median": 0.001, "p99": 0.002}
    result = {
        "rows": rows,
        "memory": memory,
        "one_user": one,
        "shape": {},
        "quick": False,
        "environment": around,
    }
    path = tmp_path / "question.json"
    path.write_text(json.dumps(result))
    monkeypatch.setitem(speed.QUESTIONS, "question", speed.QUESTIONS[asked])
    text = speed.redraw("question", path)
    assert "0.25 (0.25 to 0.25)" in text  # ours / PyTorch's
    assert path.with_suffix(".md").read_text("utf-8") == text
    assert path.with_suffix(".png").stat().st_size > 5_000


def test_every_rung_of_the_ladder_has_the_same_gradients():
    found = {}
    for name in ladder.RUNGS:
        run, _ = rungs.rung(name=name, threads=2, **{"batch": 4, "length": 70, "dim": 8})
        parts = run()
        found[name] = [np.concatenate(of) for of in zip(*parts, strict=True)]
    for name in ladder.RUNGS:
        for ours_, theirs in zip(found[name], found["loop"], strict=True):
            np.testing.assert_allclose(ours_, theirs, atol=2e-5)


def test_the_ladder_says_what_each_rung_gains():
    found = made_up(loop=8.0, matrix=2.0, tile=1.0, threads=0.5)
    text = ladder.tables({"shape": {"length": 8}, "rows": {"attention": found}})
    assert "From the first to the last 16 times" in text
    assert [line.split("|")[3].strip() for line in text.splitlines()[-4:]] == [
        "",
        "4.00 (4.00 to 4.00)",
        "2.00 (2.00 to 2.00)",
        "2.00 (2.00 to 2.00)",
    ]


def test_the_powers_of_a_step_are_read_off_on_logarithmic_axes():
    rows = {name: made_up(**{"100": 1.0, "200": 4.0, "400": 32.0}) for name in growth.AXES}
    over_all, last, counted = growth.slopes("length", {"base": growth.BASE, "rows": rows})
    assert (round(over_all, 6), round(last, 6)) == (2.5, 3.0)
    assert 1 < counted < 2


@pytest.mark.parametrize(
    ("name", "loss", "power"),
    [("batch", "bce", 1), ("length", "bce", 2), ("dim", "bce", 2), ("n_items", "softmax", 1)],
)
def test_the_multiplications_of_a_step_grow_as_the_theory_says(name, loss, power):
    many = [growth.multiplications(growth.BASE | {name: size}, loss) for size in (10**7, 2 * 10**7)]
    assert many[1] / many[0] == pytest.approx(2**power, rel=1e-3)


def test_the_parts_of_a_step_add_up_to_it_and_its_products_are_less():
    def whole(seconds):
        return sum(seconds.values())

    shape = training_step.SHAPE | {"batch": 8, "length": 64}
    for loss in ("bce", "softmax"):
        step = parts.profiled_step(loss, 0.2, shape, 4)
        floor = parts.products(loss, shape, 4)
        step(), floor()
        seconds, below = (min((run() for _ in range(3)), key=whole) for run in (step, floor))
        assert min(seconds.values()) > 0
        assert set(below) < set(seconds)
        assert whole(below) < whole(seconds)
        assert {"attention", "linear maps", "Adam", "the rest", "loss"} <= set(seconds)


def test_the_profile_names_parts_by_size_and_their_products():
    found = {"attention": 3.0, "Adam": 1.0, "products alone: attention": 0.5}
    rows = {"bce": {name: {"seconds": [value]} for name, value in found.items()}}
    text = profile.tables({"shape": {}, "rows": rows})
    assert "| attention | 3000.0 | 75% | 500.0 |\n| Adam | 1000.0 | 25% |  |" in text
    assert "| **all** | 4000.0 | 100% | 500.0 |" in text


def test_a_step_of_fast_ops_is_the_step_of_the_plain_ones():
    from attention_from_scratch.tree import tree_leaves

    settings = {"dropout": 0.0, "attention_dropout": 0.0, "threads": 2, "shard": 2}
    for loss in ("bce", "softmax"):
        after = []
        for which in ("fast", "plain"):
            step, _ = ours(loss=loss, ops=which, shape=training_step.QUICK, **settings)
            for _ in range(3):
                params = step()
            after.append(dict(tree_leaves(params)))
        for name, leaf in after[0].items():
            if not name.endswith("key.bias"):  # its gradient is 0, and Adam magnifies what is left
                np.testing.assert_allclose(leaf, after[1][name], atol=2e-5)


@pytest.fixture
def events(tmp_path):
    """A file of 70 users with 12 events each, among 30 items."""
    path, rng = tmp_path / "ml-1m.txt", np.random.default_rng(0)
    rows = rng.integers(1, 31, (70, 12))
    path.write_text("".join(f"{user} {item}\n" for user, row in enumerate(rows, 1) for item in row))
    return str(path)


@pytest.mark.parametrize("encoder", of_encoders.ENCODERS)
def test_a_step_of_every_encoder_is_taken_on_the_ops_that_are_named(encoder, events, monkeypatch):
    taken = []
    loss_of = gru4rec.model_of

    def noted(*arguments):
        taken.append(arguments)
        return loss_of(*arguments)

    monkeypatch.setattr(gru4rec, "model_of", noted)
    for which in ("fast", "plain"):
        step, about = gru4rec.ours(data=events, encoder=encoder, ops=which, threads=1)
        before = step()["items"]["ids"].copy()
        assert not np.array_equal(before, step()["items"]["ids"])
        assert "1 threads" in about
    assert taken == [(encoder, 30, "fast"), (encoder, 30, "plain")]


def test_gru4rec_is_measured_at_the_size_of_the_table_of_the_baselines():
    assert gru4rec.SHAPE == {"max_len": 100, "dim": 64, "dropout": 0.2}
    assert (gru4rec.BATCH, gru4rec.LR) == (64, 3e-3)
    model = gru4rec.model_of("gru", 30, "fast")
    expected = pipeline.gru4rec(30, **gru4rec.SHAPE, ops="fast")
    assert model.settings == expected.settings


def test_the_table_of_encoders_holds_fast_against_plain():
    rows = {name: made_up(**{"ours": 1.0, "ours, plain ops": 4.0}) for name in ("rnn", "gru")}
    rows["gru"] |= made_up(**{"PyTorch": 2.0, "PyTorch, one thread": 3.0})
    text = of_encoders.tables({"shape": gru4rec.SHAPE, "rows": rows})
    assert "| GRU4Rec | 1 (0.95 to 1.05) | PyTorch | 2 (1.9 to 2.1) | 0.50 (0.50 to 0.50) |" in text
    assert "| rnn | 1 (0.95 to 1.05) | 4 (3.8 to 4.2) | 0.25 (0.25 to 0.25) |" in text


@pytest.mark.parametrize("loss", ["bce", "softmax"])
def test_a_step_of_fit_is_taken_when_it_is_asked_for_and_only_then(loss):
    run, _ = fit.ours(loss=loss, shape=training_step.QUICK)
    gate, training = run.func.__self__, run.args[0]
    for _ in range(3):
        run()
        assert not gate.ready.acquire(timeout=0.1)  # no step more than those
    training.kill()
    training.join()
    with pytest.raises(ChildProcessError, match="ended"):
        run()


def test_fit_is_told_the_epochs_and_the_loss_and_nothing_else(monkeypatch):
    told = []
    monkeypatch.setattr(
        SASRec, "fit", lambda model, histories, **named: told.append((model, named))
    )
    for loss in ("bce", "softmax"):
        fit.train(None, loss, training_step.SHAPE)
    settings = [model.settings for model, _ in told]
    sizes = {"n_items": 3416, "max_len": 200}
    assert settings == [SASRec.Settings(**sizes, loss="bce"), SASRec.Settings(**sizes)]
    assert [named for _, named in told] == [{"epochs": fit.EPOCHS}] * 2
    for name, size in (("dim", "dim"), ("n_blocks", "n_blocks"), ("n_heads", "n_heads")):
        assert getattr(settings[1], name) == training_step.SHAPE[size]  # else the peers do less
    assert settings[1].dropout == 0.2


def test_peers_are_all_but_ours():
    assert showing.peers(dict.fromkeys(("ours", "ours, threads", "PyTorch", "JAX"))) == [
        "PyTorch",
        "JAX",
    ]


def test_a_mistake_at_the_shell_is_one_line(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    read = ("scoring", "epoch", "gru4rec")
    no_data = [[name, "--data", str(tmp_path / "none"), *out] for name in read]
    for arguments in (["lstm", "--redraw", *out], ["no-such-question"], *no_data):
        with pytest.raises(SystemExit) as stopped:
            speed.main(arguments)
        assert stopped.value.code == 2
        assert len([li for li in capsys.readouterr().err.splitlines() if "error:" in li]) == 1


@pytest.mark.parametrize("name", MEASURED)
def test_the_committed_page_is_what_its_numbers_say(name):
    result = json.loads((speed.RESULTS / f"{name}.json").read_text("utf-8"))
    assert not result["quick"]
    page = Path(speed.RESULTS / f"{name}.md").read_text("utf-8")
    assert page == speed.page(name, speed.QUESTIONS[name], result)
