"""From what `benchmarks.applications.decisions` found to its page and its figures."""

import numpy as np

from attention_from_scratch.plot import explanation
from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import finish
from benchmarks.common.writing import markdown, recipe_lines

RISES, FALLS, STILL, TRUTH = "#0072B2", "#D55E00", "#888888", "#000000"
WORDS = {1: "up", -1: "down", 0: "neither"}


def page(result: dict) -> str:
    """What a reader opens."""
    films = result["films"]
    parts = [
        "# Decision support",
        "**The article says** (7.3) that sequential recommendation can support decisions: advice "
        "to one customer, such as a bank's, and an analysis of the market. It does not say how. "
        "Here are two ways, and what they are worth where the truth is known.",
        *the_bank(result),
        *one_customer(result["customer"]),
        *many_customers(result["agreement"]),
        *the_report(result),
        *against_growth(result["trends"]),
        *against_expectations(result["expected"]),
        *against_transitions(result["transitions"]),
        *(no_films() if films is None else the_films(films)),
        made(result),
    ]
    return "\n\n".join(parts) + "\n"


def figures(result: dict) -> dict:
    """name -> figure."""
    films = result["films"]
    drawn = {
        "decisions-customer": draw_explanation(result["customer"]),
        "decisions-trends": draw_trends(result["trends"]),
        "decisions-transitions": draw_transitions(result["transitions"]),
    }
    if films is not None:
        drawn["decisions-film"] = draw_explanation(films["user"])
    return drawn


def block(lines: list[str]) -> str:
    """Lines as they were printed."""
    return "\n".join(["```text", *lines, "```"])


# --- the bank


def the_bank(result: dict) -> list[str]:
    """Who is asked, and how good the model is."""
    training, settings = result["training"], result["settings"]["bank"]
    rows = [
        [name, *(f"{found[metric]:.3f}" for metric in ("HR@10", "NDCG@10", "MRR"))]
        for name, found in result["ranking"].items()
    ]
    return [
        "## A bank",
        f"{settings['customers']} customers take {result['events']} times one of "
        f"{result['products']} products, month by month, by a formula that is known: the last "
        "product calls for the next one, and the demand for some products grows or shrinks "
        "(`data/scenarios/finance.py`). SASRec learns from them in "
        f"{training['cpu_seconds']:.0f} s of processor time; of {training['epochs']} epochs the "
        "validation event chose "
        f"number {training['best_epoch']}. It sees products, no months. The last event of each "
        "customer, ranked among all products:",
        markdown(["", "HR@10", "NDCG@10", "MRR"], rows),
    ]


def one_customer(customer: dict) -> list[str]:
    """What one recommendation rests on."""
    loss, true = np.array(customer["loss"]), np.array(customer["true_loss"])
    rows = [
        [event, f"{share:.3f}", f"{found:+.3f}", f"{real:+.3f}".replace("-0.000", "+0.000")]
        for event, share, found, real in zip(
            customer["events"], customer["attention"], loss, true, strict=True
        )
    ]
    most = customer["events"][int(np.argmax(np.abs(loss - true)))]
    return [
        "## What does a recommendation rest on?",
        "`model.explain(history, item)` gives two answers for each past event: its share in the "
        "attention, and what the log-probability of the item loses when the event is left out.",
        block(customer["text"]),
        f"![What the recommendation of {customer['item']} rests on](decisions-customer.png)",
        "The formula can be asked the same question, so here the true losses are known:",
        markdown(["event", "attention", "loss", "true loss"], rows),
        f"The truth gives {customer['item']} a probability of {customer['true_probability']:.3f}, "
        f"the model {customer['probability']:.3f}. The model is furthest from the truth about "
        f"{most}: a loss says what the model goes by, and the model may be mistaken.",
    ]


def many_customers(found: dict) -> list[str]:
    """Whether attention is an explanation, over many customers."""
    rows = [
        [row["hint"], f"{row['rank']:.2f}", f"{100 * row['first']:.0f} %"]
        for row in found["with_truth"]
    ]
    recency = found["with_truth"][-1]
    return [
        f"### Is attention an explanation? {found['customers']} customers",
        "What is recommended first to each, explained; `agreement(model, histories, items)`:",
        block(found["text"]),
        "And against the losses of the formula:",
        markdown(
            ["hint", "rank correlation with the true loss", "names the truly first event first"],
            rows,
        ),
        f"The largest true loss of a customer is {found['true_first']:.2f} nats, that of the other "
        f"events {found['true_others']:.3f} in the mean (medians over the customers): in this bank "
        "one event decides, and there is little else to rank. So the last column is the one to "
        "read, and beside it stands the plain rule that what came last counts most, which is right "
        f"in {100 * recency['first']:.0f} % of the cases. Attention says less than the losses do "
        "about what the model goes by, and costs nothing; the losses cost a pass for each event.",
    ]


