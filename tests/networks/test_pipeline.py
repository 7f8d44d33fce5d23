"""The four stages: every combination's gradient, what each may look at, and what each computes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from attention_from_scratch.article.worked_example import EMBEDDINGS, SEQUENCE
from attention_from_scratch.models import worked_example
from attention_from_scratch.networks import pipeline, sasrec
from attention_from_scratch.networks.decoders import STEPS
from attention_from_scratch.networks.events import embed
from attention_from_scratch.networks.stages import (
    CHOICES,
    Stages,
    aggregate,
    attend,
    encode,
    running_mean,
)
from attention_from_scratch.ops import causal_mask
from attention_from_scratch.proofs.cases import every_pipeline
from attention_from_scratch.rows import tree_sum
from attention_from_scratch.tree import rebuild, tree_leaves, tree_map
from attention_from_scratch.verify import check_gradients

N_ITEMS, MAX_LEN, DIM = 7, 6, 4
IDS = np.array([[0, 0, 3, 1, 5], [2, 4, 4, 1, 6], [0, 1, 2, 3, 2]])
TARGETS = np.array([[0, 0, 1, 5, 2], [4, 0, 1, 6, 3], [0, 2, 0, 2, 1]])  # after each event
NEXT = np.array([[3, 1, 0], [4, 4, 2], [5, 0, 0]])  # after the last
BEHAVIOUR = np.array([[0, 0, 1, 2, 2], [2, 1, 0, 1, 2], [0, 2, 1, 1, 0]])
FEATURES = {"genre": np.random.default_rng(0).standard_normal((N_ITEMS + 1, 3))}
KEEP = np.arange(N_ITEMS + 1) != 3
KNOWN = {"context": {"behaviour": BEHAVIOUR}, "features": FEATURES, "keep": KEEP}

EVERY = every_pipeline()
every_encoder = pytest.mark.parametrize("encoder", CHOICES["encoder"])


def tables_of(params):
    """What `embed` looks up, an item being its id alone."""
    tables = {name: params[name] for name in ("positions", "context")}
    return {"items": params["items"]["ids"], **tables}


def params_of(stages, *, positions=True, known=True, dtype="float64"):
    """Read-only parameters, none of them at a special value."""
    rng = np.random.default_rng(5)
    sizes = {"n_items": N_ITEMS, "max_len": MAX_LEN, "dim": DIM, "n_blocks": 1, "n_next": 3}
    extra = {"context": {"behaviour": 2}, "widths": {"genre": 3}} if known else {}
    fresh = pipeline.init_params(
        rng, stages, **sizes, **extra, positions=positions, dtype="float64"
    )

    def noisy(leaf):
        leaf = (leaf + 0.5 * rng.standard_normal(leaf.shape)).astype(dtype)
        leaf.setflags(write=False)
        return leaf

    return tree_map(noisy, fresh)


def targets_of(stages):
    if stages.predicts_everywhere:
        return TARGETS
    return NEXT if stages.decoder in STEPS else NEXT[:, :1]


def states(params, ids, stages, context=None):
    """What is known after each event, with the item ids alone as the table."""
    context = {"behaviour": np.where(ids, 1 + ids % 2, 0)} if context is None else context
    return pipeline.states(params, params["items"]["ids"], ids, context, stages)


def with_encoder(encoder, attention=CHOICES["attention"], **choices):
    """All combinations with this encoder, one of these attentions, and these other choices."""
    wanted = {"encoder": encoder} | choices
    return [
        stages
        for stages in EVERY
        if stages.attention in attention
        and all(getattr(stages, name) == value for name, value in wanted.items())
    ]


def close(found, expected, atol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def assert_trees_close(tree, other, atol=1e-12):
    tree_map(lambda leaf, expected: close(leaf, expected, atol), tree, other)


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


# --- the gradient of every combination


def as_one_array(loss, params):
    """The loss as a function of all its parameters in one array, which one direction perturbs."""
    leaves = dict(tree_leaves(params))
    ends = np.cumsum([leaf.size for leaf in leaves.values()])

    def parts(array):
        pieces = np.split(array, ends[:-1])
        return {n: p.reshape(leaves[n].shape) for n, p in zip(leaves, pieces, strict=True)}

    def op(array):
        value, backward = loss(rebuild(params, parts(array)))

        def flat_backward(d_value=1.0):
            grads = dict(tree_leaves(backward(d_value)))
            assert grads.keys() == leaves.keys()
            assert all(grads[name].shape == leaf.shape for name, leaf in leaves.items())
            return np.concatenate([grads[name].ravel() for name in leaves])

        return value, flat_backward

    return op, np.concatenate([leaf.ravel() for leaf in leaves.values()])


def loss_of(stages, **noise):
    def loss(params):
        rng = np.random.default_rng(1) if noise else None  # the same draws each time
        return pipeline.next_item_loss(
            params, IDS, targets_of(stages), stages=stages, **KNOWN, **noise, rng=rng
        )

    return loss


def report_of(loss, params):
    """Two directions through all parameters at once, in which a single wrong entry shows."""
    op, array = as_one_array(loss, params)
    return check_gradients(op, array, projections=2, tolerances={"complex step": 1e-12})


@every_encoder
def test_every_combination_has_the_gradient_of_its_loss(encoder):
    for stages in with_encoder(encoder):
        report = report_of(loss_of(stages), params_of(stages))
        assert report.passed, f"{stages}\n{report}"


@every_encoder
def test_and_with_dropout_which_no_decoder_has(encoder):
    for stages in with_encoder(encoder, decoder="dot"):
        report = report_of(loss_of(stages, dropout_p=0.3), params_of(stages))
        assert report.passed, f"{stages}\n{report}"


def test_a_wrong_entry_of_one_parameter_would_show():
    stages = Stages(encoder="gru", attention="local", window=2, decoder="transformer")
    loss = loss_of(stages)

    def wrong(params):
        value, backward = loss(params)

        def wrong_backward(d_value=1.0):
            grads = tree_map(np.copy, backward(d_value))
            grads["encoder"]["hidden"]["bias"][2] *= 1 + 1e-6
            return grads

        return value, wrong_backward

    assert report_of(loss, params_of(stages)).passed
    assert not report_of(wrong, params_of(stages)).passed


def check_stage(op, *inputs, **keywords):
    report = check_gradients(
        op, *inputs, projections=2, tolerances={"complex step": 1e-12}, **keywords
    )
    assert report.passed, report


@every_encoder
def test_an_encoder_has_the_gradient_of_its_output_whatever_comes_back_at_padding(encoder):
    x, stages = np.random.default_rng(2).standard_normal((3, 5, DIM)), Stages(encoder=encoder)
    check_stage(encode, params_of(stages)["encoder"], x, ids=IDS, stages=stages)


def test_so_have_the_stages_before_and_after_it():
    x, context = np.random.default_rng(2).standard_normal((3, 5, DIM)), {"behaviour": BEHAVIOUR}
    params = params_of(Stages())
    check_stage(embed, tables_of(params), ids=IDS, context=context)
    for stages in with_encoder("embedding", decoder="dot"):
        attention = params_of(stages)["attention"]
        check_stage(aggregate, attention, x, ids=IDS, stages=stages)
        if stages.attention != "featurewise":
            check_stage(attend, attention, x, ids=IDS, stages=stages)


# --- what cannot be seen


@every_encoder
def test_a_state_does_not_move_when_a_later_event_does(encoder):
    ids = np.random.default_rng(0).integers(1, 8, (3, 6))
    for stages in with_encoder(encoder, attention=("causal", "local", "none"), decoder="dot"):
        params = params_of(stages)
        before, _ = states(params, ids, stages)
        for position in range(6):
            changed = ids.copy()
            changed[:, position] = 1 + ids[:, position] % 7
            after, _ = states(params, changed, stages)
            assert np.array_equal(after[:, :position], before[:, :position]), stages
            assert np.all(np.any(after[:, position] != before[:, position], axis=-1)), stages


def test_global_attention_looks_ahead_and_so_is_not_trained_everywhere():
    """The test above would see it."""
    stages = Stages(encoder="embedding", attention="global")
    params = params_of(stages)
    before, _ = states(params, np.array([[1, 2, 3]]), stages)
    after, _ = states(params, np.array([[1, 2, 4]]), stages)
    assert np.all(before[:, 0] != after[:, 0])
    for every in EVERY:
        ahead = every.attention in ("global", "featurewise")
        assert every.predicts_everywhere is (not ahead and every.decoder in ("dense", "dot"))


@every_encoder
def test_no_gradient_flows_from_a_state_to_later_events(encoder):
    ids = np.array([[1, 2, 3, 4, 5, 6]])
    for stages in with_encoder(encoder, attention=("causal", "local", "none"), decoder="dot"):
        params = params_of(stages)
        output, backward = states(params, ids, stages)
        d_output = np.zeros_like(output)
        d_output[:, 2] = output[:, 2] ** 2
        grads, d_table = backward(d_output)
        assert np.all(d_table[[0, 4, 5, 6, 7]] == 0), stages
        assert np.all(grads["positions"][3:] == 0), stages
        assert np.all(d_table[3] != 0), stages


@pytest.mark.parametrize("window", [1, 2, 3])
def test_of_older_events_than_its_window_local_attention_knows_nothing(window):
    ids = np.random.default_rng(1).integers(1, 8, (2, 6))
    for stages in with_encoder(
        "embedding", attention=("local",), aggregation="matrix", decoder="dot"
    ):
        stages = replace(stages, window=window)
        params = params_of(stages)
        before, _ = states(params, ids, stages)
        for position in range(6):
            changed = ids.copy()
            changed[:, position] = 1 + ids[:, position] % 7
            after, _ = states(params, changed, stages)
            moved = np.any(after != before, axis=(0, 2))
            reached = [position <= i < position + window for i in range(6)]
            assert moved.tolist() == reached, stages


# --- padding


@every_encoder
def test_more_zeros_on_the_left_change_no_state_loss_or_gradient(encoder):
    left = ((0, 0), (1, 0))
    wide_ids, wide_behaviour = np.pad(IDS, left), np.pad(BEHAVIOUR, left)
    for stages in with_encoder(encoder)[::3]:
        params, targets = params_of(stages), targets_of(stages)
        narrow, _ = states(params, IDS, stages)
        wide, _ = states(params, wide_ids, stages)
        close(wide[:, -narrow.shape[1] :], narrow)
        value, backward = pipeline.next_item_loss(params, IDS, targets, stages=stages, **KNOWN)
        wide_value, wide_backward = pipeline.next_item_loss(
            params,
            wide_ids,
            np.pad(targets, left) if stages.predicts_everywhere else targets,
            stages=stages,
            **KNOWN | {"context": {"behaviour": wide_behaviour}},
        )
        assert wide_value == pytest.approx(value, abs=1e-12)
        assert_trees_close(wide_backward(), backward())


@every_encoder
def test_rows_of_padding_are_exactly_zero(encoder):
    for stages in with_encoder(encoder, attention=("global", "causal", "local", "none")):
        output, _ = states(params_of(stages), IDS, stages)
        assert np.all(output[IDS == 0] == 0), stages
        assert np.all(output[IDS != 0] != 0), stages


@every_encoder
def test_padding_gets_exactly_no_gradient(encoder):
    for stages in with_encoder(encoder):
        params, targets = params_of(stages), targets_of(stages)
        _, backward = pipeline.next_item_loss(params, IDS, targets, stages=stages, **KNOWN)
        grads = backward()
        assert np.all(grads["items"]["ids"][0] == 0), stages
        assert np.all(grads["context"]["behaviour"][0] == 0), stages
        assert np.all(grads["positions"][0] == 0), stages  # nobody is six events long
        assert np.all(grads["items"]["ids"][3] == 0), stages  # an id that was left out


def test_neither_what_padding_holds_nor_its_context_changes_anything():
    for stages in EVERY[::7]:
        params, targets = params_of(stages), targets_of(stages)
        ids, behaviour = params["items"]["ids"].copy(), BEHAVIOUR.copy()
        ids[0], behaviour[IDS == 0] = 1e3, 2
        features = {"genre": np.where(np.arange(8)[:, None] == 0, 7.0, FEATURES["genre"])}
        other = params | {"items": params["items"] | {"ids": ids}}
        changed = KNOWN | {"context": {"behaviour": behaviour}, "features": features}
        value, backward = pipeline.next_item_loss(params, IDS, targets, stages=stages, **KNOWN)
        other_value, other_backward = pipeline.next_item_loss(
            other, IDS, targets, stages=stages, **changed
        )
        assert other_value == value, stages
        assert_trees_close(other_backward(), backward(), atol=0)


def test_somebody_without_events_adds_nothing_and_is_no_nan():
    for stages in EVERY[::7]:
        params, targets = params_of(stages), targets_of(stages)
        value, backward = pipeline.next_item_loss(params, IDS, targets, stages=stages, **KNOWN)
        below = ((0, 1), (0, 0))
        more = KNOWN | {"context": {"behaviour": np.pad(BEHAVIOUR, below)}}
        more_value, more_backward = pipeline.next_item_loss(
            params, np.pad(IDS, below), np.pad(targets, below), stages=stages, **more
        )
        assert more_value == pytest.approx(value, abs=1e-12)
        assert_trees_close(more_backward(), backward())


# --- what the loss is


@every_encoder
def test_where_every_event_predicts_the_loss_is_that_of_each_history_by_itself(encoder):
    """With no positions, as the events of a shorter history stand elsewhere."""
    for stages in with_encoder(encoder, attention=("causal", "local", "none")):
        if not stages.predicts_everywhere:
            continue
        params = params_of(stages, positions=False)
        losses = []
        for user, place in zip(*np.nonzero(TARGETS), strict=True):
            rows = slice(user, user + 1), slice(place + 1)
            known = KNOWN | {"context": {"behaviour": BEHAVIOUR[rows]}}
            scores = pipeline.next_item_scores(params, IDS[rows], stages=stages, **known)
            losses.append(-log_softmax(scores[0, 1:])[TARGETS[user, place] - 1])
        for total in (None, 29):
            loss, _ = pipeline.next_item_loss(
                params, IDS, TARGETS, stages=stages, total=total, **KNOWN
            )
            assert loss == pytest.approx(sum(losses) / (total or len(losses)), abs=1e-12)


@every_encoder
def test_elsewhere_it_is_that_of_the_next_item_and_then_of_the_next_given_what_was_said(encoder):
    """Teacher forcing in one go is generation step by step, if the same items are said."""
    for stages in with_encoder(encoder):
        if stages.predicts_everywhere:
            continue
        params, targets = params_of(stages), targets_of(stages)
        losses = []
        for step in range(targets.shape[1]):
            said = targets[:, :step]
            scores = pipeline.next_item_scores(params, IDS, stages=stages, said=said, **KNOWN)
            shares = log_softmax(scores[:, 1:])
            losses += [
                -shares[user, target - 1] for user, target in enumerate(targets[:, step]) if target
            ]
        for total in (None, 29):
            loss, _ = pipeline.next_item_loss(
                params, IDS, targets, stages=stages, total=total, **KNOWN
            )
            assert loss == pytest.approx(sum(losses) / (total or len(losses)), abs=1e-12)


def test_scores_are_minus_infinity_for_padding_and_finite_elsewhere():
    for stages in EVERY[::7]:
        scores = pipeline.next_item_scores(params_of(stages), IDS, stages=stages, **KNOWN)
        assert scores.shape == (3, N_ITEMS + 1)
        assert np.all(scores[:, 0] == -np.inf)
        assert np.all(np.isfinite(scores[:, 1:]))


def test_shards_with_the_whole_batchs_total_sum_to_the_whole_batch():
    for stages in EVERY[::7]:
        params, targets = params_of(stages), targets_of(stages)
        value, backward = pipeline.next_item_loss(params, IDS, targets, stages=stages, **KNOWN)
        shards = [
            pipeline.next_item_loss(
                params,
                IDS[users],
                targets[users],
                stages=stages,
                total=np.count_nonzero(targets),
                **KNOWN | {"context": {"behaviour": BEHAVIOUR[users]}},
            )
            for users in ([0, 2], [1])
        ]
        assert sum(shard_value for shard_value, _ in shards) == pytest.approx(value, abs=1e-12)
        assert_trees_close(tree_sum([shard_backward() for _, shard_backward in shards]), backward())


def test_nothing_to_predict_is_loss_0_and_gradient_0():
    for stages in EVERY[::7]:
        nothing = np.zeros_like(targets_of(stages))
        params = params_of(stages)
        value, backward = pipeline.next_item_loss(params, IDS, nothing, stages=stages, **KNOWN)
        assert value == 0
        assert all(np.all(leaf == 0) for _, leaf in tree_leaves(backward())), stages


def test_all_stays_in_the_dtype_of_the_parameters():
    known = KNOWN | {"features": {"genre": FEATURES["genre"].astype(np.float32)}}
    for stages in EVERY[::7]:
        params = params_of(stages, dtype="float32")
        settings = {"stages": stages, **known}
        noise = {"dropout_p": 0.3, "rng": np.random.default_rng(0)}
        value, backward = pipeline.next_item_loss(
            params, IDS, targets_of(stages), **settings, **noise
        )
        assert value.dtype == np.float32
        assert {leaf.dtype for _, leaf in tree_leaves(backward())} == {np.dtype(np.float32)}
        assert pipeline.next_item_scores(params, IDS, **settings).dtype == np.float32


# --- each stage against its formula


def test_an_embedded_event_is_item_and_position_and_what_else_is_known():
    stages = Stages()
    params = params_of(stages)
    table = params["items"]["ids"]
    x, _ = embed(tables_of(params), IDS, context={"behaviour": BEHAVIOUR})
    for user, place in np.ndindex(*IDS.shape):
        item, behaviour = IDS[user, place], BEHAVIOUR[user, place]
        expected = np.zeros(DIM)
        if item:
            expected = table[item] + params["positions"][MAX_LEN - 5 + place]
            if behaviour:
                expected = expected + params["context"]["behaviour"][behaviour]
        close(x[user, place], expected)
    bare = params_of(stages, positions=False, known=False)
    x, backward = embed(tables_of(bare) | {"items": table}, IDS, context={})
    close(x, np.where(IDS[..., None], table[IDS], 0))
    grads = backward(x)
    del grads["items"]
    assert grads == {"positions": None, "context": {}}


def test_dropout_is_on_the_events_and_on_what_is_known_after_them():
    stages = Stages(encoder="embedding", attention="none")
    params = params_of(stages)
    table = params["items"]["ids"]

    def after(seed, dropout_p=0.5):
        rng = None if seed is None else np.random.default_rng(seed)
        noise = {"dropout_p": dropout_p, "rng": rng}
        return pipeline.states(params, table, IDS, {"behaviour": BEHAVIOUR}, stages, **noise)[0]

    assert np.array_equal(after(None), after(1, dropout_p=0.0))
    assert np.array_equal(after(1), after(1))
    real = IDS != 0
    ratios = np.concatenate([(after(seed)[real] / after(None)[real]).ravel() for seed in range(20)])
    values, counts = np.unique(ratios.round(12), return_counts=True)
    assert values.tolist() == [0, 4]  # twice doubled, or dropped at one of the two
    assert counts[1] / counts.sum() == pytest.approx(1 / 4, abs=0.05)


def test_attention_without_projections_is_the_articles_worked_example():
    """softmax(X X^T / sqrt(d)) X, and the dot product with every item."""
    for attention, mask in (("global", None), ("causal", causal_mask(5))):
        stages = Stages(encoder="embedding", attention=attention, projections=False)
        params = params_of(stages, positions=False, known=False)
        params = params | {"items": params["items"] | {"ids": EMBEDDINGS}}
        ids, example = SEQUENCE[None], worked_example(mask=mask)
        output, _ = pipeline.states(params, EMBEDDINGS, ids, {}, stages)
        close(output[0], example["weighted_sums"])
        scores = pipeline.next_item_scores(params, ids, stages=stages)
        close(scores[0, 1:], example["decoder_scores"][-1])
        maps = pipeline.attention_maps(params, ids, stages=stages)
        close(maps[0, 0, 0], example["weights"])


def loop_attention(params, x, ids, stages):
    """One sequence: each real event, head by head, over the events that it may look at."""
    width, length = x.shape[1], len(ids)
    mapped = {
        name: x @ params[name]["weight"] + params[name]["bias"] if params else x
        for name in ("query", "key", "value")
    }
    output, step = np.zeros_like(x), width // stages.n_heads
    weights = np.zeros((stages.n_heads, length, length))
    reach = {"global": (length, length), "causal": (length, 0), "local": (stages.window, 0)}
    back, ahead = reach[stages.attention]
    for i in np.flatnonzero(ids):
        seen = [j for j in np.flatnonzero(ids) if i - back < j <= i + ahead]
        for head in range(stages.n_heads):
            part = slice(head * step, (head + 1) * step)
            scores = [mapped["query"][i, part] @ mapped["key"][j, part] for j in seen]
            scale = math.sqrt(step) if stages.scaled else 1
            shares = np.exp([score / scale for score in scores])
            weights[head, i, seen] = shares / shares.sum()
            output[i, part] = sum(weights[head, i, j] * mapped["value"][j, part] for j in seen)
    return output, weights


def test_attention_is_the_loop_over_the_events_that_each_may_look_at():
    x = np.random.default_rng(0).standard_normal((3, 5, DIM))
    compared = with_encoder(
        "embedding", attention=("global", "causal", "local"), aggregation="matrix", decoder="dot"
    )
    for stages in compared:
        for window in (1, 2, 4) if stages.attention == "local" else (None,):
            stages = replace(stages, window=window)
            params = params_of(stages)
            output, _ = attend(params["attention"], x, IDS, stages)
            table, context = params["items"]["ids"], {"behaviour": BEHAVIOUR}
            embedded, _ = embed(tables_of(params), IDS, context=context)
            settings = {"stages": stages, "context": context}
            bare = params | {"items": {"ids": table, "projections": {}}}
            (maps,) = pipeline.attention_maps(bare, IDS, **settings)
            for user, row in enumerate(IDS):
                expected, _ = loop_attention(params["attention"], x[user], row, stages)
                close(output[user], expected)
                _, weights = loop_attention(params["attention"], embedded[user], row, stages)
                close(maps[user][:, row != 0], weights[:, row != 0])


def test_pooled_is_the_mean_of_the_rows_so_far():
    x = np.random.default_rng(0).standard_normal((3, 5, DIM))
    means, backward = running_mean(x, IDS != 0)
    d_means = np.random.default_rng(1).standard_normal(x.shape)
    d_x = np.zeros_like(x)
    for user, place in np.ndindex(*IDS.shape):
        before = [j for j in range(place + 1) if IDS[user, j]]
        expected = sum(x[user, j] for j in before) / max(len(before), 1)
        close(means[user, place], expected)
        for j in before:
            d_x[user, j] += d_means[user, place] / len(before)
    close(backward(d_means), d_x)
    stages = Stages(encoder="embedding", attention="causal", aggregation="pooled")
    params = params_of(stages)["attention"]
    rows, _ = attend(params, x, IDS, stages)
    pooled, _ = aggregate(params, x, IDS, stages)
    close(pooled, running_mean(rows, IDS != 0)[0])
    close(pooled[1, -1], rows[1].mean(axis=0))


def test_featurewise_attention_weighs_each_feature_over_time():
    stages = Stages(encoder="embedding", attention="featurewise", aggregation="pooled")
    params = params_of(stages)["attention"]
    x = np.random.default_rng(0).standard_normal((3, 5, DIM))
    output, _ = aggregate(params, x, IDS, stages)
    assert output.shape == (3, 1, DIM)
    for user in range(3):
        real = np.flatnonzero(IDS[user])
        for feature in range(DIM):
            query, value = (
                [x[user, t] @ linear["weight"][:, feature] + linear["bias"][feature] for t in real]
                for linear in (params["query"], params["value"])
            )
            shares = np.exp(query) / np.exp(query).sum()
            close(output[user, 0, feature], sum(w * v for w, v in zip(shares, value, strict=True)))


def sasrec_of(params):
    """SASRec's parameters with which it computes what the pipeline does.

    It multiplies items by sqrt(D) as they come in and not as they go out: the table is that much
    smaller, and the last norm that much larger.
    """
    root = math.sqrt(DIM)
    encoder = params["encoder"]
    return {
        "items": params["items"]["ids"] / root,
        "positions": params["positions"],
        "blocks": encoder["blocks"],
        "norm": tree_map(lambda leaf: root * leaf, encoder["norm"]),
    }


def test_a_transformer_and_no_attention_after_it_is_sasrec():
    stages = Stages(encoder="transformer", attention="none", decoder="dot", n_heads=2)
    params = params_of(stages, known=False)
    corresponding, heads = sasrec_of(params), {"n_heads": 2}
    root = math.sqrt(DIM)
    output, _ = pipeline.states(params, params["items"]["ids"], IDS, {}, stages)
    expected, _ = sasrec.encode(corresponding, IDS, **heads)
    close(output, np.where(IDS[..., None], expected, 0) / root)
    scores = pipeline.next_item_scores(params, IDS, stages=stages)
    close(scores[:, 1:], sasrec.next_item_scores(corresponding, IDS, **heads)[:, 1:])
    maps = pipeline.attention_maps(params, IDS, stages=stages)
    close(maps, sasrec.attention_maps(corresponding, IDS, **heads))

    loss, backward = pipeline.next_item_loss(params, IDS, TARGETS, stages=stages)
    expected, expected_backward = sasrec.catalogue_loss(corresponding, IDS, TARGETS, **heads)
    assert loss == pytest.approx(expected, abs=1e-14)
    grads, theirs = backward(), expected_backward()
    close(grads["items"]["ids"], theirs["items"] / root)
    close(grads["positions"], theirs["positions"])
    assert_trees_close(grads["encoder"]["blocks"], theirs["blocks"])
    assert_trees_close(grads["encoder"]["norm"], tree_map(lambda leaf: root * leaf, theirs["norm"]))


@every_encoder
def test_the_last_map_is_of_what_the_encoder_says(encoder):
    stages = Stages(encoder=encoder, attention="local", window=3, n_heads=2)
    params = params_of(stages, known=False)
    maps = pipeline.attention_maps(params, IDS, stages=stages)
    embedded, _ = embed(tables_of(params), IDS, context={})
    encoded, _ = encode(params["encoder"], embedded, IDS, stages)
    for user, row in enumerate(IDS):
        _, weights = loop_attention(params["attention"], encoded[user], row, stages)
        close(maps[-1, user][:, row != 0], weights[:, row != 0])


def test_the_maps_of_the_blocks_come_first_and_rows_sum_to_one():
    counts = {"none": 1, "featurewise": 1, "global": 2, "causal": 2, "local": 2}
    for stages in with_encoder("transformer", decoder="dot"):
        params = params_of(stages)
        maps = pipeline.attention_maps(params, IDS, stages=stages, **KNOWN)
        assert maps.shape == (counts[stages.attention], 3, stages.n_heads, 5, 5)
        rows = maps[:, IDS.nonzero()[0], :, IDS.nonzero()[1]]
        close(rows.sum(axis=-1), 1)
        assert np.all(maps[0][..., ~np.tri(5, dtype=bool)] == 0)
        padded = np.broadcast_to((IDS == 0)[None, :, None, None], maps.shape)
        assert np.all(maps[padded] == 0)


# --- parameters and choices


def test_fresh_parameters_have_the_shapes_that_are_written_down():
    sizes = {"n_items": 9, "max_len": 5, "dim": 4}
    known = {"context": {"behaviour": 3}, "widths": {"genre": 6}}
    for stages in EVERY:
        fresh = pipeline.init_params(
            np.random.default_rng(0), stages, **sizes, **known, n_blocks=3, n_next=2
        )
        shapes = {name: leaf.shape for name, leaf in tree_leaves(fresh)}
        assert shapes["items.ids"] == (10, 4)
        assert shapes["items.projections.genre"] == (6, 4)
        assert shapes["context.behaviour"] == (4, 4)
        assert shapes["positions"] == (5, 4)
        assert shapes.get("decoder.head.weight") == ((4, 9) if stages.decoder == "dense" else None)
        if stages.encoder == "transformer":
            assert len(fresh["encoder"]["blocks"]) == 3
        if stages.decoder == "transformer":
            assert shapes["decoder.steps.positions"] == (2, 4)
        learned = stages.projections and stages.attention != "none"
        assert (fresh["attention"] is not None) is learned
        assert {leaf.dtype for _, leaf in tree_leaves(fresh)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"encoder": "cnn"}, "encoder was 'cnn', but must be one of embedding, rnn, gru, lstm, tr"),
        ({"attention": "Global"}, "attention was 'Global', but must be one of global, causal, loc"),
        ({"aggregation": None}, "aggregation was None, but must be one of matrix, pooled"),
        ({"decoder": ["dot"]}, r"decoder was \['dot'\], but must be one of dense, dot, rnn, trans"),
        ({"n_heads": 0}, "n_heads was 0, but must be an integer from 1 on"),
        ({"n_heads": "2"}, "n_heads was '2', but must be an integer from 1 on"),
        ({"attention": "local"}, "window was None, but must be an integer from 1 on"),
        *[
            ({"attention": "local", "window": w}, f"window was {w}, but must be an integer from 1")
            for w in (0, -1, 1.5, True)
        ],
        *[
            ({"attention": name, "window": 2}, f"window was 2, but attention '{name}' has none")
            for name in ("global", "causal", "none")
        ],
        *[
            (
                {"attention": "featurewise", "aggregation": "pooled"} | wrong,
                "attention was 'featurewise', but that has projections, one head and aggregation=",
            )
            for wrong in ({"aggregation": "matrix"}, {"projections": False}, {"n_heads": 2})
        ],
    ],
)
def test_choices_that_cannot_be_are_one_error_that_names_them(choices, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Stages(**choices)


def test_a_target_for_the_last_event_alone_is_no_target_for_every_event():
    stages = Stages()
    with pytest.raises(ValueError, match=r"^targets has shape \(3, 1\), but must be \(3, 5\)$"):
        pipeline.next_item_loss(params_of(stages), IDS, NEXT[:, :1], stages=stages)
