"""Our ops, computed and differentiated by PyTorch."""

import numpy as np
import torch
import torch.nn.functional as F

from attention_from_scratch.tree import leaves, tree_map
from attention_from_scratch.verify.frameworks import all_outputs, as_given, spread_out

VERSION = f"torch {torch.__version__}"

NO_RESET_BEFORE = "has no GRU that resets before the product"
CANNOT = {
    ("multi_head_attention", "dropout"): "cannot be handed a mask for its weights",
    ("multi_head_attention", "widths that differ"): "maps query, key and value to one width",
    ("gru", "reset before"): NO_RESET_BEFORE,
    ("gru", "reset before, padding"): NO_RESET_BEFORE,
    ("gru", "reset before, no bias, last state"): NO_RESET_BEFORE,
}

REMARKS = {
    "rnn": "torch.nn.RNN; padding in the middle of a sequence by torch.nn.RNNCell",
    "gru": "torch.nn.GRU; padding in the middle of a sequence by torch.nn.GRUCell",
    "lstm": "torch.nn.LSTM; padding in the middle of a sequence by torch.nn.LSTMCell",
    "embedding": "F.embedding returns the row of padding_idx as it stands; it is zeroed here",
    "softmax": "has no `where`: scores are filled with -inf, and a row of nothing would be NaN",
    "dropout": "cannot be handed a mask: x * keep / (1 - p), differentiated by autograd",
    "cross_entropy": "all positions ignored: the mean is NaN there, 0 here (the sum is compared); "
    "weights per position by reduction='none'",
    "attention_weights": "F.scaled_dot_product_attention with the identity as its value",
    "multi_head_attention": "its mask means the opposite (True hides); a fully masked row is 0 "
    "with need_weights=False, as here",
    "multi_head_attention_weights": "need_weights=True, where a fully masked row is NaN, and so is "
    "every gradient (ours: 0): such a query is let see all keys, and its row zeroed",
}


def as_op(function):
    """An op whose forward and backward are torch's, for a function or a torch.autograd.Function."""
    name = getattr(function, "__name__", "torch function")
    own = isinstance(function, type) and issubclass(function, torch.autograd.Function)
    call = function.apply if own else function

    def op(*inputs, **keywords):
        tensors = [tree_map(to_tensor, value) for value in inputs]
        output = call(*tensors, **tree_map(to_plain, keywords))
        outputs = all_outputs(output, torch.Tensor)

        def backward(*d_outputs):
            found = gradients_of(outputs, tensors, spread_out(d_outputs))
            gradients = tuple(
                tree_map(lambda t: taken(t, found, unused=None if own else 0), value)
                for value in tensors
                if value is None or any(map(wants_gradient, leaves(value)))
            )
            return gradients if len(gradients) > 1 else gradients[0]

        return as_given(output, [one.detach().numpy() for one in outputs]), backward

    op.__name__ = name
    op.complex_step = False  # its inputs have to stay real
    op.derivative = derivative_of(call, name)
    return op


def derivative_of(call, name):
    """An op that gives the gradients of a function at a fixed d_output, and differentiates them."""

    def op(*inputs, **keywords):
        tensors = [tree_map(to_tensor, value) for value in inputs]
        outputs = all_outputs(call(*tensors, **tree_map(to_plain, keywords)), torch.Tensor)
        rng = np.random.default_rng(0)
        d_outputs = [rng.standard_normal(tuple(one.shape)) for one in outputs]
        wanted = [t for value in tensors for t in leaves(value) if wants_gradient(t)]
        first = gradients_of(outputs, tensors, d_outputs, twice=True)
        first = [torch.zeros_like(t) if first[id(t)] is None else first[id(t)] for t in wanted]

        def backward(*d_first):
            found = gradients_of(first, tensors, spread_out(d_first))
            gradients = tuple(
                tree_map(lambda t: taken(t, found, unused=0), value)
                for value in tensors
                if value is None or any(map(wants_gradient, leaves(value)))
            )
            return gradients if len(gradients) > 1 else gradients[0]

        arrays = [one.detach().numpy() for one in first]
        return tuple(arrays) if len(arrays) > 1 else arrays[0], backward

    op.__name__ = f"derivative of {name}"
    op.complex_step = False
    return op


