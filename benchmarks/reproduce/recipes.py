"""What is made again: the published numbers, and our settings for each."""

from dataclasses import dataclass
from typing import NamedTuple

METRICS = ("HR@10", "NDCG@10")
DATASETS = ("ml-1m", "games")
PROTOCOLS = {
    "catalogue": "the whole catalogue, items the user has seen left out",
    "wide": "the same, with vectors twice as long",
    "sampled": "100 random items, as the paper's authors drew them",
}
SEEDS = (0, 1, 2)


class Published(NamedTuple):
    """A row of somebody's table."""

    who: str
    hit_rate: float
    ndcg: float
    about: str


@dataclass(frozen=True)
class Recipe:
    """A table to make again.

    `model` and `fit` are the settings of `SASRec` and of its `fit`; the first of `published` is
    what is aimed at, and `variant` says how our model differs from the one it was made with.
    """

    title: str
    model: dict
    fit: dict
    published: tuple[Published, ...]
    variant: str


PAPER = "Kang & McAuley, ICDM 2018, table III"
TURNING = "Klenitskiy & Vasilev, RecSys 2023"
AUTHORS = (
    "the authors' block: only the queries are normalised, the residual starts from the normalised "
    "query, no output projection, padded keys are hidden. Theirs pads every history to L and draws "
    "users with replacement; here an epoch meets every user once. Their tables of items and "
    "positions start from TensorFlow's default, ours from a normal with standard deviation 0.02."
)
BINARY = {"loss": "bce", "n_negatives": 1, "norm": "paper", "dim": 50, "n_blocks": 2, "n_heads": 1}
FAST = {"ops": "fast"}
OF_THE_CATALOGUE = (
    Published("SASRec+, softmax", 0.3152, 0.1821, TURNING + "; 540 s on a GPU"),
    Published("SASRec+, 3,000 negatives", 0.3159, 0.1857, TURNING + "; 769 s on a GPU"),
    Published("SASRec, one negative, BCE", 0.2500, 0.1341, TURNING),
    Published("gSASRec", 0.3003, 0.1726, "asash/gSASRec-pytorch"),
    Published("SASRec, softmax", 0.3058, 0.1779, "blondered/bert4rec_repro"),
)
SOFTMAX = {
    "loss": "cross_entropy",
    "norm": "paper",
    "output_projection": True,
    "init": "small",
    "count_from": "start",
    "max_len": 200,
    "n_blocks": 2,
    "n_heads": 1,
}
IN_PIECES = {
    "evaluate_every": 2,
    "batch_size": 64,
    "lr": 2e-3,
    "schedule": "cosine",
    "pieces": True,
}
PLUS = (
    "the block of SASRec+: that of the paper's authors with an output projection, positions "
    "counted from the start, small initial maps. {} things are ours: a history is learned from in "
    "pieces of 200 events, not only from its last 200; half the batch (theirs has 128 users); lr "
    "that falls along half a wave from 0.002 (theirs stays at 0.001); {}."
)
RECIPES = {
    ("ml-1m", "catalogue"): Recipe(
        "MovieLens-1M, whole catalogue",
        SOFTMAX | {"dim": 64, "dropout": 0.15} | FAST,
        IN_PIECES | {"epochs": 35},
        OF_THE_CATALOGUE,
        PLUS.format("Four", "and dropout 0.15 (theirs 0.1)"),
    ),
    ("ml-1m", "wide"): Recipe(
        "MovieLens-1M, whole catalogue, d=128",
        SOFTMAX | {"dim": 128, "dropout": 0.25} | FAST,
        IN_PIECES | {"epochs": 25},
        OF_THE_CATALOGUE,
        PLUS.format("Five", "d=128 (theirs 64); and dropout 0.25 (theirs 0.1)"),
    ),
    ("ml-1m", "sampled"): Recipe(
        "MovieLens-1M, 100 negatives",
        BINARY | {"max_len": 200, "dropout": 0.2} | FAST,
        {"epochs": 80, "evaluate_every": 5, "batch_size": 64, "lr": 2e-3, "schedule": "cosine"},
        (
            Published("SASRec", 0.8245, 0.5905, PAPER),
            Published("SASRec.pytorch, run 1", 0.8190, 0.5897, "pmixer/SASRec.pytorch, README"),
            Published("SASRec.pytorch, run 2", 0.8225, 0.5918, "pmixer/SASRec.pytorch, README"),
        ),
        AUTHORS,
    ),
    ("games", "sampled"): Recipe(
        "Amazon Video Games, 100 negatives",
        BINARY | {"max_len": 50, "dropout": 0.5} | FAST,
        {"epochs": 80, "evaluate_every": 5, "batch_size": 128, "lr": 1e-3, "schedule": "cosine"},
        (
            Published("SASRec", 0.7410, 0.5360, PAPER),
            Published("SASRec.pytorch", 0.7442, 0.5376, "pmixer/SASRec.pytorch, Result_Norm.md"),
        ),
        AUTHORS,
    ),
}
QUICK = {"model": {"dim": 8, "n_blocks": 1}, "fit": {"epochs": 2, "evaluate_every": 1}}


def settings(recipe: Recipe, *, quick: bool) -> dict:
    """What a run is made with, `model` and `fit`; small sizes if it is only to be seen to run."""
    small = QUICK if quick else {"model": {}, "fit": {}}
    return {"model": recipe.model | small["model"], "fit": recipe.fit | small["fit"]}
