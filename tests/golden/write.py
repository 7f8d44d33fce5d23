"""Write the golden values: python tests/golden/write.py [torch] [jax] [keras].

Each framework's outputs and gradients for all cases, in float64, lie in one .npz file with its
version; the inputs they were computed from in cases.npz. With keras goes listing.npz: the article's
listing, in float32. Needs the `frameworks` extra.
"""

import sys
from pathlib import Path

import numpy as np

from attention_from_scratch.proofs.calls import calls_of
from attention_from_scratch.proofs.cases import model_cases
from attention_from_scratch.tree import tree_leaves
from attention_from_scratch.verify import op_cases
from attention_from_scratch.verify.frameworks import FRAMEWORKS, load

FOLDER = Path(__file__).parent


def golden_cases(seed=0):
    """The cases, under names of their own."""
    cases = [*op_cases(seed), *model_cases(seed, dropout=False)]
    return {f"{i:02d} {case.title}, {case.note}": case for i, case in enumerate(cases)}


def d_output_of(case):
    """The gradient that every framework is handed for the output of a case."""
    output, _ = case.op(*case.inputs, **case.keywords)
    return np.random.default_rng([0, 1]).standard_normal(np.shape(output))


def main(frameworks):
    """Write the inputs and the values of each framework."""
    cases = golden_cases()
    inputs = {}
    for name, case in cases.items():
        inputs[f"{name}/d_output"] = d_output_of(case)
        for path, leaf in tree_leaves(case.inputs):
            inputs[f"{name}/inputs.{path}"] = leaf
        for path, leaf in case.keywords.items():
            if isinstance(leaf, np.ndarray):
                inputs[f"{name}/keywords.{path}"] = leaf
    np.savez_compressed(FOLDER / "cases.npz", **inputs)
    for framework in frameworks:
        module = load(framework)
        calls, values = calls_of(module), {"version": np.array(module.VERSION)}
        for name, case in cases.items():
            if (case.title, case.note) in module.CANNOT:
                continue
            op = module.as_op(calls[case.title])
            output, backward = op(*case.inputs, **case.keywords)
            gradients = backward(inputs[f"{name}/d_output"])
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            values[f"{name}/output"] = np.asarray(output)
            for path, leaf in tree_leaves(gradients):
                values[f"{name}/gradients.{path}"] = leaf
        np.savez_compressed(FOLDER / f"{framework}.npz", **values)
        print(f"{module.VERSION}: {len(values) - 1} arrays")
    if "keras" in frameworks:
        from keras_listing import golden_values  # beside this file; needs Keras

        np.savez_compressed(FOLDER / "listing.npz", **golden_values())


if __name__ == "__main__":
    main(sys.argv[1:] or FRAMEWORKS)
