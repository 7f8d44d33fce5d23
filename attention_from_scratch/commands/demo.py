"""`attention-from-scratch demo`: from five embeddings to a trained recommender in a minute."""

import time
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from attention_from_scratch.article import worked_example
from attention_from_scratch.commands.runs import folder_for_output
from attention_from_scratch.data import Shop, Split, leave_one_out
from attention_from_scratch.evaluation import evaluate, whole_catalogue
from attention_from_scratch.models import SASRec
from attention_from_scratch.ops import cross_entropy, log_softmax

SUMMARY = "The worked example, and a recommender trained and looked at."
EXAMPLE = "--out demo-output"
# In the shop people buy again: what they have must stay among what can be recommended.
PROTOCOL = whole_catalogue(exclude_seen=False)


def add_options(parser: ArgumentParser) -> None:
    """The option that says where the pictures go."""
    out = Path("demo-output")
    said = f"folder for the pictures (default {out})"
    parser.add_argument("--out", type=Path, default=out, metavar="DIR", help=said)


def run(options) -> None:
    """Show it, once its folder is there."""
    with folder_for_output(options.out):
        demo(options.out)


def demo(out: Path, *, users: int = 6000, epochs: int = 30, progress: bool | None = None) -> None:
    """Print the worked example and a trained recommender; write their pictures to `out`.

    Parameters
    ----------
    out : path of a folder that exists
    users, epochs : int
        Size of the shop, and of the training.
    progress : bool or None
        Show a bar; None: if a person is looking.
    """
    from attention_from_scratch import plot  # here: matplotlib takes a while

    print("1. The sequence <1, 2, 3, 4, 5>\n")
    example = worked_example()
    print(describe_example(example))
    labels = [f"item {item}" for item in example["sequence"]]
    title = "softmax(X Xᵀ / √d) of <1, 2, 3, 4, 5>"
    heatmap = plot.attention_heatmap(example["weights"], labels, title=title)

    print("\n2. SASRec, trained on a shop whose customers follow a known formula\n")
    shop, split, model = train_on_shop(users, epochs, progress)
    print(describe_result(shop, split, model))
    truth = evaluate(true_scores(shop), split.train, split.validation, protocol=PROTOCOL)
    shown = ("epoch", "loss", "NDCG@10")
    rows = [{name: row[name] for name in shown if name in row} for row in model.history]
    curves = plot.learning_curves(rows, limits={"NDCG@10": truth["NDCG@10"]})

    print("\n3. What it attends to\n")
    history = telling_history(shop, split.test_histories)
    names = [shop.names[item] for item in history]
    weights = model.attention_weights(history)
    print(describe_attention(names, weights))
    print(describe_recommendations(shop, model, history))
    heads = plot.attention_heads(weights, names)

    print("\nPictures:")
    pictures = {"worked-example": heatmap, "learning-curves": curves, "attention-heads": heads}
    for name, figure in pictures.items():
        print(f"  {plot.save(figure, out / f'{name}.png')}")


def describe_example(example: dict) -> str:
    """The worked example, each number followed from the embedding to the answer."""
    scores, cosines = example["decoder_scores"][0], example["cosines"][0]
    second, best = np.argsort(scores)[-2:]
    lengths = example["lengths"]
    return "\n".join(
        [
            "embeddings X, one row per position",
            table(example["embeddings"]),
            "scores X Xᵀ / √4; their first row is the first column of X, as x_1 = (2, 0, 0, 0)",
            table(example["scores"]),
            "weights W: softmax of each row",
            table(example["weights"]),
            "weighted sums W X",
            table(example["weighted_sums"]),
            "the decoder: the first weighted sum against every item",
            table(scores[None]),
            f"answer: item {example['answer']}. Its score is {scores[best] / scores[second]:.3f} "
            f"times that of the next, item {second + 1}:",
            f"  {lengths[best] / lengths[second]:.3f} times for being the longer vector, "
            f"{cosines[best] / cosines[second]:.3f} times for its direction",
        ]
    )


