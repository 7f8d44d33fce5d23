"""The table of all models: what is run, what is not run again, and what the page says of it."""

import json

import pytest

from attention_from_scratch.commands.table import table_row
from benchmarks import baselines
from benchmarks.baselines import COUNTING, LEARNING, Events, Learning, count, main
from benchmarks.baselines_page import figure, notes, page, read_results, section

N_ITEMS = 12


def write_events(folder, name, *, timestamps, genres=False):
    """30 users, each of whom goes round the circle of items from somewhere, with slips."""
    rows = []
    for user in range(1, 31):
        start, length = user % N_ITEMS, 5 + user % 4
        items = [1 + (start + step) % N_ITEMS for step in range(length)]
        rows += [(user, item, time) for time, item in enumerate(items)]
    path = folder / name
    if timestamps:
        lines = ["user_id:token\titem_id:token\ttimestamp:float"]
        lines += ["\t".join(map(str, row)) for row in rows]
    else:
        lines = [f"{user} {item}" for user, item, _ in rows]
    path.write_text("\n".join(lines) + "\n")
    if genres:
        lines = ["item_id:token\tclass:token_seq"]
        lines += [f"{item}\t{'Drama' if item % 2 else 'Comedy War'}" for item in range(1, 13)]
        path.with_suffix(".item").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def with_all(folder):
    """A file with timestamps and genres."""
    return write_events(folder, "all.inter", timestamps=True, genres=True)


