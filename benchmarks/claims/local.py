"""Short range: what comes next depends on the last two events alone, the 48 before say nothing.

Two tasks, for what is near can be asked in two ways:

    table   next = T[before last, last], a table drawn at random; in 1 case of 10 anything comes
    sum     each of the two has a vote for every next item, and the votes are added:
            next ~ softmax(F[last] + 0.8 F[before last])

Both are distributions P(next | before last, last) over 12 items, so that the best that any model
can do is known by counting all 144 pairs.

Why two. A layer of attention gives a mean of its values. For the last two events (b, a), read by a
linear decoder, these are the logits w f(a) + (1 - w) f(b), with one f for both. With the weights
1/1.8 and 0.8/1.8, which positions alone can give, that is the sum, exactly. It is not the table,
even if no other event is seen: after (a, a) the logits are f(a) whatever the weights, so that
f(a) = c onehot(T[a, a]) + const, and then (b, a) can come out right only where T[b, a] is T[a, a]
or T[b, b]. (Positions add w h + (1 - w) h', the same one direction for all pairs.) The table asks
for the two events *together*, and that takes something that is not linear behind the mean, such as
the feed-forward layer of a Transformer. Such a layer still does better than a sum of votes, since w
may depend on the two items and f may be something in between.
"""

import numpy as np

from attention_from_scratch.networks.stages import Stages
from attention_from_scratch.plot.figure import new_figure
from benchmarks.claims.learning import (
    CLIP,
    LR,
    Kind,
    attention,
    circumstances,
    equal_widths,
    init_params,
    log_probabilities,
    n_parameters,
    recurrent,
    runs_of,
    train_for,
)
from benchmarks.common.drawing import STYLES, draw_line, finish
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.writing import markdown

ARTICLE = (
    "that self-attention captures local dependencies only weakly (3.3, 8.3, 9.1, 9.3), local "
    "self-attention being the kind for them (2.1)."
)
FIGURE = "accuracy against training time, for each model and task"

ITEMS, LENGTH, BATCH, PARAMETERS = 12, 50, 64, 10_000
NOISE, VOTE, SHARPNESS = 0.1, 0.8, 6.0  # of the table; of the sum
SECONDS, CHECKPOINTS, REPEATS = {False: 16.0, True: 0.01}, {False: 16, True: 2}, {False: 7, True: 1}
REACHED, RISING = 0.95, 0.01  # what `fate` goes by

TRANSFORMER = Kind(Stages(encoder="transformer", attention="none", decoder="dense"), True)
KINDS = {
    "global": attention("global"),
    "global, no positions": attention("global", positions=False),
    "local 8": attention("local", 8),
    "local 2": attention("local", 2),
    "local 2, no positions": attention("local", 2, positions=False),
    "transformer": TRANSFORMER,
    "rnn": recurrent("rnn"),
    "gru": recurrent("gru"),
    "lstm": recurrent("lstm"),
}
WINDOWS = ("global", "local 8", "local 2")  # a single layer that knows the order
NOT_LINEAR = ("transformer", "rnn", "gru", "lstm")
LINES = {
    "global": STYLES[0],
    "global, no positions": STYLES[0] | {"linestyle": ":", "marker": "x"},
    "local 8": STYLES[1],
    "local 2": STYLES[5],
    "local 2, no positions": STYLES[5] | {"linestyle": ":", "marker": "X"},
    "transformer": STYLES[2],
    "rnn": STYLES[3],
    "gru": STYLES[4],
    "lstm": STYLES[4] | {"linestyle": ":", "marker": "*"},
}


def tasks() -> dict[str, np.ndarray]:
    """P(next | before last, last) of each task: (ITEMS, ITEMS, ITEMS), drawn once for all runs."""
    rng = np.random.default_rng(0)
    certain = np.eye(ITEMS)[rng.integers(ITEMS, size=(ITEMS, ITEMS))]
    votes = SHARPNESS * rng.standard_normal((ITEMS, ITEMS))
    summed = np.exp(VOTE * votes[:, None] + votes[None])
    return {
        "table": (1 - NOISE) * certain + NOISE / ITEMS,
        "sum": summed / summed.sum(axis=-1, keepdims=True),
    }


# --- what can be had at best, by counting


