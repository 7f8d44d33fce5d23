"""The README opens the door: it is short, and the idea that it shows is right."""

import numpy as np
import pytest

from attention_from_scratch import ops
from attention_from_scratch.verify import assert_gradients, compare
from tests.docs.markdown import ROOT, blocks

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names():
    """What its blocks define."""
    namespace = {}
    for block in blocks(TEXT):
        if block.language == "python":
            exec(block.text, namespace)
    return namespace


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 200


def test_its_relu_is_ours(names):
    x = np.random.default_rng(0).normal(size=(3, 4))
    assert compare(ops.relu, names["relu"], x).passed
    assert_gradients(names["relu"], x)


def test_its_composition_has_the_gradient_of_its_loss(names):
    def loss_of(table):
        x, _ = ops.embedding(names["ids"], table)
        mask = ops.causal_mask(5)
        attended, _ = ops.scaled_dot_product_attention(x, x, x, mask=mask)
        logits, _ = ops.linear(attended, names["weight"], names["bias"])
        return ops.cross_entropy(logits, names["targets"])[0]

    table, direction = names["table"], np.random.default_rng(1).normal(size=(6, 4))
    slope = (loss_of(table + 1e-6 * direction) - loss_of(table - 1e-6 * direction)) / 2e-6
    assert loss_of(table) == names["loss"]
    np.testing.assert_allclose((names["d_table"] * direction).sum(), slope, rtol=1e-7)
