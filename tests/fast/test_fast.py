"""`fast` is a drop-in for `ops`: names, signatures, gradients, and a model made of them."""

import inspect

import numpy as np
import pytest

from attention_from_scratch import fast, ops
from attention_from_scratch.networks import sasrec
from attention_from_scratch.verify import check_gradients, op_cases
from tests.fast.comparing import assert_same

FASTER = {name for name in ops.__all__ if getattr(fast, name, None) is not getattr(ops, name)}


def test_fast_has_the_names_of_the_ops_and_a_mask_of_its_own():
    assert set(fast.__all__) - {"Mask"} == set(ops.__all__)


@pytest.mark.parametrize("name", ops.__all__)
def test_a_fast_op_has_the_signature_of_the_plain_one(name):
    def signature(op):
        parameters = inspect.signature(op).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert signature(getattr(fast, name)) == signature(getattr(ops, name))


def test_what_is_faster_is_what_has_tests_here():
    masks = {"causal_mask", "local_mask", "padding_mask"}
    small = {"dropout", "embedding", "layer_norm", "linear", "project", "relu"}
    large = {"linear_cross_entropy", "multi_head_attention", "scaled_dot_product_attention"}
    assert masks | small | large | {"gru", "lstm"} == FASTER


@pytest.mark.parametrize("case", op_cases(), ids=lambda case: f"{case.title}, {case.note}")
def test_the_gradients_of_every_case_are_its_derivatives(case):
    op = getattr(fast, case.op.__name__)
    check_gradients(op, *case.inputs, **case.keywords, raise_on_failure=True)


@pytest.mark.parametrize("norm", ["pre", "post", "paper"])
@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("count_from", ["end", "start"])
def test_scores_of_the_last_position_alone_are_the_scores(norm, mask_padding, n_blocks, count_from):
    rng = np.random.default_rng(0)
    sizes = {"n_items": 9, "max_len": 80, "dim": 6, "n_blocks": n_blocks, "norm": norm}
    params = sasrec.init_params(rng, **sizes, dtype="float64")
    ids = rng.integers(1, 10, (3, 70))
    ids[0, :68] = ids[1, :3] = 0
    settings = {"n_heads": 2, "norm": norm, "mask_padding": mask_padding, "count_from": count_from}
    hidden, _ = sasrec.encode(params, ids, **settings)
    expected = hidden[:, -1] @ params["items"].T
    for which in (ops, fast):
        found = sasrec.next_item_scores(params, ids, ops=which, **settings)
        np.testing.assert_allclose(found[:, 1:], expected[:, 1:], rtol=0, atol=1e-14)
        assert np.all(found[:, 0] == -np.inf)


@pytest.mark.parametrize("norm", ["pre", "post", "paper"])
@pytest.mark.parametrize("loss", ["catalogue", "sampled"])
def test_a_model_of_fast_ops_is_the_model(norm, loss):
    rng = np.random.default_rng(0)
    sizes = {"n_items": 9, "max_len": 80, "dim": 6, "n_blocks": 2, "norm": norm}
    params = sasrec.init_params(rng, **sizes, dtype="float64")
    ids, targets = rng.integers(1, 10, (2, 3, 70))
    ids[0, :68] = targets[0, :68] = 0
    ids[1, :3] = targets[1, :3] = 0
    inputs = [ids, targets] + ([rng.integers(1, 10, (3, 70, 2))] if loss == "sampled" else [])
    of = {"catalogue": sasrec.catalogue_loss, "sampled": sasrec.sampled_loss}[loss]

    def with_ops(which):
        return lambda params: of(params, *inputs, n_heads=2, norm=norm, ops=which)

    assert_same(with_ops(ops), with_ops(fast), (params,))