def best(task: np.ndarray) -> dict[str, float]:
    """Accuracy and cross-entropy (nats) of who knows the task; all pairs are equally frequent."""
    return {
        "accuracy": float(task.max(axis=-1).mean()),
        "cross_entropy": float(-(task * np.log(task)).sum(axis=-1).mean()),
    }


def best_from_last(task: np.ndarray) -> dict[str, float]:
    """The best accuracy and cross-entropy of who is told the last event only."""
    return best(task.mean(axis=0))


def best_sum(task: np.ndarray, steps: int = 3000) -> dict[str, float]:
    """The best sum of two votes, softmax(A[last] + B[before last]): the table's best is not one.

    The cross-entropy is convex in A and B, so gradient descent finds its only minimum.
    """
    votes = np.zeros((2, ITEMS, ITEMS))
    for _ in range(steps):
        error = summed_votes(votes) - task
        votes -= 2.0 * np.stack([error.mean(axis=1), error.mean(axis=0)])
    said = summed_votes(votes)
    return {
        "accuracy": expected_accuracy(task, said),
        "cross_entropy": float(-(task * np.log(said)).sum(axis=-1).mean()),
        "slope": float(np.abs([error.mean(axis=1), error.mean(axis=0)]).max()),
    }


def summed_votes(votes: np.ndarray) -> np.ndarray:
    """softmax of votes[0] of the one before the last plus votes[1] of the last."""
    logits = votes[0][:, None] + votes[1][None]
    logits = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return logits / logits.sum(axis=-1, keepdims=True)


def expected_accuracy(task: np.ndarray, said: np.ndarray) -> float:
    """How often the likeliest of `said` is what comes next, when `task` says what comes."""
    chosen = said.argmax(axis=-1)[..., None]
    return float(np.take_along_axis(task, chosen, axis=-1).mean())


# --- the runs


def variants(quick: bool) -> dict[str, dict]:
    """Every model at every task."""
    return {
        f"{model}, {task}": {
            "task": task,
            "model": model,
            "seconds": SECONDS[quick],
            "checkpoints": CHECKPOINTS[quick],
            "repeats": REPEATS[quick],
        }
        for task in ("table", "sum")
        for model in KINDS
    }


def prepare(quick: bool, options) -> dict:
    """The tasks, and the widths at which the models are equal."""
    return {"tasks": tasks(), "widths": equal_widths(KINDS, PARAMETERS, **sizes())}


def sizes() -> dict[str, int]:
    """The sizes of a model, which all have alike."""
    return {"n_items": ITEMS, "max_len": LENGTH}


def facts(quick: bool) -> dict:
    """Sizes, and the best that can be had."""
    return {
        "items": ITEMS,
        "length": LENGTH,
        "batch": BATCH,
        "noise": NOISE,
        "vote": VOTE,
        "chance": 1 / ITEMS,
        "best": {name: best(task) for name, task in tasks().items()},
        "best_sum": {name: best_sum(task) for name, task in tasks().items()},
        "best_from_last": {name: best_from_last(task) for name, task in tasks().items()},
    }


