"""Ask the doctor about each case of the exam; print what it says below what is true.

    python -m benchmarks.exam
    python -m benchmarks.exam NAME ...    of these alone

Whether a mistake is named, a reader has to judge: the doctor says it in words of its own. Counted
are right implementations that are accused, mistakes of which it says nothing, and the longest time.
"""

import argparse
import textwrap
import time

from tqdm import tqdm

from attention_from_scratch.verify import diagnose
from benchmarks.exam.registry import Case, cases


def main(arguments: list[str] | None = None) -> None:
    """Ask, print, count."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exam", description=__doc__.split("\n")[0]
    )
    names = [case.name for case in cases()]
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a case; all if none is given")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in names]
    if unknown:
        parser.error(f"NAME was {unknown[0]}, but must be one of {', '.join(names)}")
    asked = [case for case in cases() if not options.names or case.name in options.names]
    answers = [(case, *answer(case)) for case in tqdm(asked, desc="exam", unit="case")]
    for case, words, _ in answers:
        print(f"{case.name} ({case.kind}): {case.truth}\n{textwrap.indent(words, '  ')}\n")
    print(summary(answers))


def answer(case: Case) -> tuple[str, float]:
    """What the doctor says, of the op alone or else with the inputs given; and the seconds."""
    inputs = () if case.alone else case.inputs
    keywords = {} if case.alone else case.keywords
    start = time.perf_counter()
    words = str(diagnose(case.op, case.reference, *inputs, **keywords))
    if case.alone and "nothing is wrong" in words and case.inputs is not None:
        words = str(diagnose(case.op, case.reference, *case.inputs, **case.keywords))
    return words, time.perf_counter() - start


def summary(answers: list[tuple[Case, str, float]]) -> str:
    """What can be counted without judging words."""
    right = [words for case, words, _ in answers if case.kind == "right"]
    wrong = [words for case, words, _ in answers if case.kind in ("wrong", "two")]
    forward = [words for case, words, _ in answers if case.kind == "forward"]
    accused = sum("nothing is wrong" not in words for words in right)
    silent = sum("no known mistake matches" in words for words in wrong)
    passed = sum("nothing is wrong" in words for words in wrong)
    explained = sum("output:" in words for words in forward)
    return (
        f"Right implementations accused: {accused} of {len(right)}. Of {len(wrong)} wrong backward "
        f"passes {passed} pass, and {silent} have a gradient of which no known mistake is said to "
        f"match. Wrong forward passes of which it says how they differ: {explained} of "
        f"{len(forward)}. The longest took {max(seconds for *_, seconds in answers):.1f} s."
    )


if __name__ == "__main__":
    main()
