"""`attention-from-scratch evaluate`: how near the top does each user's last event stand?"""

import csv
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from attention_from_scratch import evaluation
from attention_from_scratch.commands import runs
from attention_from_scratch.commands.options import add_data, add_k, add_run
from attention_from_scratch.evaluation import Protocol, Ranks, hit_rate, mrr, ndcg
from attention_from_scratch.evaluation.metrics import NEVER
from attention_from_scratch.files import replace_file

SUMMARY = "Rank each user's last event."
EXAMPLE = "runs/ml-100k --data ml-100k.inter --per-user users.csv"
PROTOCOLS = {
    "whole": lambda split, exclude_seen: evaluation.whole_catalogue(exclude_seen=exclude_seen),
    "negatives": lambda split, _: evaluation.sampled_negatives(variant="strict"),
    "paper-negatives": lambda split, _: evaluation.sampled_negatives(
        variant="paper", train_histories=split.train
    ),
}


def add_options(parser: ArgumentParser) -> None:
    """What is ranked, among what, and where each user's ranks go."""
    add = parser.add_argument
    add_run(add)
    add_data(add)
    add("--protocol", choices=list(PROTOCOLS), default="whole", help="what it is ranked among")
    add("--include-seen", action="store_true", help="whole: rank what the user has had as well")
    add_k(add)
    add(
        "--per-user",
        type=Path,
        metavar="FILE",
        help="a CSV with a line a user: the item's rank (anything from rank to last_rank where "
        "scores are equal; nothing where it was in the history and is not ranked), and what the "
        "means are taken of",
    )


def run(options) -> None:
    """Rank every user's last event and print the metrics."""
    if options.per_user is not None:
        runs.check_output("--per-user", options.per_user)
    model, catalogue = runs.load(options.run_folder)
    users, histories = runs.read_like(options.data, options.columns, catalogue, options.run_folder)
    split = runs.split_for_test(options.data, histories)
    k, asked = min(options.k, model.n_items), []
    protocol = PROTOCOLS[options.protocol](split, not options.include_seen)
    result = evaluation.evaluate(
        model.scores,
        split.test_histories,
        split.test,
        k=k,
        protocol=noting(protocol, asked),
        progress=sys.stderr.isatty(),
    )
    print(runs.describe_metrics(result))
    if options.per_user is not None:
        rows = per_user(asked, users, [catalogue.items[item] for item in split.test], k)
        write_csv(options.per_user, rows)


def noting(protocol: Protocol, asked: list[tuple[np.ndarray, Ranks]]) -> Protocol:
    """A protocol that notes whom it ranked, and how."""

    def rank(scores, histories, targets, users):
        ranks, catalogue = protocol.rank(scores, histories, targets, users)
        asked.append((users, ranks))
        return ranks, catalogue

    return protocol._replace(rank=rank)


def per_user(asked, labels: Sequence[str], targets: Sequence[str], k: int) -> Iterator[Sequence]:
    """A header, and a row for each user who was asked about; no rank: it cannot be recommended."""
    users = np.concatenate([users for users, _ in asked])
    ranks = Ranks(*map(np.concatenate, zip(*(ranks for _, ranks in asked), strict=True)))
    metrics = {f"HR@{k}": hit_rate(ranks, k), f"NDCG@{k}": ndcg(ranks, k), "MRR": mrr(ranks)}
    yield ["user", "item", "rank", "last_rank", *metrics]
    for place, user in enumerate(users):
        better, tied = int(ranks.better[place]), int(ranks.tied[place])
        shown = ["", ""] if better == NEVER else [better + 1, better + tied + 1]
        values = (float(of[place]) for of in metrics.values())
        yield [labels[user], targets[user], *shown, *values]


def write_csv(path: Path, rows: Iterator[Sequence]) -> None:
    """Write the rows one by one: all of them or nothing."""

    def write(temporary):
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    replace_file(path, write)
