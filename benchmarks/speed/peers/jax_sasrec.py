"""SASRec in JAX: one jitted step."""

import math

import jax
import jax.numpy as jnp

EPS = 1e-8


def init(key, shape):
    """Parameters as those of the PyTorch peer."""
    dim, keys = shape["dim"], iter(jax.random.split(key, 64))

    def linear(n_out):
        weight = jax.random.normal(next(keys), (dim, n_out)) / math.sqrt(dim)
        return {"weight": weight, "bias": jnp.zeros(n_out)}

    def norm():
        return {"weight": jnp.ones(dim), "bias": jnp.zeros(dim)}

    return {
        "items": 0.02 * jax.random.normal(next(keys), (shape["n_items"] + 1, dim)),
        "positions": 0.02 * jax.random.normal(next(keys), (shape["length"], dim)),
        "blocks": [
            {
                "attention_norm": norm(),
                "qkv": linear(3 * dim),
                "out": linear(dim),
                "feed_forward_norm": norm(),
                "up": linear(dim),
                "down": linear(dim),
            }
            for _ in range(shape["n_blocks"])
        ],
        "norm": norm(),
    }


def linear(params, x):
    """x W + b."""
    return x @ params["weight"] + params["bias"]


def layer_norm(params, x):
    """Layer normalisation over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    z = centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + EPS)
    return z * params["weight"] + params["bias"]


def dropout(x, p, key):
    """Inverted."""
    return x if p == 0 else jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


def encode(params, ids, n_heads, p, attention_p, key):
    """(B, L) -> (B, L, D)."""
    (batch, length), dim = ids.shape, params["items"].shape[1]
    keys = iter(jax.random.split(key, 8 * len(params["blocks"]) + 1))
    x = math.sqrt(dim) * params["items"][ids] + params["positions"][-length:]
    x = dropout(x, p, next(keys))
    causal = jnp.tril(jnp.ones((length, length), bool))
    for block in params["blocks"]:
        qkv = linear(block["qkv"], layer_norm(block["attention_norm"], x))
        query, key_, value = jnp.moveaxis(
            qkv.reshape(batch, length, 3, n_heads, -1), (2, 3), (0, 2)
        )
        scores = query @ jnp.swapaxes(key_, -1, -2) / math.sqrt(dim // n_heads)
        weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf))
        attended = dropout(weights, attention_p, next(keys)) @ value
        x = x + linear(block["out"], jnp.swapaxes(attended, 1, 2).reshape(batch, length, dim))
        hidden = jax.nn.relu(linear(block["up"], layer_norm(block["feed_forward_norm"], x)))
        hidden = dropout(hidden, p, next(keys))
        x = x + dropout(linear(block["down"], hidden), p, next(keys))
    return layer_norm(params["norm"], x)


def stepper(arrays, loss, p, attention_p, shape, lr, betas):
    """A function that takes one step of Adam, and what it is."""
    ids, targets, negatives = map(jnp.asarray, arrays)

    def value(params, key):
        hidden = encode(params, ids, shape["n_heads"], p, attention_p, key)
        if loss == "bce":
            right = (hidden * params["items"][targets]).sum(-1)
            wrong = (hidden * params["items"][negatives[..., 0]]).sum(-1)
            return (jax.nn.softplus(-right) + jax.nn.softplus(wrong)).mean()
        log_p = jax.nn.log_softmax(hidden @ params["items"][1:].T)
        return -jnp.take_along_axis(log_p, targets[..., None] - 1, axis=-1).mean()

    @jax.jit
    def step(params, mean, square, count, key):
        key, now = jax.random.split(key)
        grads = jax.grad(value)(params, now)
        mean = jax.tree.map(lambda m, g: betas[0] * m + (1 - betas[0]) * g, mean, grads)
        square = jax.tree.map(lambda v, g: betas[1] * v + (1 - betas[1]) * g * g, square, grads)
        count = count + 1
        size = lr * jnp.sqrt(1 - betas[1] ** count) / (1 - betas[0] ** count)
        params = jax.tree.map(
            lambda w, m, v: w - size * m / (jnp.sqrt(v) + 1e-8), params, mean, square
        )
        return params, mean, square, count, key

    params = init(jax.random.key(0), shape)
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = [(params, zeros, zeros, 0, jax.random.key(1))]

    def run():
        state[0] = jax.block_until_ready(step(*state[0]))

    run()  # where it is compiled
    return run, f"JAX {jax.__version__}"