def gradients_of(outputs, tensors, d_outputs, *, twice=False) -> dict:
    """{id of a tensor: its gradient, or None where the outputs do not depend on it}."""
    wanted = [t for value in tensors for t in leaves(value) if wants_gradient(t)]
    given = [
        (one, torch.as_tensor(np.array(d), dtype=one.dtype).expand_as(one))
        for one, d in zip(outputs, d_outputs, strict=True)
        if one.requires_grad
    ]
    found = [None] * len(wanted)
    if given:
        depending, d_outputs = zip(*given, strict=True)
        settings = {"retain_graph": True, "allow_unused": True, "create_graph": twice}
        found = torch.autograd.grad(depending, wanted, d_outputs, **settings)
    return dict(zip(map(id, wanted), found, strict=True))


def taken(tensor, found: dict, *, unused):
    """The gradient of a tensor as an array; `unused` where there is none, 0 for integers."""
    gradient = found.get(id(tensor))
    if gradient is None:
        if unused is None and wants_gradient(tensor):
            return None
        gradient = torch.zeros_like(tensor)
    return gradient.detach().numpy()


def wants_gradient(tensor) -> bool:
    """Whether it is a tensor that is differentiated by, and not a number."""
    return isinstance(tensor, torch.Tensor) and tensor.requires_grad


def to_tensor(array):
    """A tensor with a copy of an array; of floats, one whose gradient is wanted. Numbers stay."""
    if not isinstance(array, np.ndarray | np.generic):
        return array
    tensor = torch.tensor(np.array(array))
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def to_plain(value):
    """Arrays among the keywords as tensors, all else as it is."""
    return torch.tensor(np.array(value)) if isinstance(value, np.ndarray) else value


def linear(x, weight, bias=None):
    """A linear map by F.linear, which wants the weight transposed."""
    return F.linear(x, weight.T, bias)


def embedding(ids, weight, *, padding_id=0):
    """Rows of a table by F.embedding, zeros for padding."""
    rows = F.embedding(ids, weight, padding_idx=padding_id)
    return rows if padding_id is None else rows * (ids != padding_id)[..., None]


def softmax(x, *, axis=-1, where=None):
    """Softmax by F.softmax, of scores that are -inf where they do not count."""
    return F.softmax(x if where is None else x.masked_fill(~where, -torch.inf), dim=axis)


def scaled_dot_product_attention(
    query, key, value, *, mask=None, scale=None, dropout_p=0.0, keep=None
):
    """Attention by F.scaled_dot_product_attention; with a keep mask, by way of its weights."""
    if keep is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    weights = attention_weights(query, key, mask=mask, scale=scale)
    return dropout(weights, p=dropout_p, keep=keep) @ value


def attention_weights(query, key, *, mask=None, scale=None):
    """Weights of attention: what attention gives with the identity for its values."""
    identity = torch.eye(key.shape[-2], dtype=key.dtype)
    identity = identity.expand(*key.shape[:-1], key.shape[-2])
    return F.scaled_dot_product_attention(query, key, identity, attn_mask=mask, scale=scale)


def dropout(x, *, p, keep):
    """Dropout with a given mask: x * keep / (1 - p)."""
    return x * keep / (1 - p)


def multi_head_attention(params, query, key, value, *, n_heads, mask=None, need_weights=False):
    """Multi-head attention by F.multi_head_attention_forward, whose mask means the opposite."""
    width = query.shape[-1]
    names = ("query", "key", "value")
    weights = [params[name]["weight"].T for name in names]
    biases = [params[name]["bias"] for name in names]
    output = params["output"]
    if mask is not None:
        full = (len(query), n_heads, query.shape[-2], key.shape[-2])
        by_head = mask if mask.ndim == 2 else mask[:, None]
        mask = ~by_head.expand(full).reshape(-1, *full[2:])
    result, attended = F.multi_head_attention_forward(
        *(x.transpose(0, 1) for x in (query, key, value)),
        width,
        n_heads,
        None,
        None if biases[0] is None else torch.cat(biases),
        None,
        None,
        False,
        0.0,
        torch.eye(width, dtype=query.dtype) if output is None else output["weight"].T,
        None if output is None else output["bias"],
        attn_mask=mask,
        need_weights=need_weights,
        average_attn_weights=False,
        use_separate_proj_weight=True,
        q_proj_weight=weights[0],
        k_proj_weight=weights[1],
        v_proj_weight=weights[2],
    )
    return attended if need_weights else result.transpose(0, 1)


def multi_head_attention_weights(params, query, key, *, n_heads, mask=None):
    """Weights of F.multi_head_attention_forward, which is given the keys for values."""
    params = params | {"value": params["key"], "output": None}
    blind = None if mask is None else ~mask.any(-1, keepdim=True)  # (L, 1) or (B, L, 1)
    weights = multi_head_attention(
        params,
        query,
        key,
        key,
        n_heads=n_heads,
        mask=None if mask is None else mask | blind,
        need_weights=True,
    )
    return weights if mask is None else weights.masked_fill(blind.unsqueeze(-3), 0)


