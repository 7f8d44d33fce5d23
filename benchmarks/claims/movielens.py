"""MovieLens-100K: which attention, which encoder, with positions and without, scaled or not.

One model is the base: items embedded with their positions, one layer of causal attention, the dot
product with the items. Every other differs from it in what its name says. The last event of each
user is the test, the one before it validation; all items are ranked, those of the history left out.

Global attention may not learn from every event as causal attention does, for it would see what it
is to predict. It learns from histories cut in two, and each piece costs as much as a whole history.
So it comes twice. "global": so many cuts that an epoch takes about as long as one of causal
attention. "global, all cuts": the same targets in an epoch as causal attention has, and that takes
several times as long. In all of them an epoch has the same number of steps.

Read after the last event, one layer of global attention *is* causal attention: `same_function`.
"""

import time
from pathlib import Path

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.data import Split, leave_one_out, read_interactions
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models import Pipeline
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.stages import Stages
from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.tree import tree_leaves
from benchmarks.claims import OPS
from benchmarks.claims.learning import circumstances, runs_of
from benchmarks.common.drawing import STYLES, finish
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.options import count
from benchmarks.common.writing import in_words, markdown

ARTICLE = (
    "that global self-attention suits what is far and local self-attention what is near (2.1), "
    "that the encoder may be recurrent or a Transformer (3.2), that the weights are softmax(X Xᵀ) "
    "(4.1) or softmax(X Xᵀ / √d) (4.2), without learned projections and without positions, and "
    "that self-attention improves recommendations (1.2, 3.3, 8.1, 9.2)."
)
FIGURE = "NDCG@10 of each model and seed"

BASE = {
    "max_len": 50,
    "dim": 48,
    "encoder": "embedding",
    "attention": "causal",
    "decoder": "dot",
    "dropout": 0.2,
}
USERS, CUTS, ALL_CUTS = 32, 5, 50  # users a step; cuts of a history, an epoch
# Of the learning rates 0.001, 0.003 and 0.005 the best for the base, by validation.
FIT = {"epochs": 40, "patience": 8, "evaluate_every": 2, "lr": 5e-3}
METRICS = ("HR@10", "NDCG@10", "MRR")
CHOSEN_BY = "NDCG@10"

LOOKS = {
    "causal": {},
    "global": {"attention": "global", "cuts": CUTS},
    "local 2": {"attention": "local", "window": 2},
    "local 5": {"attention": "local", "window": 5},
    "local 20": {"attention": "local", "window": 20},
}
NO_POSITIONS = ", no positions"
ENCODERS = ("embedding", "rnn", "gru", "lstm", "transformer")
SECTIONS = {
    "which events, with positions and without": {
        **LOOKS,
        "global, all cuts": {"attention": "global", "cuts": ALL_CUTS},
        **{name + NO_POSITIONS: look | {"positions": False} for name, look in LOOKS.items()},
    },
    "the formula": {
        "not scaled": {"scaled": False},
        "no projections": {"projections": False},
        "no projections, not scaled": {"projections": False, "scaled": False},
    },
    "encoder, then causal attention": {
        f"{name}, causal": {"encoder": name} for name in ENCODERS if name != "embedding"
    },
    "encoder, then no attention": {
        f"{name}, none": {"encoder": name, "attention": "none"} for name in ENCODERS
    },
}
VARIANTS = {name: change for section in SECTIONS.values() for name, change in section.items()}

OPTIONS = {
    "--data": {
        "type": Path,
        "default": Path("../shared/data/ml-100k.inter"),
        "help": "MovieLens-100K: u.data or ml-100k.inter (%(default)s)",
    },
    "--threads": {
        "type": count,
        "default": 1,
        "help": "of each run (%(default)s); the times are those of the processor all the same",
    },
}


# --- the runs


def variants(quick: bool) -> dict[str, dict]:
    """The changes to the base."""
    return {
        name: {"change": change | ({"max_len": 8, "dim": 4, "n_blocks": 1} if quick else {})}
        for name, change in VARIANTS.items()
    }


def prepare(quick: bool, options) -> dict:
    """The events, split; tiny ones that are made up if it has to be quick."""
    fit = FIT | {"threads": options.threads}
    if quick:
        return {"split": leave_one_out(made_up()), "fit": fit | {"epochs": 1, "evaluate_every": 1}}
    return {"split": leave_one_out(read_interactions(options.data).histories), "fit": fit}


