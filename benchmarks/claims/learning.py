"""What `recall` and `local` share: models of equal size, trained for an equal time.

Both are tasks with an answer after the last event: (B, L) ids -> (B,) answers. Time is processor
time on one thread, spent in forward pass, backward pass and Adam, and in nothing else.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.stages import Stages
from attention_from_scratch.training import Adam, clip_gradients
from attention_from_scratch.tree import Tree, tree_leaves

LR, CLIP = 3e-3, 1.0  # the same for all models; tuned for none
WIDTHS = range(16, 81)


class Kind(NamedTuple):
    """A model but for its width."""

    stages: Stages
    positions: bool


def recurrent(name: str) -> Kind:
    """A recurrent layer, read after the last event; it needs nobody to tell it the order."""
    return Kind(Stages(encoder=name, attention="none", decoder="dense"), positions=False)


def attention(name: str, window: int | None = None, *, positions: bool = True) -> Kind:
    """One layer of attention over embedded events, read at the last event."""
    stages = Stages(encoder="embedding", attention=name, window=window, decoder="dense")
    return Kind(stages, positions)


def init_params(kind: Kind, rng, dim: int, **sizes: int) -> Tree:
    """Initial values of the pipeline; sizes are n_items and max_len."""
    return pipeline.init_params(rng, kind.stages, dim=dim, positions=kind.positions, **sizes)


@cache
def n_parameters(kind: Kind, dim: int, **sizes: int) -> int:
    """How many numbers are learnt."""
    params = init_params(kind, np.random.default_rng(0), dim, **sizes)
    return sum(leaf.size for _, leaf in tree_leaves(params))


def equal_widths(kinds: Mapping[str, Kind], about: int, **sizes: int) -> dict[str, int]:
    """Widths at which all models have nearly the same number of parameters.

    A width is an integer, so a model hits no number exactly: of the numbers within 5 % of `about`,
    that is taken which all can come closest to.
    """
    counts = {
        name: np.array([n_parameters(kind, dim, **sizes) for dim in WIDTHS])
        for name, kind in kinds.items()
    }
    best, widths = np.inf, {}
    for target in np.linspace(0.95 * about, 1.05 * about, 101):
        nearest = {name: int(np.abs(of - target).argmin()) for name, of in counts.items()}
        numbers = [counts[name][index] for name, index in nearest.items()]
        if max(numbers) / min(numbers) < best:
            best = max(numbers) / min(numbers)
            widths = {name: WIDTHS[index] for name, index in nearest.items()}
    return widths


def answer_loss(kind: Kind, params: Tree, ids: np.ndarray, answers: np.ndarray):
    """Cross-entropy of the answers: an op from the parameters to one number."""
    targets = answers[:, None]
    if kind.stages.predicts_everywhere:  # but is asked at the last event only
        targets = np.zeros_like(ids)
        targets[:, -1] = answers
    return pipeline.next_item_loss(params, ids, targets, stages=kind.stages, ops=ops)


def train_for(
    kind: Kind, params: Tree, draw: Callable[[], tuple], *, seconds: float, checkpoints: int
) -> Iterator[dict]:
    """Train, in place; stop at equal distances of time.

    Parameters
    ----------
    draw : () -> ids (B, L), answers (B,)
        Every step sees a new batch: there is nothing to overfit.
    seconds : float
        Of processor time, in all. What the caller does at a checkpoint does not count.

    Yields
    ------
    {"seconds", "steps"} so far, "loss": mean of the steps since the last checkpoint (nats)
    """
    adam, used, steps = Adam(params, lr=LR), 0.0, 0
    for until in np.linspace(0, seconds, checkpoints + 1)[1:]:
        losses = []
        while used < until or not losses:
            ids, answers = draw()
            start = time.process_time()
            value, backward = answer_loss(kind, params, ids, answers)
            grads, _ = clip_gradients(backward(), CLIP)
            adam.update(params, grads)
            used += time.process_time() - start
            losses.append(float(value))
        steps += len(losses)
        yield {"seconds": round(used, 3), "steps": steps, "loss": round(np.mean(losses), 4)}


def log_probabilities(kind: Kind, params: Tree, ids: np.ndarray, batch: int = 250) -> np.ndarray:
    """The log-probability of each answer 1..V: (N, L) -> (N, V)."""
    parts = np.array_split(ids, -(-len(ids) // batch))
    settings = {"stages": kind.stages, "ops": ops}
    scores = [pipeline.next_item_scores(params, part, **settings)[:, 1:] for part in parts]
    logits = np.concatenate(scores).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


# --- for their pages


def runs_of(result: dict, **wanted) -> list[dict]:
    """The runs with these entries."""
    return [run for run in result["runs"] if wanted.items() <= run.items()]


def circumstances(result: dict) -> str:
    """How many runs, how long, and how busy the machine was."""
    runs = result["runs"]
    loads = [run["load"] for run in runs if run["load"] is not None]
    busy = f"; load average {np.median(loads):.1f} (at most {max(loads):.1f})" if loads else ""
    minutes = sum(run["clock"] for run in runs) / 60
    return f"{len(runs)} runs, {minutes:.1f} minutes by the clock one after the other{busy}."
