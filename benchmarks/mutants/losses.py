"""Wrong ways back from a loss: to logits, to a table of classes, to answers of yes and no."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.ops.losses import reduction_weights
from benchmarks.mutants.cases import NEXT_ITEMS, classes, clicks, pattern
from benchmarks.mutants.parts import rows
from benchmarks.mutants.shelves import wrong


def summed(loss, logits, targets, options):
    """Give the backward pass of the sum, where that of the mean was asked for."""
    return loss(logits, targets, **{**options, "reduction": "sum"})[1]


def takes_mean(options):
    """Whether it is a mean that the caller wants."""
    return options.get("reduction", "mean") == "mean"


@wrong(ops.cross_entropy, "not_divided", "first")
def entropy_sum(logits, targets, **options):
    """Takes the mean forward and the sum backward."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    return loss, summed(ops.cross_entropy, logits, targets, options)


@wrong(ops.cross_entropy, "not_divided", "second", classes([2, 0, 1], 3))
def entropy_textbook(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """The gradient is p - q of the textbook, which has one position."""
    settings = {"ignore_index": ignore_index, "position_weights": position_weights}
    settings |= {"label_smoothing": label_smoothing, "reduction": reduction}
    weights = reduction_weights(targets != ignore_index, position_weights, "sum", logits)

    def backward(d_output=1.0):
        p, _ = ops.softmax(logits)
        d_logits = np.zeros_like(logits)
        for at in np.ndindex(weights.shape):
            if weights[at] == 0:
                continue
            q = np.full_like(p[at], label_smoothing / len(p[at]))
            q[targets[at]] += 1 - label_smoothing
            d_logits[at] = d_output * weights[at] * (p[at] - q)
        return d_logits

    return ops.cross_entropy(logits, targets, **settings)[0], backward


@wrong(ops.linear_cross_entropy, "not_divided", "second")
def catalogue_sum(x, weight, targets, **options):
    """Takes the mean forward and the sum backward, through the table as well."""
    loss, _ = ops.linear_cross_entropy(x, weight, targets, **options)
    if takes_mean(options):
        options = options | {"reduction": "sum"}
    return loss, ops.linear_cross_entropy(x, weight, targets, **options)[1]


@wrong(ops.linear_cross_entropy, "d_output_ignored", "second")
def catalogue_in_one_sweep(x, weight, targets, **options):
    """The gradient is made with the loss, and d_output comes too late."""
    loss, back = ops.linear_cross_entropy(x, weight, targets, **options)
    gradients = back()
    return loss, lambda d_output=1.0: gradients


@wrong(ops.cross_entropy, "d_output_ignored", "second")
def entropy_starts_at_one(logits, targets, **options):
    """A loss comes last, so its d_output is taken to be 1."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    return loss, lambda d_output=1.0: back()


@wrong(ops.cross_entropy, "softmax_twice", "second")
def entropy_through_softmax_again(logits, targets, **options):
    """Takes p - q, and then goes back through the softmax as well."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    _, back_of_p = ops.softmax(logits)
    return loss, lambda d_output=1.0: back_of_p(back(d_output))


@wrong(ops.cross_entropy, "only_target", "second")
def entropy_of_the_target(logits, targets, **options):
    """Only the logit that the loss picks gets a gradient."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    picked = targets[..., None] == np.arange(logits.shape[-1])
    return loss, lambda d_output=1.0: back(d_output) * picked


@wrong(
    ops.cross_entropy,
    "position_weights_ignored",
    "second",
    classes(NEXT_ITEMS, 6, position_weights=np.linspace(0.5, 2, 12).reshape(3, 4)),
)
def entropy_unweighted(logits, targets, *, position_weights=None, **options):
    """All positions count alike backward, whatever their weights."""
    loss, _ = ops.cross_entropy(logits, targets, position_weights=position_weights, **options)
    return loss, ops.cross_entropy(logits, targets, **options)[1]


@wrong(
    ops.binary_cross_entropy_with_logits,
    "position_weights_ignored",
    "second",
    clicks(3, 4, position_weights=np.linspace(0.5, 2, 12).reshape(3, 4)),
)
def binary_unweighted(logits, targets, *, position_weights=None, **options):
    """All entries count alike backward, in the loss over yes and no."""
    binary = ops.binary_cross_entropy_with_logits
    loss, _ = binary(logits, targets, position_weights=position_weights, **options)
    return loss, binary(logits, targets, **options)[1]


@wrong(ops.cross_entropy, "divided_by_batch", "first")
def entropy_batch_mean(logits, targets, **options):
    """The mean divides by B, not by B L."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    back = summed(ops.cross_entropy, logits, targets, options)
    count = len(logits) if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output) / count