def train_on_shop(users: int, epochs: int, progress: bool | None) -> tuple[Shop, Split, SASRec]:
    """A shop, the events of its customers, and a model that has learnt from them."""
    shop = Shop()
    data = shop.interactions(users, np.random.default_rng(0))
    split = leave_one_out(data.histories)
    model = SASRec(shop.n_items, max_len=20, dim=32, n_blocks=2, n_heads=2, dropout=0.1)
    start = time.perf_counter()
    model.fit(
        split.train,
        epochs=epochs,
        validation=split.validation,
        protocol=PROTOCOL,
        lr=3e-3,
        progress=progress,
    )
    if model.interrupted:
        raise KeyboardInterrupt
    seconds = time.perf_counter() - start
    print(f"{data}; {len(model.history)} epochs in {seconds:.0f} s, best: {model.best_epoch}\n")
    return shop, split, model


def describe_result(shop: Shop, split: Split, model: SASRec) -> str:
    """Held-out figures of popularity, of the model, and of the formula that made the data."""
    histories, targets = split.test_histories, split.test
    popularity = np.log(np.maximum(model.item_counts, 1e-9))
    popularity[0] = -np.inf
    rankers = {
        "most popular": lambda users: np.tile(popularity, (len(users), 1)),
        "SASRec": model.scores,
        "the formula itself": true_scores(shop),
    }
    lines = [f"{'next event of each user':24}{'HR@10':>7}{'NDCG@10':>9}{'cross-entropy':>18}"]
    for name, scores in rankers.items():
        result = evaluate(scores, histories, targets, protocol=PROTOCOL)
        logits = scores(histories)[:, 1:].astype(np.float64)
        nats, _ = cross_entropy(logits, targets - 1)
        lines.append(f"{name:24}{result['HR@10']:7.3f}{result['NDCG@10']:9.3f}{nats:13.3f} nats")
    limit = shop.limit(histories)
    lines.append(
        f"{'the best there can be':24}{limit['hit_rate']:7.3f}{limit['ndcg']:9.3f}"
        f"{limit['cross_entropy']:13.3f} nats   (expected, given each history)"
    )
    return "\n".join(lines)


def true_scores(shop: Shop):
    """A ranker that knows the formula: the logarithm of the true probabilities."""

    def scores(histories):
        with np.errstate(divide="ignore"):  # column 0, the padding: log(0) is the -inf it should be
            return np.log(shop.next_probabilities(histories))

    return scores


def telling_history(shop: Shop, histories: list[np.ndarray]) -> np.ndarray:
    """One in which the last events have led away from the family of the first."""
    for history in histories:
        families = [shop.names[item].split()[0] for item in history]
        if 7 <= len(history) <= 9 and families[0] != families[-1] == families[-2]:
            return history
    return histories[0]


def describe_attention(names: list[str], weights: np.ndarray) -> str:
    """For each head, where the last event looks most."""
    lines = [f"history: {', '.join(names)}"]
    for block, head in np.ndindex(weights.shape[:2]):
        last = weights[block, head, -1]
        most = int(last.argmax())
        lines.append(
            f"  block {block + 1}, head {head + 1}: the last event takes {last[most]:.2f} "
            f"from event {most + 1} of {len(names)}, {names[most]}"
        )
    return "\n".join(lines)


def describe_recommendations(shop: Shop, model: SASRec, history: np.ndarray) -> str:
    """The first five recommendations, with the model's probabilities and the true ones."""
    ids, _ = model.recommend([history], k=5, exclude_seen=False)
    log_p, _ = log_softmax(model.scores([history])[:, 1:])
    truth = shop.next_probabilities([history])[0]
    lines = [f"\n{'recommended next':26}{'model':>8}{'truth':>8}"]
    for item in ids[0]:
        lines.append(f"  {shop.names[item]:24}{np.exp(log_p[0, item - 1]):8.3f}{truth[item]:8.3f}")
    return "\n".join(lines)


def table(rows: np.ndarray) -> str:
    """A matrix as text."""
    return "\n".join("  " + " ".join(f"{value:7.3f}" for value in row) for row in rows)
