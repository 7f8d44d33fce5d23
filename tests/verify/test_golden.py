"""Our ops against what the frameworks computed, on machines that have none of them.

The values were written by tests/golden/write.py; the inputs lie beside them, so that another
NumPy's random numbers change nothing.
"""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch import fast
from attention_from_scratch import ops as plain
from attention_from_scratch.tree import rebuild, tree_leaves

GOLDEN = Path(__file__).parent.parent / "golden"
spec = importlib.util.spec_from_file_location("golden_write", GOLDEN / "write.py")
write = importlib.util.module_from_spec(spec)
spec.loader.exec_module(write)

CASES = write.golden_cases(seed=1)  # other numbers: only what is stored may count
INPUTS = dict(np.load(GOLDEN / "cases.npz"))
VALUES = {name: dict(np.load(GOLDEN / f"{name}.npz")) for name in ("torch", "jax", "keras")}
ROWS = [
    (framework, name)
    for framework, values in VALUES.items()
    for name in dict.fromkeys(key.split("/")[0] for key in values if key != "version")
]


def part(arrays, prefix):
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}


def ours(name, ops=plain):
    """The case as it is, or of the fast ops: the op there, or the network on them."""
    case = CASES[name]
    inputs = rebuild(case.inputs, part(INPUTS, f"{name}/inputs."))
    keywords = case.keywords | part(INPUTS, f"{name}/keywords.")
    if getattr(plain, case.op.__name__, None) is case.op:
        return getattr(ops, case.op.__name__)(*inputs, **keywords)
    return case.op(*inputs, **keywords, **({"ops": ops} if takes_ops(case.op) else {}))


def takes_ops(network):
    """Whether it can be told on which ops to run, by name or through its **settings."""
    return not {"ops", "settings"}.isdisjoint(inspect.signature(network).parameters)


@pytest.mark.parametrize("ops", [plain, fast], ids=["plain", "fast"])
@pytest.mark.parametrize(("framework", "name"), ROWS)
def test_output_and_gradients_are_the_frameworks(framework, name, ops):
    values = VALUES[framework]
    output, backward = ours(name, ops)
    gradients = backward(INPUTS[f"{name}/d_output"])
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)

    bound = 1e-10 if "sasrec" in name or "block" in name else 1e-12
    expected = values[f"{name}/output"]
    assert np.shape(output) == expected.shape
    scale = np.abs(expected).max(initial=0) or 1
    assert np.abs(output - expected).max(initial=0) <= bound * scale

    golden = part(values, f"{name}/gradients.")
    found = dict(tree_leaves(gradients))
    assert found.keys() == golden.keys()
    for argument in {path.split(".")[0] for path in found}:
        paths = [path for path in found if path.split(".")[0] == argument]
        scale = max(np.abs(golden[path]).max(initial=0) for path in paths) or 1
        for path in paths:
            assert np.abs(found[path] - golden[path]).max(initial=0) <= bound * scale, path


CANNOT = {"torch": ("multi_head_attention, widths that differ", "gru, reset before")}


def test_every_case_is_there_for_every_framework():
    for framework, values in VALUES.items():
        missing = set(CASES) - {key.split("/")[0] for key in values}
        allowed = ("multi_head_attention, dropout", *CANNOT.get(framework, ()))
        assert all(any(words in name for words in allowed) for name in missing), missing
        assert framework in str(values["version"])


def test_the_check_can_fail():
    framework, name = ROWS[0]
    wrong = ours(name)[0] * 1.0000001
    assert np.abs(wrong - VALUES[framework][f"{name}/output"]).max() > 1e-12
