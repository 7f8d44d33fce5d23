"""The claims that need trained models: they run, and their numbers are what they say."""

import json
import math
import re

import numpy as np
import pytest

from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.ops import rnn
from attention_from_scratch.tree import tree_leaves
from benchmarks.claims import learning, local, movielens, recall, trained
from benchmarks.claims.__main__ import main
from benchmarks.claims.writing import page

# --- each of them, from its runs to its page


@pytest.fixture(scope="module", params=trained.CLAIMS)
def quick(request, tmp_path_factory):
    """Name, folder and result of a claim in its quick form."""
    name, folder = request.param, tmp_path_factory.mktemp("trained")
    main([name, "--quick", "--out", str(folder)])
    return name, folder, json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def test_a_claim_leaves_a_file_a_run_and_json_a_page_and_a_picture(quick):
    name, folder, result = quick
    variants = trained.CLAIMS[name].variants(True)
    assert len(list((folder / name).iterdir())) == 2 * len(variants) == len(result["runs"])
    assert {run["variant"] for run in result["runs"]} == set(variants)
    assert {run["seed"] for run in result["runs"]} == {0, 1}
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_says_what_is_claimed_and_what_was_measured(quick):
    name, folder, result = quick
    claim = trained.CLAIMS[name]
    text = (folder / f"{name}.md").read_text(encoding="utf-8")
    assert text == page(name, claim, result)
    for words in (claim.ARTICLE, claim.measured(result), claim.verdict(result)):
        assert words in text
    assert not re.search(r"\b(nan|inf)\b", text)


def test_what_has_been_run_is_not_run_again(quick, monkeypatch, capsys):
    name, folder, _ = quick
    claim = trained.CLAIMS[name]
    monkeypatch.setattr(claim, "run", lambda *_: pytest.fail("ran"))
    monkeypatch.setattr(trained, "redraw", lambda *_: "a page")
    main([name, "--quick", "--out", str(folder)])
    assert capsys.readouterr().out == "a page\n"
    next((folder / name).iterdir()).unlink()
    with pytest.raises(pytest.fail.Exception, match="ran"):
        main([name, "--quick", "--out", str(folder)])


# --- the command


class Fake:
    """A claim whose runs do nothing."""

    ran: list = []  # noqa: RUF012

    @staticmethod
    def variants(quick):
        return {"a": {"x": 1}, "b, c": {"x": 2}, "b c 2": {"x": 3}}

    @staticmethod
    def prepare(quick, options):
        return "shared"

    @classmethod
    def run(cls, shared, settings, seed):
        cls.ran.append((settings["x"], seed))
        return {"shared": shared}


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(trained.CLAIMS, "local", Fake)
    monkeypatch.setattr(Fake, "ran", [])
    return Fake


def test_the_parts_share_all_runs_between_them_and_the_page_waits(fake, tmp_path, capsys):
    command = ["local", "--out", str(tmp_path), "--seeds", "0", "4"]
    main([*command, "--part", "1/2"])
    assert fake.ran == [(1, 0), (3, 0), (2, 4)]
    main([*command, "--part", "2/2"])
    assert sorted(fake.ran) == [(x, seed) for x in (1, 2, 3) for seed in (0, 4)]
    assert capsys.readouterr().out.splitlines() == [
        f"{n} of 12 runs are in {tmp_path / 'local'}; the last one makes the page" for n in (3, 6)
    ]
    assert not (tmp_path / "local.json").exists()
    found = json.loads((tmp_path / "local" / "b-c-2-seed4.json").read_text(encoding="utf-8"))
    assert {"variant": "b c 2", "seed": 4, "x": 3, "shared": "shared"}.items() <= found.items()


@pytest.mark.parametrize("claim", trained.CLAIMS.values())
@pytest.mark.parametrize("quick", [True, False])
def test_every_run_has_a_file_of_its_own(claim, quick, tmp_path):
    files = [trained.file_of(tmp_path, 0, name) for name in claim.variants(quick)]
    assert len(set(files)) == len(files)


