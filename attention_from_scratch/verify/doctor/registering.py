"""Ops of a reader's own, known as ours are: at which calls mistakes show, and some in words."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from attention_from_scratch.verify.doctor.mistakes import EXPLANATIONS, MISTAKES, Probe
from attention_from_scratch.verify.doctor.probes import PROBES, REGISTERED

OWN: dict[str, set[str]] = {}  # the mistakes of each registered op
Formula = Callable[[Probe], Mapping[str, np.ndarray]]


def register(
    op: Callable,
    probes: list[tuple[tuple, dict]],
    mistakes: Mapping[str, tuple[str, Formula]] | None = None,
) -> None:
    """Teach the doctor an op: `diagnose(theirs, op)` then needs no inputs, and knows its mistakes.

    Parameters
    ----------
    op : function
        The right op, in our contract. It is known by its name.
    probes : list of (inputs, keywords)
        Calls at which mistakes show: tuples of arrays or trees whose dimensions all differ, and
        what the op is called with by name.
    mistakes : {name: (words, formula)}
        What the mistake is, in a sentence, and what it would give: a function of a `Probe` (with
        `inputs`, `keywords`, `d_output`, `output`, and `right`, the right gradients under names
        such as d_x) that returns the gradients which it changes, under the same names.

    Raises
    ------
    ValueError
        When the op or a mistake has the name of another one, or there is no probe.
    """
    name = getattr(op, "__name__", "<lambda>")
    mistakes = dict(mistakes or {})
    if not name.isidentifier():
        raise ValueError(f"op was {op!r}, but must be a function with a name")
    if name in PROBES and REGISTERED.get(name) is not op:
        raise ValueError(f"op was called {name}, but must have a name that no other op has")
    others = EXPLANATIONS.keys() - OWN.get(name, set())
    taken = [mistake for mistake in mistakes if mistake in others]
    if taken:
        raise ValueError(f"mistakes has {taken[0]!r}, but that is the name of another mistake")
    if not probes:
        raise ValueError("probes was empty, but must have at least one (inputs, keywords)")

    def formulas(probe: Probe) -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
        for mistake, (_, formula) in mistakes.items():
            yield mistake, formula(probe)

    REGISTERED[name], OWN[name] = op, set(mistakes)
    PROBES[name] = lambda rng: [(tuple(inputs), dict(keywords)) for inputs, keywords in probes]
    MISTAKES[name] = formulas
    for mistake, (words, _) in mistakes.items():
        EXPLANATIONS[mistake] = words.replace("{", "{{").replace("}", "}}")  # as it is formatted
