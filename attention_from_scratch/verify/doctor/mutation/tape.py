"""A forward pass written down as it runs: every step, what it was made of and where it stands.

`Traced` is an array that notes each NumPy function it goes through. It exists here alone, inside a
private copy of the op: what the ops themselves do is closures, no tape. From the notes a gradient
is derived step by step, which is another derivation than the formula in the op's backward pass,
and so another one to make mistakes in.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from attention_from_scratch.ops.contract import unbroadcast
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.contract import is_differentiable
from attention_from_scratch.verify.doctor.mutation.slopes import SLOPES
from attention_from_scratch.verify.doctor.mutation.twin import Twin


class UntraceableError(Exception):
    """A forward pass goes through something whose derivative is not known here."""


@dataclass(eq=False)
class Edge:
    """The way back from a step to one of its inputs.

    Elementwise steps have `slopes`, from the values of all inputs and the output to the derivative
    by this input; other steps have `pull`, from the gradient of the output to that of the input.
    """

    source: "Step"
    index: int
    pull: Callable | None = None
    slopes: Callable | None = None
    untransposed: Callable | None = None  # of a matrix product: `pull` with a transpose left out

    def back(self, step: "Step", d: np.ndarray) -> np.ndarray:
        """The gradient that goes this way."""
        if self.pull is not None:
            return self.pull(d)
        return unbroadcast(d * self.slopes(*step.values, step.value), self.source.value.shape)


@dataclass(eq=False)
class Step:
    """A value, the values it was made of, the ways back to those, and the lines that made it."""

    value: np.ndarray
    values: tuple = ()
    edges: list[Edge] = field(default_factory=list)
    place: tuple = ()  # (label of a piece, instruction) of each call, the outermost first


class Traced(np.ndarray):
    """An array that knows the step that made it."""

    step: Step
    tape: "Tape"

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        """Compute, and note what was computed, of values that no later step changes in place."""
        tape, plain = tape_of(*inputs, *(out or ())), tuple(map(kept_value_of, inputs))
        if method == "reduce" and ufunc in (np.add, np.maximum):
            keywords.pop("out", None)
            name = "sum" if ufunc is np.add else "max"
            return tape.reduced(name, inputs[0], keywords)
        if method != "__call__":
            raise UntraceableError(f"{ufunc.__name__}.{method}")
        result = ufunc(*plain, **keywords)
        if out is not None:
            made = tape.note(ufunc.__name__, inputs, plain, result)
            np.asarray(out[0])[...] = result
            out[0].step = made.step
            return out[0]
        return tape.note(ufunc.__name__, inputs, plain, result)

    def __array_function__(self, function, types, arguments, keywords):
        """Compute, and note what was computed."""
        return tape_of(*flat(arguments)).called(function, arguments, keywords)

    def __getitem__(self, key):
        """Entries of this array."""
        return self.tape.rearranged(lambda a: a[value_of(key)], (self,), {})

    def __setitem__(self, key, new):
        """Put entries into this array, which is another step from here on."""

        def put(old, new):
            old = np.array(old)
            old[value_of(key)] = new
            return old

        made = self.tape.rearranged(put, (self, as_floats(new)), {})
        np.asarray(self)[value_of(key)] = value_of(new)
        self.step = made.step

    @property
    def real(self):
        """Itself, as it is real."""
        return self

    @property
    def T(self):
        """All axes the other way round."""
        return self.tape.rearranged(np.transpose, (self,), {})

    @property
    def mT(self):
        """The last two axes exchanged."""
        return self.swapaxes(-1, -2)

    def astype(self, dtype, **_):
        """Itself: a step keeps its dtype."""
        return self if np.dtype(dtype).kind == "f" else value_of(self).astype(dtype)


def method(name):
    """A method that is the function of NumPy of that name."""
    function = getattr(np, name)

    def called(self, *arguments, **keywords):
        several = name in ("reshape", "transpose") and len(arguments) > 1
        arguments = (arguments,) if several else arguments
        return self.tape.called(function, (self, *arguments), keywords)

    return called


METHODS = ("reshape", "swapaxes", "transpose", "ravel", "squeeze", "take", "repeat", "copy")
REARRANGING = {*METHODS, "split", "array_split", "concatenate", "stack", "take_along_axis", "where"}
REARRANGING |= {"moveaxis", "expand_dims", "broadcast_to", "roll", "flip", "tile", "hstack"}
REDUCING = ("sum", "mean", "max", "amax", "var")
for _name in ("sum", "mean", "max", "var", *METHODS):
    setattr(Traced, _name, method(_name))


class Tape:
    """The steps of one forward pass, in their order, and the steps that are its inputs."""

    def __init__(self, labels):
        self.labels = labels
        self.steps: list[Step] = []

    def begin(self, array) -> Traced:
        """A traced array: an input, or a constant."""
        traced = np.array(value_of(array), copy=True).view(Traced)
        traced.tape, traced.step = self, Step(np.array(traced, subok=False))
        self.steps.append(traced.step)
        return traced

    def add(self, value, values, edges):
        """Note a step, and give its value as a traced array."""
        if np.asarray(value).dtype.kind != "f":
            return value
        traced = np.array(value).view(Traced)
        traced.tape = self
        traced.step = Step(np.array(value), tuple(values), edges, self.place())
        self.steps.append(traced.step)
        return traced

    def place(self) -> tuple:
        """Where in the op the program is."""
        frame, calls = inspect.currentframe().f_back.f_back, []
        while frame is not None:
            if frame.f_code.co_filename in self.labels:
                calls.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        return tuple(reversed(calls))

    def note(self, name, inputs, plain, result):
        """Note an elementwise step, or a matrix product."""
        if np.asarray(result).dtype.kind != "f":
            return result
        if name == "matmul":
            return self.add(result, plain, product_edges(inputs, plain))
        if name not in SLOPES:
            raise UntraceableError(name)
        edges = [
            Edge(value.step, index, slopes=SLOPES[name][index])
            for index, value in enumerate(inputs)
            if isinstance(value, Traced)
        ]
        return self.add(result, plain, edges)

    def called(self, function, arguments, keywords):
        """Note a function of NumPy that is no ufunc."""
        name = function.__name__
        if name in REDUCING:
            return self.reduced(name.removeprefix("a"), arguments[0], keywords, *arguments[1:])
        if name == "where" and len(arguments) == 3:
            arguments = (arguments[0], *map(as_floats, arguments[1:]))
        if name in REARRANGING:
            return self.rearranged(function, arguments, keywords)
        if name == "einsum":
            return self.contracted(*arguments)
        result = function(*value_of(arguments), **value_of(keywords))
        if name in ("zeros_like", "ones_like", "full_like", "empty_like"):
            return self.begin(result)
        if np.asarray(result).dtype.kind == "f" and name not in ("shape", "ndim", "size"):
            raise UntraceableError(name)
        return result

    def reduced(self, name, array, keywords, axis=None):
        """Note a sum, a mean, a variance or the largest along an axis."""
        if name == "var":
            axes = {"axis": keywords.get("axis", axis)}
            centred = array - array.mean(**axes, keepdims=True)
            return (centred * centred).mean(**axes, keepdims=keywords.get("keepdims", False))
        axis = keywords.get("axis", axis)
        plain = value_of(array)
        held = getattr(plain, name)(axis=axis, keepdims=True)
        settings = {key: value for key, value in keywords.items() if key == "keepdims"}
        result = getattr(plain, name)(axis=axis, **settings)
        at = {"sum": 1.0, "mean": np.size(held) / max(plain.size, 1)}.get(name)
        if at is None:
            at = (plain == held) / (plain == held).sum(axis=axis, keepdims=True)

        def pull(d):
            return np.reshape(d, held.shape) * at * np.ones(plain.shape)

        return self.add(result, (plain,), [Edge(array.step, 0, pull)])

    def rearranged(self, function, arguments, keywords):
        """Note a function that only moves entries: its way back is found by moving their numbers.

        Every entry of every traced argument gets a number of its own, everything else -1.
        """
        traced = [value for value in flat(arguments) if isinstance(value, Traced)]
        start, numbers = 0, {}
        for value in traced:
            numbers[id(value)] = np.arange(start, start + value.size).reshape(value.shape)
            start += value.size
        moved = function(*numbered(arguments, numbers), **value_of(keywords))
        result = function(*value_of(arguments), **value_of(keywords))
        several = isinstance(result, list | tuple)
        outputs = []
        for value, origin in zip(
            *([result, moved] if several else [[result], [moved]]), strict=True
        ):
            edges, start = [], 0
            for index, source in enumerate(traced):
                edges.append(Edge(source.step, index, collecting(origin, start, source.shape)))
                start += source.size
            outputs.append(self.add(value, tuple(map(value_of, traced)), edges))
        return outputs if several else outputs[0]

    def contracted(self, text, *operands):
        """Note an einsum of two arrays with an arrow."""
        if "->" not in text or len(operands) != 2 or "." in text:
            raise UntraceableError("einsum")
        inputs, output = text.replace(" ", "").split("->")
        first, second = inputs.split(",")
        plain = tuple(map(value_of, operands))
        if set(first) - set(output + second) or set(second) - set(output + first):
            raise UntraceableError("einsum")
        pulls = (
            lambda d: np.einsum(f"{output},{second}->{first}", d, plain[1]),
            lambda d: np.einsum(f"{output},{first}->{second}", d, plain[0]),
        )
        edges = [
            Edge(value.step, i, pulls[i]) for i, value in enumerate(operands) if is_traced(value)
        ]
        return self.add(np.einsum(text, *plain), plain, edges)


def product_edges(inputs, plain) -> list[Edge]:
    """The ways back from a matrix product."""
    a, b = plain
    if a.ndim < 2 or b.ndim < 2:
        raise UntraceableError("a product with a vector")
    pulls = (
        lambda d: unbroadcast(d @ b.swapaxes(-1, -2), a.shape),
        lambda d: unbroadcast(a.swapaxes(-1, -2) @ d, b.shape),
    )
    wrong = (lambda d: unbroadcast(d @ b, a.shape), lambda d: unbroadcast(a @ d, b.shape))
    return [
        Edge(value.step, i, pulls[i], untransposed=wrong[i])
        for i, value in enumerate(inputs)
        if is_traced(value)
    ]


def collecting(origin, start, shape) -> Callable:
    """From the gradient of moved entries to that of those they came from, added up."""
    size = int(np.prod(shape))
    numbers = np.asarray(origin).ravel() - start
    mine = (numbers >= 0) & (numbers < size)

    def pull(d):
        collected = np.zeros(size, np.asarray(d).dtype)
        np.add.at(collected, numbers[mine], np.ravel(d)[mine])
        return collected.reshape(shape)

    return pull


def is_traced(value) -> bool:
    """Whether it is on a tape."""
    return isinstance(value, Traced)


def value_of(value):
    """What is traced as it is; also in lists, tuples and dicts."""
    if isinstance(value, Traced):
        return np.asarray(value)
    if isinstance(value, list | tuple):
        return type(value)(value_of(part) for part in value)
    if isinstance(value, dict):
        return {name: value_of(part) for name, part in value.items()}
    return value


def kept_value_of(value):
    """What is traced as its step holds it."""
    return value.step.value if is_traced(value) else value


def flat(arguments):
    """The arguments, and what lists among them hold."""
    for value in arguments:
        if isinstance(value, list | tuple):
            yield from flat(value)
        else:
            yield value


def numbered(value, numbers):
    """Arguments with the numbers of entries in the place of traced arrays, and -1 for floats."""
    if isinstance(value, Traced):
        return numbers[id(value)]
    if isinstance(value, list | tuple):
        return type(value)(numbered(part, numbers) for part in value)
    is_float = isinstance(value, float | np.floating) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "f"
    )
    return np.full(np.shape(value), -1) if is_float else value


def as_floats(value):
    """A number or array among traced arrays as floats, so that it is not taken for an index."""
    return value if is_traced(value) else np.asarray(value, float)


def tape_of(*values) -> Tape:
    """The tape that these are on."""
    return next(value.tape for value in flat(values) if isinstance(value, Traced))


# Functions that make arrays to be filled: on a tape, what they make is traced from the start.
MAKING = ("zeros", "ones", "empty", "full")
KEEPING = ("asarray", "array", "ascontiguousarray")


def tracing_numpy(tape) -> dict:
    """NumPy's functions that would lose the trace, in a form that keeps it."""

    def making(name):
        def made(*arguments, **keywords):
            array = getattr(np, name)(*arguments, **keywords)
            return tape.begin(array) if array.dtype.kind == "f" else array

        return made

    def keeping(name):
        def kept(value, *arguments, **keywords):
            return value if is_traced(value) else getattr(np, name)(value, *arguments, **keywords)

        return kept

    return {name: making(name) for name in MAKING} | {name: keeping(name) for name in KEEPING}


def tape_at(twin: Twin, probe) -> tuple[Tape, list, Traced]:
    """Run the forward pass of a twin on traced inputs: the tape, the inputs and the output."""
    tape = Tape({piece.label for piece in twin.pieces.values()})
    inputs = [
        tree_map(tape.begin, value) if is_differentiable(value) else value for value in probe.inputs
    ]
    with twin.numpy_replaced(tracing_numpy(tape)):
        output, _ = twin.forward_of(inputs, probe.keywords)
    if not is_traced(output):
        raise UntraceableError("the output")
    return tape, inputs, output
