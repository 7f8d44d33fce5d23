"""Decisions: the formula as a model, the truth beside the report, and what the command writes."""

import json

import numpy as np
import pytest

from attention_from_scratch.data import Finance
from attention_from_scratch.explain.explanation import explain
from attention_from_scratch.explain.report import aggregate_report
from benchmarks.applications import decisions, decisions_page
from benchmarks.applications.__main__ import RESULTS, main
from benchmarks.applications.decisions import Formula

BANK = Finance()


@pytest.fixture(scope="module")
def events():
    return BANK.sample(150, np.random.default_rng(3))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """25 users going round 30 films."""
    path = tmp_path_factory.mktemp("data") / "films.inter"
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(25):
        lines += [f"{user}\t{1 + (user + step) % 30}\t{step}" for step in range(6 + user % 3)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def written(films, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    main(["decisions", "--quick", "--data", str(films), "--out", str(folder)])
    return folder


@pytest.fixture(scope="module")
def result(written):
    return json.loads((written / "decisions.json").read_text(encoding="utf-8"))


# --- the truth


def test_the_formula_as_a_model_is_the_formula(events):
    scores = Formula(BANK).scores(events.histories[:5])
    assert np.all(scores[:, 0] == -np.inf)
    np.testing.assert_allclose(np.exp(scores), BANK.next_probabilities(events.histories[:5]))
    found = explain(Formula(BANK), events.histories[0], 3)
    p = BANK.next_probabilities([events.histories[0]])[0, 3]
    assert found.log_probability == pytest.approx(np.log(p))
    assert found.attention is None


def test_the_true_change_is_that_of_the_shares_written_out():
    change = decisions.true_change(BANK, 50, (5.0, 20.0, 35.0))
    drawn = BANK.sample(50, np.random.default_rng(1))
    before, latest = [], []
    for history, months in zip(drawn.histories, drawn.times, strict=True):
        before += [item for item, month in zip(history, months, strict=True) if 5 < month <= 20]
        latest += [item for item, month in zip(history, months, strict=True) if 20 < month <= 35]
    for item in range(1, BANK.n_items + 1):
        expected = latest.count(item) / len(latest) - before.count(item) / len(before)
        assert change[item] == pytest.approx(expected)


def test_the_true_change_of_many_customers_goes_with_the_growth_of_demand():
    change = decisions.true_change(BANK, 20_000, (6.0, 21.0, 36.0))
    assert (change[BANK.growth > 0] > 0.01).all()
    assert (change[BANK.growth < 0] < -0.01).all()


def test_precision_is_the_share_of_true_pairs_among_the_first():
    matrix = np.array([[5.0, 1.0], [4.0, 3.0]])
    truth = np.array([[True, True], [False, True]])
    assert decisions.precision(matrix, truth, 1) == 1
    assert decisions.precision(matrix, truth, 2) == 0.5
    assert decisions.precision(matrix, truth, 4) == 0.75


def test_the_pairs_of_the_formula_are_those_of_its_table(events):
    report = aggregate_report(Formula(BANK), events.histories, events.times, max_users=40)
    found = decisions.held_against_transitions(report, report)
    truth = np.array(found["truth"])
    for row, cause in enumerate(found["causes"]):
        for column, effect in enumerate(found["effects"]):
            p = BANK.transitions[BANK.names.index(cause), BANK.names.index(effect)]
            assert truth[row, column] == (p > 0)
    assert found["n_true"] == truth.sum()
    by = {row["by"]: row for row in found["precision"]}
    assert by["SASRec"] | {"by": ""} == by["the formula"] | {"by": ""}  # asked with the same report
    assert by["the formula"]["10"] > 0.8


def test_a_product_may_be_recommended_again_and_a_film_may_not():
    fund, account = (BANK.names.index(name) for name in ("index fund", "stock account"))
    history = np.array([fund, account])  # which leads back to the fund
    (again,) = decisions.first_choice(Formula(BANK), [history], again=True)
    (other,) = decisions.first_choice(Formula(BANK), [history], again=False)
    assert again == fund
    assert other not in history


# --- what the command finds


def test_the_customer_is_explained_by_model_and_formula(result):
    customer = result["customer"]
    rows = [customer[name] for name in ("events", "attention", "loss", "true_loss")]
    assert len({len(row) for row in rows}) == 1
    assert sum(customer["attention"]) == pytest.approx(1, abs=1e-3)
    assert 0 < customer["true_probability"] < 1
    assert customer["text"][0].startswith(f"{customer['item']}: probability")


def test_recency_is_right_where_the_last_event_decides(result):
    by = {row["hint"]: row for row in result["agreement"]["with_truth"]}
    assert set(by) == set(decisions.HINTS)
    assert all(0 <= row["first"] <= 1 for row in by.values())
    assert all(-1 <= row["rank"] <= 1 for row in by.values())
    assert result["agreement"]["true_first"] > result["agreement"]["true_others"]


def test_intervals_and_true_changes_are_of_the_same_products(result):
    for row in result["trends"]:
        place = BANK.names.index(row["product"])
        assert row["growth"] == BANK.growth[place]
        if row["change"] is not None:
            assert row["low"] < row["change"] < row["high"]
    rising = [row for row in result["trends"] if row["direction"] == 1]
    assert all(row["low"] > 0 for row in rising)


def test_a_film_is_recommended_to_a_user_with_few_events(result):
    user = result["films"]["user"]
    assert len(user["events"]) <= decisions.SHORT_HISTORY
    assert user["item"] not in user["events"]
    assert result["films"]["agreement"]["users"] == 5


# --- what it writes


def test_the_page_holds_what_was_found_and_its_figures_are_there(written, result):
    text = (written / "decisions.md").read_text(encoding="utf-8")
    for lines in (result["report"], result["customer"]["text"], result["films"]["user"]["text"]):
        assert "\n".join(lines) in text
    for name in ("customer", "trends", "transitions", "film"):
        assert f"](decisions-{name}.png)" in text
        assert (written / f"decisions-{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "nan" not in text.replace("finance", "")


def test_what_is_there_is_not_measured_again_but_other_settings_are_told(
    written, films, capsys, monkeypatch
):
    monkeypatch.setattr(decisions, "measure", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(decisions, "figures", lambda _: {})
    main(["decisions", "--quick", "--data", str(films), "--out", str(written)])
    page = (written / "decisions.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == page + "\n"
    with pytest.raises(SystemExit) as error:
        main(["decisions", "--quick", "--out", str(written)])
    assert error.value.code == 2
    assert "made with other settings" in capsys.readouterr().err


def test_without_films_the_page_says_how_to_have_them(result):
    text = decisions_page.page(result | {"films": None})
    assert "Asked of films as well with `--data" in text
    assert "decisions-film" not in decisions_page.figures(result | {"films": None})


def test_the_committed_page_is_what_the_committed_numbers_give():
    result = json.loads((RESULTS / "decisions.json").read_text(encoding="utf-8"))
    assert result["quick"] is False
    page = decisions_page.page(result)
    assert (RESULTS / "decisions.md").read_text(encoding="utf-8") == page