@wrong(ops.cross_entropy, "divided_by_batch", "second", classes(NEXT_ITEMS, 6, ignore_index=0))
def entropy_sequence_by_sequence(logits, targets, **options):
    """Sums over each sequence, averages over sequences."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    options = dict(options)
    every = options.pop("position_weights", None)
    count = len(logits) if takes_mean(options) else 1

    def backward(d_output=1.0):
        d_logits = np.empty_like(logits)
        for i in range(len(logits)):
            chosen = {} if every is None else {"position_weights": every[i]}
            back = summed(ops.cross_entropy, logits[i], targets[i], {**options, **chosen})
            d_logits[i] = back(d_output / count)
        return d_logits

    return loss, backward


IGNORING = classes(NEXT_ITEMS, 6, ignore_index=0)


@wrong(ops.cross_entropy, "counts_ignored", "first", IGNORING)
def entropy_divides_by_all(logits, targets, **options):
    """Ignored positions get no gradient, but are in the divisor."""
    loss, _ = ops.cross_entropy(logits, targets, **options)
    back = summed(ops.cross_entropy, logits, targets, options)
    count = targets.size if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output) / count


@wrong(ops.cross_entropy, "counts_ignored", "second", IGNORING)
def entropy_ignored_learn(logits, targets, *, ignore_index=None, **options):
    """The divisor is right, but ignored positions learn to predict the ignored id."""
    loss, back = ops.cross_entropy(logits, targets, ignore_index=ignore_index, **options)
    counted, p = targets != ignore_index, ops.softmax(logits)[0]
    one_hot = targets[..., None] == np.arange(logits.shape[-1])
    weights = reduction_weights(
        counted, options.get("position_weights"), options.get("reduction", "mean"), logits
    )
    weight_of_ignored = np.where(counted, 0, weights.max())[..., None]
    return loss, lambda d_output=1.0: back(d_output) + d_output * weight_of_ignored * (p - one_hot)


@wrong(
    ops.cross_entropy,
    "counts_ignored",
    "first",
    classes([4, -100, 2, -100, 0], 5, ignore_index=-100),
)
def entropy_ignored_flattened(logits, targets, *, ignore_index=None, **options):
    """Ignored positions have no one-hot, but their p stays; and they are in the divisor."""
    loss, _ = ops.cross_entropy(logits, targets, ignore_index=ignore_index, **options)
    counted = targets != ignore_index
    valid = np.where(counted, targets, 0)
    _, back = ops.cross_entropy(logits, valid, **options)
    p, _ = ops.softmax(logits)
    share = 1 / targets.size if takes_mean(options) else 1

    def backward(d_output=1.0):
        return np.where(counted[..., None], back(d_output), d_output * share * p)

    return loss, backward


@wrong(ops.cross_entropy, "wrong_sign", "first")
def entropy_adds_one_hot(logits, targets, **options):
    """The gradient is p + q, where it should be p - q."""
    loss, back = ops.cross_entropy(logits, targets, **options)
    weights = reduction_weights(
        targets != options.get("ignore_index"),
        options.get("position_weights"),
        options.get("reduction", "mean"),
        logits,
    )
    twice_p = 2 * weights[..., None] * ops.softmax(logits)[0]
    return loss, lambda d_output=1.0: d_output * twice_p - back(d_output)  # 2 p - (p - q)


@wrong(ops.cross_entropy, "smoothing_ignored", "first", classes(NEXT_ITEMS, 6, label_smoothing=0.1))
def entropy_sharp(logits, targets, *, label_smoothing=0.0, **options):
    """Goes back to the one-hot target."""
    loss, _ = ops.cross_entropy(logits, targets, label_smoothing=label_smoothing, **options)
    return loss, ops.cross_entropy(logits, targets, **options)[1]


@wrong(
    ops.cross_entropy,
    "smoothing_ignored",
    "second",
    classes([[1, 2, 0], [3, 0, 0]], 4, label_smoothing=0.2, ignore_index=0),
)
def entropy_subtracts_one(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """Has p[target] -= 1, the line that everybody knows, which knows no smoothing."""
    loss, _ = ops.cross_entropy(
        logits,
        targets,
        ignore_index=ignore_index,
        position_weights=position_weights,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
    weights = reduction_weights(targets != ignore_index, position_weights, reduction, logits)

    def backward(d_output=1.0):
        p = rows(ops.softmax(logits)[0])
        p[np.arange(len(p)), np.where(weights > 0, targets, 0).ravel()] -= 1
        return d_output * weights[..., None] * p.reshape(logits.shape)

    return loss, backward


@wrong(ops.binary_cross_entropy_with_logits, "not_divided", "first")
def binary_sum(logits, targets, **options):
    """Takes the mean forward and the sum backward, for answers of yes and no."""
    loss, _ = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    return loss, summed(ops.binary_cross_entropy_with_logits, logits, targets, options)


@wrong(ops.binary_cross_entropy_with_logits, "divided_by_batch", "second", clicks(2, 3, 4))
def binary_batch_mean(logits, targets, **options):
    """The mean divides by the first axis of three."""
    loss, _ = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    back = summed(ops.binary_cross_entropy_with_logits, logits, targets, options)
    count = len(logits) if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output / count)


@wrong(
    ops.binary_cross_entropy_with_logits,
    "counts_ignored",
    "second",
    clicks(3, 4, position_weights=pattern(3, 4).astype(float)),
)
def binary_divides_by_all(logits, targets, **options):
    """Entries of weight 0 get no gradient, but are in the divisor."""
    loss, _ = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    back = summed(ops.binary_cross_entropy_with_logits, logits, targets, options)
    count = logits.size if takes_mean(options) else 1
    return loss, lambda d_output=1.0: back(d_output / count)


@wrong(ops.binary_cross_entropy_with_logits, "wrong_sign", "second")
def binary_truth_minus_prediction(logits, targets, **options):
    """d_logits is t - s in place of s - t; d_targets is right."""
    loss, back = ops.binary_cross_entropy_with_logits(logits, targets, **options)

    def backward(d_output=1.0):
        d_logits, d_targets = back(d_output)
        return -d_logits, d_targets

    return loss, backward


@wrong(ops.binary_cross_entropy_with_logits, "wrong_sign", "first")
def binary_adds_targets(logits, targets, **options):
    """d_logits is s + t, where it should be s - t."""
    loss, back = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    _, back_of_sum = ops.binary_cross_entropy_with_logits(logits, -targets, **options)
    return loss, lambda d_output=1.0: (back_of_sum(d_output)[0], back(d_output)[1])


@wrong(ops.binary_cross_entropy_with_logits, "constant_factor", "first")
def binary_halved(logits, targets, **options):
    """The gradient is half of what it should be, as of a mean over positives and negatives."""
    loss, back = ops.binary_cross_entropy_with_logits(logits, targets, **options)
    return loss, lambda d_output=1.0: tuple(0.5 * d for d in back(d_output))
