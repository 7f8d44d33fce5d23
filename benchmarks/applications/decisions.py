"""Section 7.3, decision support: a bank, whose customers follow a known formula.

Two questions. What does a recommendation rest on? And what do all customers say together: what
rises, what is expected, what leads to what? As the formula is known, every answer is held against
the true one. The first question is asked of films as well, if there is a file of them: there the
truth is not known, but names say something to everybody.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attention_from_scratch.data import (
    Finance,
    Interactions,
    before_last,
    leave_one_out,
    read_interactions,
)
from attention_from_scratch.evaluation import evaluate, whole_catalogue
from attention_from_scratch.explain.agreement import agreement, summary
from attention_from_scratch.explain.correlation import FEWEST, spearman
from attention_from_scratch.explain.explanation import Explanation, explain
from attention_from_scratch.explain.report import Report, aggregate_report
from attention_from_scratch.models import Recommender, SASRec
from attention_from_scratch.models.popularity import MostPopular
from attention_from_scratch.plot import save
from benchmarks.applications.decisions_page import figures, page
from benchmarks.common.machine import Clocks, environment
from benchmarks.common.resuming import check_settings, training_of
from benchmarks.common.writing import as_json, read_json, write_text

AGAIN = whole_catalogue(exclude_seen=False)  # a product may be taken again
SAME = {"n_blocks": 2, "n_heads": 1, "ops": "plain"}  # of both models
BANK_MODEL = {"max_len": 10, "dim": 32, "dropout": 0.1} | SAME
BANK_FIT = {"lr": 2e-3, "evaluate_every": 2, "patience": 10}
FILM_MODEL = {"max_len": 50, "dim": 48, "dropout": 0.2} | SAME
FILM_FIT = {"lr": 3e-3, "batch_size": 32, "evaluate_every": 2, "patience": 8}
PAIRS = (10, 20)  # how many of the pairs that are named first are looked at; and all true ones
HINTS = ("attention", "the model's loss", "recency")  # of what a recommendation rests on
SHORT_HISTORY = 20  # films: an explanation that a reader takes in


class Formula(Recommender):
    """The bank's own formula as a model that knows the products taken, but no months.

    Its scores are log-probabilities, so all that is asked of a model can be asked of the truth.
    """

    def __init__(self, bank: Finance):
        self.bank, self.n_items = bank, bank.n_items

    def scores(self, histories) -> np.ndarray:
        """log p(next | history): (users, V + 1), -inf in column 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.bank.next_probabilities(histories))


def main(options: argparse.Namespace) -> str:
    """Measure, unless the result is there; the page."""
    settings, path = settings_of(options), options.out / "decisions.json"
    if path.exists():
        check_settings(path, settings)
    else:
        found = measure(settings, options)
        write_text(path, as_json({"settings": settings, "quick": options.quick} | found))
    return write(path)


def settings_of(options: argparse.Namespace) -> dict:
    """All that the result depends on."""
    quick = options.quick
    bank = {"customers": 250 if quick else 4000, "asked": 15 if quick else 400}
    films = {"data": options.data.name, "asked": 5 if quick else 100} if options.data else None
    return {
        "seed": options.seeds[0],
        "bank": bank | {"model": BANK_MODEL, "fit": BANK_FIT | {"epochs": 3 if quick else 40}},
        "films": films
        and films | {"model": FILM_MODEL, "fit": FILM_FIT | {"epochs": 1 if quick else 24}},
    }


def measure(settings: dict, options: argparse.Namespace) -> dict:
    """Ask the bank, and films if there is a file of them."""
    seed, threads = settings["seed"], options.threads
    found = ask_bank(settings["bank"], seed, threads)
    films = settings["films"] and ask_films(options.data, settings["films"], seed, threads)
    return found | {"films": films, "environment": environment()}


def write(path: Path) -> str:
    """Page and figures beside the result; returns the page."""
    result = read_json(path)
    text = page(result)
    write_text(path.with_suffix(".md"), text)
    for name, drawn in figures(result).items():
        save(drawn, path.with_name(f"{name}.png"), dpi=120)
    return text


# --- the bank


