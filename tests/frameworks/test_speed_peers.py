"""The peers that speed is compared with compute what we compute."""

import multiprocessing

import jax
import jax.numpy as jnp
import numpy as np
import torch

from attention_from_scratch.models import Pipeline
from attention_from_scratch.networks import sasrec
from attention_from_scratch.training.batches import Shard
from benchmarks.speed.peers import (
    jax_sasrec,
    torch_gru,
    torch_losses,
    torch_processes,
    torch_sasrec,
)
from benchmarks.speed.training_step import contenders
from benchmarks.speed.training_step.question import QUICK

SHAPE = {"n_items": 30, "length": 7, "dim": 6, "n_blocks": 2, "n_heads": 2}


def drawn():
    """Our parameters, none of them 0 or 1, and a batch."""
    rng = np.random.default_rng(0)
    params = sasrec.init_params(rng, n_items=30, max_len=7, dim=6, n_blocks=2)
    for block in params["blocks"]:
        for name in ("attention_norm", "feed_forward_norm"):
            block[name] = {part: rng.standard_normal(6).astype("f4") for part in block[name]}
        for layer in (*block["attention"].values(), *block["feed_forward"].values()):
            layer["bias"] = rng.standard_normal(6).astype("f4")
    ids, targets, negatives = rng.integers(1, 31, (3, 4, 7))
    return params, ids, targets, negatives[..., None]


def fused(attention, part):
    """Query, key and value side by side."""
    return np.concatenate([attention[name][part] for name in ("query", "key", "value")], axis=-1)


def losses():
    """Ours, a target."""
    params, ids, targets, negatives = drawn()
    binary, _ = sasrec.sampled_loss(params, ids, targets, negatives, n_heads=2)
    catalogue, _ = sasrec.catalogue_loss(params, ids, targets, n_heads=2)
    return float(binary), float(catalogue)


def test_the_pytorch_peer_has_our_losses():
    params, *batch = drawn()
    model = torch_sasrec.Model(30, 7, 6, 2, 2)
    state = {"items.weight": params["items"], "positions": params["positions"]}
    state |= {f"norm.{part}": params["norm"][part] for part in ("weight", "bias")}
    for i, block in enumerate(params["blocks"]):
        layers = {"out": block["attention"]["output"], **block["feed_forward"]}
        layers["qkv"] = {part: fused(block["attention"], part) for part in ("weight", "bias")}
        for name, layer in layers.items():
            state[f"blocks.{i}.{name}.weight"] = layer["weight"].T
            state[f"blocks.{i}.{name}.bias"] = layer["bias"]
        for name in ("attention_norm", "feed_forward_norm"):
            for part, values in block[name].items():
                state[f"blocks.{i}.{name}.{part}"] = values
    model.load_state_dict({name: torch.tensor(values) for name, values in state.items()})
    batch = [torch.tensor(array) for array in batch]
    found = [
        torch_losses.binary(model, *batch),
        torch_losses.catalogue(model, *batch, chunked=False),
        torch_losses.catalogue(model, *batch, chunked=True),
    ]
    binary, catalogue = losses()
    expected = [binary, catalogue, catalogue]
    np.testing.assert_allclose([loss.item() / 28 for loss in found], expected, rtol=1e-5)


def test_the_gru_of_pytorch_has_our_loss():
    rng, stages = np.random.default_rng(0), {"encoder": "gru", "attention": "none"}
    ours = Pipeline(30, 7, 6, **stages, positions=False, dropout=0.0, ops="plain")
    params = ours.initial_params()
    for layer in params["encoder"].values():
        layer["bias"] = rng.standard_normal(18).astype("f4")
    ids, targets = rng.integers(1, 31, (2, 4, 7))
    expected, _ = ours.loss(params, Shard(ids, targets, []), rng=rng, total=28)
    model = torch_gru.Model(30, 6)
    state = {"items.weight": params["items"]["ids"]}
    for part, name in (("input", "ih"), ("hidden", "hh")):
        state[f"gru.weight_{name}_l0"] = params["encoder"][part]["weight"].T
        state[f"gru.bias_{name}_l0"] = params["encoder"][part]["bias"]
    model.load_state_dict({name: torch.tensor(values) for name, values in state.items()})
    batch = [torch.tensor(array) for array in (ids, targets, ids)]
    for chunked in (False, True):
        found = torch_losses.catalogue(model, *batch, chunked=chunked)
        np.testing.assert_allclose(found.item() / 28, expected, rtol=1e-5)


def test_steps_of_replicas_are_those_of_the_whole_batch(tmp_path):
    settings = {"loss": "bce", "dropout": 0.0, "attention_dropout": 0.0, "shape": QUICK}
    settings["threads"] = 2
    whole, _ = contenders.torch(**settings)  # each has taken a step when it is ready
    settings |= {"shard": QUICK["batch"] // 2, "meeting": str(tmp_path / "meeting")}
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    arguments = (contenders.__name__, "torch", settings | {"rank": 1}, there)
    follower = context.Process(target=torch_processes.follow, args=arguments, daemon=True)
    follower.start()
    there.close()
    replicas, _ = contenders.torch(**settings, rank=0)
    whole()
    here.send(None)
    replicas()
    here.close()
    follower.join(20)
    torch.distributed.destroy_process_group()
    theirs = dict(replicas.func.__self__.model.module.named_parameters())
    for name, expected in whole.func.__self__.model.named_parameters():
        if not name.endswith("qkv.bias"):  # of the key 0, but for what Adam magnifies
            np.testing.assert_allclose(
                theirs[name].detach(), expected.detach(), atol=2e-5, err_msg=name
            )
    assert not follower.is_alive()


def test_a_follower_has_the_allocator_of_the_others(monkeypatch):
    order = []
    monkeypatch.setattr(torch_processes, "keep_memory", lambda: order.append("kept"))

    def prepare():
        order.append("prepared")
        return lambda: order.append("ran"), "nothing"

    monkeypatch.setattr(contenders, "prepare", prepare, raising=False)
    here, there = multiprocessing.Pipe()
    here.send(None)
    here.close()
    torch_processes.follow(contenders.__name__, "prepare", {}, there)
    assert order == ["kept", "prepared", "ran"]


def test_the_jax_peer_has_our_outputs():
    params, ids, *_ = drawn()
    theirs = {"items": params["items"], "positions": params["positions"], "norm": params["norm"]}
    theirs["blocks"] = [
        {
            "attention_norm": block["attention_norm"],
            "feed_forward_norm": block["feed_forward_norm"],
            "qkv": {part: fused(block["attention"], part) for part in ("weight", "bias")},
            "out": block["attention"]["output"],
            **block["feed_forward"],
        }
        for block in params["blocks"]
    ]
    ours, _ = sasrec.encode(params, ids, n_heads=2)
    found = jax_sasrec.encode(
        jax.tree.map(jnp.asarray, theirs), jnp.asarray(ids), 2, 0.0, 0.0, jax.random.key(0)
    )
    np.testing.assert_allclose(found, ours, atol=1e-5)
