"""The article's example, section 4.3: the sequence <1, 2, 3, 4, 5> and its 5x5 weight matrix.

The article gives row one of the matrix as 0.2, 0.3, 0.2, 0.2, 0.1 and lets the decoder answer
item 2, but it does not give the embeddings. These do exactly that. With d = 4 the scores are
x_i . x_j / sqrt(4), so for x_1 = (2, 0, 0, 0)

    score_1j = 2 * (first entry of x_j) / 2 = first entry of x_j,

and row one can be read off the table: 2, 2 + ln(1.5), 2, 2, 2 - ln(2). Its softmax is
1 : 1.5 : 1 : 1 : 0.5, which is 0.2, 0.3, 0.2, 0.2, 0.1. The other three entries are plain features
that some of the items share.
"""

import math

import numpy as np

from attention_from_scratch.ops import embedding, linear, scaled_dot_product_attention
from attention_from_scratch.ops.attention import attention_weights, transpose

SEQUENCE = np.array([1, 2, 3, 4, 5])

# Row 0 is padding; row i is x_i.
EMBEDDINGS = np.array(
    [
        [0, 0, 0, 0],
        [2, 0, 0, 0],
        [2 + math.log(1.5), 1, 0, 0],
        [2, 1, 1, 0],
        [2, 1, 0, 1],
        [2 - math.log(2), 0, 0, 1],
    ]
)


def worked_example(
    embeddings: np.ndarray = EMBEDDINGS,
    sequence: np.ndarray = SEQUENCE,
    *,
    mask: np.ndarray | None = None,
) -> dict:
    """Every number between the sequence and the answer, by name.

    Parameters
    ----------
    embeddings : (V + 1, d) of floats
        The table, row 0 for padding.
    sequence : (n,) of integers in 1..V
    mask : (n, n) of bool, or None
        Who may attend to whom; None: everyone to everyone, as in the article.

    Returns
    -------
    dict of arrays
        "embeddings" (n, d), X: one row per position; "scores" (n, n), X X^T / sqrt(d);
        "weights" (n, n), softmax of each row of the scores; "weighted_sums" (n, d), W X;
        "decoder_scores" (n, V), each weighted sum against every item; "answers" (n,), the item
        with the highest; "answer", that of row one, which the article reads.
        And what the answer is made of: "lengths" (V,) of the items' vectors and "cosines" (n, V)
        between weighted sums and items.
    """
    x, _ = embedding(sequence, embeddings)
    scores = x @ transpose(x) / math.sqrt(x.shape[-1])
    weights, _ = attention_weights(x, x, mask=mask)
    weighted_sums, _ = scaled_dot_product_attention(x, x, x, mask=mask)
    catalogue = embeddings[1:]
    decoder_scores, _ = linear(weighted_sums, catalogue.T)
    lengths = np.sqrt((catalogue**2).sum(axis=-1))
    sum_lengths = np.sqrt((weighted_sums**2).sum(axis=-1, keepdims=True))
    answers = 1 + decoder_scores.argmax(axis=-1)
    return {
        "sequence": sequence,
        "embeddings": x,
        "scores": scores,
        "weights": weights,
        "weighted_sums": weighted_sums,
        "decoder_scores": decoder_scores,
        "answers": answers,
        "answer": int(answers[0]),
        "lengths": lengths,
        "cosines": decoder_scores / (sum_lengths * lengths),
    }
