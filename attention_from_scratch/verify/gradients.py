"""Is this backward pass the derivative of this forward pass?"""

import inspect
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.contract import (
    argument_names,
    as_inputs,
    disturb,
    dtype_of,
    gradients_by_position,
    is_differentiable,
    positions_of,
    require_alike,
    require_dtype,
    require_equal,
    require_steady,
    writing_told,
)
from attention_from_scratch.verify.doctor import words_of_the_doctor
from attention_from_scratch.verify.floors import judge, unseen
from attention_from_scratch.verify.foreign import as_op
from attention_from_scratch.verify.judging import Leaf, OneHots, leaves_by_key
from attention_from_scratch.verify.measuring import METHODS, Measurement
from attention_from_scratch.verify.outputs import (
    as_outputs,
    call_backward,
    frozen,
    random_like,
    takes,
)
from attention_from_scratch.verify.report import GradientError, GradientReport, GradientRow

OTHER = -3  # by so much d_output is multiplied, to see whether backward is linear


def check_gradients(
    op: Callable,
    *inputs,
    projections: int | None = None,
    tolerances: dict[str, float] | None = None,
    constant: tuple[str, ...] | str = (),
    order: int = 1,
    seed: int | None = None,
    raise_on_failure: bool = False,
    **keywords,
) -> GradientReport:
    """Compare every gradient of an op with the complex step and with central differences.

    The output is contracted with a random d_output, which makes it one number; its slope along
    each entry of each input is what `backward(d_output)` should have said. What is right, what is
    wrong and what cannot be told is said entry by entry, against a floor of its own (`floors`), and
    by both methods together (`judging`).

    Parameters
    ----------
    op : (*inputs, **keywords) -> (output, backward)
        Any op that keeps the contract: one of ours, a model's loss, a reader's own; or whatever
        else `as_op` takes. The output may be a tuple of arrays; then backward takes a d_output for
        each. It has to give the same output each time: hand dropout a `keep` mask, or make the
        generator inside `op`.
    *inputs : arrays, trees of arrays, numbers, or None
        Float arrays are checked; integers, booleans and Python's numbers are passed on.
    projections : int or None
        None perturbs every entry, one by one. A number k instead compares k random directions for
        each array: a few evaluations see the whole of it, which is what a model needs.
    tolerances : {"complex step": float, "central difference": float}
        A method left out is not run; a difference of so many times the largest entry of an array
        is right by the method as well.
    constant : names of arguments
        Float inputs that have no gradient, such as the targets of a loss. Those of which backward
        says None are constants as well.
    order : 1 or 2
        2 checks, of a framework's function, the derivatives of its gradients.
    seed : int or None
        For d_output and the directions; None: 0. Where the op has a keyword `seed`, it is the op's.
    raise_on_failure : bool
        Raise `GradientError` with the table unless all is right.
    **keywords
        Passed on to `op`.

    Returns
    -------
    GradientReport
        A row for each array; its verdict is "right", "wrong" or "cannot tell".

    Raises
    ------
    GradientError
        When asked to, and always when the contract is broken: an op that gives another output when
        called again, wrong number of gradients, wrong shape or dtype, a backward that answers
        otherwise when called again, an op that writes to its inputs or to d_output.
    """
    op = of_order(as_op(op), order)
    if seed is not None and has_keyword(op, "seed"):
        keywords, seed = keywords | {"seed": seed}, None
    inputs = as_inputs(inputs)
    names = argument_names(op, len(inputs))
    report = GradientReport(getattr(op, "__name__", type(op).__name__))
    with writing_told(), np.errstate(invalid="ignore", over="ignore"):
        measurement, gradients = asked(
            op, inputs, keywords, positions_of(constant, names), tolerances, seed or 0
        )
        report.faults += measurement.faults
        report.notes += notes_on_constants(inputs, gradients, names)
        require_all_alike(op, inputs, keywords, gradients, names)
        rng = np.random.default_rng([seed or 0, 4])
        for position, gradient in gradients.items():
            report.rows += rows_of_input(
                measurement, position, names[position], gradient, projections, tolerances, rng
            )
    report.notes += notes_on_method(measurement, report.rows)
    if report.verdict == "wrong":
        report.diagnosis = words_of_the_doctor(op, inputs, keywords)
    if raise_on_failure and not report.passed:
        raise GradientError(str(report))
    return report


