"""A lookup, for `cross`: a memory of pairs (key, value), a question that is a key, its value.

Three readers of the memory, each one layer of attention with its backward pass, and their training.
"""

import math
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from attention_from_scratch import ops
from attention_from_scratch.ops.linear import project
from attention_from_scratch.training import Adam
from attention_from_scratch.tree import Tree

MEMORY, KEYS, VALUES, DIM = 8, 16, 4, 32  # pairs in a memory; kinds of key and value; width
BATCH, QUESTIONS = 128, 4000  # memories in a step, and in the test
EVERY = 30  # steps from one test to the next

READERS = {
    "query from outside": "attention of a query that is no position of the memory",
    "query in the sequence": "self-attention over memory and query, read at the query",
    "no query, pooled": "self-attention over the memory, its mean",
}


def best_without_query(memory: int, values: int) -> float:
    """Accuracy of who always answers the commonest value of the memory: E[its count] / memory.

    The number of ways in which no value comes more than c times is memory! times the coefficient of
    t^memory in (sum_{i <= c} t^i / i!)^values; E[count] = sum_c P(count > c).
    """
    expected = 0.0
    for most in range(memory):
        one = np.array([1 / math.factorial(i) for i in range(most + 1)])
        all_values = np.ones(1)
        for _ in range(values):
            all_values = np.convolve(all_values, one)
        ways = all_values[memory] if memory < len(all_values) else 0.0
        expected += 1 - ways * math.factorial(memory) / values**memory
    return float(expected / memory)


def draw(rng, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Keys (B, M), all different; values (B, M); the key that is asked for, its value (B,)."""
    keys = rng.permuted(np.tile(np.arange(KEYS), (batch, 1)), axis=1)[:, :MEMORY]
    values = rng.integers(VALUES, size=(batch, MEMORY))
    rows, asked = np.arange(batch), rng.integers(MEMORY, size=batch)
    return keys, values, keys[rows, asked], values[rows, asked]


def init_params(rng, dtype: str = "float32") -> Tree:
    """Tables of keys, values and queries; projections; a decoder."""

    def normal(rows, columns, scale):
        return (scale * rng.standard_normal((rows, columns))).astype(dtype)

    def layer(n_out):
        return {"weight": normal(DIM, n_out, DIM**-0.5), "bias": np.zeros(n_out, dtype)}

    tables = {"key": KEYS, "value": VALUES, "asked": KEYS}
    return {name: normal(rows, DIM, 1.0) for name, rows in tables.items()} | {
        "attention": {part: layer(DIM) for part in ("query", "key", "value", "output")},
        "decoder": layer(VALUES),
    }


def logits(params: Tree, keys, values, asked, *, reader: str):
    """What a reader answers: (B, M), (B, M), (B,) -> (B, n values).

    A position of the memory is the sum of two embeddings, of its key and of its value.
    """
    of_keys, back_keys = ops.embedding(keys, params["key"], padding_id=None)
    of_values, back_values = ops.embedding(values, params["value"], padding_id=None)
    question, back_question = ops.embedding(asked[:, None], params["asked"], padding_id=None)
    memory = of_keys + of_values  # (B, M, D)
    read, back_read = READ[reader](params["attention"], memory, question)
    output, back_decoder = project(params["decoder"], read)

    def backward(d_output):
        d_decoder, d_read = back_decoder(d_output)
        d_attention, d_memory, d_question = back_read(d_read)
        return {
            "key": back_keys(d_memory),
            "value": back_values(d_memory),
            "asked": back_question(d_question),
            "attention": d_attention,
            "decoder": d_decoder,
        }

    return output, backward


def from_outside(params: Tree, memory, question):
    """One query, M keys: (B, M, D), (B, 1, D) -> (B, D)."""
    output, back = ops.multi_head_attention(params, question, memory, memory, n_heads=1)

    def backward(d_read):
        grads, d_question, d_key, d_value = back(d_read[:, None])
        return grads, d_key + d_value, d_question

    return output[:, 0], backward


def in_the_sequence(params: Tree, memory, question):
    """M + 1 queries and keys, of which the last is the question."""
    x = np.concatenate([memory, question], axis=1)
    output, back = ops.multi_head_attention(params, x, x, x, n_heads=1)

    def backward(d_read):
        d_output = np.zeros_like(output)
        d_output[:, -1] = d_read
        grads, *d_parts = back(d_output)
        d_x = sum(d_parts)
        return grads, d_x[:, :-1], d_x[:, -1:]

    return output[:, -1], backward


def pooled(params: Tree, memory, question):
    """M queries and keys; the question is not looked at."""
    output, back = ops.multi_head_attention(params, memory, memory, memory, n_heads=1)
    length = memory.shape[1]

    def backward(d_read):
        d_output = np.broadcast_to(d_read[:, None] / length, output.shape).astype(output.dtype)
        grads, *d_parts = back(d_output)
        return grads, sum(d_parts), np.zeros_like(question)

    return output.mean(axis=1), backward


READ = dict(zip(READERS, (from_outside, in_the_sequence, pooled), strict=True))


def loss(params: Tree, keys, values, asked, answers, *, reader: str):
    """Cross-entropy of the answers: an op from the parameters to one number."""
    output, back_logits = logits(params, keys, values, asked, reader=reader)
    value, back_loss = ops.cross_entropy(output, answers)
    return value, lambda d_output=1.0: back_logits(back_loss(d_output))


def lookups(steps: int, seeds: int) -> list[dict]:
    """A row for each reader and seed: its accuracy as it trains."""
    pairs = [(reader, seed) for reader in READERS for seed in range(seeds)]
    bar = tqdm(pairs, desc="cross, lookups", disable=None)
    return [{"reader": reader, "seed": seed} | curve(reader, seed, steps) for reader, seed in bar]


def curve(reader: str, seed: int, steps: int) -> dict:
    """Train one reader; ask it about memories it has not seen, from time to time."""
    test = draw(np.random.default_rng([seed, 1]), QUESTIONS)
    at, accuracies = [], []
    for step, params in enumerate(descend(reader, seed, steps)):
        if step % EVERY == 0:
            answers = logits(params, *test[:3], reader=reader)[0].argmax(axis=-1)
            at.append(step)
            accuracies.append(float((answers == test[3]).mean()))
    return {"steps": at, "accuracy": accuracies}


def descend(reader: str, seed: int, steps: int) -> Iterator[Tree]:
    """The parameters before the first step and after every step; each step sees new memories."""
    rng = np.random.default_rng([seed, 0])
    params = init_params(rng)
    adam = Adam(params, lr=3e-3)
    yield params
    for _ in range(steps):
        _, backward = loss(params, *draw(rng, BATCH), reader=reader)
        adam.update(params, backward())
        yield params
