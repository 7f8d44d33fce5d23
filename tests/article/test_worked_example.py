"""The article's section 4.3, every number of it."""

import math

import numpy as np

from attention_from_scratch.article.worked_example import EMBEDDINGS
from attention_from_scratch.models import worked_example

EXAMPLE = worked_example()
X = [list(row) for row in EMBEDDINGS[1:]]


def dot(row, other):
    return sum(a * b for a, b in zip(row, other, strict=True))


def close(name, expected):
    np.testing.assert_allclose(EXAMPLE[name], expected, rtol=1e-14, atol=1e-15)


def test_row_one_is_that_of_the_article():
    np.testing.assert_allclose(EXAMPLE["weights"][0], [0.2, 0.3, 0.2, 0.2, 0.1], rtol=0, atol=1e-15)


def test_every_row_sums_to_one():
    np.testing.assert_allclose(EXAMPLE["weights"].sum(axis=1), 1, rtol=0, atol=1e-15)


def test_every_array_is_its_plain_formula():
    assert EXAMPLE["sequence"].tolist() == [1, 2, 3, 4, 5]
    close("embeddings", X)
    scores = [[dot(query, key) / math.sqrt(4) for key in X] for query in X]
    close("scores", scores)
    weights = [[math.exp(s) / sum(map(math.exp, row)) for s in row] for row in scores]
    close("weights", weights)
    sums = [[dot(row, [x[d] for x in X]) for d in range(4)] for row in weights]
    close("weighted_sums", sums)
    decoder = [[dot(mixture, item) for item in X] for mixture in sums]
    close("decoder_scores", decoder)
    close("answers", [1 + row.index(max(row)) for row in decoder])
    lengths = [math.sqrt(dot(item, item)) for item in X]
    close("lengths", lengths)
    close(
        "cosines",
        [[dot(z, x) / math.sqrt(dot(z, z)) / math.sqrt(dot(x, x)) for x in X] for z in sums],
    )


def test_the_answer_is_item_2():
    assert EXAMPLE["answer"] == 2
    assert EXAMPLE["answers"][0] == 2


def test_item_2_is_the_longest_vector_and_the_weighted_sum_is_not_item_2_itself():
    assert 1 + EXAMPLE["lengths"].argmax() == 2
    assert np.abs(EXAMPLE["weighted_sums"][0] - EXAMPLE["embeddings"][1]).max() > 0.1


def test_scores_are_cosine_times_both_lengths():
    sum_lengths = np.sqrt((EXAMPLE["weighted_sums"] ** 2).sum(axis=1))
    product = EXAMPLE["cosines"] * sum_lengths[:, None] * EXAMPLE["lengths"]
    np.testing.assert_allclose(EXAMPLE["decoder_scores"], product, rtol=1e-14)


def test_other_embeddings_and_sequences_can_be_tried():
    changed = EMBEDDINGS.copy()
    changed[5] = 3 * changed[2]
    example = worked_example(changed, np.array([5, 2, 5]))
    assert example["weights"].shape == (3, 3)
    assert example["decoder_scores"].shape == (3, 5)
    assert example["answer"] == 5
