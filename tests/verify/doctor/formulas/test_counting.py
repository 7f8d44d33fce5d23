"""What a mean is divided by: wrongly at some calls only, and beside another mistake."""

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose


def test_a_divisor_that_is_wrong_without_weights_alone_is_told_beside_a_sign():
    def op(logits, targets, *, position_weights=None, reduction="mean"):
        keywords = {"position_weights": position_weights, "reduction": reduction}
        output, back = ops.binary_cross_entropy_with_logits(logits, targets, **keywords)

        def backward(d=1.0):
            d_logits, d_targets = back(d)
            if position_weights is None and reduction == "mean":
                d_targets = d_targets * logits.size / len(logits)
            return d_logits, -d_targets

        return output, backward

    text = str(diagnose(op, ops.binary_cross_entropy_with_logits))
    assert "x stands in the place of -x: the other sign" in text
    assert "without position_weights the mean is divided by the batch size alone" in text


def test_that_positions_of_no_weight_are_counted_is_told_apart_from_all_that_count():
    rng = np.random.default_rng(3)
    logits, targets = rng.standard_normal((2, 3, 6)), rng.integers(6, size=(2, 3))
    weights = np.array([[0.5, 2.0, 1.0], [0.0, 3.0, 0.25]])

    def op(logits, targets, *, position_weights=None, ignore_index=None):
        keywords = {"position_weights": position_weights, "ignore_index": ignore_index}
        output, back = ops.cross_entropy(logits, targets, **keywords)
        counted = np.ones(targets.shape) if ignore_index is None else targets != ignore_index
        total = counted if position_weights is None else counted * position_weights
        return output, lambda d=1.0: -back(d) * total.sum() / counted.sum()

    text = str(diagnose(op, ops.cross_entropy, logits, targets, position_weights=weights))
    assert "the number of positions that are not ignored, not by their weight" in text
    assert "the other sign" in text
