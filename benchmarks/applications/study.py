"""Models held against the best that anybody can do who is told no more than they are.

The data follow a formula, so for each model there is a limit: the exact distribution of the next
event, given what the model is told. A study trains its models on several seeds, asks models,
baselines and formula for the same held-out events, and leaves a JSON file for each run. A run whose
file is there is not repeated.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attention_from_scratch.data import Events, best_possible
from attention_from_scratch.evaluation import (
    Protocol,
    hit_rate,
    ndcg,
    rank_targets,
    whole_catalogue,
)
from attention_from_scratch.models import Pipeline
from attention_from_scratch.models.markov import MarkovChain
from attention_from_scratch.ops import log_softmax
from attention_from_scratch.plot import save
from benchmarks.applications.study_page import draw, page
from benchmarks.common.machine import Clocks, made_on
from benchmarks.common.resuming import read_results, run_missing, training_of
from benchmarks.common.writing import write_text

DATA_SEEDS = (0, 1)  # the second is a check: other users, with the first model and seed only

GRU = {"encoder": "gru", "attention": "none", "positions": False}
TRANSFORMER = {"encoder": "transformer", "attention": "none", "n_heads": 2}


class Model(NamedTuple):
    """A model of a study.

    Attributes
    ----------
    title, told : str
        Its name, and what it is told, in words.
    sees : tuple of str
        What it sees of an event beside the item.
    stages, fit : dict
        Settings of the pipeline, and of its training, that are its own.
    reads : bool
        Whether it knows the features of items, where there are any.
    """

    title: str
    told: str
    sees: tuple[str, ...]
    stages: dict
    fit: dict = {}  # noqa: RUF012 (never written to)
    reads: bool = True


class Asked(NamedTuple):
    """What is known and what is asked.

    Attributes
    ----------
    train : Events
    validation, validation_at : (users,)
        What comes next of each user of `train`, and when; 0 if nothing is asked.
    known : Events
        Of the users of the test, who may be others.
    targets, at : (asked,)
        What comes next, and when.
    """

    train: Events
    validation: np.ndarray
    validation_at: np.ndarray
    known: Events
    targets: np.ndarray
    at: np.ndarray


class Counted(NamedTuple):
    """A baseline that was asked.

    `scores` are (asked, V + 1), -inf for who cannot be recommended; `told` is whether their softmax
    is meant as a probability.
    """

    title: str
    scores: np.ndarray
    told: bool = True


class Study:
    """Base class: a subclass provides these names, and the functions that say so.

    Attributes
    ----------
    NAME, TITLE, ARTICLE, ASKED : str
        Of the files and of the page; what the article says; what is asked of whom.
    MODELS : dict
        key -> Model. The first is told all, and gives the example.
    KINDS : dict
        name -> number of kinds, of what a model may see of an event.
    scenario
        What makes the data.
    """

    NAME: str
    TITLE: str
    ARTICLE: str
    ASKED: str
    MODELS: dict[str, Model]
    KINDS: dict[str, int]
    scenario = None

    # --- what a subclass provides

    def settings(self, quick: bool) -> dict:
        """Sizes, and the settings of the models: all that a result depends on beside seeds."""
        raise NotImplementedError

    def prepare(self, settings: dict, seed: int) -> Asked:
        """The events, what is asked and the answers."""
        raise NotImplementedError

    def describe(self, data: Asked) -> dict:
        """Numbers of what there is and of what is asked."""
        raise NotImplementedError

    def counted(self, data: Asked) -> Iterator[Counted]:
        """The baselines, the one that all are measured from first."""
        raise NotImplementedError

    def truth(self, data: Asked, model: Model) -> np.ndarray:
        """The exact distribution of each answer, given what the model is told: (asked, V + 1)."""
        raise NotImplementedError

    def example(self, data: Asked, scores: np.ndarray) -> list[str]:
        """One history, and what the model recommends after it, as lines of text."""
        raise NotImplementedError

    # --- what it may provide

    def columns(self, events: Events) -> dict:
        """What there is to see of events: name -> one sequence per user."""
        return {"behaviour": events.behaviours}

    def protocol(self, data: Asked) -> Protocol:
        """How the validation event is ranked; here people may come back to an item."""
        return whole_catalogue(exclude_seen=False)

    def wanted(self, events: Events) -> list[np.ndarray] | None:
        """Which events are to be predicted in training; None: all."""
        return None

    def scores(self, data: Asked, model: Model, fitted: Pipeline) -> np.ndarray:
        """What a model answers: (asked, V + 1), -inf for who cannot be recommended."""
        return fitted.scores(data.known.histories, self.context(data.known, model))

    def train(
        self, settings: dict, data: Asked, model: Model, *, seed: int, threads: int, **more
    ) -> Pipeline:
        """A fitted model; `more` are settings of the pipeline."""
        pipeline = Pipeline(
            self.scenario.n_items,
            context={name: self.KINDS[name] for name in model.sees},
            seed=seed,
            **settings["model"] | model.stages | more,
        )
        return pipeline.fit(
            data.train.histories,
            context=self.context(data.train, model),
            wanted=self.wanted(data.train),
            validation=data.validation,
            protocol=self.protocol(data),
            threads=threads,
            progress=False,
            **settings["fit"] | model.fit,
        )

    def context(self, events: Events, model: Model) -> dict:
        """What the model is told of each event."""
        columns = self.columns(events)
        return {name: columns[name] for name in model.sees}


# --- the runs


def run(study: Study, options: argparse.Namespace) -> str:
    """Run what is missing, write page and figure; returns the page."""
    folder = options.out / study.NAME
    folder.mkdir(parents=True, exist_ok=True)
    settings = study.settings(options.quick)
    prepare = cache(partial(study.prepare, settings))
    todo = jobs(study, settings, folder, prepare, options)
    run_missing(study.NAME, todo, settings, quick=options.quick)
    return write(study, folder)


def jobs(
    study: Study, settings: dict, folder: Path, prepare: Callable, options: argparse.Namespace
) -> Iterator[tuple[Path, Callable[[], dict]]]:
    """All results that there are to be: the file, and what makes it."""
    first, *_ = study.MODELS
    for data_seed in DATA_SEEDS:
        path = folder / f"limits-data{data_seed}.json"
        yield path, partial(hold_against, study, prepare, data_seed)
    runs = [(DATA_SEEDS[0], seed, key) for seed in options.seeds for key in study.MODELS]
    runs += [(data_seed, options.seeds[0], first) for data_seed in DATA_SEEDS[1:]]
    for data_seed, seed, key in runs:
        path = folder / f"{key}-data{data_seed}-seed{seed}.json"
        make = partial(run_model, study, settings, prepare, key, data_seed)
        yield path, partial(make, seed, options.threads)


def run_model(
    study: Study,
    settings: dict,
    prepare: Callable,
    key: str,
    data_seed: int,
    seed: int,
    threads: int,
) -> dict:
    """Train one model; the events of the test are asked for once, at the end."""
    data, model = prepare(data_seed), study.MODELS[key]
    clocks = Clocks()
    fitted = study.train(settings, data, model, seed=seed, threads=threads)
    spent, training = clocks.read(), training_of(fitted)
    scores = study.scores(data, model, fitted)
    return {
        "model": key,
        "data_seed": data_seed,
        "seed": seed,
        **training,
        **spent,
        "threads": threads,
        **made_on(),
        "test": measured(scores, data.targets),
        "example": study.example(data, scores) if key == next(iter(study.MODELS)) else None,
    }


def hold_against(study: Study, prepare: Callable, data_seed: int) -> dict:
    """Baselines and formula on the same events, and what the formula expects of itself."""
    data = prepare(data_seed)
    baselines = [
        {"title": found.title, "test": measured(found.scores, data.targets, told=found.told)}
        for found in study.counted(data)
    ]
    limits = {}
    for key, model in study.MODELS.items():
        p = study.truth(data, model)
        with np.errstate(divide="ignore"):
            limits[key] = {"test": measured(np.log(p), data.targets), "expected": expected(p)}
    return {
        "data_seed": data_seed,
        "data": study.describe(data),
        "baselines": baselines,
        "limits": limits,
    }


def measured(scores: np.ndarray, targets: np.ndarray, *, told: bool = True) -> dict:
    """Means over the answers: hit rates, NDCG, and -log p in nats.

    That is None if no p is told, or if something came next that was told to be impossible.
    """
    ranks = rank_targets(scores, targets)
    log_p, _ = log_softmax(scores[:, 1:].astype(np.float64))
    nats = -log_p[np.arange(len(targets)), targets - 1].mean()
    return {
        "HR@1": float(hit_rate(ranks, 1).mean()),
        "HR@10": float(hit_rate(ranks, 10).mean()),
        "NDCG@10": float(ndcg(ranks, 10).mean()),
        "cross_entropy": float(nats) if told and np.isfinite(nats) else None,
    }


def expected(p: np.ndarray) -> dict:
    """What the best answers reach in expectation: `best_possible`, by the names used here."""
    ten, one = best_possible(p, 10), best_possible(p, 1)
    return {
        "HR@1": one["hit_rate"],
        "HR@10": ten["hit_rate"],
        "NDCG@10": ten["ndcg"],
        "cross_entropy": ten["cross_entropy"],
    }


def write(study: Study, folder: Path) -> str:
    """Page and figure beside the folder, from the files in it; returns the page."""
    results = read_results(folder)
    text = page(study, results)
    target = folder.parent / f"{study.NAME}.md"
    write_text(target, text)
    save(draw(study, results), target.with_suffix(".png"), dpi=120)
    return text


# --- what the studies share


def recipe(quick: bool, *, max_len: int, dim: int, dropout: float, lr: float) -> dict:
    """Settings of the models of a study, and of their training."""
    return {
        "model": {
            "max_len": max_len,
            "dim": 16 if quick else dim,
            "dropout": dropout,
            "ops": "plain",
        },
        "fit": {
            "lr": lr,
            "batch_size": 64,
            "evaluate_every": 2,
            "patience": 8,
            "epochs": 3 if quick else 30,
        },
    }


def chosen(events: Events, users) -> Events:
    """The events of some users."""
    return Events(*([rows[user] for user in users] for rows in events))


def after(chain: MarkovChain, histories: list[np.ndarray]) -> np.ndarray:
    """What a Markov chain expects next, popularity where nothing was before: (users, V + 1)."""
    p = chain.scores(histories)
    p[:, 0] = 0
    popular = chain.item_counts / chain.item_counts.sum()
    return np.where([[len(history) > 0] for history in histories], p, popular)


def mixed(weight: np.ndarray, likely: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Scores whose softmax is weight * likely + (1 - weight) * rest: (asked, V + 1).

    likely and rest are distributions (asked, V + 1); weight is (asked,).
    """
    p = weight[:, None] * likely + (1 - weight[:, None]) * rest
    with np.errstate(divide="ignore"):
        return np.log(p)


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax of scores, -inf being 0: (..., V + 1)."""
    log_p, _ = log_softmax(scores.astype(np.float64))
    return np.exp(log_p)


def recommended(
    names: list[str], scores: np.ndarray, truth: np.ndarray, target: int, k: int = 5
) -> list[str]:
    """The first k recommendations with the model's probability and the true one, as text.

    names, scores, truth : (V + 1,); target is what came next, and is marked.
    """
    p = np.append(0, probabilities(scores[1:]))
    first = np.argsort(-scores[1:], kind="stable")[:k] + 1
    width = max(len(names[item]) for item in first)
    lines = [f"{'recommended':{width + 2}}{'model':>8}{'truth':>8}"]
    for item in first.tolist():
        mark = "   came next" if item == target else ""
        lines.append(f"  {names[item]:{width}}{p[item]:8.3f}{truth[item]:8.3f}{mark}")
    if target not in first:
        lines.append(f"came next: {names[target]} ({p[target]:.3f}, truth {truth[target]:.3f})")
    return lines