@pytest.fixture(scope="module")
def plain(folder):
    """A file with neither."""
    return write_events(folder, "plain.txt", timestamps=False)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Two epochs of small models."""
    small = {"bpr": {"dim": 4}, "gru4rec": {"dim": 4, "max_len": 5}, "sasrec": {"dim": 4}}
    for name, model in small.items():
        title, make, _ = LEARNING[name]
        fit = {"epochs": 2, "patience": 1}
        learning = Learning(title, make, {"ml-100k": {"model": model, "fit": fit}})
        monkeypatch.setitem(baselines.LEARNING, name, learning)


def run(path, out, *arguments):
    main(["--data", str(path), "--out", str(out), "--threads", "1", *arguments])


# --- what is run


def test_every_model_leaves_a_result_and_stands_in_the_table_and_the_figure(
    with_all, tmp_path, capsys
):
    run(with_all, tmp_path, "--seeds", "0", "2")
    files = {path.stem for path in (tmp_path / "all").iterdir()}
    assert files == {*COUNTING} | {f"{name}-seed{seed}" for name in LEARNING for seed in (0, 2)}
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    titles = {model.title for model in (COUNTING | LEARNING).values()}
    assert {row.split(" | ")[0].strip("| ") for row in rows[1:]} == titles
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    assert section(read_results(tmp_path / "all")) in capsys.readouterr().out


def test_a_result_is_of_the_test_events_and_says_what_it_was_made_with(with_all, tmp_path):
    run(with_all, tmp_path, "--models", "bpr", "user-knn", "--seeds", "1")
    bpr = json.loads((tmp_path / "all" / "bpr-seed1.json").read_text())
    assert bpr["seed"] == 1
    assert bpr["asked"] == {"model": {"dim": 4}, "fit": {"epochs": 2, "patience": 1}}
    assert bpr["epochs"] <= 2
    assert bpr["threads"] == 1
    assert bpr["features"] == ["genres"]
    assert bpr["ordered_by"] == "timestamp"
    assert set(bpr["test"]) == {"HR@10", "NDCG@10", "MRR", "coverage", "users"}
    knn = json.loads((tmp_path / "all" / "user-knn.json").read_text())
    assert knn["tried"] == 4 * 7
    assert set(knn["chosen"]) == {"k", "half_life"}


def test_what_was_run_is_not_run_again(with_all, tmp_path, monkeypatch):
    run(with_all, tmp_path, "--models", "bpr", "markov-chain", "--seeds", "0")
    stamps = {path: path.read_bytes() for path in (tmp_path / "all").iterdir()}
    seeds = []
    learn = baselines.learn

    def noting(name, events, seed, threads):
        seeds.append(seed)
        return learn(name, events, seed, threads)

    monkeypatch.setattr(baselines, "learn", noting)
    monkeypatch.setattr(baselines, "count", lambda *arguments: pytest.fail("counted again"))
    run(with_all, tmp_path, "--models", "bpr", "markov-chain", "--seeds", "0", "1")
    assert seeds == [1]
    assert {path: path.read_bytes() for path in stamps} == stamps


def test_a_seed_gives_the_same_numbers(with_all, tmp_path):
    for out in ("a", "b"):
        run(with_all, tmp_path / out, "--models", "bpr", "--seeds", "3")
    results = [
        json.loads((tmp_path / out / "all" / "bpr-seed3.json").read_text()) for out in ("a", "b")
    ]
    assert results[0]["test"] == results[1]["test"]


def test_a_result_of_other_settings_is_an_error_that_names_it(
    with_all, tmp_path, monkeypatch, capsys
):
    run(with_all, tmp_path, "--models", "bpr", "--seeds", "0")
    title, make, settings = LEARNING["bpr"]
    other = {"ml-100k": settings["ml-100k"] | {"model": {"dim": 5}}}
    monkeypatch.setitem(baselines.LEARNING, "bpr", Learning(title, make, other))
    with pytest.raises(SystemExit) as leaving:
        run(with_all, tmp_path, "--models", "bpr", "--seeds", "0")
    assert leaving.value.code == 2
    assert "bpr-seed0.json was made with other settings: delete it" in capsys.readouterr().err


def test_a_model_that_counts_is_the_one_that_is_best_on_validation(with_all, monkeypatch):
    """And the test events play no part in the choice."""
    asked = []

    def fake(scores, histories, targets):
        model = scores.__self__
        asked.append((model.settings.share, targets is events.split.test))
        return {"NDCG@10": {0.2: 0.5, 0.1: 0.3, 0.5: 0.4}.get(model.settings.share, 0.1)}

    events = Events.read(with_all)
    monkeypatch.setattr(baselines, "evaluate", fake)
    found = count("recently-popular", events)
    assert found["chosen"] == {"share": 0.2}
    assert found["validation"] == 0.5
    shares = COUNTING["recently-popular"].grid["share"]
    assert asked == [*((share, False) for share in shares), (0.2, True)]


def test_times_are_those_of_the_training_events(with_all, plain):
    events = Events.read(with_all)
    for times, history in zip(events.times, events.split.train, strict=True):
        assert times.tolist() == list(range(len(history)))
    assert Events.read(plain).times is None


def test_a_file_without_features_and_timestamps_says_so_in_its_notes(plain, tmp_path):
    names = ["most-popular", "recently-popular"]
    run(plain, tmp_path, "--models", *names)
    said = " ".join(notes(read_results(tmp_path / "plain")))
    assert "no timestamps: RecentlyPopular counts the latest events of each user" in said
    assert "ContentBased is left out" in said
    assert not (tmp_path / "plain" / "content-based.json").exists()


def test_without_models_all_that_can_be_made_are_made(plain, tmp_path):
    run(plain, tmp_path, "--seeds", "0")
    files = {path.stem for path in (tmp_path / "plain").iterdir()}
    assert files == {*COUNTING} - {"content-based"} | {f"{name}-seed0" for name in LEARNING}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "content-based"], "there is no file of items beside --data"),
        (["--models", "magic"], "invalid choice: 'magic'"),
        (["--seeds", "-1"], "--seeds: was '-1', but must be an integer from 0 on"),
        (["--threads", "0"], "--threads: was '0', but must be an integer from 1 on"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(plain, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as leaving:
        run(plain, tmp_path, *arguments)
    assert leaving.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file"), ("", "the file is empty"), ("1 2\n1 3\n", "no user with 3 events")],
)
def test_a_file_that_cannot_be_used_is_one_line_and_status_2(tmp_path, capsys, text, message):
    path = tmp_path / "events.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as leaving:
        run(path, tmp_path / "out")
    assert leaving.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


# --- the page


def made_up(model, title, ndcg, seed=None, **more):
    """A result as `benchmarks.baselines` writes it."""
    test = {"HR@10": 2 * ndcg, "NDCG@10": ndcg, "MRR": ndcg, "coverage": 0.5, "users": 100}
    same = {"data": "some", "events": "100 users", "ordered_by": "timestamp", "features": []}
    which = {} if seed is None else {"seed": seed, "best_epoch": 10 + seed}
    return {"model": model, "title": title, "cpu_seconds": 90, "test": test, **same, **which} | more


COUNTED = made_up("knn", "KNN", 0.1, chosen={"k": 5}, tried=7)
ASKED = {"model": {"dim": 4}, "fit": {"lr": 0.01}}
LEARNT = [
    made_up("net", "Net", ndcg, seed, asked=ASKED) for seed, ndcg in enumerate((0.1, 0.2, 0.3))
]


def test_a_row_has_mean_and_standard_deviation_over_seeds():
    metrics = "0.4000 ± 0.2000 | 0.2000 ± 0.1000 | 0.2000 ± 0.1000 | 0.5000 ± 0.0000"
    assert table_row(LEARNT) == f"| Net | {metrics} | 3 | 1.5 min |"
    metrics = "0.2000 | 0.1000 | 0.1000 | 0.5000"
    assert table_row([COUNTED]) == f"| KNN | {metrics} | - | 1.5 min |"


def test_notes_name_settings_epochs_and_the_standard_error():
    said = list(notes([LEARNT, [COUNTED]]))
    assert said[0] == "Net: dim 4, lr 0.01; best epoch 10, 11, 12."
    assert said[1] == "KNN: k 5; best of 7 settings."
    assert "With 100 users, an HR@10 of 0.400 has a standard error of 0.049" in said[2]
    assert len(said) == 3


def test_notes_give_the_reason_of_settings_that_have_one():
    runs = [LEARNT[0] | {"asked": ASKED | {"because": "it is quick"}}]
    assert next(notes([runs])) == "Net: dim 4, lr 0.01 (it is quick); best epoch 10."


def test_the_page_has_every_file_and_the_best_model_first(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for number, result in enumerate([COUNTED, *LEARNT]):
            text = json.dumps(result | {"data": folder})
            (tmp_path / folder / f"{number}.json").write_text(text)
    (tmp_path / "one.png").touch()
    text = page(tmp_path)
    assert text.index("## one") < text.index("| Net") < text.index("| KNN") < text.index("## two")


def test_the_figure_has_a_bar_a_model_the_best_on_top_and_the_spread_over_seeds():
    (ax,) = figure([LEARNT, [COUNTED]]).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Net", "KNN"]
    assert ax.yaxis_inverted()
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.2, 0.1])
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2
    (spread,) = ax.collections
    (segment,) = spread.get_segments()
    assert segment[:, 0] == pytest.approx([0.1, 0.3])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "trained by gradient descent",
        "no training",
    ]
