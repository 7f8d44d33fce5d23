"""A gradient as a function of parts, each of which may be taken wrongly.

Each part has options: the right one, and others with words for what is wrong with them. One wrong
option is tried, then two of two parts; a factor may come with them.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from attention_from_scratch.verify.doctor.formulas.asked import Asked, Fit
from attention_from_scratch.verify.doctor.formulas.numbers import law_of

RIGHT = ""  # the words for the right option


@dataclass(frozen=True, eq=False)
class Choices:
    """`gradient(**parts)` of one option for each part: {part: {words: value}}.

    A part has the same options at all calls, as far as they make sense there. The first is the
    right one, under the empty word. `formula` is the right gradient in writing.
    """

    parts: dict[str, dict]
    gradient: Callable
    formula: str
    sizes: dict[str, float] = field(default_factory=dict)

    def of(self, chosen: dict[str, str]) -> np.ndarray:
        """The gradient with these options, right ones elsewhere."""
        given = {p: options[chosen.get(p, RIGHT)] for p, options in self.parts.items()}
        try:
            return np.asarray(self.gradient(**given))
        except ValueError:  # options whose shapes do not go together
            return np.array(np.nan)

    def fitted(self, asked: Asked, formula: Callable) -> Fit | None:
        """The fewest wrong options that give the wrong gradient; a factor counts as one more."""
        first = asked.wrong[0]
        scaled: list[dict[str, str]] = [{}]
        for n in range(1, 3):
            for chosen in self.options(n):
                if asked.clock.is_over:
                    return None
                gradient = self.of(chosen)
                if gradient.shape != first.found[asked.name].shape:
                    continue
                if asked.is_found(first, gradient) and holds(chosen, None, asked, formula):
                    return self.in_words(list(chosen.values()))
                if factor_of(gradient, first, asked) is not None:
                    scaled.append(chosen)
        return self.with_a_factor(scaled, asked, formula)

    def options(self, n) -> Iterator[dict[str, str]]:
        """Every choice of n wrong options, of different parts."""
        for parts in itertools.combinations(self.parts, n):
            wrong = [[words for words in self.parts[p] if words != RIGHT] for p in parts]
            for options in itertools.product(*wrong):
                yield dict(zip(parts, options, strict=True))

    def with_a_factor(self, scaled, asked: Asked, formula: Callable) -> Fit | None:
        """The first choice of less than two options that gives the gradient but for a factor."""
        for chosen in (c for c in scaled if len(c) < 2):
            factors, sizes = [], []
            for visit in asked.wrong:
                at = asked.at(visit, formula)
                factor = factor_of(at.of(chosen), visit, asked) if knows(at, chosen) else None
                if factor is None:
                    break
                factors.append(factor)
                sizes.append(at.sizes)
            else:
                law = law_of(factors, sizes)
                if law is not None and not law.is_one and holds(chosen, law, asked, formula):
                    words = "it has the other sign" if str(law) == "-1" else f"it is times {law}"
                    fit = self.in_words([*chosen.values(), words])
                    return replace(fit, is_factor=not chosen)
        return None

    def in_words(self, wrong: list[str]) -> Fit:
        """What is wrong, and the formula that is right."""
        head = "two mistakes at once: " if len(wrong) == 2 else ""
        head = "three mistakes at once: " if len(wrong) == 3 else head
        return Fit(f"{head}{'; and '.join(wrong)} (right: {self.formula})", len(wrong))


def knows(at: Choices, chosen) -> bool:
    """Whether all these options make sense at a call."""
    return all(words in at.parts.get(part, ()) for part, words in chosen.items())


def holds(chosen, law, asked: Asked, formula: Callable) -> bool:
    """Whether a choice, times what a law says, is what the op says at every visit.

    Where an option makes no sense it can change nothing: the gradient has to be right there.
    """
    for visit in (*asked.wrong, *asked.right):
        at = asked.at(visit, formula)
        if not knows(at, chosen):
            if visit.right_at(asked.name):
                continue
            return False
        factor = 1.0 if law is None else law.at(at.sizes)
        if not asked.is_found(visit, at.of(chosen), factor):
            return False
    return True


def factor_of(gradient, visit, asked: Asked) -> float | None:
    """The number times which a gradient is what the op says, if there is one."""
    found = visit.found[asked.name]
    if gradient.shape != found.shape or np.count_nonzero(gradient) < 2:
        return None
    power = float((gradient * gradient).sum())
    factor = float((gradient * found).sum()) / power if power > 0 else 0.0
    if abs(factor) < 1e-9 or not np.isfinite(factor):
        return None
    return factor if asked.is_found(visit, gradient, factor) else None