def ask_bank(settings: dict, seed: int, threads: int) -> dict:
    """Train on customers who follow the formula; explain, report, compare."""
    bank, asked = Finance(), settings["asked"]
    events = bank.sample(settings["customers"], np.random.default_rng(0))
    known, last, _ = before_last(events)
    older, validation, _ = before_last(known)
    model = SASRec(bank.n_items, seed=seed, **settings["model"])
    fit = {"validation": validation, "protocol": AGAIN, "threads": threads} | settings["fit"]
    training = train(model, older.histories, fit)
    formula = Formula(bank)
    report, of_formula = (
        aggregate_report(each, events.histories, events.times, max_users=2 * asked)
        for each in (model, formula)
    )
    return {
        "events": sum(map(len, events.histories)),
        "products": bank.n_items,
        "training": training,
        "ranking": {
            "most popular": ranking(MostPopular(bank.n_items).fit(known.histories), known, last),
            "SASRec": ranking(model, known, last),
            "the formula": ranking(formula, known, last),
        },
        "customer": one_customer(model, formula, known.histories, bank.names),
        "agreement": agreements(model, formula, known.histories[:asked]),
        "report": report.describe(bank.names, top=8).splitlines(),
        "trends": held_against_growth(report, bank, population=50 * len(events.histories)),
        "expected": held_against_expectations(report, of_formula),
        "transitions": held_against_transitions(report, of_formula),
    }


def train(model: SASRec, histories, fit: dict) -> dict:
    """Fit the model; how that went."""
    clocks = Clocks()
    model.fit(histories, progress=False, **fit)
    training, spent = training_of(model), clocks.read()
    return {
        "epochs": training["epochs"],
        "best_epoch": training["best_epoch"],
        "cpu_seconds": spent["cpu_seconds"],
    }


def ranking(model: Recommender, known, last: np.ndarray) -> dict:
    """How the last event of each customer is ranked."""
    return evaluate(model.scores, known.histories, last, protocol=AGAIN)


def first_choice(model: Recommender, histories, *, again: bool) -> np.ndarray:
    """What is recommended first to each user."""
    ids, _ = model.recommend(histories, 1, exclude_seen=not again)
    return ids[:, 0]


def one_customer(model: SASRec, formula: Formula, histories, names: Sequence[str]) -> dict:
    """Explain what is recommended first to the first customer with the longest history."""
    history = max(histories, key=len)
    (item,) = first_choice(model, [history], again=True)
    found, true = explain(model, history, int(item)), explain(formula, history, int(item))
    return explained(found, names) | {
        "true_loss": to_digits(true.loss),
        "true_probability": float(np.exp(true.log_probability)),
    }


def explained(found: Explanation, names: Sequence[str]) -> dict:
    """An explanation for a file: its numbers, and its own words."""
    return {
        "item": names[found.item],
        "probability": float(np.exp(found.log_probability)),
        "events": [names[event] for event in found.history],
        "attention": to_digits(found.attention),
        "loss": to_digits(found.loss),
        "text": found.describe(names).splitlines(),
    }


def agreements(model: SASRec, formula: Formula, histories) -> dict:
    """How attention, the model's losses and recency agree with the true losses, over customers.

    Of each customer what the model recommends first is explained.
    """
    histories = [history for history in histories if len(history) >= FEWEST]
    items = first_choice(model, histories, again=True)
    rank, first = np.zeros((2, len(histories), len(HINTS)))
    sizes = np.zeros((len(histories), 2))  # of the true losses: the largest, the others' mean
    for user, (history, item) in enumerate(zip(histories, items.tolist(), strict=True)):
        found, true = explain(model, history, item), explain(formula, history, item).loss
        hints = found.attention, found.loss, np.arange(len(history))
        rank[user] = [spearman(hint, true) for hint in hints]
        first[user] = [np.argmax(hint) == true.argmax() for hint in hints]
        sizes[user] = true.max(), np.abs(np.delete(true, true.argmax())).mean()
    return {
        "customers": len(histories),
        "text": str(agreement(model, histories, items)).splitlines(),
        "with_truth": [
            {"hint": hint, "rank": summary(rank[:, at])[0], "first": float(first[:, at].mean())}
            for at, hint in enumerate(HINTS)
        ],
        "true_first": float(np.median(sizes[:, 0])),
        "true_others": float(np.median(sizes[:, 1])),
    }


def to_digits(values: np.ndarray, digits: int = 4) -> list:
    """Rounded numbers, for a file that people may read; NaN, which JSON does not know, is None."""
    return [None if np.isnan(value) else round(float(value), digits) for value in values]


# --- the report, held against the truth


