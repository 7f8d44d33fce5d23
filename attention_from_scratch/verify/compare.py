"""Do two implementations of an op agree, in their outputs and in every gradient?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.tree import tree_leaves, tree_map, with_dtype
from attention_from_scratch.verify.contract import (
    argument_names,
    as_inputs,
    dtype_of,
    gradients_by_position,
    positions_of,
    require_alike,
)
from attention_from_scratch.verify.doctor import words_about
from attention_from_scratch.verify.floors import at_run, judge, nudged, unseen
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.outputs import as_outputs, call_backward, random_like
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow


def compare(
    ours: Callable,
    theirs: Callable,
    *inputs,
    constant: tuple[str, ...] | str = (),
    seed: int = 0,
    labels: tuple[str, str] = ("ours", "theirs"),
    **keywords,
) -> GradientReport:
    """Run two ops on the same inputs and the same d_output; compare all that comes out.

    Parameters
    ----------
    ours, theirs : ops of our contract, (*inputs, **keywords) -> (output, backward)
        Or what else `as_op` takes; a framework's plain function through `as_op(f, "torch")`.
    *inputs : arrays, trees of arrays, numbers, or None
    constant : names of arguments
        Float inputs that have no gradient.
    seed : int
        Of the random d_output.
    labels : two words
        The names of the two in the table.
    **keywords
        Passed on to both.

    Returns
    -------
    GradientReport
        A row for each output and one for each array of each gradient. Two right implementations
        differ by rounding: each entry is judged against a floor of its own (`floors`), which is how
        far rounding moves either of the two.

    Raises
    ------
    GradientError
        For a gradient of either side that has another shape or is another tree than its input.
    ValueError
        For outputs of different shape.
    """
    ours, theirs = as_op(ours), as_op(theirs)
    inputs = as_inputs(inputs)
    names = argument_names(ours, len(inputs))
    sides = [Side(op, keywords, names, positions_of(constant, names)) for op in (ours, theirs)]
    outputs = as_outputs(ours(*inputs, **keywords)[0])
    d_outputs = random_like(outputs, np.random.default_rng([seed, 1]))
    try:
        found, expected = (
            side.named(inputs, d_outputs, label) for side, label in zip(sides, labels, strict=True)
        )
    except GradientError as error:  # another shape: the doctor may know why
        words = words_about(ours, theirs, inputs, keywords)
        raise GradientError(f"{error}\n{words}".rstrip()) from None
    eps = float(np.finfo(dtype_of(inputs)).eps)
    runs = list(nudged(inputs, d_outputs, eps, seed, spares=False))
    report = GradientReport(
        getattr(ours, "__name__", type(ours).__name__), heading="comparison of", labels=labels
    )
    change = changes(found, [at_run(sides[0].named, *run) for run in runs])
    for name in change.keys() & expected.keys():
        change[name] = change[name] + unseen(theirs, expected[name], eps)
        change[name] = change[name] + unseen(ours, expected[name], eps)
    report.rows = rows_of(found, expected, change, eps, labels[1])
    if not report.passed:  # theirs may be the one that rounds
        of_theirs = changes(expected, [at_run(sides[1].named, *run) for run in runs])
        change = {name: np.maximum(change[name], of_theirs[name]) for name in change}
        report.rows = rows_of(found, expected, change, eps, labels[1])
    if report.verdict == "wrong":
        report.diagnosis = words_about(ours, theirs, inputs, keywords)
    return report


@dataclass(frozen=True)
class Side:
    """One of the two that are compared."""

    op: Callable
    keywords: dict
    names: list[str]
    constant: set[int]

    def named(self, inputs: list, d_outputs: list, label: str = "") -> dict[str, np.ndarray]:
        """Outputs and gradients under names such as output, d_query and d_params.key.bias."""
        output, backward = self.op(*inputs, **self.keywords)
        outputs = as_outputs(output)
        d_outputs = [d.astype(out.dtype) for d, out in zip(d_outputs, outputs, strict=False)]
        names = (
            ["output"] if len(outputs) == 1 else [f"output {i + 1}" for i in range(len(outputs))]
        )
        found = dict(zip(names, outputs, strict=True))
        gradients = gradients_by_position(call_backward(backward, d_outputs), inputs, self.constant)
        for position, gradient in gradients.items():
            gradient = with_dtype(tree_map(np.asarray, gradient), inputs[position])
            require_alike(f"{self.names[position]} ({label})", inputs[position], gradient)
            for path, leaf in tree_leaves(gradient):
                name = self.names[position]
                found[f"d_{name}.{path}" if path else f"d_{name}"] = leaf
        return found


def changes(first: dict, runs: list[dict]) -> dict[str, np.ndarray]:
    """The largest change of each array over the runs, entry by entry; NaN is without bound."""
    largest = {}
    for name, array in first.items():
        with np.errstate(invalid="ignore"):
            moved = [np.abs(np.subtract(run[name], array, dtype=np.float64)) for run in runs]
        same = [np.array_equal(run[name], array, equal_nan=True) for run in runs]
        moved = [np.zeros(array.shape) if s else m for s, m in zip(same, moved, strict=True)]
        largest[name] = np.nan_to_num(np.max(moved, axis=0), nan=np.inf)
    return largest


def rows_of(
    found: dict, expected: dict, change: dict, eps: float, reference: str, *, share=1.0, **settings
) -> list[GradientRow]:
    """A row for each array, judged against eps of its size and how far rounding moves it.

    `share` is how much of that is allowed, and **settings are those of `judge`.

    Raises ValueError for an array that the other side has not, or in another shape.
    """
    largest: dict[str, float] = {}
    for name, array in expected.items():
        root = name.split(".")[0]
        size = float(np.abs(array).max(initial=0))
        largest[root] = max(largest.get(root, 0.0), size)
    rows = []
    for name, array in found.items():
        other = expected.get(name)
        if other is None or np.shape(array) != other.shape:
            shape = "nothing of that name" if other is None else other.shape
            raise ValueError(f"{name} has shape {np.shape(array)}, but {reference} has {shape}")
        if not np.size(array):
            continue
        array, other = np.asarray(array, np.float64), np.asarray(other, np.float64)
        floor = share * (eps * np.abs(other) + change[name])
        with np.errstate(invalid="ignore"):
            difference = np.where(array == other, 0, np.abs(array - other))
        verdicts = judge(difference, floor, **settings)
        method = f"against {reference}"
        errors = {method: float(difference.max()) / (largest[name.split(".")[0]] or 1.0)}
        methods, kinks = np.full(array.shape, method), np.zeros(array.shape, bool)
        rows.append(GradientRow(name, array, other, floor, verdicts, methods, kinks, errors))
    return rows