# --- the report


def the_report(result: dict) -> list[str]:
    """The section of the page that has the aggregate report as it is printed."""
    return [
        "## What do all customers say together?",
        "`aggregate_report(model, histories, times)`, as it is printed:",
        block(result["report"]),
    ]


def against_growth(trends: list[dict]) -> list[str]:
    """What rises and falls, against the true changes and the growth of demand."""
    told = [row for row in trends if row["direction"]]
    right = [row for row in told if row["direction"] * row["true_change"] > 0]
    measured = [row for row in trends if row["change"] is not None]
    inside = [row for row in measured if row["low"] <= row["true_change"] <= row["high"]]
    parts = ["### Held against the truth: what rises", growth_table(told)]
    for sign, grows in ((1, "grows"), (-1, "shrinks")):
        called = {row["product"] for row in told if row["direction"] == sign}
        true = {row["product"] for row in trends if row["growth"] * sign > 0}
        others = sorted(called - true)
        without = f"; without a change of demand: {', '.join(others)}" if others else ""
        parts.append(
            f"- The demand {grows} for {len(true)} products; the report says {WORDS[sign]} of "
            f"{len(called)}, and {len(called & true)} of the {len(true)} are among them{without}."
        )
    return [
        *parts[:2],
        "\n".join(parts[2:]),
        f"All in all {len(right)} of {len(told)} directions are those of the true change, and "
        f"{len(inside)} of {len(measured)} intervals hold it. A share that changes is not yet a "
        "demand that does: products that people begin with lose their share when fewer join, and "
        "what follows a product that rises or falls goes with it. The report counts; why, it does "
        "not know.",
        "![Change of each product's share](decisions-trends.png)",
    ]


def growth_table(rows: list[dict]) -> str:
    """A row for each product of which a direction is told."""

    def percent(value):
        return "hidden" if value is None else f"{100 * value:+.2f}"

    return markdown(
        [
            "product",
            "report",
            "change of share, points",
            "interval",
            "true change",
            "demand in a year",
        ],
        [
            [
                row["product"],
                WORDS[row["direction"]],
                percent(row["change"]),
                "" if row["low"] is None else f"{percent(row['low'])} to {percent(row['high'])}",
                percent(row["true_change"]),
                f"x {np.exp(row['growth']):.2f}",
            ]
            for row in rows
        ],
    )


def against_expectations(rows: list[dict]) -> list[str]:
    """What is expected next, against the formula."""
    so_far, expected, formula = (
        np.array([row[name] for row in rows]) for name in ("so_far", "expected", "formula")
    )
    named = [
        [row["product"], *(f"{row[name]:.3f}" for name in ("so_far", "expected", "formula"))]
        for row in [*rows[:5], *rows[-5:]]
    ]
    return [
        "### Held against the truth: what is expected",
        "Share of a product in all events, and its mean probability as the next one, by the model "
        "and by the formula; the five products with the largest ratio of the first two, and the "
        "five with the smallest:",
        markdown(["product", "so far", "expected, SASRec", "expected, formula"], named),
        f"Over all {len(rows)} products the model is off by "
        f"{np.abs(expected - formula).mean():.4f} in the mean; who expects the shares so far is "
        f"off by {np.abs(so_far - formula).mean():.4f}.",
    ]


def against_transitions(found: dict) -> list[str]:
    """What leads to what, against the pairs of the formula."""
    columns = [name for name in found["precision"][0] if name != "by"]
    rows = [[row["by"], *(f"{row[name]:.2f}" for name in columns)] for row in found["precision"]]
    chance = found["n_true"] / found["n_pairs"]
    last = {row["by"]: row[columns[-1]] for row in found["precision"]}
    by_model, by_formula, by_counting = last.values()
    return [
        "### Held against the truth: what leads to what",
        f"Of {found['n_pairs']} pairs {found['n_true']} are pairs of the formula. Share of these "
        "among the pairs that are named first, by the losses without a product (of SASRec; of the "
        "formula, asked in its place) and by plain counting (`lift`: how much more often the one "
        "comes directly after the other than by chance):",
        markdown(["by", *(f"first {name}" for name in columns)], rows),
        f"Of pairs drawn at random {chance:.2f} are. "
        + (
            "Counting is enough here, and further down the list it is better: "
            if by_counting > by_model
            else "Counting is enough here: "
        )
        + "only the last product leads to the next, and what comes directly after what is just "
        "what `lift` counts. The losses are taken over all who hold a product, for most of whom it "
        f"is not the last, and so even the formula, asked in this way, names {by_formula:.2f} of "
        "its own. A model is worth its price where something further back matters too; in this "
        "bank hardly anything does.",
        "![What leads to what: by the formula, by SASRec, by counting](decisions-transitions.png)",
    ]


