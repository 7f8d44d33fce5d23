"""Matrix factorisation, and the loss that teaches it to rank: what a user chose above what not.

A user is a vector and an item is a vector, and the score is their inner product plus the item's
bias. The order of the events plays no part.

Source: Rendle, Freudenthaler, Gantner & Schmidt-Thieme, BPR: Bayesian Personalized Ranking from
Implicit Feedback (UAI 2009).
"""

import math

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.tree import Tree

FOLD_IN_STEPS = 50
LEAST_REGULARIZATION = 1e-4  # of a user who is folded in: without any there may be no optimum


def init_params(rng, *, n_users, n_items, dim, dtype="float32") -> Tree:
    """Draw the parameters: {"users" (U, D), "items" (V + 1, D), "bias" (V + 1,)}.

    The vectors are normal with standard deviation 0.1, and the biases are 0.
    """

    def table(rows):
        return rng.normal(0, 0.1, (rows, dim)).astype(dtype)

    return {
        "users": table(n_users),
        "items": table(n_items + 1),
        "bias": np.zeros(n_items + 1, dtype),
    }


def bpr_loss(
    params: Tree, users, positives, negatives, *, regularization=0.0, total=None, ops=plain
):
    """-log sigmoid(x_ui - x_uj): of two items, the one that user u has chosen should score higher.

    With w a user's vector, h an item's and b its bias, x_ui = w_u . h_i + b_i, and each triple
    (u, i, j) costs

        -log sigmoid(x_ui - x_uj) + r/2 (|w_u|^2 + |h_i|^2 + |h_j|^2 + b_i^2 + b_j^2)

    so that a step of gradient descent on one triple is the paper's LearnBPR, with its three
    constants of regularisation equal. With s = sigmoid(x_ui - x_uj) - 1, the slope of the first
    term,

        d_w = s (h_i - h_j) + r w      d_h_i = s w + r h_i      d_h_j = -s w + r h_j

    and likewise d_b_i = s + r b_i, d_b_j = -s + r b_j. What occurs in several triples collects
    the gradient of each.

    Parameters
    ----------
    params : tree of `init_params`
    users, positives, negatives : (N,) of integers
        Rows of the tables: a user, an item that this user has chosen, and one not chosen.
    regularization : float, r
    total : int or None
        What the sum of the losses is divided by; None: N.
    ops : module
        `attention_from_scratch.ops`, or `fast`, whose ops have the same names.

    Returns
    -------
    output : ()
    backward : d_output () -> grads

    Source: Rendle et al. (2009), sections 4.2 (BPR-Opt, LearnBPR) and 4.3.1 (MF).
    """
    user = params["users"][users]  # (N, D)
    chosen, other = params["items"][positives], params["items"][negatives]  # (N, D)
    bias_chosen, bias_other = params["bias"][positives], params["bias"][negatives]  # (N,)
    apart = chosen - other
    margins = (user * apart).sum(axis=-1) + bias_chosen - bias_other  # (N,)
    loss, back_loss = ops.binary_cross_entropy_with_logits(
        margins, np.ones_like(margins), reduction="sum"
    )
    penalty = sum((rows * rows).sum() for rows in (user, chosen, other, bias_chosen, bias_other))
    total = max(len(users) if total is None else int(total), 1)

    def backward(d_output=1.0):
        d_total = d_output / total
        d_margins, _ = back_loss(d_total)
        d_penalty = d_total * regularization
        pull = d_margins[:, None] * user  # towards the chosen item, away from the other
        d_user = d_margins[:, None] * apart + d_penalty * user
        d_items = [pull + d_penalty * chosen, d_penalty * other - pull]
        d_bias = [d_margins + d_penalty * bias_chosen, d_penalty * bias_other - d_margins]
        items = np.concatenate([positives, negatives])
        return {
            "users": sum_of_rows(users, d_user, params["users"]),
            "items": sum_of_rows(items, np.concatenate(d_items), params["items"]),
            "bias": sum_of_rows(items, np.concatenate(d_bias), params["bias"]),
        }

    return (loss + regularization / 2 * penalty) / total, backward


def sum_of_rows(ids: np.ndarray, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """An array of zeros like `like`, with every row of `rows` added to the row its id names.

    NumPy adds to single numbers several times faster than to rows, so the rows are taken apart.
    """
    summed = np.zeros_like(like)
    width = math.prod(like.shape[1:])
    places = ids[:, None] * width + np.arange(width)
    np.add.at(summed.reshape(-1), places.ravel(), rows.ravel())
    return summed


def fold_in(params: Tree, positives, negatives, *, regularization: float, ops=plain) -> np.ndarray:
    """The vector of a user who was not there in training: (D,), the items as they are.

    With the items fixed, `bpr_loss` is a logistic regression of the user's vector w on the
    differences h_i - h_j, and convex. As no curvature of the loss is above that of

        w^T (X^T X / 4 N + r I) w / 2,

    X the differences, a Newton step with this matrix never goes too far.

    Parameters
    ----------
    params : tree of `init_params`
    positives, negatives : (N,) of integers
        Items that the user has chosen, and as many not chosen.
    regularization : float, r
        At least `LEAST_REGULARIZATION` is taken.

    Source of the bound: Böhning & Lindsay, Monotonicity of quadratic-approximation algorithms,
    Ann. Inst. Statist. Math. 40 (1988), 641-663.
    """
    items, bias = params["items"], params["bias"]
    apart = items[positives] - items[negatives]  # X: (N, D)
    bias_apart = bias[positives] - bias[negatives]
    regularization = max(regularization, LEAST_REGULARIZATION)
    ridge = regularization * np.eye(items.shape[1], dtype=items.dtype)
    step = np.linalg.inv(apart.T @ apart / (4 * len(apart)) + ridge)
    vector = np.zeros_like(items[0])
    for _ in range(FOLD_IN_STEPS):
        wrong, _ = ops.sigmoid(-apart @ vector - bias_apart)
        vector = vector - step @ (regularization * vector - wrong @ apart / len(apart))
    return vector
