"""`attention-from-scratch verify`: is every gradient right?"""

from argparse import ArgumentParser
from pathlib import Path

from attention_from_scratch.commands import runs
from attention_from_scratch.commands.terminal import CheckFailed
from attention_from_scratch.files import write_json

SUMMARY = "Check every gradient: numerically, against a framework, or a dump."
EXAMPLE = "--framework torch --op softmax"


def add_options(parser: ArgumentParser) -> None:
    """What is checked, against what, and where the rows go."""
    add = parser.add_argument
    add("--op", metavar="NAME", help="only this op or model")
    add("--dtype", choices=["float64", "float32"], help="default float64")
    add("--framework", metavar="NAME", help="compare with torch, jax, keras, another or all")
    add("--npz", type=Path, metavar="DUMP", help="compare with what other code wrote")
    add("--json", type=Path, metavar="FILE", help="write every row to this file as well")


def run(options) -> None:
    """Check every gradient, by numerical derivatives, against frameworks or against a dump."""
    from attention_from_scratch.proofs import checks

    noun, dtype = "rows", options.dtype or "float64"
    if options.json is not None:
        runs.check_output("--json", options.json)
    if options.npz is not None:
        for name in ("framework", "dtype"):
            if getattr(options, name) is not None:
                raise ValueError(f"--npz goes without --{name}: a dump is compared with our op")
        records = checks.against_dump(options.op, options.npz)
    elif options.framework is not None:
        names = checks.framework_names(options.framework)
        records = checks.against_frameworks(names, dtype, options.op)
    else:
        records, noun = checks.against_derivatives(dtype, options.op), "cases"
    if options.json is not None:
        write_json(options.json, records)
    failed = [record for record in records if not record["passed"]]
    print(f"{len(records) - len(failed)} of {len(records)} {noun} passed")
    if failed:
        reports = [record["report"] for record in failed if "report" in record]
        raise CheckFailed("\n".join(["some gradients are wrong", *dict.fromkeys(reports)]))