def made_up(users: int = 40, items: int = 20) -> list[np.ndarray]:
    """Histories of 3 to 12 events that mean nothing."""
    rng = np.random.default_rng(0)
    return [rng.integers(1, items + 1, rng.integers(3, 13)) for _ in range(users)]


def facts(quick: bool) -> dict:
    """Settings, and what can be said of causal and global attention without data."""
    return {
        "base": BASE,
        "users": USERS,
        "fit": FIT,
        "same_scores": same_function(),
        "same_loss": {str(positions): same_loss(positions) for positions in (False, True)},
    }


def run(shared: dict, settings: dict, seed: int) -> dict:
    """Train one model; the test events are looked at once, at the end."""
    split, config = shared["split"], BASE | settings["change"]
    model = Pipeline(n_items(split), **config, seed=seed, ops=OPS)
    cuts = 1 if model.stages.predicts_everywhere else min(config["cuts"], mean_targets(split))
    fitting = {"batch_size": USERS * cuts, "wanted": recent(split.train, config["max_len"])}
    start = time.process_time()
    model.fit(split.train, validation=split.validation, **fitting, **shared["fit"])
    seconds = time.process_time() - start
    if model.interrupted:
        raise KeyboardInterrupt
    batches = model.batches(split.train, USERS, 1, context={}, wanted=fitting["wanted"])
    return {
        "batch_size": fitting["batch_size"],
        "parameters": sum(leaf.size for _, leaf in tree_leaves(model.params)),
        "targets": sum(shard.count for batch in batches for shard in batch),
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "diverged": model.diverged,
        "seconds": round(seconds, 3),
        "validation": max(row.get(CHOSEN_BY, 0) for row in model.history),
        "test": evaluate(model.scores, split.test_histories, split.test),
    }


def n_items(split: Split) -> int:
    """The largest id; 1 to this are the items."""
    return int(max(*(h.max() for h in split.train), split.validation.max(), split.test.max()))


def recent(histories: list[np.ndarray], max_len: int) -> list[np.ndarray]:
    """Which events are to be predicted: the last max_len, as it is where all are at once."""
    return [np.arange(len(h)) >= len(h) - max_len for h in histories]


def mean_targets(split: Split) -> int:
    """Targets of a user, where every event predicts the next."""
    return round(np.mean([min(len(h) - 1, BASE["max_len"]) for h in split.train]))


# --- causal and global attention, read after the last event


def small(attention: str, encoder: str = "embedding", *, positions: bool = True) -> tuple:
    """Stages and parameters, the same for causal and global attention; and histories."""
    stages, rng = Stages(encoder=encoder, attention=attention), np.random.default_rng(0)
    sizes = {"n_items": 20, "max_len": 8, "dim": 6, "dtype": "float64"}
    params = pipeline.init_params(rng, stages, **sizes, positions=positions)
    ids = rng.integers(1, 21, (10, 8))
    ids[np.arange(8) < rng.integers(0, 6, (10, 1))] = 0  # histories of 3 to 8 events
    return stages, params, ids


def same_function() -> dict[str, float]:
    """Largest difference of the scores of both, for each encoder, with the same parameters."""
    found = {}
    for encoder in ENCODERS:
        scores = []
        for attention in ("causal", "global"):
            stages, params, ids = small(attention, encoder)
            found_scores = pipeline.next_item_scores(params, ids, stages=stages, ops=ops)
            scores.append(found_scores[:, 1:])
        found[encoder] = float(np.abs(scores[0] - scores[1]).max())
    return found


def same_loss(positions: bool) -> float:
    """Difference of the losses: causal over all events at once, global over all cuts.

    Without positions it is 0: both learn the same from the same. With positions, causal attention
    learns at every event with the position that this has in the whole history, global attention
    with that of the last, with which both are asked in the end.
    """
    stages, params, ids = small("causal", positions=positions)
    targets = np.where(ids[:, :-1] != 0, ids[:, 1:], 0)
    at_once, _ = pipeline.next_item_loss(params, ids[:, :-1], targets, stages=stages, ops=ops)
    stages, params, _ = small("global", positions=positions)
    cuts = [
        (row[None, :end], row[None, end : end + 1])
        for row in ids
        for end in range(np.flatnonzero(row)[0] + 1, len(row))
    ]
    losses = [pipeline.next_item_loss(params, *cut, stages=stages, ops=ops)[0] for cut in cuts]
    return float(abs(at_once - np.mean(losses)))


