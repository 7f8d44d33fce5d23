"""Long range: recall the item k steps back.

A sequence is k + 1 items, each one of 16 with equal chances; the answer is the first of them, k
steps before the last. Nothing else in it helps, and guessing is right in 1 case of 16.

That the item is the first is the easiest form of the task for a recurrent layer: it has to hold one
item, and not the last k. So what is measured is how far a gradient reaches, not how much a state
can hold. Attention is told positions, counted from the last event, and reads the answer off one.
"""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.networks import pipeline
from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.networks.stages import RECURRENT
from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.tree import Tree, tree_map
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
from benchmarks.common.drawing import STYLES, draw_line, finish, log_axes
from benchmarks.common.numbers import mean_and_spread
from benchmarks.common.writing import markdown

ARTICLE = (
    "that self-attention captures long-range dependencies effectively (1.2, 3.3, 8.1, 9.2), global "
    "self-attention being the kind for it and local self-attention the kind for what is near (2.1)."
)
FIGURE = "accuracy against the distance; how far back the gradient of a recurrent layer reaches"

ITEMS, WINDOW, BATCH, PARAMETERS = 16, 16, 32, 10_000
DISTANCES = {False: (2, 5, 10, 20, 50, 100, 200), True: (3, 20)}
REACH = {False: 50, True: 20}  # the distance at which the gradient is looked at
CHECKPOINTS = 5
QUESTIONS = {False: 2000, True: 200}
LEARNT = 0.9  # accuracy from which on an item counts as recalled

OPEN = ", gates open"
KINDS = {
    "rnn": recurrent("rnn"),
    "gru": recurrent("gru"),
    "lstm": recurrent("lstm"),
    "gru" + OPEN: recurrent("gru"),
    "lstm" + OPEN: recurrent("lstm"),
    "global attention": attention("global"),
    "local attention": attention("local", WINDOW),
}
ATTENTION = tuple(name for name in KINDS if name.endswith("attention"))
LINES = {
    "rnn": STYLES[3],
    "gru": STYLES[1],
    "lstm": STYLES[4],
    "gru" + OPEN: STYLES[1] | {"linestyle": ":", "marker": "*"},
    "lstm" + OPEN: STYLES[4] | {"linestyle": ":", "marker": "X"},
    "global attention": STYLES[0],
    "local attention": STYLES[5],
}


def budget(k: int) -> float:
    """Seconds for every model: about as much for an event at each distance."""
    return 3 + 0.06 * k


def variants(quick: bool) -> dict[str, dict]:
    """Every model at every distance."""
    return {
        f"{name}, k {k}": {
            "k": k,
            "model": name,
            "seconds": 0.01 if quick else budget(k),
            "questions": QUESTIONS[quick],
            "look": k == REACH[quick],
        }
        for k in DISTANCES[quick]
        for name in KINDS
    }


def prepare(quick: bool, options) -> dict:
    """Widths of the models at each distance."""
    return {k: widths(k) for k in DISTANCES[quick]}


def widths(k: int) -> dict[str, int]:
    """The widths at which models are equal: attention's positions take more where k is larger."""
    return equal_widths(KINDS, PARAMETERS, n_items=ITEMS, max_len=k + 1)


def facts(quick: bool) -> dict:
    """Sizes, and what guessing is worth."""
    return {
        "items": ITEMS,
        "window": WINDOW,
        "batch": BATCH,
        "questions": QUESTIONS[quick],
        "chance": 1 / ITEMS,
        "distances": DISTANCES[quick],
        "reach": REACH[quick],
    }