def draw(rng, batch: int, task: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Histories (B, LENGTH) of items 1..ITEMS, and what comes after them (B,)."""
    ids = rng.integers(1, ITEMS + 1, (batch, LENGTH))
    below = np.cumsum(task[ids[:, -2] - 1, ids[:, -1] - 1], axis=-1)[:, :-1]
    return ids, 1 + (rng.random((batch, 1)) >= below).sum(axis=-1)


def questions(rng, repeats: int) -> np.ndarray:
    """Histories that end in every pair equally often: (repeats * ITEMS^2, LENGTH)."""
    pairs = np.indices((ITEMS, ITEMS)).reshape(2, -1).T + 1
    ids = rng.integers(1, ITEMS + 1, (repeats * len(pairs), LENGTH))
    ids[:, -2:] = np.tile(pairs, (repeats, 1))
    return ids


def run(shared: dict, settings: dict, seed: int) -> dict:
    """Train one model at one task; ask it from time to time about histories it has not seen."""
    kind, dim = KINDS[settings["model"]], shared["widths"][settings["model"]]
    task, rng = shared["tasks"][settings["task"]], np.random.default_rng([seed, 0])
    params = init_params(kind, rng, dim, **sizes())
    asked = questions(np.random.default_rng([seed, 1]), settings["repeats"])
    right = task[asked[:, -2] - 1, asked[:, -1] - 1]
    timing = {name: settings[name] for name in ("seconds", "checkpoints")}
    curve = []
    for step in train_for(kind, params, lambda: draw(rng, BATCH, task), **timing):
        said = log_probabilities(kind, params, asked)
        entropy = float(-(right * said).sum(axis=-1).mean())
        curve.append(step | {"accuracy": expected_accuracy(right, said), "cross_entropy": entropy})
    return {"dim": dim, "parameters": n_parameters(kind, dim, **sizes()), "curve": curve}


# --- reading the result


def curves(result: dict, task: str, model: str, name: str) -> np.ndarray:
    """(seeds, checkpoints)."""
    runs = runs_of(result, task=task, model=model)
    return np.array([[point[name] for point in run["curve"]] for run in runs])


def final(result: dict, task: str, model: str, name: str = "accuracy") -> list[float]:
    """The accuracies at the end of training, one for each seed."""
    return curves(result, task, model, name)[:, -1].tolist()


def attained(result: dict, task: str, accuracy) -> np.ndarray:
    """An accuracy on the way from chance (0) to the best there is (1)."""
    chance = result["chance"]
    return (np.asarray(accuracy) - chance) / (result["best"][task]["accuracy"] - chance)


def fate(result: dict, task: str, model: str) -> str:
    """Whether a model got there, was still on its way, or had levelled off below it.

    It got there with REACHED of the way from chance to the best. It was on its way if the last
    quarter of the time brought it at least RISING of that way.
    """
    way = attained(result, task, curves(result, task, model, "accuracy").mean(axis=0))
    if way[-1] >= REACHED:
        seconds = curves(result, task, model, "seconds").mean(axis=0)
        return f"there in {seconds[np.argmax(way >= REACHED)]:.0f} s"
    quarter = max(len(way) // 4, 1)
    gain = way[-quarter:].mean() - way[-2 * quarter : -quarter].mean()
    return f"still rising ({gain:+.2f})" if gain >= RISING else f"levelled off ({gain:+.2f})"


def tables(result: dict) -> str:
    """A table for each task, and what its columns are."""
    some = result["runs"][0]
    seeds = len({run["seed"] for run in result["runs"]})
    numbers = [run["parameters"] for run in result["runs"]]
    return "\n\n".join(
        [
            f"Histories of {result['length']} events, {result['items']} items; the last two decide."
            f" In the *table* the next item is looked up, and in {result['noise']:.0%} of the cases"
            f" anything comes; in the *sum* both have votes, those of the one before the last "
            f"counting {result['vote']}. Each model got {some['seconds']:.3g} s of processor time "
            f"on one thread and has {min(numbers):,} to {max(numbers):,} parameters. Adam, lr {LR},"
            f" gradients clipped at {CLIP}, batches of {result['batch']}, every batch new. Mean ± "
            f"standard deviation over {seeds} seeds; the test holds every pair equally often and is"
            " scored against the true probabilities.",
            *(task_table(result, task) for task in ("table", "sum")),
            f"*Got there*: {REACHED:.0%} of the way from chance to the best accuracy. *Still "
            f"rising*: the last quarter of the time brought at least {RISING} of that way over the "
            "quarter before; in brackets how much.",
            circumstances(result),
        ]
    )


def task_table(result: dict, task: str) -> str:
    """A row for each model, then what can be had."""
    rows = []
    for model in KINDS:
        runs = runs_of(result, task=task, model=model)
        rows.append(
            [
                model,
                str(runs[0]["dim"]),
                f"{np.mean([run['curve'][-1]['steps'] for run in runs]):,.0f}",
                mean_and_spread(final(result, task, model)),
                mean_and_spread(final(result, task, model, "cross_entropy")),
                fate(result, task, model),
            ]
        )
    for name, words in (
        ("best", "best possible"),
        ("best_sum", "best sum of two votes"),
        ("best_from_last", "best that knows the last event only"),
    ):
        known = result[name][task]
        rows.append(
            [words, "", "", f"{known['accuracy']:.3f}", f"{known['cross_entropy']:.3f}", ""]
        )
    guess = np.log(result["items"])
    rows.append(["chance", "", "", f"{result['chance']:.3f}", f"{guess:.3f}", ""])
    header = [f"*{task}*", "width", "steps", "accuracy", "cross-entropy, nats", "got there?"]
    return markdown(header, rows)


def figure(result: dict):
    """Learning curves: a panel for each task."""
    picture = new_figure(11.5, 5)
    axes = picture.subplots(1, 2, sharey=True)
    for ax, task in zip(axes, ("table", "sum"), strict=True):
        for model, style in LINES.items():
            seconds = curves(result, task, model, "seconds").mean(axis=0)
            values = curves(result, task, model, "accuracy")
            lines = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
            draw_line(ax, seconds, *lines, style, model)
        for name, dash in (("best", "-"), ("best_sum", "--"), ("best_from_last", ":")):
            label = name.replace("_", " ")
            value = result[name][task]["accuracy"]
            ax.axhline(value, color="#777777", linestyle=dash, linewidth=1, label=label)
        ax.set_ylim(0, 1)
        finish(ax, f"{task} of the last two events", "seconds of training", "accuracy")
    handles, labels = axes[0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside right center", fontsize=9, frameon=False)
    return picture


def measured(result: dict) -> str:
    """One sentence a task."""
    return " ".join(
        f"{'Where' if task == 'table' else 'And where'} {words}, the best possible accuracy is "
        f"{result['best'][task]['accuracy']:.3f}, and there are "
        + ", ".join(f"{model} {mean(result, task, model):.3f}" for model in KINDS)
        + "."
        for task, words in (
            ("table", "the last two events decide together"),
            ("sum", "their votes are added"),
        )
    )


def verdict(result: dict) -> str:
    """Weak or slow, and at what."""
    intro = "That two events are near is one thing; whether they add up or act together is another."
    return f"{intro}\n\n*Added.* {added(result)}\n\n*Together.* {together(result)}"


def mean(result: dict, task: str, model: str) -> float:
    """Accuracy at the end, over the seeds."""
    return float(np.mean(final(result, task, model)))


def with_fate(result: dict, task: str, models) -> str:
    """Each with its accuracy and what became of it."""
    told = [
        f"{name} {mean(result, task, name):.3f} ({fate(result, task, name)})" for name in models
    ]
    return ", ".join(told)


def added(result: dict) -> str:
    """Weak or slow at the sum, which a single layer can represent if it knows the order."""
    outcome = {
        "there": "So global attention is not weak at this; how much slower it is, the times say.",
        "still": "So global attention is slow at this, and the time was too short to say more.",
        "level": "So global attention is weak at this: it stopped below what it can represent.",
    }
    last_only = result["best_from_last"]["sum"]["accuracy"]
    return (
        f"{with_fate(result, 'sum', WINDOWS)}. {outcome[fate(result, 'sum', 'global')[:5]]} "
        f"Without positions it has {mean(result, 'sum', 'global, no positions'):.3f}: it cannot "
        "tell the event before the last from the 48 others, and who knows the last event only can "
        f"have {last_only:.3f}. To a window of 2 the mask says which event it is: "
        f"{mean(result, 'sum', 'local 2, no positions'):.3f} without positions."
    )


def together(result: dict) -> str:
    """Whether a narrow window helps with what a single layer cannot represent."""
    layers = max(WINDOWS, key=lambda name: mean(result, "table", name))
    best = max(NOT_LINEAR, key=lambda name: mean(result, "table", name))
    if mean(result, "table", best) > mean(result, "table", layers):
        conclusion = (
            "What a single layer lacks is not nearness: a mean of values, read by a linear "
            "decoder, does not say what two events mean together, however narrow the window."
        )
    else:
        conclusion = "In this time none of them gets further than a single layer."
    return (
        f"A single layer of attention: {with_fate(result, 'table', WINDOWS)}. The best sum of two "
        f"votes would have {result['best_sum']['table']['accuracy']:.3f}; a mean whose weights "
        "depend on the two items can do more than that, but even in a window of 2 it cannot have "
        "the table's distribution. "
        f"Models with something in them that is not linear: "
        f"{with_fate(result, 'table', NOT_LINEAR)}. {conclusion}"
    )