# --- reading the result


def on_test(result: dict, variant: str, metric: str = CHOSEN_BY) -> np.ndarray:
    """One for each seed."""
    return np.array([run["test"][metric] for run in runs_of(result, variant=variant)])


def difference(result: dict, first: str, second: str) -> tuple[float, float]:
    """The difference of two means of NDCG@10, and its standard error over the seeds."""
    pair = [on_test(result, name) for name in (first, second)]
    error = sum(values.var(ddof=1) / len(values) for values in pair) ** 0.5
    return float(pair[0].mean() - pair[1].mean()), float(error)


def against(result: dict, first: str, second: str) -> str:
    """+0.0123 ± 0.0045, and whether that is less than two standard errors."""
    gap, error = difference(result, first, second)
    clear = "" if abs(gap) > 2 * error else " (unclear)"
    return f"{gap:+.4f} ± {error:.4f}{clear}"


def tables(result: dict) -> str:
    """A row for each model."""
    some, base = result["runs"][0], result["base"]
    fit, runs = result["fit"], result["runs"]
    seeds = len({run["seed"] for run in runs})
    header = [
        "model",
        "parameters",
        *METRICS,
        "validation",
        "best epoch",
        "targets an epoch",
        "s an epoch",
    ]
    sampling = (on_test(result, "causal", "HR@10").mean(), some["test"]["users"])
    error = (sampling[0] * (1 - sampling[0]) / sampling[1]) ** 0.5
    return "\n\n".join(
        [
            f"The base: {in_words(base)}, positions; "
            f"{result['users']} users a step, Adam, lr {fit['lr']}, softmax over all items. The "
            f"epoch is that with the best validation {CHOSEN_BY} of at most {fit['epochs']}, "
            f"patience {fit['patience']}. Test: {some['test']['users']} users, all items ranked, "
            f"the history left out; mean ± standard deviation over {seeds} seeds. Another "
            f"{sampling[1]} users would give another HR@10, with a standard error of {error:.3f}, "
            "the same users for all models here.",
            *(
                f"{title}\n\n" + markdown(header, [model_row(result, name) for name in section])
                for title, section in SECTIONS.items()
            ),
            "Seconds are those of the processor, evaluation on the validation events included. "
            "*no projections*: softmax(X Xᵀ / √d) X, the formula of 4.2; *no projections, not "
            "scaled*: softmax(X Xᵀ) X, that of 4.1; both look back only here, as the base does.",
            circumstances(result),
        ]
    )


def model_row(result: dict, name: str) -> list[str]:
    """What a table says of a model."""
    runs = runs_of(result, variant=name)
    metrics = [mean_and_spread(on_test(result, name, metric), ".4f") for metric in METRICS]
    validation = mean_and_spread([run["validation"] for run in runs], ".4f")
    epochs = ", ".join(str(run["best_epoch"]) for run in runs)
    pace = np.mean([run["seconds"] / run["epochs"] for run in runs])
    return [
        f"**{name}**" if name == "causal" else name,
        f"{runs[0]['parameters']:,}",
        *metrics,
        validation,
        epochs,
        f"{runs[0]['targets']:,}",
        f"{pace:.2f}",
    ]


def figure(result: dict):
    """A line for each model: a dot a seed, a bar at their mean."""
    heights = [len(section) for section in SECTIONS.values()]
    picture = new_figure(8, 1.5 + 0.27 * sum(heights))
    axes = picture.subplots(len(SECTIONS), 1, sharex=True, height_ratios=heights)
    base = on_test(result, "causal").mean()
    for ax, (title, section) in zip(axes, SECTIONS.items(), strict=True):
        for row, name in enumerate(section):
            values = on_test(result, name)
            ax.plot(values, np.full(len(values), row), **dots(values))
            ax.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color="black", linewidth=2)
        ax.axvline(base, color="#777777", linestyle="--", linewidth=1)
        ax.set_yticks(range(len(section)), list(section))
        ax.set_ylim(len(section) - 0.5, -0.5)
        finish(ax, title, "", "")
    axes[-1].set_xlabel("test NDCG@10 (dot: a seed; bar: their mean; dashed: mean of the base)")
    return picture


