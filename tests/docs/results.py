"""Rows of the tables in the docs, made anew from the results that they are said to come from.

A function a table: it gives the cells of each row but the first, which is for people.
"""

import json
from statistics import median

from tests.docs.markdown import ROOT, Table, tables

Cells = tuple[str, ...]
RESULTS = ROOT / "benchmarks" / "results"


def tables_of(name: str) -> list[Table]:
    """The tables of a page of results."""
    return tables((RESULTS / name).read_text(encoding="utf-8"))


def row_of(name: str, key: str, place: int = 0) -> dict[str, str]:
    """The row that begins with `key`, in the first table of a page from `place` on that has one."""
    for table in tables_of(name)[place:]:
        for row in table.rows:
            if row[0] == key:
                return dict(zip(table.header, row, strict=True))
    raise KeyError(f"{name} has no row {key!r}")


def medians(question: str, row: str) -> dict[str, float]:
    """Seconds of each contender of a question of speed."""
    text = (RESULTS / "speed" / f"{question}.json").read_text(encoding="utf-8")
    return {who: median(run["seconds"]) for who, run in json.loads(text)["rows"][row].items()}


def three_digits(seconds: float) -> str:
    """Seconds as people read them: 0.148 s, 3.35 s."""
    decimals = 3 if seconds < 1 else 2
    return f"{seconds:.{decimals}f} s"


def milliseconds(seconds: float) -> str:
    """6.4 ms."""
    return f"{1000 * seconds:.1f} ms"


def median_of(cell: str) -> str:
    """What stands before the quartiles: of "2.02 (1.95 to 2.06)", 2.02."""
    return cell.split(" (")[0]


def speed() -> list[Cells]:
    """Against PyTorch and JAX."""
    rows = []
    for page in ("training_step", "fit", "gru4rec", "epoch"):
        for row in tables_of(f"speed/{page}.md")[0].rows:
            contenders = medians(page, "gru" if page == "gru4rec" else row[0])
            ours, peer = (three_digits(contenders[who]) for who in ("ours", row[2]))
            rows.append((ours, f"{peer} ({row[2]})", row[4]))
    for length in (128, 1024, 2048, 4096, 8192):
        row = row_of("speed/attention.md", str(length))
        contenders = medians("attention", str(length))
        ours, peer = (milliseconds(contenders[who]) for who in ("ours", "PyTorch"))
        rows.append((ours, f"{peer} (PyTorch)", row["ours / PyTorch's"]))
    peer = "PyTorch, batches of 64"
    contenders = medians("scoring", "all users")
    ratio = row_of("speed/scoring.md", peer)["ours / this"]
    rows.append(
        (three_digits(contenders["ours"]), f"{three_digits(contenders[peer])} ({peer})", ratio)
    )
    contenders = medians("lstm", "lstm")
    ours, peer = (milliseconds(contenders[who]) for who in ("ours", "PyTorch"))
    return [*rows, (ours, f"{peer} (PyTorch)", row_of("speed/lstm.md", "PyTorch")["ours / this"])]


def profile() -> list[Cells]:
    """Where the time of a step goes."""
    losses = tables_of("speed/profile.md")
    rows = []
    for part in (row[0] for row in losses[0].rows):
        cells = []
        for table in losses:
            (row,) = (row for row in table.rows if row[0] == part)
            cells += [row[1], row[3]]
        rows.append(tuple(f"{float(cell):.0f}" if cell else "" for cell in cells))
    return rows


def ladder() -> list[Cells]:
    """From the loop to the threads."""
    return [(f"{median_of(row[1])} s", row[2]) for row in tables_of("speed/ladder.md")[0].rows]


def scaling() -> list[Cells]:
    """How a step grows."""
    return [row[1:] for row in tables_of("speed/scaling.md")[0].rows]


def published() -> list[Cells]:
    """Published tables, made again: both metrics, and the number of seeds."""

    def ours(page: str, key: str = "**ours**") -> Cells:
        row = row_of(f"reproduce/{page}.md", key)
        metrics = f"{row['HR@10']} / {row['NDCG@10']}"
        return metrics, "1" if "one seed" in row["source"] else row["source"][0]

    def theirs(page: str, key: str) -> str:
        row = row_of(f"reproduce/{page}.md", key)
        return f"{row['HR@10']} / {row['NDCG@10']} ({key})"

    authors = "**ours, negatives as the authors drew them**"
    unseen = "**ours, no seen item and no target among the negatives**"
    return [
        (theirs("ml-1m-catalogue", "SASRec+, softmax"), *ours("ml-1m-catalogue")),
        ("the same", *ours("ml-1m-wide")),
        (theirs("ml-1m-sampled", "SASRec"), *ours("ml-1m-sampled", authors)),
        ("", *ours("ml-1m-sampled", unseen)),
        (theirs("games-sampled", "SASRec"), *ours("games-sampled", authors)),
        ("", *ours("games-sampled", unseen)),
    ]


def applications() -> list[Cells]:
    """A shop, a newspaper, a feed: NDCG@10 of models, and the limits."""

    def cells(page: str, best: Cells, attention: str, gru: str, blind: str) -> Cells:
        name = f"applications/{page}.md"
        key, words = best
        limit, its_limit = (
            row_of(name, who)["limit: NDCG@10; nats"].split(";")[0] for who in (gru, blind)
        )
        who = blind.split(",")[0]
        return (
            f"{words}: {row_of(name, key)['NDCG@10']}",
            row_of(name, attention)["NDCG@10"],
            row_of(name, gru)["NDCG@10"],
            limit,
            f"{who} {row_of(name, blind)['NDCG@10']}",
            its_limit,
        )

    cart, creator = (
        "last in the cart, else Markov chain",
        "creator last followed, else Markov chain",
    )
    return [
        cells(
            "shop",
            (cart, "last in the cart, else a Markov chain"),
            "self-attention",
            "GRU",
            "GRU, blind to behaviours",
        ),
        cells(
            "news",
            ("content-based", "content-based"),
            "self-attention, reads titles",
            "GRU, reads titles",
            "self-attention, blind to behaviours",
        ),
        cells(
            "social",
            (creator, "creator last followed, else a Markov chain"),
            "self-attention",
            "GRU",
            "self-attention, blind to behaviours",
        ),
    ]


def fusion() -> list[Cells]:
    """What is known of items: HR@10 of films in training, left out, and among themselves."""
    page = "applications/fusion.md"
    left_out = next(
        place for place, table in enumerate(tables_of(page)) if "whole catalogue" in table.header[1]
    )
    names = (
        *("content-based", "ids", "ids + genres", "ids + all", "ids + all, id dropout 0.2"),
        *("ids + all, id dropout 0.5", "all, no ids", "ids, told who the user is"),
    )
    rows = []
    for name in names:
        there, away = row_of(page, name), row_of(page, name, left_out)
        hits = (
            there["HR@10"],
            away["HR@10, whole catalogue"],
            away["HR@10, among films left out"],
        )
        rows.append(tuple(hit.replace("0.000 ± 0.000", "0.000") for hit in hits))
    return rows


BY_SOURCE = {
    "made of benchmarks/results/speed/profile.md": profile,
    "made of benchmarks/results/speed/ladder.md": ladder,
    "made of benchmarks/results/speed/scaling.md": scaling,
    "made of benchmarks/results/applications/fusion.md": fusion,
    ("docs/speed.md", "made of the pages that each row names"): speed,
    ("docs/applications.md", "made of the pages that each row names"): applications,
    ("docs/published-tables.md", "made of the pages that each row names"): published,
}
