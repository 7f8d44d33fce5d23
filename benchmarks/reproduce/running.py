"""One run: train from a seed, choose the epoch by validation, look at the test events once."""

from attention_from_scratch.data import Split
from attention_from_scratch.evaluation import evaluate, sampled_negatives, whole_catalogue
from attention_from_scratch.models import SASRec
from attention_from_scratch.training import available_cores
from benchmarks.common.machine import Clocks, made_on
from benchmarks.common.resuming import training_of

DRAWS = 5  # of negatives, of the test events; validation has a draw of its own
VALIDATION_DRAW = 100


def run(split: Split, n_items: int, protocol: str, seed: int, settings: dict, cores: dict) -> dict:
    """What goes into the file of a run; `cores` are the `threads` and `processes` of `fit`."""
    model, clocks = SASRec(n_items, **settings["model"], seed=seed), Clocks()
    model.fit(
        split.train,
        validation=split.validation,
        protocol=validation_protocol(protocol, split),
        **cores,
        **settings["fit"],
    )
    spent, training = clocks.read(), training_of(model)
    return {
        "seed": seed,
        **training,
        "threads": cores["threads"] or available_cores(),
        "processes": cores["processes"],
        "seconds": spent["seconds"],
        "seconds_in_steps": round(sum(row["seconds"] for row in model.history), 1),
        **made_on(),
        "test": tested(model, split, protocol),
        "history": model.history,
    }


def validation_protocol(protocol: str, split: Split):
    """How the validation event is ranked: as the test event will be."""
    if protocol != "sampled":
        return whole_catalogue()
    return sampled_negatives(variant="paper", seed=VALIDATION_DRAW, train_histories=split.train)


def tested(model: SASRec, split: Split, protocol: str) -> dict:
    """Variant of the protocol -> metrics of the test events, of each draw of negatives."""
    if protocol != "sampled":
        return {"catalogue": [evaluate(model.scores, split.test_histories, split.test)]}
    return {
        variant: [
            evaluate(
                model.scores,
                split.test_histories,
                split.test,
                protocol=everybody(variant, draw, split),
            )
            for draw in range(DRAWS)
        ]
        for variant in ("paper", "strict")
    }


def everybody(variant: str, draw: int, split: Split):
    """The protocol for all users that have a test event, however many they are."""
    protocol = sampled_negatives(variant=variant, seed=draw, train_histories=split.train)
    return protocol._replace(choose_users=lambda users: users)