def asked(op, inputs, keywords, constant, tolerances, seed) -> tuple[Measurement, dict]:
    """What backward says of a random d_output, and all that is needed to measure it."""
    dtype = dtype_of(inputs)
    output, backward = op(*inputs, **keywords)
    outputs = as_outputs(output, dtype)
    require_dtype(outputs, dtype)
    require_steady(op, inputs, keywords, outputs)
    # Not the stream that the inputs may come from.
    d_outputs = random_like(outputs, np.random.default_rng([seed, 1]))

    def gradients_of(given, backward, d_outputs):
        found = gradients_by_position(call_backward(backward, d_outputs), given, constant)
        return {p: tree_map(as_array, g, given[p]) for p, g in found.items()}

    def leaves_of(given, backward, d_outputs):
        return leaves_by_key(given, gradients_of(given, backward, d_outputs))

    gradients = steady_gradients(op, inputs, keywords, backward, d_outputs, gradients_of)
    methods = METHODS if tolerances is None else tuple(tolerances)
    for name in methods:
        if name not in METHODS:
            raise ValueError(f"tolerances has {name!r}, but may have {' and '.join(METHODS)}")
    eps = float(np.finfo(dtype).eps)
    settings = {"methods": methods, "eps": eps, "seed": seed}
    measurement = Measurement(op, inputs, keywords, d_outputs, leaves_of, **settings)
    said = leaves_by_key(inputs, gradients)
    measurement.faults += faults_of(backward, inputs, said, measurement, leaves_of)
    return measurement, gradients


def steady_gradients(op, inputs, keywords, backward, d_outputs, gradients_of) -> dict:
    """What backward says, if it says so again after other calls."""
    gradients = gradients_of(inputs, backward, d_outputs)
    first = tree_map(np.copy, gradients)
    disturb(op, inputs, keywords, backward, d_outputs)
    tree_map(require_equal, first, gradients)
    tree_map(require_equal, first, gradients_of(inputs, backward, d_outputs))
    return gradients


def faults_of(backward, inputs, gradients, measurement, leaves_of) -> list[str]:
    """Unless backward is linear, and no d_output means 1, as it does of a loss."""
    d_outputs = measurement.asked_of
    others = leaves_of(inputs, backward, [frozen(OTHER * d_output) for d_output in d_outputs])
    if not same({key: leaf / OTHER for key, leaf in others.items()}, gradients, measurement):
        return [
            f"backward is not linear: of {OTHER} d_output it says something else than {OTHER} "
            "times what it says of d_output"
        ]
    if len(d_outputs) == 1 and d_outputs[0].ndim == 0 and takes(backward, 0):
        with suppress(Exception):  # what it does then is not asked here
            of_one = leaves_of(inputs, lambda _: backward(), d_outputs)
            scaled = {key: leaf * d_outputs[0] for key, leaf in of_one.items()}
            if not same(scaled, gradients, measurement):
                return ["backward gave another answer without an argument than for d_output 1"]
    return []


def same(others: dict, gradients: dict, measurement: Measurement) -> bool:
    """Whether gradients are others, but for rounding."""
    op, eps = measurement.op, measurement.eps
    for key, gradient in gradients.items():
        changes = [np.abs(found[key] - gradient) for _, _, found in measurement.runs]
        floor = eps * np.abs(gradient) + np.max(changes, axis=0) + unseen(op, gradient, eps)
        verdicts = judge(np.abs(others[key] - gradient), floor)
        if (verdicts == "wrong")[np.isfinite(gradient)].any():
            return False
    return True


def as_array(gradient, value) -> np.ndarray:
    """A leaf of a gradient as an array; a Python number in the dtype of its input."""
    plain = isinstance(gradient, int | float)
    return np.asarray(gradient, value.dtype) if plain else np.asarray(gradient)


def of_order(op: Callable, order: int) -> Callable:
    """The op, or the op that gives its gradients."""
    if order == 1:
        return op
    if order != 2:
        raise ValueError(f"order was {order}, but must be 1 or 2")
    if not hasattr(op, "derivative"):
        raise ValueError(
            "order was 2, but must be 1 of this op: only PyTorch's and JAX's functions can be "
            'differentiated twice, as in check_gradients(as_op(f, "torch"), x, order=2)'
        )
    return op.derivative


def has_keyword(op, name: str) -> bool:
    """Whether an op has a parameter of this name."""
    try:
        return name in inspect.signature(op).parameters
    except (TypeError, ValueError):
        return False


def require_all_alike(op, inputs, keywords, gradients, names) -> None:
    """Raise unless every gradient has the form of its input; the doctor may know why."""
    try:
        for position, gradient in gradients.items():
            require_alike(names[position], inputs[position], gradient)
    except GradientError as error:
        words = words_of_the_doctor(op, inputs, keywords)
        raise GradientError(f"{error}\n{words}".rstrip()) from None


