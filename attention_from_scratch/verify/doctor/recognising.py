"""Which op of `ops`, or registered, does an op compute? For when no reference is given."""

import itertools
from dataclasses import replace

import numpy as np

from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify.contract import argument_names, as_input, is_differentiable
from attention_from_scratch.verify.doctor.diagnosis import Diagnosis
from attention_from_scratch.verify.doctor.mistakes import MISTAKES
from attention_from_scratch.verify.doctor.probes import REGISTERED, op_named
from attention_from_scratch.verify.doctor.variations import calls_like

CALLS = 3  # the caller's, and so many less one with other numbers and lengths
NEAR = {"float64": 1e-9, "float32": 1e-4}


def recognised(op, inputs, keywords) -> str | None:
    """The name of the op of `ops` that gives the same output on a call and on others like it."""
    inputs = tuple(map(as_input, inputs))
    others = itertools.islice(calls_like(inputs, keywords), CALLS - 1)
    drawn = tuple(tree_map(of_both_signs, v) if is_differentiable(v) else v for v in inputs)
    calls = [(inputs, keywords), *others, (drawn, keywords)]
    outputs = [(call, output_of(op, *call)) for call in calls]
    given = [(call, output) for call, output in outputs if output is not None]
    if len(given) < 2:
        return None
    names = (n for n in MISTAKES if all(alike(op_named(n), *called) for called in given))
    return next(names, None)


def of_both_signs(leaf) -> np.ndarray:
    """Normal numbers in the place of a leaf: what is never negative may be so by chance."""
    return np.random.default_rng(leaf.size).standard_normal(leaf.shape).astype(leaf.dtype)


def alike(op, call, output) -> bool:
    """Whether an op gives this output on a call."""
    ours = output_of(op, *call)
    if ours is None or ours.shape != output.shape or ours.dtype.kind != output.dtype.kind:
        return False
    near = max(NEAR.get(str(a.dtype), 0) for a in (ours, output))
    return bool(np.allclose(ours, output, rtol=0, atol=near * (np.abs(ours).max(initial=0) or 1.0)))


def output_of(op, inputs, keywords) -> np.ndarray | None:
    """The output of an op on a call; None where it does not take it."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(op(*inputs, **keywords)[0])
    except Exception:  # an op that was not made for such a call
        return None


def in_own_names(diagnosis: Diagnosis, op, known: str, n_inputs: int) -> Diagnosis:
    """A diagnosis by an op of `ops` in the argument names of the op that was examined."""
    theirs, ours = argument_names(op, n_inputs), argument_names(op_named(known), n_inputs)
    names = {f"d_{our}": f"d_{their}" for our, their in zip(ours, theirs, strict=True)}

    def own(name: str) -> str:
        argument, *path = name.split(".")
        return ".".join([names.get(argument, argument), *path])

    def renamed(found):
        return replace(found, arguments=tuple(map(own, found.arguments)))

    different = [f"{our}: {their}" for our, their in zip(ours, theirs, strict=True) if our != their]
    words = f" ({', '.join(different)})" if different else ""
    full = known if known in REGISTERED else f"ops.{known}"
    note = f"its output is that of {full}{words}, with which it was compared"
    return replace(
        diagnosis,
        wrong=tuple(map(own, diagnosis.wrong)),
        findings=list(map(renamed, diagnosis.findings)),
        derived=list(map(renamed, diagnosis.derived)),
        unexplained=tuple(map(own, diagnosis.unexplained)),
        extents=[" ".join([own(e.split(" ")[0]), *e.split(" ")[1:]]) for e in diagnosis.extents],
        notes=[*diagnosis.notes, note] if diagnosis.wrong else diagnosis.notes,
    )
