"""Random numbers by name: what is drawn for one purpose never depends on another."""

import numpy as np

PURPOSES = {"parameters": 0, "order": 1, "shard": 2}


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """The generator of one seed for one purpose.

    Parameters
    ----------
    seed : int
    purpose : "parameters", "order" (of the users in an epoch) or "shard" (dropout, negatives)
    *numbers : int
        Which one: ("order", epoch), ("shard", step, index).
    """
    key = (PURPOSES[purpose], *numbers)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
