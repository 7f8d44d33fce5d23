"""Small files by the names of those that readers download, so that what reads them can run.

The people in them buy in the shop of `data.Shop`; what they buy has MovieLens' numbers.
"""

from pathlib import Path

import numpy as np

from attention_from_scratch.data import Shop

LABELS = [50, 172, 181, *range(1, 50), *range(51, 172)]  # the three that the pages ask for
GENRES = ("Action", "Comedy", "Drama", "Thriller")
USERS = 8
START = 881250949  # seconds since 1970, as MovieLens has them


def write_standins(folder: Path) -> None:
    """Write `u.data`, `ml-100k.inter` and `ml-100k.item`."""
    shop = Shop()
    histories = shop.interactions(USERS, np.random.default_rng(0)).histories
    rows = [
        (user, LABELS[item - 1], 5, START + 1000 * place)
        for user, history in enumerate(histories, 1)
        for place, item in enumerate(history)
    ]
    rows += [(USERS + 1, label, 5, START + place) for place, label in enumerate(LABELS[:60])]
    lines = ["\t".join(map(str, row)) for row in rows]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    write(folder / "u.data", lines)
    write(folder / "ml-100k.inter", [header, *lines])
    items = [
        f"{label}\t{name}\t{1980 + item % 20}\t{GENRES[item % 4]}"
        for item, (label, name) in enumerate(zip(LABELS, shop.names[1:], strict=False))
    ]
    header = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"
    write(folder / "ml-100k.item", [header, *items])


def write(path: Path, lines: list[str]) -> None:
    """A line each."""
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
