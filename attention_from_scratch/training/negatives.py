"""Items a user has not chosen: for SASRec's binary cross-entropy, and for BPR's triples."""

from collections.abc import Sequence

import numpy as np


def draw_negatives(
    histories: list[np.ndarray], length: int, n_negatives: int, n_items: int, rng
) -> np.ndarray:
    """Draw items for each position, uniformly from those not in the user's history: SASRec's.

    Any item is drawn, and drawn again where the user has seen it; for users whose history is longer
    than half of the catalogue, from a list of what they have not.

    Parameters
    ----------
    histories : one array of item ids per user
    length : int, L
    n_negatives : int, K
    n_items : int, V
    rng : numpy.random.Generator

    Returns
    -------
    (users, L, K) of int64 in 1..V
        A user who has seen the whole catalogue gets any item.

    Source: Kang & McAuley (2018), section III-E; one negative for each position, drawn anew in
    every epoch.
    """
    users = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    seen = np.zeros((len(histories), n_items + 1), bool)
    seen[users, np.concatenate([np.zeros(0, np.int64), *histories])] = True
    negatives = rng.integers(1, n_items + 1, (len(histories), length, n_negatives))
    for user, history in enumerate(histories):
        if 2 * len(history) > n_items:
            unseen = 1 + np.flatnonzero(~seen[user, 1:])
            if len(unseen):
                negatives[user] = unseen[rng.integers(len(unseen), size=negatives[user].shape)]
            else:
                seen[user] = False
    places = np.nonzero(seen[np.arange(len(histories))[:, None, None], negatives])
    while len(places[0]):
        negatives[places] = rng.integers(1, n_items + 1, len(places[0]))
        still = seen[places[0], negatives[places]]
        places = tuple(axis[still] for axis in places)
    return negatives


def draw_unseen(histories: Sequence[np.ndarray], users, n_items: int, rng) -> np.ndarray:
    """Draw an item for each entry of `users`, uniformly from those not in its history: BPR's.

    Of the unseen items, in the order of their ids, number r (from 0) has the id r + 1 + s where s
    is how many seen items stand before it. So one draw is enough, and none has to be repeated.

    Parameters
    ----------
    histories : list of arrays of item ids in 1..V
    users : (N,) of integers
        Indices into `histories`.
    n_items : int, V
    rng : numpy.random.Generator

    Returns
    -------
    (N,) of int64 in 1..V
        A user who has seen the whole catalogue gets any item.
    """
    base = n_items + 1  # user * base + item is a number for each pair, in the order of the users
    owners = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    pairs = np.sort(owners * base + np.concatenate(histories))
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # each once; np.unique takes five times as long
    owners, seen = np.divmod(pairs, base)
    n_seen = np.bincount(owners, minlength=len(histories))
    first = np.cumsum(n_seen) - n_seen  # where in `seen` each user begins
    unseen_before = seen - 1 - (np.arange(len(seen)) - first[owners])  # each seen item

    n_unseen = n_items - n_seen
    number = rng.integers(np.where(n_unseen, n_unseen, n_items)[users])
    place = np.searchsorted(owners * base + unseen_before, users * base + number, side="right")
    return number + 1 + np.where(n_unseen[users], place - first[users], 0)