def rows_of_input(
    measurement, position, name, gradient, projections, tolerances, rng
) -> list[GradientRow]:
    """A row for each array of one input."""
    found = []
    for (_, path), leaf in leaves_by_key(measurement.inputs, {position: gradient}).items():
        if not leaf.size:
            continue
        directions = OneHots(leaf.shape)
        if projections:
            directions = [rng.standard_normal(leaf.shape) for _ in range(projections)]
        verdict = Leaf(measurement, (position, path), leaf, directions).verdict()
        found.append((f"{name}.{path}" if path else name, leaf.shape, verdict))
    # The largest entry of the input, against which `errors` says how far off a method is at most.
    sizes = [float(np.abs(v.measured).max(initial=0)) for _, _, v in found]
    scale = max(filter(np.isfinite, sizes), default=0.0) or 1.0
    return [
        row_of(full, verdict, None if projections else shape, scale, tolerances)
        for full, shape, verdict in found
    ]


def row_of(name, verdict, shape, scale, tolerances) -> GradientRow:
    """The row of one array; without a shape, of slopes along directions."""
    directions, shape = shape is None, (len(verdict.said),) if shape is None else shape
    errors, floor, verdicts = {}, verdict.floor, verdict.verdicts
    for method, slopes in verdict.by_method.items():
        errors[method] = float(np.abs(verdict.said - slopes).max(initial=0)) / scale
        if tolerances is not None:
            here = verdict.method == method
            extra = tolerances[method] * float(np.abs(slopes).max(initial=0))
            floor = np.where(here, np.maximum(floor, extra / 16), floor)
            close = judge(np.abs(verdict.said - slopes), floor) == "right"
            verdicts = np.where(here & close, "right", verdicts)
    arrays = (verdict.said, verdict.measured, floor, verdicts, verdict.method, verdict.kinks)
    said = [array.reshape(shape) for array in arrays]
    return GradientRow(name, *said, errors, directions)


def notes_on_constants(inputs, gradients, names) -> list[str]:
    """Which float inputs have no gradient."""
    without = [
        names[i] for i, v in enumerate(inputs) if is_differentiable(v) and i not in gradients
    ]
    return [f"{name} has no gradient: taken for a constant" for name in without]


def notes_on_method(measurement: Measurement, rows: list[GradientRow]) -> list[str]:
    """Where differences decided, and why; kinks; and what to do where it cannot be told."""
    notes = []
    by_difference = [row.name for row in rows if (row.methods == METHODS[1]).any()]
    smooth = [row.name for row in rows if ((row.methods == METHODS[1]) & ~row.kinks).any()]
    why = why_not_analytic(measurement, contradicted=bool(smooth))
    if measurement.is_followed and why:
        notes.append(f"not analytic, as {why}: followed by the rules of real numbers")
    elif why and by_difference:
        notes.append(f"not analytic, as {why}: judged by central differences")
    for row in rows:
        places = [tuple(map(int, place)) for place in np.argwhere(row.kinks)]
        if places:
            some = ", ".join(map(str, places[:3])) + (", ..." if len(places) > 3 else "")
            notes.append(
                f"{row.name} has a kink at {some}: any slope between those to both sides is right"
            )
    open_rows = [row for row in rows if row.verdict == "cannot tell"]
    return notes + [reason(row) for row in open_rows]


def why_not_analytic(measurement: Measurement, *, contradicted: bool) -> str:
    """Why a complex step of ordinary complex numbers does not tell the derivative, in words."""
    why = measurement.own_obstacle
    if why == "a framework computes it" or METHODS[0] not in measurement.methods:
        return ""
    met = sorted(measurement.noted - {"log1p"}) if not why else []
    if met and (contradicted or measurement.is_followed):
        return f"it meets {', '.join(met)}"
    return why or ("differences contradict the complex step" if contradicted else "")


def reason(row: GradientRow) -> str:
    """Why it cannot be told, and what to change."""
    if not np.isfinite(row.numerical):
        return f"{row.name}: the output is not finite there; take other inputs"
    if (row.kinks & (row.verdicts == "open")).any():
        return (
            f"{row.name}: at a kink where several ties meet, slopes beside it do not tell what may "
            "be said; take inputs without equal numbers"
        )
    if row.error <= row.allowed:
        return (
            f"{row.name}: rounding alone may change it by {row.allowed:.0e}, which is too much to "
            "tell; take inputs of another size (less saturated, further from where it cancels) or "
            "float64"
        )
    return (
        f"{row.name}: it differs by more than rounding explains and by less than a mistake would; "
        "take other inputs, or float64"
    )
