"""`attention-from-scratch recommend`: what comes next after a history, or for every user."""

import csv
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attention_from_scratch.commands import runs
from attention_from_scratch.commands.options import add_data, add_history, add_k, add_run
from attention_from_scratch.data import Interactions
from attention_from_scratch.files import replace_file
from attention_from_scratch.models import Recommender

SUMMARY = "What comes next after a history, or for every user of a file."
EXAMPLE = 'runs/ml-100k --history "1,2,3,4,5" -k 10'
MOST_USERS, MOST_SCORES = 1024, 2**22  # asked about at a time: 32 MB of scores, in float64
FOR_ALL = ("data", "columns", "out")


def add_options(parser: ArgumentParser) -> None:
    """Who is asked about, and how long the list is."""
    add = parser.add_argument
    add_run(add)
    add_history(add, required=False)
    add("--all", action="store_true", help="for every user of --data, into the CSV --out")
    add_data(add, required=False)
    add("--out", type=Path, metavar="FILE", help="with --all: user,rank,item,score")
    add_k(add)
    add("--include-seen", action="store_true", help="items of the history may come again")


def run(options) -> None:
    """Answer for one history, or for all users."""
    check_together(options)
    model, catalogue = runs.load(options.run_folder)
    k, exclude_seen = min(options.k, model.n_items), not options.include_seen
    if not options.all:
        show(model, catalogue, runs.history_of(options.history, catalogue), k, exclude_seen)
        return
    users, histories = runs.read_like(options.data, options.columns, catalogue, options.run_folder)
    lists = for_all(model, histories, k, exclude_seen)
    write_lists(options.out, lists, users, catalogue)
    print(f"{len(users)} users, written to {options.out}")


def check_together(options) -> None:
    """Raise unless there is one history, or what --all needs."""
    if options.all:
        if options.history is not None:
            raise ValueError("--all goes without --history: it reads the users of --data")
        for name in ("data", "out"):
            if getattr(options, name) is None:
                raise ValueError(f"--all needs --{name}")
        runs.check_output("--out", options.out)
        return
    if options.history is None:
        raise ValueError(
            "the following arguments are required: --history (or --all, with --data and --out)"
        )
    for name in FOR_ALL:
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} goes with --all, not with --history")


# --- one history


def show(
    model: Recommender, catalogue: Interactions, history: np.ndarray, k: int, exclude_seen: bool
) -> None:
    """Print the history and what should come next."""
    (ids,), (scores,) = model.recommend([history], k, exclude_seen=exclude_seen)
    if not history.size:
        print("no history: the items most often met in training")
    for item in history:
        print(f"after  {describe_item(catalogue, item)}")
    print(f"{'rank':>4}  {'score':>7}  item")
    for rank, (item, score) in enumerate(zip(ids, scores, strict=True), 1):
        if item:
            print(f"{rank:4}  {score:7.3f}  {describe_item(catalogue, item)}")


def describe_item(catalogue: Interactions, item: int) -> str:
    """The label, and the title where the data had one."""
    label, title = catalogue.items[item], catalogue.names[item]
    return label if title == label else f"{label:>6}  {title}"


# --- all users


def for_all(
    model: Recommender, histories: Sequence[np.ndarray], k: int, exclude_seen: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Items and scores of some users after others, so that memory does not grow with them all."""
    users = users_at_a_time(model.n_items)
    with tqdm(total=len(histories), unit="user", disable=None) as bar:
        for start in range(0, len(histories), users):
            some = histories[start : start + users]
            yield model.recommend(some, k, exclude_seen=exclude_seen)
            bar.update(len(some))


def users_at_a_time(n_items: int) -> int:
    """How many users are scored together: no more than `MOST_SCORES` scores, at least one user."""
    return max(1, min(MOST_USERS, MOST_SCORES // (n_items + 1)))


def write_lists(path: Path, lists, users: Sequence[str], catalogue: Interactions) -> None:
    """Write user,rank,item,score as they come: all of it, or nothing."""

    def write(temporary):
        labels = iter(users)
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["user", "rank", "item", "score"])
            for ids, scores in lists:
                for items, values in zip(ids, scores, strict=True):
                    label = next(labels)
                    for rank, (item, score) in enumerate(zip(items, values, strict=True), 1):
                        if item:  # 0: nothing more can be recommended
                            out.writerow([label, rank, catalogue.items[item], str(score)])

    replace_file(path, write)