def test_a_users_mistake_is_one_line_and_status_2(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    for arguments, words in (
        (["recall", "--part", "3/2"], "argument --part: was '3/2', but must be 1/2"),
        (["recall", "--part", "0/2"], "argument --part: was '0/2'"),
        (["recall", "--seeds", "-1"], "argument --seeds"),
        (["recall", "--seeds", "one"], "was 'one', but must be an integer from 0 on"),
        (["movielens", "--threads", "0"], "was '0', but must be an integer from 1 on"),
        (["local", "--out", str(file)], "must be a folder"),
        (["local", "--redraw", "--out", str(tmp_path)], "there is no local.json in it"),
        (["movielens", "--data", str(tmp_path / "no"), "--out", str(tmp_path)], "no"),
        (["recall", "--data", "x"], "unrecognized arguments: --data x"),
    ):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        assert words in capsys.readouterr().err


# --- equal size, equal time


@pytest.mark.parametrize(
    ("kinds", "widths", "sizes"),
    [
        *(
            (recall.KINDS, recall.widths(k), {"n_items": recall.ITEMS, "max_len": k + 1})
            for k in (2, 20, 200)
        ),
        (local.KINDS, local.prepare(True, None)["widths"], local.sizes()),
    ],
)
def test_all_models_have_the_same_number_of_parameters_within_2_percent(kinds, widths, sizes):
    assert widths.keys() == kinds.keys()
    numbers = [learning.n_parameters(kind, widths[name], **sizes) for name, kind in kinds.items()]
    assert max(numbers) <= 1.02 * min(numbers)


def test_parameters_are_counted():
    d, items, length = 5, 7, 4
    table, head = (items + 1) * d, d * items + items
    sizes = {"n_items": items, "max_len": length}
    for name, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        layer = 2 * gates * (d * d + d)
        assert learning.n_parameters(recall.KINDS[name], d, **sizes) == table + layer + head
    attention = 3 * (d * d + d) + length * d
    kind = recall.KINDS["global attention"]
    assert learning.n_parameters(kind, d, **sizes) == table + attention + head


def test_what_is_trained_has_as_many_parameters_as_is_said(monkeypatch):
    counted = {}

    def count(kind, params, *_, **__):
        counted["n"] = sum(leaf.size for _, leaf in tree_leaves(params))
        yield {"steps": 0, "loss": 0.0}

    monkeypatch.setattr(recall, "train_for", count)
    shared, variants = recall.prepare(True, None), recall.variants(True)
    for settings in variants.values():
        assert recall.run(shared, settings, 0)["parameters"] == counted["n"]


def test_time_is_spent_in_training_alone(monkeypatch):
    clock = iter(range(10**6))  # every look at the clock is a second later
    monkeypatch.setattr(learning.time, "process_time", lambda: float(next(clock)))
    kind, rng = recall.KINDS["rnn"], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 4, n_items=recall.ITEMS, max_len=3)

    def draw():
        next(clock)  # takes its time, which does not count
        return recall.draw(rng, 2, 2)

    points = list(learning.train_for(kind, params, draw, seconds=6, checkpoints=3))
    assert [point["seconds"] for point in points] == [2, 4, 6]
    assert [point["steps"] for point in points] == [2, 4, 6]


def test_training_learns():
    kind, rng = recall.KINDS["global attention"], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 16, n_items=recall.ITEMS, max_len=3)
    first, *_, last = learning.train_for(
        kind, params, lambda: recall.draw(rng, 32, 2), seconds=0.3, checkpoints=5
    )
    assert last["loss"] < 0.5 * math.log(recall.ITEMS) < first["loss"] * 2


def test_log_probabilities_are_those_of_the_model_whatever_the_batch():
    kind, rng = recall.KINDS["gru"], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 4, n_items=6, max_len=3)
    ids = rng.integers(1, 7, (7, 3))
    found = learning.log_probabilities(kind, params, ids, batch=3)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)
    loss, _ = learning.answer_loss(kind, params, ids, np.full(7, 2))
    assert loss == pytest.approx(-found[:, 1].mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["global attention", "local attention", "lstm"])
