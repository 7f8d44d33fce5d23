"""A recurrent layer that reads forwards and one that reads backwards, side by side."""

import numpy as np

from attention_from_scratch import ops as plain
from attention_from_scratch.arguments import check_choice
from attention_from_scratch.networks.stages import RECURRENT
from attention_from_scratch.ops.contract import Backward, check_d_output
from attention_from_scratch.tree import Tree


def bidirectional(
    params: Tree,
    x: np.ndarray,
    *,
    layer: str,
    mask: np.ndarray | None = None,
    last: bool = False,
    ops=plain,
) -> tuple[np.ndarray, Backward]:
    """[h_t | g_t]: what one layer knows of the events up to t, and another of those from t on.

        h = layer(x)        g = turned(layer(turned(x)))

    To turn is to put the steps in reverse order, which is its own gradient. Padding is turned with
    the rest, wherever it stands: over a step without an event a layer hands its state on, so the
    second one begins at the last event. That is what PyTorch does with packed sequences and Keras
    with a mask, where the events alone are turned.

    Parameters
    ----------
    params : {"forward", "reverse": those of the layer}
        Both begin with a state of zeros.
    x : (B, L, D)
    layer : "rnn", "gru" or "lstm"
    mask : bool, broadcasts to (B, L), or None
        True where there is an event. Elsewhere the output is 0.
    last : bool
        Give the last state of each only; the second one ends with the first event.

    Returns
    -------
    output : (B, L, 2H), or (B, 2H) if last
    backward : d_output -> grads (a tree like params), d_x

    Source: Schuster & Paliwal, Bidirectional Recurrent Neural Networks (1997);
    `torch.nn.LSTM(bidirectional=True)`, `keras.layers.Bidirectional` with merge_mode="concat".
    """
    check_choice("layer", layer, RECURRENT)
    if params.keys() != {"forward", "reverse"}:
        raise ValueError(f"params has {', '.join(params)}, but must have forward, reverse")
    recurrent = getattr(ops, layer)
    forward, back_forward = recurrent(params["forward"], x, mask=mask, last=last)
    mask = None if mask is None else turned(np.broadcast_to(mask, x.shape[:2]))
    reverse, back_reverse = recurrent(params["reverse"], turned(x), mask=mask, last=last)
    output = np.concatenate([forward, reverse if last else turned(reverse)], axis=-1)

    def backward(d_output):
        check_d_output(d_output, output)
        d_forward, d_reverse = np.split(d_output, 2, axis=-1)
        d_forward_params, d_x, _ = back_forward(d_forward)
        d_reverse_params, d_turned, _ = back_reverse(d_reverse if last else turned(d_reverse))
        return {"forward": d_forward_params, "reverse": d_reverse_params}, d_x + turned(d_turned)

    return output, backward


def turned(steps: np.ndarray) -> np.ndarray:
    """The steps from the last to the first: (B, L, ...) -> (B, L, ...)."""
    return steps[:, ::-1]
