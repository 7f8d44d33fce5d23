"""Check what other code wrote down: inputs, output and gradients of one op, in an .npz file.

The names in the file:

    input.NAME         each argument, by the name that the op gives it (input.query); an array of a
                       tree by its path (input.params.query.weight)
    keyword.NAME       each keyword argument (keyword.mask, keyword.n_heads); masks are of bool, or
                       of 0 and 1
    output             what the forward pass gave
    d_output           the gradient that went in; not needed for a loss, where it is 1
    grad.NAME          what came out for each argument or path; those left out are not checked
    precision          optional, "float16" or "bfloat16": how precisely it was computed

The precision, unless given, is the lowest among output and gradients. NumPy has no bfloat16: what
is of floats may then be given as float32, or bit for bit as uint16, with precision = "bfloat16".
"""

import inspect
from pathlib import Path

import numpy as np

from attention_from_scratch import ops
from attention_from_scratch.tree import nested, tree_leaves
from attention_from_scratch.verify.compare import Side, changes, rows_of
from attention_from_scratch.verify.contract import argument_names
from attention_from_scratch.verify.doctor import diagnose_call, knows
from attention_from_scratch.verify.floors import at_run, nudged
from attention_from_scratch.verify.report import GradientReport

EPSILON = {
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "float32": 2.0**-23,
    "float64": 2.0**-52,
}
FEW = 0.25  # of the floor: in 16 bits little is left beyond 16 of them
WRONG = 64.0  # times the floor: here there is no second method to be asked

WHOLE, IN_PARTS = ("output", "d_output"), ("input", "keyword", "grad")
INTEGERS = {
    ("embedding", "input.ids"),
    ("cross_entropy", "input.targets"),
    ("linear_cross_entropy", "input.targets"),
}
FLAGS = ("keyword.mask", "keyword.keep", "keyword.where")
ARRAYS = (*FLAGS, "keyword.position_weights")  # other keywords are numbers or words


def check_dump(op_name: str, path: str | Path) -> GradientReport:
    """Run our op on the inputs of a dump, in float64, and compare.

    Parameters
    ----------
    op_name : name of an op in `ops`
    path : of the .npz file

    Returns
    -------
    GradientReport
        A row for the output and one for each gradient in the dump.

    Raises
    ------
    ValueError
        For an unknown op, a name that is missing or has no meaning, or an array that the op does
        not take.
    """
    op = getattr(ops, op_name, None)
    if op is None or op_name not in ops.__all__:
        raise ValueError(f"there is no op {op_name!r}; the ops are {', '.join(ops.__all__)}")
    arrays = read(path)
    precision = word(arrays.pop("precision", ""))
    try:
        check_names(arrays)
        values = {name: value_of(op_name, name, array, precision) for name, array in arrays.items()}
        precision = precision or dtype_of(arrays)
        report = GradientReport(
            op_name, heading=f"{Path(path).name} ({precision}):", labels=("dump", "ours")
        )
        fill(report, op, values, precision)
    except KeyError as error:
        raise ValueError(f"{path}: an input lacks its part {error}") from None
    except (TypeError, IndexError, AttributeError, ValueError) as error:  # by our op
        raise ValueError(f"{path}: {error}") from None
    return report


def fill(report: GradientReport, op, values: dict, precision: str) -> None:
    """Compare output and gradients, the dump's against ours; and say what is wrong."""
    inputs = arguments(op, part(values, "input"))
    keywords = part(values, "keyword")
    parameters = inspect.signature(op).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    for name in keywords:
        if name not in known:
            words = ", ".join(known) or "no keywords"
            raise ValueError(f"it has keyword.{name}, but {op.__name__} has {words}")
    output, _ = op(*inputs, **keywords)
    if "d_output" not in values and np.ndim(output):
        raise ValueError(f"it has no d_output, which {op.__name__} needs")
    d_output = np.asarray(values.get("d_output", 1.0), np.float64)
    side = Side(op, keywords, argument_names(op, len(inputs)), set())
    ours = side.named(inputs, [d_output])
    eps = epsilon_of(precision)
    change = changes(
        ours, [at_run(side.named, *run) for run in nudged(inputs, [d_output], eps, 0, spares=False)]
    )
    given = {"output": values["output"]} if "output" in values else {}
    for name, tree in part(values, "grad").items():
        given |= {f"d_{name}.{path}" if path else f"d_{name}": a for path, a in tree_leaves(tree)}
    unknown = [name for name in given if name.split(".")[0] not in {n.split(".")[0] for n in ours}]
    if unknown:
        names = dict.fromkeys(n.split(".")[0][2:] for n in ours if n.startswith("d_"))
        raise ValueError(f"it has grad.{unknown[0][2:]}, but {op.__name__} has {', '.join(names)}")
    rows = report.rows
    share = FEW if precision in ("float16", "bfloat16") else 1.0
    rows += rows_of(given, ours, change, eps, "ours", share=share, wrong=WRONG)
    if not rows:
        raise ValueError("it has neither output nor grad.* with an entry: nothing to compare")
    gradients_alone = all(row.passed for row in rows if row.name.startswith("output"))
    if not report.passed and gradients_alone and knows(op.__name__):
        found = {row.name: row.gradient for row in rows if row.name.startswith("d_")}
        tolerance = 16 * eps
        report.diagnosis = str(
            diagnose_call(op.__name__, tuple(inputs), keywords, d_output, found, tolerance)
        )