def test_the_loss_asks_for_the_last_event_alone(name):
    kind, rng = recall.KINDS[name], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 4, n_items=6, max_len=3)
    ids, answers = rng.integers(1, 7, (5, 3)), rng.integers(1, 7, 5)
    said = learning.log_probabilities(kind, params, ids)
    loss, _ = learning.answer_loss(kind, params, ids, answers)
    assert loss == pytest.approx(-said[np.arange(5), answers - 1].mean(), rel=1e-5)


# --- recall


def test_the_answer_is_the_item_k_steps_before_the_last():
    ids, answers = recall.draw(np.random.default_rng(0), 50, 3)
    assert ids.shape == (50, 4)
    assert ids.min() == 1
    assert ids.max() == recall.ITEMS
    np.testing.assert_array_equal(answers, [row[len(row) - 1 - 3] for row in ids])


@pytest.mark.parametrize(("k", "sees"), [(15, True), (16, False)])
def test_a_window_of_16_reaches_15_steps_back(k, sees):
    kind, rng = recall.KINDS["local attention"], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 8, n_items=recall.ITEMS, max_len=k + 1)
    ids, _ = recall.draw(rng, 6, k)
    other = ids.copy()
    other[:, 0] = ids[:, 0] % recall.ITEMS + 1
    before, after = (learning.log_probabilities(kind, params, each) for each in (ids, other))
    assert np.array_equal(before, after) != sees


def test_the_reach_is_the_gradient_of_the_state_at_each_step():
    kind, rng = recall.KINDS["rnn"], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 6, n_items=recall.ITEMS, max_len=4)
    ids, answers = recall.draw(rng, 1, 3)
    norms = recall.reach(kind, params, ids, answers)
    table, _ = item_table(params["items"], {})
    x, _ = embed({"items": table, "positions": params["positions"]}, ids)
    states, _ = rnn(params["encoder"], x)
    for back in range(1, 4):  # the state so many steps back, as what the rest begins with
        start = states[:, 3 - back]
        last, back_rest = rnn(params["encoder"], x[:, 4 - back :], start, last=True)
        weight, bias = params["decoder"]["head"]["weight"], params["decoder"]["head"]["bias"]
        said = np.exp(last @ weight + bias)
        d_logits = said / said.sum() - np.eye(recall.ITEMS)[answers - 1]
        d_last = (d_logits @ weight.T).astype("float32")
        assert norms[back] == pytest.approx(np.linalg.norm(back_rest(d_last)[2]), rel=1e-4)
        assert norms[0] == pytest.approx(np.linalg.norm(d_last), rel=1e-4)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_gates_that_begin_open_keep_a_state_for_1_to_k_steps(name):
    kind, k, d = recall.KINDS[name], 30, 50
    params = learning.init_params(kind, np.random.default_rng(0), d, n_items=4, max_len=k + 1)
    bias = params["encoder"]["input"]["bias"]
    recall.open_gates(np.random.default_rng(1), bias, name, k)
    gates = bias.reshape(-1, d)
    kept = 1 / (1 + np.exp(-gates[1]))
    assert ((kept >= 1 / 2) & (kept <= k / (k + 1) + 1e-6)).all()
    assert kept.max() - kept.min() > 0.3
    expected = -gates[1] if name == "lstm" else np.zeros(d)
    np.testing.assert_array_equal(gates[0], expected)
    assert not gates[2:].any()


def test_open_gates_let_the_gradient_through():
    k, rng = 30, np.random.default_rng(0)
    ids, answers = recall.draw(rng, 8, k)
    ends = {}
    for name in ("lstm", "lstm" + recall.OPEN):
        kind = recall.KINDS[name]
        params = learning.init_params(kind, rng, 8, n_items=recall.ITEMS, max_len=k + 1)
        if name.endswith(recall.OPEN):
            recall.open_gates(rng, params["encoder"]["input"]["bias"], "lstm", k)
        norms = recall.reach(kind, params, ids, answers)
        ends[name] = norms[-1] / norms[0]
    assert ends["lstm, gates open"] > 1e4 * ends["lstm"]


def test_how_far_a_model_recalls_ends_where_it_first_fails():
    accuracy = {2: [1.0, 0.9], 5: [0.97, 0.85], 10: [0.9, 0.8], 20: [1.0, 1.0]}
    runs = [
        {"model": "rnn", "k": k, "accuracy": value}
        for k, values in accuracy.items()
        for value in values
    ]
    assert recall.recalled({"distances": [2, 5, 10, 20], "runs": runs}, "rnn") == 5
    assert recall.recalled({"distances": [10, 20], "runs": runs}, "rnn") == 0