def held_against_growth(report: Report, bank: Finance, population: int) -> list[dict]:
    """What the report says of each product's share, and what is true of it.

    The true change is that in a population of so many further customers, in the same periods.
    """
    trends = report.trends
    change = true_change(bank, population, trends.periods)
    columns = zip(
        trends.items.tolist(),
        trends.direction.tolist(),
        *(to_digits(values, 5) for values in (trends.change, trends.low, trends.high)),
        strict=True,
    )
    return [
        {
            "product": bank.names[item],
            "direction": direction,
            "change": found,
            "low": low,
            "high": high,
            "true_change": round(float(change[item]), 5),
            "growth": float(bank.growth[item]),
        }
        for item, direction, found, low, high in columns
    ]


def true_change(bank: Finance, population: int, periods: tuple) -> np.ndarray:
    """Share of each product in the latest period less that before, of many customers: (V + 1,)."""
    events = bank.sample(population, np.random.default_rng(1))
    items, months = np.concatenate(events.histories), np.concatenate(events.times)
    start, middle, end = periods
    shares = [
        np.bincount(items[(months > low) & (months <= high)], minlength=bank.n_items + 1)
        for low, high in ((start, middle), (middle, end))
    ]
    before, latest = (counts / counts.sum() for counts in shares)
    return latest - before


def held_against_expectations(report: Report, of_formula: Report) -> list[dict]:
    """What the model expects next of the customers asked, and what the formula does."""
    true = of_formula.expectations
    formula = dict(zip(true.items.tolist(), true.expected.tolist(), strict=True))
    found = report.expectations
    return [
        {
            "product": Finance.names[item],
            "so_far": round(so_far, 5),
            "expected": round(expected, 5),
            "formula": round(formula[item], 5),
        }
        for item, expected, so_far in zip(
            *(values.tolist() for values in (found.items, found.expected, found.so_far)),
            strict=True,
        )
    ]


def held_against_transitions(report: Report, of_formula: Report) -> dict:
    """How many of the pairs named first are pairs of the formula: by model, formula, counting."""
    found, true = report.influences, of_formula.influences
    matrices = {
        "SASRec": found.specific,
        "the formula": true.specific,
        "counting": np.nan_to_num(found.lift, nan=0.0),
    }
    truth = Finance.transitions[np.ix_(found.causes, found.effects)] > 0
    n_true = int(truth.sum())
    return {
        "causes": [Finance.names[item] for item in found.causes],
        "effects": [Finance.names[item] for item in found.effects],
        "n_true": n_true,
        "n_pairs": truth.size,
        "precision": [
            {"by": name} | {str(k): precision(matrix, truth, k) for k in (*PAIRS, n_true)}
            for name, matrix in matrices.items()
        ],
        "matrices": {
            name: [to_digits(row, 3) for row in matrix] for name, matrix in matrices.items()
        },
        "truth": truth.astype(int).tolist(),
    }


def precision(matrix: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Share of true pairs among the k with the largest values."""
    first = np.argsort(-matrix, axis=None, kind="stable")[:k]
    return float(truth.ravel()[first].mean())


# --- films


def ask_films(path: Path, settings: dict, seed: int, threads: int) -> dict:
    """Train on films; explain one user's recommendation by title, and compare for many users."""
    data = read_interactions(path)
    split = leave_one_out(data.histories)
    model = SASRec(data.n_items, seed=seed, **settings["model"])
    fit = {"validation": split.validation, "threads": threads} | settings["fit"]
    training = train(model, split.train, fit)
    histories = split.test_histories
    return {
        "data": path.name,
        "events": str(data),
        "training": training,
        "ranking": evaluate(model.scores, histories, split.test),
        "user": one_user(model, data, histories, split.test),
        "agreement": film_agreement(model, histories[: settings["asked"]]),
    }


def one_user(model: SASRec, data: Interactions, histories, targets: np.ndarray) -> dict:
    """Explain a recommendation that came true: the film that a user with few events saw next.

    Of such users the first is taken; if there is none, the first user with the shortest history.
    """
    short = [user for user, history in enumerate(histories) if 0 < len(history) <= SHORT_HISTORY]
    short = short or [int(np.argmin([len(history) for history in histories]))]
    chosen = first_choice(model, [histories[user] for user in short], again=False)
    came_true = np.flatnonzero(chosen == targets[short])
    place = came_true[0] if len(came_true) else 0
    user, item = short[place], int(chosen[place])
    found = explained(explain(model, histories[user], item), data.titles or data.items)
    return found | {"user": data.users[user], "came_true": bool(len(came_true))}


def film_agreement(model: SASRec, histories) -> dict:
    """How attention agrees with leaving out, of what is recommended first to each user."""
    items = first_choice(model, histories, again=False)
    return {
        "users": len(histories),
        "text": str(agreement(model, histories, items)).splitlines(),
    }
