"""How often does the doctor name the mistake? Over the catalogue of wrong implementations.

    python -m benchmarks.doctor

A row for each mistake: how many mutants of it there are, how many are named rightly (the mistake is
among the findings), how many of these with no other finding, how many are named wrongly. Then the
same for each half of the catalogue (`Mutant.half`) and for all of it; the right implementations,
of which none may be accused, and the wrong ones whose mistake is unknown.
"""

from collections import Counter

from attention_from_scratch.verify import diagnose
from benchmarks.mutants import catalogue, correct_ops, unknown_mutants


def verdict(mutant) -> str:
    """One of "alone", "among others", "wrongly" and "not at all"."""
    found = diagnose(mutant.op, mutant.reference, *mutant.inputs, **mutant.keywords).mistakes
    if mutant.mistake in found:
        return "alone" if len(found) == 1 else "among others"
    return "wrongly" if found else "not at all"


def is_accused(mutant) -> bool:
    """Whether anything is said against an op, be it of its forward pass."""
    found = diagnose(mutant.op, mutant.reference, *mutant.inputs, **mutant.keywords)
    return bool(found.wrong) or found.forward_differs


def measure(seed: int = 0) -> tuple[dict[tuple[str, str], Counter], list[str], list[str]]:
    """Verdicts by mistake and half; right ops that were accused; unknown mistakes with a name."""
    verdicts: dict[tuple[str, str], Counter] = {}
    for mutant in catalogue(seed):
        verdicts.setdefault((mutant.mistake, mutant.half), Counter())[verdict(mutant)] += 1
    accused = [mutant.name for mutant in correct_ops(seed) if is_accused(mutant)]
    named = [mutant.name for mutant in unknown_mutants(seed) if verdict(mutant) != "not at all"]
    return verdicts, accused, named


def table(verdicts: dict[tuple[str, str], Counter], accused: list[str], named: list[str]) -> str:
    """As Markdown."""
    columns = ("mutants", "named", "of these alone", "named wrongly", "not named")
    lines = [f"| mistake | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for mistake in sorted({mistake for mistake, _ in verdicts}):
        of_both = (counts for (which, _), counts in verdicts.items() if which == mistake)
        lines.append(row(mistake, sum(of_both, Counter())))
    halves = []
    for half in ("first", "second"):
        of_half = (counts for (_, which), counts in verdicts.items() if which == half)
        counts = sum(of_half, Counter())
        lines.append(row(f"**{half} half**", counts))
        halves.append(f"{rate(counts)} of the {half} half")
    total = sum(verdicts.values(), Counter())
    lines.append(row("**all**", total))
    return "\n".join(lines) + (
        f"\n\n{rate(total)} named ({', '.join(halves)}). "
        f"Right implementations accused: {len(accused)} of "
        f"{len(correct_ops())}. Unknown mistakes given a name: {len(named)} of "
        f"{len(unknown_mutants())}."
    )


def row(label: str, counts: Counter) -> str:
    """One line of the table."""
    right = counts["alone"] + counts["among others"]
    cells = (counts.total(), right, counts["alone"], counts["wrongly"], counts["not at all"])
    return f"| {label} | {' | '.join(map(str, cells))} |"


def rate(counts: Counter) -> str:
    """The share that is named rightly."""
    return f"{(counts['alone'] + counts['among others']) / counts.total():.1%}"


if __name__ == "__main__":
    print(table(*measure()))
