"""Every other form of a forward pass can be told from the right one, and is told by its words."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import diagnose
from attention_from_scratch.verify.doctor.forms import FORMS, forms_of
from attention_from_scratch.verify.doctor.probes import probes_of
from attention_from_scratch.verify.doctor.visits import examine

LEAST = 0.75  # of the forms differ at our probes; the others at calls of a caller


def probes(family):
    op = getattr(ops, family)
    return [examine(op, op, *call, seed=i).probe for i, call in enumerate(probes_of(family))]


@pytest.mark.parametrize("family", FORMS)
def test_forms_have_the_shape_of_the_output_and_most_are_another_at_some_probe(family):
    all_probes, differ = probes(family), []
    for words, function in forms_of(family, all_probes):
        with np.errstate(all="ignore"):
            found = [np.asarray(function(probe)) for probe in all_probes]
        right = [np.asarray(probe.output) for probe in all_probes]
        assert [a.shape for a in found] == [a.shape for a in right], words
        pairs = zip(found, right, strict=True)
        differ.append(not all(np.allclose(a, b, rtol=1e-8, atol=0) for a, b in pairs))
    assert np.mean(differ) >= LEAST


def quick_gelu(x, *, approximate="none"):
    if approximate == "tanh":
        return ops.gelu(x, approximate="tanh")
    return x / (1 + np.exp(-1.702 * x)), lambda d: d


def mean_of_all(logits, targets, *, position_weights=None, reduction="mean"):
    keywords = {"position_weights": position_weights, "reduction": "sum"}
    loss, back = ops.cross_entropy(logits, targets, **keywords)
    n = targets.size if reduction == "mean" else 1
    return loss / n, lambda d=1.0: back(d) / n


def ignored_in_the_mean(logits, targets, *, ignore_index=None):
    loss, back = ops.cross_entropy(logits, targets, ignore_index=ignore_index, reduction="sum")
    return loss / targets.size, lambda d=1.0: back(d) / targets.size


def clipped_bce(logits, targets):
    s = 1 / (1 + np.exp(-logits))
    loss = -targets * np.log(s + 1e-6) - (1 - targets) * np.log(1 - s + 1e-6)
    return loss.mean(), lambda d=1.0: (d * s, d * s)


def annotated_norm(x, weight, bias, *, eps=1e-5):
    centred, deviation = x - x.mean(-1, keepdims=True), x.std(-1, ddof=1, keepdims=True)
    return weight * centred / (deviation + eps) + bias, lambda d: (d, weight, bias)


def table_with_padding(ids, weight, *, padding_id=0):
    return weight[ids] * weight.shape[1] ** 0.5, lambda d: 0 * weight


def hiding_mask(query, key, *, mask=None, scale=None):
    scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores if mask is None else scores + 1.0 * mask
    return ops.softmax(scores)[0], ops.attention_weights(query, key)[1]


def quiet_softmax(x, *, axis=-1):
    return np.exp(x) / (1 + np.exp(x).sum(axis=axis, keepdims=True)), lambda d: d


CASES = [
    (quick_gelu, "gelu", "x sigmoid(1.702 x) where `approximate='none'`"),
    (mean_of_all, "cross_entropy", "the number of all positions"),
    (ignored_in_the_mean, "cross_entropy", "the number of all positions"),
    (clipped_bce, "binary_cross_entropy_with_logits", "1e-06 is added inside both logarithms"),
    (annotated_norm, "layer_norm", "over D - 1, and eps is outside the root"),
    (table_with_padding, "embedding", "multiplied by sqrt(D), and padding is not 0"),
    (hiding_mask, "attention_weights", "the mask is added to the scores as 0 and 1"),
    (quiet_softmax, "softmax", "1 is added to the sum of exp(x)"),
]


@pytest.mark.parametrize(("op", "family", "words"), CASES)
def test_a_form_is_told(op, family, words):
    diagnosis = diagnose(op, getattr(ops, family))
    assert diagnosis.forward_differs
    assert words in str(diagnosis)