def cross_entropy(
    logits,
    targets,
    *,
    ignore_index=None,
    position_weights=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """Cross-entropy by F.cross_entropy, over flattened positions."""
    settings = {
        "ignore_index": -100 if ignore_index is None else ignore_index,
        "label_smoothing": label_smoothing,
    }
    logits, targets = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    if position_weights is None:
        if (targets == settings["ignore_index"]).all():
            reduction = "sum"
        return F.cross_entropy(logits, targets, reduction=reduction, **settings)
    losses = F.cross_entropy(logits, targets, reduction="none", **settings)
    return reduced(losses, position_weights.reshape(-1), reduction)


def linear_cross_entropy(x, weight, targets, *, position_weights=None, reduction="mean"):
    """Cross-entropy of a linear map by F.linear_cross_entropy, over flattened positions."""
    x, targets, options = x.reshape(-1, x.shape[-1]), targets.reshape(-1), {"reduction": reduction}
    if position_weights is None:
        return F.linear_cross_entropy(x, weight.T, targets, **options)
    losses = F.linear_cross_entropy(x, weight.T, targets, reduction="none")
    return reduced(losses, position_weights.reshape(-1), reduction)


def binary_cross_entropy_with_logits(logits, targets, *, position_weights=None, reduction="mean"):
    """Binary cross-entropy by F.binary_cross_entropy_with_logits."""
    if position_weights is None:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction=reduction)
    losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return reduced(losses, position_weights, reduction)


def reduced(losses, weights, reduction):
    """The weighted sum of the losses, or their weighted mean."""
    total = (losses * weights).sum()
    return total if reduction == "sum" else total / weights.sum()


def layer_norm(x, weight, bias, *, eps=1e-5):
    """Layer norm by F.layer_norm, over the last axis."""
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def recurrent(module, cell, n_states):
    """A recurrent op by torch.nn's layer; with padding, which may be anywhere, by its cell."""

    def call(params, x, initial=None, *, mask=None, last=False):
        size = len(params["hidden"]["weight"])
        bias = params["hidden"]["bias"] is not None
        zeros = torch.zeros(len(x), n_states * size, dtype=x.dtype)
        states = (zeros if initial is None else initial).split(size, dim=-1)
        weights = {f"weight_{n}": params[name]["weight"].T for n, name in NAMES.items()}
        weights |= {f"bias_{n}": params[name]["bias"] for n, name in NAMES.items() if bias}
        if mask is None:
            layer = module(x.shape[-1], size, bias=bias, batch_first=True)
            states = tuple(state[None] for state in states)
            weights = {f"{name}_l0": weight for name, weight in weights.items()}
            given = (x, states if n_states == 2 else states[0])
            outputs, final = torch.func.functional_call(layer, weights, given)
            return (final[0] if n_states == 2 else final)[0] if last else outputs
        layer, outputs = cell(x.shape[-1], size, bias=bias), []
        for t in range(x.shape[1]):
            given = (x[:, t], states if n_states == 2 else states[0])
            new = torch.func.functional_call(layer, weights, given)
            new = new if n_states == 2 else (new,)
            here = mask[:, t, None]
            states = tuple(torch.where(here, *pair) for pair in zip(new, states, strict=True))
            outputs.append(torch.where(here, states[0], 0))
        return states[0] if last else torch.stack(outputs, dim=1)

    return call


NAMES = {"ih": "input", "hh": "hidden"}

CALLS = {
    "linear": linear,
    "embedding": embedding,
    "relu": F.relu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "gelu": F.gelu,
    "softmax": softmax,
    "log_softmax": lambda x, *, axis=-1: F.log_softmax(x, dim=axis),
    "layer_norm": layer_norm,
    "dropout": dropout,
    "attention_weights": attention_weights,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention": multi_head_attention,
    "multi_head_attention_weights": multi_head_attention_weights,
    "cross_entropy": cross_entropy,
    "linear_cross_entropy": linear_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "rnn": recurrent(torch.nn.RNN, torch.nn.RNNCell, 1),
    "gru": recurrent(torch.nn.GRU, torch.nn.GRUCell, 1),
    "lstm": recurrent(torch.nn.LSTM, torch.nn.LSTMCell, 2),
}


def constant(array, like):
    """A tensor with the dtype of `like`; with like=None its own."""
    return torch.tensor(array, dtype=None if like is None else like.dtype)


def transpose(matrix):
    """Swap the two axes of a matrix."""
    return matrix.T