# --- local


@pytest.fixture(scope="module")
def tasks():
    return local.tasks()


@pytest.mark.parametrize("name", ["table", "sum"])
def test_the_best_is_what_counting_all_pairs_gives(tasks, name):
    task, pairs = tasks[name], local.ITEMS**2
    right = entropy = last_only = 0.0
    for last in range(local.ITEMS):
        for before in range(local.ITEMS):
            chances = task[before, last]
            assert sum(chances) == pytest.approx(1)
            right += max(chances) / pairs
            entropy -= sum(p * math.log(p) for p in chances) / pairs
        of_last = [sum(task[:, last, v]) / local.ITEMS for v in range(local.ITEMS)]
        last_only += max(of_last) / local.ITEMS
    assert local.best(task)["accuracy"] == pytest.approx(right)
    assert local.best(task)["cross_entropy"] == pytest.approx(entropy)
    assert local.best_from_last(task)["accuracy"] == pytest.approx(last_only)


def test_the_best_at_the_table_is_all_but_the_noise_and_a_lucky_guess_in_it(tasks):
    expected = 1 - local.NOISE + local.NOISE / local.ITEMS
    assert local.best(tasks["table"])["accuracy"] == pytest.approx(expected)


def test_votes_have_the_sum_and_not_the_table(tasks):
    best = {name: local.best(task) for name, task in tasks.items()}
    voted = {name: local.best_sum(task) for name, task in tasks.items()}
    assert all(found["slope"] < 1e-3 for found in voted.values())  # convex: the only minimum
    assert voted["sum"]["cross_entropy"] == pytest.approx(best["sum"]["cross_entropy"], abs=2e-3)
    assert voted["sum"]["accuracy"] == pytest.approx(best["sum"]["accuracy"])
    assert voted["table"]["accuracy"] < 0.5 < best["table"]["accuracy"]


def test_after_the_same_item_twice_the_weights_of_a_layer_change_nothing(tasks):
    kind, rng = local.KINDS["local 2, no positions"], np.random.default_rng(0)
    params = learning.init_params(kind, rng, 16, **local.sizes())
    ids = np.repeat(np.arange(1, local.ITEMS + 1)[:, None], 2, axis=1)
    before = learning.log_probabilities(kind, params, ids)
    params["attention"]["query"]["weight"][:] = rng.standard_normal((16, 16))
    np.testing.assert_allclose(learning.log_probabilities(kind, params, ids), before, atol=1e-5)
    answer = tasks["table"].argmax(axis=-1)
    after_twice = np.diag(answer)
    neither = (answer != after_twice[:, None]) & (answer != after_twice)
    assert neither.mean() > 0.7  # the pairs that such a layer cannot have as they are


def test_the_sum_is_a_mean_of_one_vote_with_weights_that_positions_can_give(tasks):
    logits = np.log(tasks["sum"])
    logits -= logits[..., :1]
    of_before, of_last = logits.mean(axis=1), logits.mean(axis=0)
    added = of_before[:, None] + of_last - logits.mean(axis=(0, 1))
    np.testing.assert_allclose(logits, added, atol=1e-9)
    deviation = of_before - of_before.mean(axis=0), of_last - of_last.mean(axis=0)
    np.testing.assert_allclose(deviation[0], local.VOTE * deviation[1], atol=1e-9)


def test_what_comes_next_is_drawn_as_the_task_says(tasks):
    task = tasks["sum"]
    ids, following = local.draw(np.random.default_rng(0), 40_000, task)
    assert ids.shape == (40_000, local.LENGTH)
    assert following.min() == 1
    assert following.max() == local.ITEMS
    for v in range(1, local.ITEMS + 1):
        expected = task[ids[:, -2] - 1, ids[:, -1] - 1, v - 1]
        error = np.sqrt((expected * (1 - expected)).mean() / len(ids))
        assert abs((following == v).mean() - expected.mean()) < 5 * error
    only = (ids[:, -2] == 3) & (ids[:, -1] == 5)
    shares = np.bincount(following[only], minlength=local.ITEMS + 1)[1:] / only.sum()
    np.testing.assert_allclose(shares, task[2, 4], atol=5 * 0.5 / math.sqrt(only.sum()))