def draw(rng, batch: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (B, k + 1) of items 1..ITEMS, and the item k steps before the last (B,)."""
    ids = rng.integers(1, ITEMS + 1, (batch, k + 1))
    return ids, ids[:, -1 - k]


def run(shared: dict, settings: dict, seed: int) -> dict:
    """Train one model for one distance; ask it about sequences it has not seen."""
    kind, k, dim = KINDS[settings["model"]], settings["k"], shared[settings["k"]][settings["model"]]
    rng, sizes = np.random.default_rng([seed, k]), {"n_items": ITEMS, "max_len": k + 1}
    params = init_params(kind, rng, dim, **sizes)
    if settings["model"].endswith(OPEN):
        open_gates(rng, params["encoder"]["input"]["bias"], kind.stages.encoder, k)
    test = draw(np.random.default_rng([seed, k, 1]), settings["questions"], k)
    before = look_inside(kind, params, *test) if settings["look"] else {}
    *_, last = steps = list(
        train_for(
            kind,
            params,
            lambda: draw(rng, BATCH, k),
            seconds=settings["seconds"],
            checkpoints=CHECKPOINTS,
        )
    )
    answers = log_probabilities(kind, params, test[0]).argmax(axis=1) + 1
    return {
        "dim": dim,
        "parameters": n_parameters(kind, dim, **sizes),
        "steps": last["steps"],
        "accuracy": float((answers == test[1]).mean()),
        "losses": [step["loss"] for step in steps],
        "before": before,
        "after": look_inside(kind, params, *test) if settings["look"] else {},
    }


def open_gates(rng, bias: np.ndarray, encoder: str, k: int) -> None:
    """Initial values with which a state is kept for about k steps, written into the bias.

    sigmoid(log u) = 1 - 1/(u + 1) keeps a state for some u steps; u is uniform in 1..k, one for
    each unit. The input gate of an LSTM gets -log u.

    Source: Tallec & Ollivier, Can Recurrent Neural Networks Warp Time? (2018), eq. 16.
    """
    gates = np.split(bias, RECURRENT[encoder])
    keep = np.log(rng.uniform(1, k, len(gates[0])))
    gates[1][:] = keep  # z of a GRU (r, z, n), f of an LSTM (i, f, g, o)
    if encoder == "lstm":
        gates[0][:] = -keep


# --- what is looked at inside


def look_inside(kind: Kind, params: Tree, ids, answers, batch: int = 64) -> dict:
    """What a layer reaches: a recurrent one by its gradient, attention by its weight there."""
    ids, answers = ids[:batch], answers[:batch]
    if kind.stages.encoder in RECURRENT:
        return {"reach": [float(f"{norm:.4g}") for norm in reach(kind, params, ids, answers)]}
    maps = pipeline.attention_maps(params, ids, stages=kind.stages, ops=ops)
    return {"weight": float(maps[0, :, 0, -1, 0].mean())}


def reach(kind: Kind, params: Tree, ids: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Norm of the gradient of the loss with respect to the state 0, 1, ..., k steps back: (k + 1,).

    The mean over the sequences, each with its own loss; in float64, for what is very small.
    """
    params = tree_map(lambda leaf: leaf.astype(np.float64), params)
    table, _ = item_table(params["items"], {})
    x, _ = embed({"items": table, "positions": params["positions"]}, ids, ops=ops)
    layer = getattr(ops, kind.stages.encoder)
    state, back_layer = layer(params["encoder"], x, last=True)
    logits, back_head = ops.project(params["decoder"]["head"], state)
    _, back_loss = ops.cross_entropy(logits, answers - 1, reduction="sum")
    _, d_state = back_head(back_loss())
    d_states = back_layer.steps(d_state)  # (B, k + 1, H or 2H)
    return np.sqrt((d_states**2).sum(axis=-1)).mean(axis=0)[::-1]


# --- reading the result


def accuracies(result: dict, model: str, k: int) -> list[float]:
    """One for each seed."""
    return [run["accuracy"] for run in runs_of(result, model=model, k=k)]


def recalled(result: dict, model: str) -> int:
    """The largest distance up to which the mean accuracy is at least LEARNT; 0 if there is none."""
    furthest = 0
    for k in result["distances"]:
        if np.mean(accuracies(result, model, k)) < LEARNT:
            break
        furthest = k
    return furthest


def tables(result: dict) -> str:
    """Accuracies, then sizes and steps."""
    ks = result["distances"]
    seeds = len({run["seed"] for run in result["runs"]})
    header = ["model", *(f"k = {k}" for k in ks)]
    rows = [
        [model, *(mean_and_spread(accuracies(result, model, k), ".2f") for k in ks)]
        for model in KINDS
    ]
    return "\n\n".join(
        [
            f"Accuracy on {result['questions']} sequences of k + 1 items that were not trained on "
            f"(chance: {result['chance']:.4f}), mean ± standard deviation over {seeds} seeds. "
            f"Local attention sees {result['window']} events: the last and the "
            f"{result['window'] - 1} before it.",
            markdown(header, rows),
            f"Each model got the same processor time at a distance, on one thread; each has "
            f"about the same number of parameters there (they differ by at most "
            f"{100 * (unequal(result) - 1):.1f} %). Adam, lr {LR}, gradients clipped at {CLIP}, "
            f"batches of {result['batch']}, every batch new. Steps, and width:",
            markdown(header, [[model, *effort(result, model)] for model in KINDS]),
            markdown(
                ["at each distance", *header[1:]],
                [
                    ["seconds", *(f"{runs_of(result, k=k)[0]['seconds']:.3g}" for k in ks)],
                    ["parameters", *(extent(result, k) for k in ks)],
                ],
            ),
            f"_{OPEN.strip(', ')}_: the bias of the gate that keeps the state begins at log u, u "
            "uniform in 1..k (Tallec & Ollivier 2018), so that a unit keeps what it holds for some "
            "u steps. It has to be told k. All else begins as the pipeline begins it: the bias at "
            "0, the gates half open.",
            circumstances(result),
        ]
    )


def effort(result: dict, model: str) -> list[str]:
    """Steps (mean over the seeds) and width at each distance."""
    cells = []
    for k in result["distances"]:
        runs = runs_of(result, model=model, k=k)
        cells.append(f"{np.mean([run['steps'] for run in runs]):,.0f}; {runs[0]['dim']}")
    return cells


def extent(result: dict, k: int) -> str:
    """Fewest and most parameters at a distance."""
    numbers = [run["parameters"] for run in runs_of(result, k=k)]
    return f"{min(numbers):,} to {max(numbers):,}"


def unequal(result: dict) -> float:
    """Most parameters / fewest, at the distance where that is most."""
    numbers = [[run["parameters"] for run in runs_of(result, k=k)] for k in result["distances"]]
    return max(max(of) / min(of) for of in numbers)


def figure(result: dict):
    """Accuracy against distance; the gradient against steps back, before and after training."""
    picture = new_figure(13, 4.4)
    left, middle, right = picture.subplots(1, 3)
    right.sharey(middle)
    ks = result["distances"]
    for model, style in LINES.items():
        values = np.array([accuracies(result, model, k) for k in ks])
        lines = values.mean(axis=1), values.min(axis=1), values.max(axis=1)
        draw_line(left, ks, *lines, style, model)
    left.axhline(result["chance"], color="#444444", linestyle=":", linewidth=1, label="chance")
    left.set_xscale("log")
    left.set_xticks(ks, [str(k) for k in ks])
    left.minorticks_off()
    left.set_ylim(0, 1.03)
    finish(left, "recall after equal time, equal size", "steps back, k", "accuracy")
    for ax, moment in ((middle, "before"), (right, "after")):
        for model in KINDS:
            if model not in ATTENTION:
                draw_reach(ax, reaches(result, model, moment), LINES[model])
        log_axes(ax, x=False)
        title = f"gradient of the state, {moment} training, k = {result['reach']}"
        finish(ax, title, "steps back", "norm / norm at the last step")
    handles, labels = left.get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return picture


def reaches(result: dict, model: str, moment: str) -> np.ndarray:
    """(seeds, k + 1): the norm at each step back, divided by that at the last step."""
    norms = [run[moment]["reach"] for run in runs_of(result, model=model, k=result["reach"])]
    norms = np.array(norms)
    return norms / norms[:, :1]


def draw_reach(ax, norms: np.ndarray, style: dict) -> None:
    """The median seed, between the lowest and the highest."""
    style = style | {"markevery": 10}
    lines = np.median(norms, axis=0), norms.min(axis=0), norms.max(axis=0)
    draw_line(ax, np.arange(norms.shape[1]), *lines, style)


def measured(result: dict) -> str:
    """One sentence."""
    far = result["distances"][-1]
    recalls = [f"{model} {recalled(result, model) or 'none'}" for model in KINDS]
    others = [model for model in KINDS if model != "global attention"]
    means = {model: np.mean(accuracies(result, model, far)) for model in KINDS}
    best = max(others, key=means.get)
    return (
        f"{far} steps back, global attention is right in {share(means['global attention'])} of the "
        f"cases, the best of the others ({best}) in {share(means[best])}, guessing in "
        f"{share(result['chance'])}. The furthest distance up to which each has an accuracy of at "
        f"least {LEARNT}: {', '.join(recalls)}."
    )


def share(value: float) -> str:
    """A percentage."""
    return f"{100 * value:.1f} %"


def verdict(result: dict) -> str:
    """What it means, and what it does not."""
    k, window = result["reach"], result["window"]
    runs = runs_of(result, model="global attention", k=k)
    before, after = (np.mean([run[when]["weight"] for run in runs]) for when in ("before", "after"))
    left = ", ".join(f"{model} {size:.0e}" for model, size in left_over(result).items())
    far = result["distances"][-1]
    most = {name: max(r["steps"] for r in runs_of(result, model=name, k=far)) for name in KINDS}
    beyond = [n for n in result["distances"] if n >= window]
    blind = np.mean([np.mean(accuracies(result, "local attention", n)) for n in beyond])
    return (
        f"The claim {judge(result)}. From the answer to the event that it depends on, attention is "
        f"one step at any distance: at the start it gives that event {before:.3f} of the weight "
        f"(1/{k + 1} = {1 / (k + 1):.3f}) at k = {k}, at the end {after:.3f}. A recurrent layer "
        f"has k steps in between, and of its gradient at the last step there is left, {k} steps "
        f"back and before training: {left}. It depends on the initial values, and not on the "
        "layer alone: the gru and lstm with gates that begin open are the same layers."
        f"{arrives(result)} And time is part of it: at k = {far} global attention took up to "
        f"{most['global attention']} steps, the lstm up to {most['lstm']}.\n"
        "\n"
        "What this does not show: one layer of attention does the task with one key, that of the "
        "position k steps back, so it has learnt an address and not a dependency of content (the "
        "lookup in `cross` is that). The positions are a table with a row for each distance: it "
        "costs parameters, and says nothing about distances that were not trained. And a window of "
        f"{window} cannot see an event {window} or more steps back: {blind:.3f} on average there, "
        f"where guessing gives {result['chance']:.3f}. That is arithmetic rather than a finding."
    )


def left_over(result: dict) -> dict[str, float]:
    """What is left of each recurrent layer's gradient at the far end, before training."""
    layers = [model for model in KINDS if model not in ATTENTION]
    return {name: float(np.median(reaches(result, name, "before")[:, -1])) for name in layers}


def arrives(result: dict, much: float = 0.01) -> str:
    """Layers to which the gradient comes through, and which do not learn all the same."""
    k = result["reach"]
    accuracy = {name: np.mean(accuracies(result, name, k)) for name in KINDS}
    slow = [n for n, size in left_over(result).items() if size > much and accuracy[n] < LEARNT]
    if not slow:
        return ""
    listed = ", ".join(f"{name} {accuracy[name]:.2f}" for name in slow)
    return (
        f" A gradient that arrives is not enough, though: more than {much} of it comes through in "
        f"layers that after the same time have an accuracy of {listed} at k = {k}."
    )


def judge(result: dict) -> str:
    """Whether global attention reaches further than every recurrent layer."""
    ours = recalled(result, "global attention")
    theirs = max(recalled(result, model) for model in KINDS if model not in ATTENTION)
    if ours > theirs:
        far = "every distance tried" if ours == result["distances"][-1] else f"k = {ours}"
        return f"holds here: global attention recalls up to {far}, recurrent layers up to {theirs}"
    return (
        f"does not hold here: global attention recalls up to {ours}, a recurrent layer up to "
        f"{theirs}"
    )
