"""The claims about the article: they run, and their numbers are what they say."""

import itertools
import json
import math
import re

import numpy as np
import pytest

from attention_from_scratch.verify import assert_gradients
from benchmarks.claims import (
    complexity,
    cross,
    lookup,
    measuring,
    scale,
    scale_worker,
    scaling,
    trained,
)
from benchmarks.claims.__main__ import CLAIMS, main
from benchmarks.claims.writing import RESULTS, page, run
from benchmarks.common import numbers
from benchmarks.common.writing import as_json, markdown

# --- each claim, from measuring to its three files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("claims")


@pytest.fixture(scope="module", params=CLAIMS)
def quick(request, folder):
    """Name, page and result of a claim in its quick form."""
    name = request.param
    text = run(name, CLAIMS[name], folder, quick=True)
    return name, text, json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def rows_of_tables(text):
    return [line.count(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_a_claim_leaves_json_a_page_and_a_picture(quick, folder):
    name, text, result = quick
    assert result["claim"] == name
    assert result["quick"] is True
    assert {"numpy", "python", "blas", "cores", "load_before"} <= set(result["environment"])
    assert (folder / f"{name}.md").read_text(encoding="utf-8") == text
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_says_what_is_claimed_and_what_was_measured(quick):
    name, text, result = quick
    assert CLAIMS[name].ARTICLE in text
    assert CLAIMS[name].measured(result) in text
    assert f"]({name}.png)" in text
    assert ("**Verdict.**" in text) == (name == "complexity")
    assert not re.search(r"\b(nan|inf)\b", text)
    assert len(rows_of_tables(text)) >= 3


def test_redraw_makes_page_and_picture_from_the_numbers_alone(tmp_path, capsys):
    numbers = (RESULTS / "scaling.json").read_text(encoding="utf-8")
    (tmp_path / "scaling.json").write_text(numbers, encoding="utf-8")
    main(["scaling", "--redraw", "--out", str(tmp_path)])
    page_there = (RESULTS / "scaling.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == page_there + "\n"
    assert (tmp_path / "scaling.md").read_text(encoding="utf-8") == page_there
    assert (tmp_path / "scaling.json").read_text(encoding="utf-8") == numbers
    assert (tmp_path / "scaling.png").is_file()


MEASURED = sorted(path.stem for path in RESULTS.glob("*.json"))


def test_of_every_claim_that_needs_no_training_there_are_numbers():
    assert set(CLAIMS) <= set(MEASURED) <= CLAIMS.keys() | trained.CLAIMS.keys()


@pytest.mark.parametrize("name", MEASURED)
def test_the_committed_pages_are_what_the_committed_numbers_give(name):
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert result["quick"] is False
    assert (RESULTS / f"{name}.md").read_text(encoding="utf-8") == page(
        name, (CLAIMS | trained.CLAIMS)[name], result
    )
    assert (RESULTS / f"{name}.png").is_file()


def test_a_users_mistake_is_one_line_and_status_2(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    for arguments, words in (
        (["entropy"], "invalid choice: 'entropy'"),
        (["cross", "--out", str(file)], "--out was "),
        (["cross", "--redraw", "--out", str(tmp_path)], "there is no cross.json in it"),
    ):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        assert words in capsys.readouterr().err


# --- what they share


def test_every_round_runs_every_task_and_the_first_round_does_not_count():
    prepared, ran = [], []

    def task(name):
        def prepare():
            prepared.append(name)
            return lambda: ran.append(name)

        return prepare

    seconds = measuring.alternate({"a": task("a"), "b": task("b")}, rounds=3)
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}
    assert prepared == ran
    assert all(sorted(ran[i : i + 2]) == ["a", "b"] for i in range(0, 8, 2))


def test_a_slope_is_the_exponent_of_a_power():
    x = np.array([2.0, 8.0, 32.0])
    assert numbers.slope(x, 3 * x**1.5) == pytest.approx(1.5)


def test_where_one_line_is_above_another():
    x = np.array([1.0, 4.0, 16.0, 64.0])
    assert measuring.slower_where(x, x, 8 + 0 * x) == [(pytest.approx(8), np.inf)]
    assert measuring.slower_where(x, 8 + 0 * x, x) == [(0, pytest.approx(8))]
    assert measuring.slower_where(x, x, 2 * x) == []
    assert measuring.slower_where(x, 2 * x, x) == [(0, np.inf)]
    bump = np.array([0.5, 2.0, 2.0, 0.5])
    assert measuring.slower_where(x, bump, 1 + 0 * x) == [(pytest.approx(2), pytest.approx(32))]


def test_json_has_a_row_a_line_and_comes_back():
    result = {"a": 1, "rows": [{"x": 1, "y": [1.5, 2]}, {"x": 2, "y": []}], "none": []}
    text = as_json(result)
    assert json.loads(text) == result
    assert len(text.splitlines()) == 8
    assert json.loads(as_json({"x": [1 / 3, 2e-16 / 3, 12345678]})) == {
        "x": [0.333333, 6.66667e-17, 12345678]
    }


def test_a_table():
    assert markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


# --- complexity


def test_the_arithmetic_of_attention_is_that_of_its_six_products():
    n, d = 3, 2
    scores, output = 2 * n * d * n, 2 * n * n * d  # Q K^T and A V; two gradients for each
    assert n * complexity.counted("self-attention", n, d) == 3 * (scores + output)
    projection = 2 * n * d * d
    assert n * complexity.counted("multi-head attention", n, d) == 3 * (
        scores + output + 4 * projection
    )


def test_the_arithmetic_of_a_recurrent_layer_is_that_of_two_products_for_each_gate():
    for op, gates in (("rnn", 1), ("gru", 3), ("lstm", 4)):
        assert complexity.counted(op, 50, 2) == 3 * gates * 2 * (2 * 2 * 2)


def times_that_are(seconds):
    """A result in which every op takes the seconds that a function of its shape says."""
    sweeps = complexity.sweeps(quick=True)
    shapes = {shape for sweep in sweeps.values() for shape in sweep.shapes}
    return {
        "sweeps": {name: sweep._asdict() for name, sweep in sweeps.items()},
        "cells": [
            {"op": op, "shape": list(shape), "seconds": [seconds(op, shape)] * 2}
            for op in complexity.OPS
            for shape in shapes
        ],
    }


def test_exponents_and_crossings_are_read_from_the_times():
    def seconds(op, shape):
        batch, n, d = shape
        return batch * n * (n * d if op in complexity.ATTENTION else 2 * d * d)

    result = times_that_are(seconds)
    length, _, width = complexity.main_sweeps(result)
    d = length["shapes"][0][2]
    assert complexity.exponents(result, length, "self-attention") == pytest.approx([1, 1])
    assert complexity.exponents(result, length, "lstm") == pytest.approx([0, 0])
    assert complexity.exponents(result, width, "lstm") == pytest.approx([2, 2])
    found = complexity.crossings(result, length, "self-attention", "gru")
    assert found == f"from {2 * d} on; from {3 * d} on"


def test_what_is_held_is_held():
    for sweep in complexity.sweeps().values():
        varying = complexity.Shape._fields.index(sweep.varies)
        assert len({shape[varying] for shape in sweep.shapes}) == len(sweep.shapes)
        batches, lengths, widths = map(set, zip(*sweep.shapes, strict=True))
        if "batch * n = 4096" in sweep.held:
            assert {batch * n for batch, n, _ in sweep.shapes} == {4096}
        else:
            assert len(batches) == 1
        assert len(lengths if sweep.varies == "d" else widths) == 1


# --- scale


def test_the_memory_of_a_worker_is_its_own():
    held = bytearray(300_000_000)  # a parent that has held more than the worker ever will
    held[::4096] = b"1" * len(held[::4096])
    assert scale.work(phase="train", n_events=10_000)["bytes"] > 8 * 10_000


def test_users_have_about_a_hundred_events_and_items_follow_zipf():
    users = scale_worker.histories(200_000)
    lengths = np.array([len(user) for user in users])
    assert 50 <= lengths.min() <= 52
    assert 148 <= lengths.max() <= 150
    assert lengths.sum() == pytest.approx(200_000, rel=0.03)
    counts = np.bincount(np.concatenate(users), minlength=scale_worker.ITEMS + 1)
    assert counts[0] == 0
    assert len(counts) == scale_worker.ITEMS + 1
    assert counts[1] / counts[4] == pytest.approx(4, rel=0.1)
    assert counts[1:11].sum() / counts[11:101].sum() == pytest.approx(1.30, rel=0.05)


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "events.txt")
    assert scale_worker.write(500, path) == scale_worker.read(path)["events"] > 400


def test_bytes_per_event_leave_out_what_is_held_anyway():
    rows = [
        {"size": n, "phase": "train", "round": 0, "events": n, "bytes": max(9_000, 7_000 + 24 * n)}
        for n in (10, 100, 1000)
    ]
    assert scale.bytes_per_more_event({"rows": rows}, "train") == pytest.approx(24)


# --- scaling


def test_entropy_is_log_n_for_equal_weights_and_0_for_one():
    assert scaling.entropy(np.full((1, 8), 1 / 8)) == pytest.approx(math.log(8))
    assert scaling.entropy(np.eye(8)).tolist() == [0] * 8


def test_the_root_keeps_scores_at_variance_1_and_without_it_the_typical_gradient_vanishes():
    with_root, without = (scaling.observe(64, 1024, scale, seed=3) for scale in scaling.SCALES)
    assert with_root["variance"] == pytest.approx(1, rel=0.1)
    assert without["variance"] == pytest.approx(1024, rel=0.1)
    assert with_root["entropy"] == pytest.approx(math.log(64) - 0.5, abs=0.1)
    assert without["entropy"] < 0.3
    assert with_root["d_scores"] > 0.1
    assert without["d_scores"] < 0.01
    assert with_root["dead"] == 0


def test_the_gradient_through_the_softmax_is_its_jacobian():
    rng = np.random.default_rng(5)
    query, key = rng.standard_normal((2, 4, 3))
    d_weights = rng.standard_normal((4, 4))
    norms = []
    for row, d_row in zip(query @ key.T, d_weights, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        norms.append(np.linalg.norm((np.diag(p) - np.outer(p, p)) @ d_row))
    assert scaling.observe(4, 3, "1", seed=5)["d_scores"] == pytest.approx(np.median(norms))


# --- cross


def test_the_best_without_the_query_is_the_mean_share_of_the_commonest_value():
    memory, values = 5, 3
    memories = list(itertools.product(range(values), repeat=memory))
    shares = [max(map(entries.count, range(values))) / memory for entries in memories]
    assert lookup.best_without_query(memory, values) == pytest.approx(np.mean(shares))


def test_a_question_is_one_of_the_keys_and_its_answer_stands_beside_it():
    keys, values, asked, answers = lookup.draw(np.random.default_rng(0), 200)
    for row in range(200):
        assert len(set(keys[row])) == lookup.MEMORY
        (place,) = np.flatnonzero(keys[row] == asked[row])
        assert values[row, place] == answers[row]
    assert set(np.unique(answers)) == set(range(lookup.VALUES))


@pytest.mark.parametrize("reader", lookup.READERS)
def test_the_gradients_of_a_reader(reader):
    rng = np.random.default_rng(1)
    params = lookup.init_params(rng, "float64")

    def loss(params, *questions):
        return lookup.loss(params, *questions, reader=reader)

    assert_gradients(loss, params, *lookup.draw(rng, 3), projections=2)


@pytest.mark.parametrize("reader", lookup.READERS)
def test_only_the_pooled_reader_is_blind_to_the_question(reader):
    rng = np.random.default_rng(2)
    params = lookup.init_params(rng)
    keys, values, asked, _ = lookup.draw(rng, 6)
    first, _ = lookup.logits(params, keys, values, asked, reader=reader)
    other, _ = lookup.logits(params, keys, values, (asked + 1) % lookup.KEYS, reader=reader)
    assert np.array_equal(first, other) == (reader == "no query, pooled")


def test_a_query_from_outside_answers_as_one_of_the_sequence():
    found = cross.identical(9, n_q=2)
    assert (found["self_shape"], found["cross_shape"]) == ((9, 64), (2, 64))
    assert found["difference"] < 1e-14
