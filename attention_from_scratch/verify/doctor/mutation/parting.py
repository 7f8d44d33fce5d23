"""Hypotheses that agree at all visits are parted at more calls; what cannot be parted is "A or B".

The calls are like that of the first visit, with other numbers and other lengths. Where the op takes
such a call, it says which hypothesis is the right one. Where it does not, the hypotheses are held
against one another.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from attention_from_scratch.verify.doctor.mutation.matching import Match, Question, attempted
from attention_from_scratch.verify.doctor.variations import calls_like
from attention_from_scratch.verify.doctor.visits import examine, probe_of

MORE_CALLS = 3
MOST_ALTERNATIVES = 3


@dataclass(frozen=True, eq=False)
class Either:
    """Hypotheses of which nothing tells which it is."""

    hypotheses: tuple

    @property
    def rank(self) -> tuple:
        """That of the simplest."""
        return self.hypotheses[0].rank

    @property
    def words(self) -> str:
        """All of them."""
        return ", or ".join(hypothesis.words for hypothesis in self.hypotheses)


def parted(matches: list[Match], reference, op, question: Question) -> list[Match]:
    """The matches that hold at more calls as well; those that nothing parts, as one."""
    if len(matches) < 2:
        return matches
    probe = question.first.probe
    refused = []
    calls = calls_like(probe.inputs, probe.keywords)
    for seed, call in enumerate(itertools.islice(calls, MORE_CALLS), start=100):
        try:
            visit = examine(op, reference, *call, seed=seed)
        except Exception:  # the op was not made for such a call
            refused.append(call)
            continue
        if visit.same_output:
            matches = [m for m in matches if question.holds_at(visit, m)] or matches
    return joined(matches, [probe_at(reference, call, probe) for call in refused])


def probe_at(reference, call, like):
    """The probe of a call that the reference takes; None where it does not."""
    try:
        output, _ = reference(*call[0], **call[1])
        d_output = np.random.default_rng(31).standard_normal(np.shape(output))
        return probe_of(reference, *call, d_output.astype(like.d_output.dtype))
    except Exception:  # the reference was not made for such a call
        return None


def joined(matches: list[Match], probes) -> list[Match]:
    """Matches of the same gradients that say different things at a probe, put together."""
    probes = [probe for probe in probes if probe is not None]
    done: list[Match] = []
    for match in sorted(matches, key=lambda match: match.order):
        twins = [other for other in done if other.factors == match.factors]
        if len(twins) < MOST_ALTERNATIVES and all(differ(match, other, probes) for other in twins):
            done.append(match)
    return [with_alternatives(match, done) for match in done]


def with_alternatives(match: Match, done: list[Match]) -> Match:
    """A match with those that explain the same gradients in another way."""
    others = [m.hypothesis for m in done if m.factors == match.factors and m is not match]
    return replace(match, hypothesis=Either((match.hypothesis, *others))) if others else match


def differ(first: Match, second: Match, probes) -> bool:
    """Whether two hypotheses say different things of a gradient that both explain."""
    if first.hypothesis.words == second.hypothesis.words:
        return False
    for probe in probes:
        a, b = (attempted(match.hypothesis, probe) for match in (first, second))
        if a is None or b is None:
            continue
        for name in first.factors:
            if name in probe.right and not close(a.get(name), b.get(name), probe.right[name]):
                return True
    return False  # also where there is no probe to tell


def close(a, b, like) -> bool:
    """Whether two gradients are the same, but for rounding."""
    if np.shape(a) != np.shape(b):
        return False
    near = 1e-4 if like.dtype == np.float32 else 1e-8
    return bool(np.abs(a - b).max(initial=0) <= near * (np.abs(like).max(initial=0) or 1.0))
