"""Both directions of a recurrent layer, written once for every framework, as `transformer.py` is.

To turn the steps round and to lay two outputs side by side are products with constant matrices
here.
"""

import numpy as np


def recurrent_calls(calls: dict, constant, transpose) -> dict:
    """A table with `bidirectional`, from its name to the same in the framework.

    Parameters are those of `transformer_calls`.
    """

    def bidirectional(params, x, *, layer, mask, last):
        def turned(steps):
            return constant(np.eye(x.shape[1])[::-1].copy(), x) @ steps

        mask_turned = constant(np.asarray(mask)[:, ::-1].copy(), None)
        forward = calls[layer](params["forward"], x, mask=mask, last=last)
        reverse = calls[layer](params["reverse"], turned(x), mask=mask_turned, last=last)
        reverse = reverse if last else turned(reverse)
        left, right = np.split(np.eye(2 * forward.shape[-1]), 2)
        return forward @ constant(left, x) + reverse @ constant(right, x)

    return {"bidirectional": bidirectional}