def dots(values) -> dict:
    """How the seeds are drawn."""
    style = {"marker": "o", "linestyle": "none", "markersize": 6, "alpha": 0.7}
    return style | {"color": STYLES[0]["color"]}


def measured(result: dict) -> str:
    """One sentence."""
    means = {name: on_test(result, name).mean() for name in VARIANTS}
    top, last = max(means, key=means.get), min(means, key=means.get)
    return (
        f"NDCG@10 is {means['causal']:.4f} for the base, {means[top]:.4f} for the best model "
        f"({top}) and {means[last]:.4f} for the worst ({last}). Against the base (± standard error "
        "over the seeds; unclear: less than two of them): global "
        f"{against(result, 'global', 'causal')}; a window of 2 "
        f"{against(result, 'local 2', 'causal')}, of 5 {against(result, 'local 5', 'causal')}, of "
        f"20 {against(result, 'local 20', 'causal')}; no positions "
        f"{against(result, 'causal' + NO_POSITIONS, 'causal')}."
    )


def verdict(result: dict) -> str:
    """Claim by claim: what the article says, and what came out."""
    same, loss = max(result["same_scores"].values()), result["same_loss"]
    encoders = [name for name in ENCODERS if name != "embedding"]
    best = max(encoders, key=lambda name: on_test(result, f"{name}, none").mean())
    gains = "; ".join(
        f"{name} {against(result, f'{name}, causal', f'{name}, none')}" for name in encoders
    )
    unplaced = "; ".join(f"{name} {against(result, name + NO_POSITIONS, name)}" for name in LOOKS)
    return "\n\n".join(
        [
            "Differences of mean NDCG@10 ± standard error over the seeds; unclear is what is less "
            "than two of them.",
            "*Global, causal, local (2.1).* Read after the last event, one layer of global "
            "attention and one of causal attention are the same function of the same parameters: "
            f"scores of both, with each of the five encoders, differ by at most {same:.1g}. They "
            "differ in what can be trained. Without positions not even in that: the loss of "
            "causal attention over all events is that of global attention over all cuts (they "
            f"differ by {loss['False']:.1g}; with positions by {loss['True']:.2f}). What is left "
            "is the price of a target: in equal time "
            f"{against(result, 'global', 'causal')} with positions and "
            f"{against(result, 'global' + NO_POSITIONS, 'causal' + NO_POSITIONS)} without; with "
            f"equal targets, in {price(result):.1f} times the time an epoch, "
            f"{against(result, 'global, all cuts', 'causal')}. {windows(result)}",
            f"*Positions*, which the formula does not have: leaving them out gives {unplaced}.",
            "*Scale and projections (4.1, 4.2).* Not scaled: "
            f"{against(result, 'not scaled', 'causal')}. No projections: "
            f"{against(result, 'no projections', 'causal')}; neither: "
            f"{against(result, 'no projections, not scaled', 'causal')}.",
            f"*Encoder (3.2), and what attention adds.* Without attention after it the best is "
            f"{best} ({on_test(result, f'{best}, none').mean():.4f}), and the last item alone has "
            f"{on_test(result, 'embedding, none').mean():.4f}. Attention over embedded items adds "
            f"{against(result, 'causal', 'embedding, none')}; over what an encoder says: {gains}.",
        ]
    )


def price(result: dict) -> float:
    """How much longer an epoch takes with all cuts than with causal attention."""
    paces = [
        np.mean([run["seconds"] / run["epochs"] for run in runs_of(result, variant=name)])
        for name in ("global, all cuts", "causal")
    ]
    return paces[0] / paces[1]


def windows(result: dict) -> str:
    """The best window."""
    names = ("local 2", "local 5", "local 20", "causal")
    best = max(names, key=lambda name: on_test(result, name).mean())
    listed = ", ".join(f"{name} {on_test(result, name).mean():.4f}" for name in names)
    return f"Of the windows the best is {best} ({listed})."