# --- films


def no_films() -> list[str]:
    """What to do to have the section of films."""
    return ["## Films", "Asked of films as well with `--data ml-100k.inter`."]


def the_films(films: dict) -> list[str]:
    """The section of films: the questions about the bank, asked of real data."""
    user, training, ranked = films["user"], films["training"], films["ranking"]
    most = user["events"][int(np.argmax(user["loss"]))]
    came_true = "which was what the user saw next" if user["came_true"] else "the first choice"
    return [
        f"## Films: {films['data']}",
        f"{films['events']}. SASRec, {training['epochs']} epochs in "
        f"{training['cpu_seconds']:.0f} s of processor time "
        f"(the best: {training['best_epoch']}); whole catalogue, history left out: HR@10 "
        f"{ranked['HR@10']:.3f}, NDCG@10 {ranked['NDCG@10']:.3f}. To user {user['user']} it "
        f"recommends {user['item']}, {came_true}:",
        block(user["text"]),
        f"![What the recommendation of {user['item']} rests on](decisions-film.png)",
        f"The largest loss is that of {most}: {max(user['loss']):+.3f} nats, or a probability that "
        f"is {100 * (1 - np.exp(-max(user['loss']))):.0f} % smaller without it. There is no truth "
        "to hold this against. The first choice for each of the first "
        f"{films['agreement']['users']} users, explained:",
        block(films["agreement"]["text"]),
    ]


def made(result: dict) -> str:
    """Settings and the command."""
    lines = recipe_lines(result["settings"])
    around = result["environment"]
    lines.append(f"- NumPy {around['numpy']}, Python {around['python']}")
    data = " --data FILE" if result["films"] else ""
    quick = " --quick" if result["quick"] else ""
    command = f"`python -m benchmarks.applications decisions{data}{quick}`"
    return "\n\n".join(["## How it was made", "\n".join(lines), command])


# --- figures


def draw_explanation(found: dict):
    """Attention beside the losses."""
    title = f"{found['item']}: probability {found['probability']:.3g}"
    return explanation(
        found["events"], np.array(found["attention"]), np.array(found["loss"]), title=title
    )


def draw_trends(trends: list[dict]):
    """The change of each share with its interval, beside the true change."""
    rows = [row for row in trends if row["change"] is not None]
    places = np.arange(len(rows))
    figure = new_figure(7, 1.2 + 0.24 * len(rows))
    ax = figure.subplots()
    for direction, colour in ((1, RISES), (0, STILL), (-1, FALLS)):
        at = np.array([place for place in places if rows[place]["direction"] == direction], int)
        if not len(at):
            continue
        change, low, high = (
            np.array([100 * rows[place][name] for place in at])
            for name in ("change", "low", "high")
        )
        ax.errorbar(
            change,
            at,
            xerr=(change - low, high - change),
            fmt="o",
            color=colour,
            markersize=4,
            label=f"report: {WORDS[direction]}",
        )
    ax.plot(
        [100 * row["true_change"] for row in rows],
        places,
        "|",
        color=TRUTH,
        markersize=11,
        markeredgewidth=2,
        label="true change",
    )
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(places, [named_with_demand(row) for row in rows], fontsize=8)
    ax.invert_yaxis()
    ax.legend(fontsize=8, frameon=False, loc="lower right")
    finish(ax, "latest period against the one before", "change of share, percentage points", "")
    return figure


def named_with_demand(row: dict) -> str:
    """A product, and whether the demand for it grows or shrinks."""
    sign = {1: " (demand grows)", -1: " (demand shrinks)", 0: ""}
    return row["product"] + sign[int(np.sign(row["growth"]))]


def draw_transitions(found: dict):
    """Three matrices: what is true, what the model says, what counting says."""
    order = np.argsort(found["causes"]), np.argsort(found["effects"])
    names = [
        np.array(found[axis])[at] for axis, at in zip(("causes", "effects"), order, strict=True)
    ]
    matrices = {"formula: true pairs": np.array(found["truth"], float)} | {
        "SASRec: specific loss without the product": np.array(found["matrices"]["SASRec"], float),
        "counting: lift": np.array(found["matrices"]["counting"], float),
    }
    figure = new_figure(14, 5.4)
    axes = figure.subplots(1, len(matrices), sharey=True)
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        ax.imshow(np.clip(matrix[np.ix_(*order)], 0, None), cmap="Blues", aspect="auto")
        ax.set_xticks(range(len(names[1])), names[1], rotation=90, fontsize=7)
        ax.set_yticks(range(len(names[0])), names[0], fontsize=7)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("leads to")
    axes[0].set_ylabel("product")
    return figure