def read(path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, by their names."""
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except Exception:  # there is no end to what strange bytes make np.load raise
            raise ValueError(f"{path} is not an .npz file of plain arrays") from None


def check_names(arrays) -> None:
    """Raise unless each name is one that a dump may have, and none is both array and tree."""
    for name in arrays:
        root, *parts = name.split(".")
        known = name in WHOLE or (root in IN_PARTS and parts and all(parts))
        if not known or (root == "keyword" and len(parts) > 1):
            raise ValueError(
                f"it has {name!r}, but may have output, d_output, precision, input.NAME, "
                "keyword.NAME and grad.NAME"
            )
        for i in range(2, len(parts) + 1):
            above = ".".join([root, *parts[: i - 1]])
            if above in arrays:
                raise ValueError(f"it has both {above} and {name}, but must have one of them")


def value_of(op_name: str, name: str, array, precision: str):
    """An array as the op takes it: floats in float64, flags as bool, numbers and words alone."""
    kind = array.dtype.kind
    if kind not in ("biufUS" if name.startswith("keyword.") else "biuf"):
        raise ValueError(
            f"{name} has dtype {array.dtype}, but must be of floats, integers or booleans "
            "(bfloat16 as float32, or as uint16 with precision = 'bfloat16')"
        )
    if name in FLAGS:
        return array.astype(bool) if kind in "iu" and np.isin(array, (0, 1)).all() else array
    if name.startswith("keyword."):
        if name not in ARRAYS and array.size == 1:
            return word(array) if kind in "US" else array.item()
        return array.astype(np.float64) if kind in "iuf" else array
    if (op_name, name) in INTEGERS:
        return array
    if array.dtype == np.uint16:
        if precision != "bfloat16":
            raise ValueError(
                f"{name} has dtype uint16: if these are the bits of bfloat16, say precision = "
                "'bfloat16'"
            )
        array = (array.astype(np.uint32) << 16).view(np.float32)  # the upper half of a float32
    return array.astype(np.float64)


def word(array) -> str:
    """A string that was saved as an array, of characters or of bytes."""
    value = np.asarray(array).reshape(-1)
    value = value[0] if value.size == 1 else value
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def dtype_of(arrays) -> str:
    """The least precise float dtype among output and gradients."""
    results = [a.dtype for n, a in arrays.items() if n == "output" or n.startswith("grad.")]
    dtypes = [dtype for dtype in results if dtype.kind == "f"]
    if not dtypes:
        raise ValueError("it has no output and no grad.* of floats: there is nothing to compare")
    return str(min(dtypes, key=lambda dtype: dtype.itemsize))


def epsilon_of(precision: str) -> float:
    """The epsilon of a precision."""
    if precision not in EPSILON:
        raise ValueError(f"precision was {precision!r}, but must be one of {', '.join(EPSILON)}")
    return EPSILON[precision]


def part(values: dict, root: str) -> dict:
    """{argument: array or tree} of the values whose names begin with `root`."""
    by_argument: dict = {}
    for name, value in values.items():
        first, _, rest = name.partition(".")
        if first == root:
            argument, _, path = rest.partition(".")
            by_argument.setdefault(argument, {})[path] = value
    return {
        name: arrays[""] if "" in arrays else nested(arrays) for name, arrays in by_argument.items()
    }


def arguments(op, given: dict) -> list:
    """The positional arguments in the op's order; what may be left out is None."""
    inputs = []
    for parameter in inspect.signature(op).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            break
        if parameter.name in given:
            inputs.append(given.pop(parameter.name))
        elif parameter.default is None or parameter.name in ("weight", "bias"):
            inputs.append(None)
        else:
            raise ValueError(f"it has no input.{parameter.name}, which {op.__name__} needs")
    if given:
        raise ValueError(f"it has input.{next(iter(given))}, which {op.__name__} does not know")
    return [without_missing(op, value) for value in inputs]


def without_missing(op, value):
    """The tree of multi-head attention with None where the dump has no bias or no output map."""
    if not isinstance(value, dict):
        return value
    value = {
        name: {"bias": None} | linear if isinstance(linear, dict) else linear
        for name, linear in value.items()
    }
    return ({"output": None} | value) if op is ops.multi_head_attention else value