def test_the_test_asks_every_pair_equally_often():
    ids = local.questions(np.random.default_rng(0), 2)
    pairs, counts = np.unique(ids[:, -2:], axis=0, return_counts=True)
    assert len(pairs) == local.ITEMS**2
    assert set(counts) == {2}
    assert len(np.unique(ids[:, :-2], axis=0)) == len(ids)


def test_who_knows_the_task_attains_the_best(tasks):
    for task in tasks.values():
        assert local.expected_accuracy(task, task) == pytest.approx(local.best(task)["accuracy"])
        assert local.expected_accuracy(task, task[..., ::-1]) < local.best(task)["accuracy"]


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ([0.1, 0.5, 0.9, 0.9], "there in 3 s"),
        ([0.1, 0.2, 0.3, 0.4], "still rising (+0.10)"),
        ([0.1, 0.4, 0.4, 0.4], "levelled off (+0.00)"),
    ],
)
def test_what_became_of_a_model(accuracies, said):
    curve = [{"accuracy": a, "seconds": s} for s, a in enumerate(accuracies, 1)]
    result = {
        "chance": 0.0,
        "best": {"table": {"accuracy": 0.9 if "there" in said else 1.0}},
        "runs": [{"task": "table", "model": "rnn", "curve": curve}],
    }
    assert local.fate(result, "table", "rnn") == said


# --- movielens


def test_causal_and_global_attention_are_one_function_where_they_are_read():
    assert set(movielens.same_function()) == set(movielens.ENCODERS)
    assert max(movielens.same_function().values()) < 1e-12


def test_without_positions_they_learn_the_same_and_with_positions_they_do_not():
    assert movielens.same_loss(positions=False) < 1e-12
    assert movielens.same_loss(positions=True) > 1e-3


def test_all_cuts_are_the_targets_of_causal_attention():
    histories = [h for h in movielens.made_up() if len(h) > 1]
    wanted = movielens.recent(histories, 4)
    targets = {}
    for name in ("causal", "global, all cuts"):
        config = movielens.BASE | movielens.VARIANTS[name] | {"max_len": 4, "dim": 2}
        model = movielens.Pipeline(20, **config)
        batches = model.batches(histories, 8, 1, context={}, wanted=wanted)
        found = [shard.targets for batch in batches for shard in batch]
        targets[name] = sorted(np.concatenate([t[t != 0] for t in found]))
    assert targets["causal"] == targets["global, all cuts"]
    assert len(targets["causal"]) == sum(min(len(h) - 1, 4) for h in histories)
    assert len(targets["causal"]) < sum(len(h) - 1 for h in histories)


def test_every_model_is_another_and_each_differs_from_the_base_in_what_its_name_says():
    changes = [json.dumps(change, sort_keys=True) for change in movielens.VARIANTS.values()]
    assert len(set(changes)) == len(changes)
    assert movielens.VARIANTS["causal"] == {}
    for name, change in movielens.VARIANTS.items():
        assert ("no positions" in name) == (change.get("positions") is False)
        assert ("not scaled" in name) == (change.get("scaled") is False)
        assert ("no projections" in name) == (change.get("projections") is False)
        window = re.match(r"local (\d+)", name)
        assert change.get("window") == (int(window[1]) if window else None)


def test_a_difference_comes_with_its_standard_error():
    def runs(name, values):
        return [{"variant": name, "test": {"NDCG@10": value}} for value in values]

    result = {"runs": runs("a", [0.10, 0.12, 0.14]) + runs("b", [0.05, 0.06, 0.07])}
    gap, error = movielens.difference(result, "a", "b")
    assert gap == pytest.approx(0.06)
    assert error == pytest.approx(math.sqrt(0.02**2 / 3 + 0.01**2 / 3))
    assert movielens.against(result, "a", "b") == "+0.0600 ± 0.0129"
    assert movielens.against(result, "a", "a") == "+0.0000 ± 0.0163 (unclear)"
