"""Tables made again: what is run, what is not run again, and what the page says of it."""

import json
import math

import numpy as np
import pytest

from benchmarks.reproduce import __main__ as reproduce
from benchmarks.reproduce import recipes, running
from benchmarks.reproduce.page import figure, interval, page, seeds, values
from benchmarks.reproduce.recipes import RECIPES

MADE = sorted(path.stem for path in reproduce.RESULTS.glob("*.md"))


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Both files, 30 users who go round a circle of 140 items; runs of two short epochs."""
    for name in recipes.DATASETS:
        lines = []
        for user in range(1, 31):
            lines += [f"{user} {1 + (5 * user + step) % 140}" for step in range(6 + user % 6)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(recipes, "QUICK", recipes.QUICK | {"model": {"dim": 4, "max_len": 5}})
    return tmp_path


def run(data, *arguments):
    reproduce.main([*arguments, "--quick", "--data", str(data), "--out", str(data / "out")])


@pytest.mark.parametrize(("dataset", "protocol"), RECIPES)
def test_a_seed_is_a_file_with_its_curve_and_its_test_metrics(dataset, protocol, data, capsys):
    run(data, dataset, protocol, "--seed", "1", "--threads", "1")
    folder = data / "out" / f"{dataset}-{protocol}"
    (path,) = folder.glob("*.json")
    result = json.loads(path.read_text())
    assert path.name == "seed1.json"
    assert [row["epoch"] for row in result["history"]] == [1, 2]
    variants = ["paper", "strict"] if protocol == "sampled" else ["catalogue"]
    assert list(result["test"]) == variants
    for draws in result["test"].values():
        assert len(draws) == (running.DRAWS if protocol == "sampled" else 1)
        assert all(draw["users"] == 30 for draw in draws)
    text = folder.with_suffix(".md").read_text()
    assert text in capsys.readouterr().out
    assert RECIPES[dataset, protocol].published[0].who in text
    assert folder.with_suffix(".png").stat().st_size > 5_000


def test_a_seed_that_is_there_is_not_run_again_and_others_are(data, monkeypatch):
    ran = []
    once = running.run

    def noted(split, n_items, protocol, seed, *rest):
        ran.append(seed)
        return once(split, n_items, protocol, seed, *rest)

    monkeypatch.setattr(reproduce, "run", noted)
    run(data, "games", "sampled", "--seed", "1")
    run(data, "games", "sampled")
    run(data, "games", "sampled")
    assert ran == [1, 0, 2]


def test_the_number_of_threads_or_processes_changes_no_result(data):
    found = []
    for number, cores in enumerate((["--threads", "1"], ["--threads", "2"], ["--processes", "2"])):
        out = data / f"out{number}"
        places = ["--data", str(data), "--out", str(out)]
        reproduce.main(["ml-1m", "catalogue", "--quick", "--seed", "0", *cores, *places])
        found.append(json.loads((out / "ml-1m-catalogue" / "seed0.json").read_text()))
        page = (out / "ml-1m-catalogue.md").read_text()
        assert f"on {min(number + 1, 2)} core" in page
    assert found[0]["test"] == found[1]["test"] == found[2]["test"]


def test_a_result_of_other_settings_is_an_error_and_stays(data, monkeypatch, capsys):
    run(data, "games", "sampled", "--seed", "0")
    path = data / "out" / "games-sampled" / "seed0.json"
    before = path.read_text()
    monkeypatch.setattr(recipes, "QUICK", {"model": {"dim": 6}, "fit": {"epochs": 1}})
    with pytest.raises(SystemExit) as stopped:
        run(data, "games", "sampled", "--seed", "0")
    assert stopped.value.code == 2
    assert "was made with other settings" in capsys.readouterr().err
    assert path.read_text() == before


def test_a_mistake_at_the_shell_is_one_line(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    for arguments in (
        ["games", "catalogue", *out],
        ["ml-2m", "sampled", *out],
        ["games", "sampled", "--seed", "-1", *out],
        ["games", "sampled", "--threads", "0", *out],
        ["games", "sampled", "--processes", "0", *out],
        ["games", "sampled", "--data", str(tmp_path / "none"), *out],
        ["games", "sampled", "--redraw", *out],
    ):
        with pytest.raises(SystemExit) as stopped:
            reproduce.main(arguments)
        assert stopped.value.code == 2
        assert len([li for li in capsys.readouterr().err.splitlines() if "error:" in li]) == 1


def test_an_interrupted_run_leaves_no_result(data, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "run", interrupted)
    with pytest.raises(SystemExit) as stopped:
        run(data, "games", "sampled", "--seed", "0")
    assert stopped.value.code == 130
    assert "goes on with the seeds that are missing" in capsys.readouterr().err
    assert not list((data / "out" / "games-sampled").glob("*"))


def test_all_users_are_ranked_where_the_authors_drew_ten_thousand(data):
    split = running.Split([np.array([1])] * 20_000, np.full(20_000, 2), np.full(20_000, 3))
    protocol = running.everybody("paper", 0, split)
    assert len(protocol.choose_users(np.arange(20_000))) == 20_000


def test_the_epoch_is_chosen_by_the_validation_event_with_a_draw_of_its_own(data, monkeypatch):
    seen = []

    class Model:
        def __init__(self, *sizes, **settings):
            self.interrupted, self.best_epoch, self.history = False, 1, []

        def fit(self, histories, **settings):
            seen.append((histories, settings["validation"]))
            return self

    monkeypatch.setattr(running, "SASRec", Model)
    monkeypatch.setattr(running, "tested", lambda *found: {})
    split = running.Split([np.array([1])], np.array([2]), np.array([3]))
    running.run(split, 3, "sampled", 0, {"model": {}, "fit": {}}, {"threads": 1, "processes": 1})
    assert seen[0][0] is split.train
    assert seen[0][1] is split.validation
    assert running.VALIDATION_DRAW not in range(running.DRAWS)


def made_up(*ndcgs, draws=1):
    """Results with these NDCG@10, an HR@10 twice as large."""
    settings = {"model": {"dim": 4}, "fit": {"epochs": 2}, "events": "3 users"}
    about = {"settings": settings, "quick": False, "threads": 2, "seconds": 60.0, "epochs": 2}
    about |= {"seconds_in_steps": 50.0, "best_epoch": 2}
    curve = [{"epoch": e, "loss": 3.0 - e, "seconds": 1.0, "NDCG@10": 0.1 * e} for e in (1, 2)]
    return [
        about
        | {"seed": seed, "history": curve}
        | {"test": {"catalogue": [{"NDCG@10": n, "HR@10": 2 * n, "users": 100}] * draws}}
        for seed, n in enumerate(ndcgs)
    ]


def test_the_interval_is_students():
    assert interval([0.1]) == ""
    half = 4.303 * 0.01 / math.sqrt(3)
    assert interval([0.1, 0.11, 0.12]) == f"{0.11 - half:.4f} to {0.11 + half:.4f}"


def test_the_page_says_how_far_ours_is_from_what_is_aimed_at():
    recipe = RECIPES["ml-1m", "catalogue"]
    results = made_up(0.18, 0.19, 0.20)
    assert values(results, "catalogue", "HR@10") == [0.36, 0.38, 0.40]
    text = page("ml-1m-catalogue", recipe, results)
    assert "| **ours** | 0.3800 ± 0.0200 |" in text
    assert f"{0.38 - 0.3152:+.4f} HR@10, {0.19 - 0.1821:+.4f} NDCG@10" in text
    assert "60 s on 2 cores" in text
    slow = results[0] | {"threads": 1, "seconds": 200.0}
    assert "60 s on 2 cores" in seeds([*results, slow])
    assert seeds([slow]) == "one seed, 200 s on 1 core"
    assert len(figure(recipe, results).axes[0].lines) == 6  # a curve and its best, for each seed


@pytest.mark.parametrize("name", MADE)
def test_the_committed_page_is_what_its_results_say(name):
    results = reproduce.read_results(reproduce.RESULTS / name)
    recipe = RECIPES[tuple(name.rsplit("-", 1))]
    assert not any(result["quick"] for result in results)
    asked = recipes.settings(recipe, quick=False)
    for result in results:
        assert {part: result["settings"][part] for part in asked} == json.loads(json.dumps(asked))
    assert (reproduce.RESULTS / f"{name}.md").read_text("utf-8") == page(name, recipe, results)
