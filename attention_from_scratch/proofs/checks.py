"""The command `verify`: every case against its derivative, against a framework, against a dump."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from attention_from_scratch.proofs.calls import calls_of
from attention_from_scratch.proofs.cases import model_cases
from attention_from_scratch.verify import Case, GradientError, compare, op_cases
from attention_from_scratch.verify.dump import check_dump
from attention_from_scratch.verify.frameworks import FRAMEWORKS, load
from attention_from_scratch.verify.measuring import METHODS


def all_cases(dtype: str, *, op: str | None = None, dropout: bool = True) -> dict[str, list[Case]]:
    """The cases of ops and of models, of one name if `op` is given."""
    cases = {"op": op_cases(dtype=dtype), "model": model_cases(dtype=dtype, dropout=dropout)}
    if op is None:
        return cases
    titles = list(dict.fromkeys(case.title for kind in cases.values() for case in kind))
    if op not in titles:
        raise ValueError(f"--op was {op!r}, but must be one of {', '.join(titles)}")
    return {kind: [case for case in cases[kind] if case.title == op] for kind in cases}


def against_derivatives(dtype: str, op: str | None = None) -> list[dict]:
    """Print a line a case, the largest error by each numerical method; return them as records."""
    cases = [case for kind in all_cases(dtype, op=op).values() for case in kind]
    wide = note_width(cases)
    print(f"{'op':34}{'case':{wide}}{'complex step':>14}{'central diff.':>15}")
    records = []
    for case in tqdm(cases, unit="case", leave=False, disable=None):
        errors, message = {}, ""
        try:
            report = case.check()
            errors = {method: report.error(method) for method in METHODS}
            passed, message = report.passed, str(report)
        except GradientError as error:  # not even of the right form
            passed, message = False, str(error)
        shown = [errors.get(method) for method in METHODS]
        cells = ["-" if error is None else f"{error:.1e}" for error in shown]
        verdict = "" if passed else "  FAILED"
        tqdm.write(f"{case.title:34}{case.note:{wide}}{cells[0]:>14}{cells[1]:>15}{verdict}")
        records.append(
            {"op": case.title, "case": case.note, "errors": errors, "passed": passed}
            | ({} if passed else {"report": message})
        )
    return records


def note_width(cases: list[Case]) -> int:
    """Characters that the longest note takes, and at least as many as the tables of ops need."""
    return max([30, *(len(case.note) + 2 for case in cases)])


def against_frameworks(names: list[str], dtype: str, op: str | None = None) -> list[dict]:
    """Print a line a tensor, its error against each framework; return them as records."""
    cases = all_cases(dtype, op=op, dropout=False)
    modules = [load(name) for name in names]  # all of them, before anything is run
    return [record for module in modules for record in against(module, dtype, cases, op)]


def against(module, dtype: str, cases: dict[str, list[Case]], op: str | None) -> list[dict]:
    """Print a line a tensor, its error against one framework; return them as records."""
    records, epsilon, calls = [], float(np.finfo(dtype).eps), calls_of(module)
    framework = module.__name__.rpartition(".")[2]
    print(f"\n{module.VERSION}, {dtype}, errors also in units of its epsilon {epsilon:.1e}")
    wide = note_width([case for listed in cases.values() for case in listed])
    print(f"{'op':34}{'case':{wide}}{'tensor':20}{'error':>9}{'epsilons':>10}{'floors':>8}")
    progress = tqdm(total=sum(map(len, cases.values())), unit="case", leave=False, disable=None)
    for kind, case in ((kind, case) for kind, listed in cases.items() for case in listed):
        progress.update()
        words = module.CANNOT.get((case.title, case.note))
        if case.title not in calls:
            words = "no entry in this framework's table"
        if words:
            tqdm.write(f"{case.title:34}{case.note:{wide}}not compared: {words}")
            continue
        errors, report = errors_of(case, module.as_op(calls[case.title]), framework)
        for tensor, (error, floors, passed) in errors.items():
            verdict = "ok" if passed else "FAILED"
            tqdm.write(
                f"{case.title:34}{case.note:{wide}}{tensor:20}{error:9.1e}{error / epsilon:10.1f}"
                f"{floors:8.1f}  {verdict}"
            )
            records.append(
                {
                    "framework": framework,
                    "version": module.VERSION,
                    "dtype": dtype,
                    "op": case.title,
                    "case": case.note,
                    "tensor": tensor,
                    "error": error,
                    "epsilons": error / epsilon,
                    "floors": floors,
                    "model": kind == "model",
                    "passed": passed,
                }
                | ({} if passed else {"report": report})
            )
    progress.close()
    print_remarks(module, op)
    return records


def errors_of(case: Case, theirs, framework: str) -> tuple[dict[str, tuple], str]:
    """The errors of the output and of each gradient, as (largest, in floors, passed); the report.

    An error is the largest difference over the largest entry; in floors, the largest of any entry
    over its own floor, of which 16 are right.
    """
    try:
        report = compare(case.op, theirs, *case.inputs, labels=("ours", framework), **case.keywords)
    except GradientError as error:  # not even of the right form
        return {"all": (np.inf, np.inf, False)}, f"{case.title}, {case.note}: {error}"
    errors: dict[str, tuple[float, float, bool]] = {}
    for row in report.rows:
        tensor = row.name.split(".")[0]
        worst, floors, passed = errors.get(tensor, (0.0, 0.0, True))
        error = float(np.nan_to_num(row.errors[f"against {framework}"], nan=np.inf))
        errors[tensor] = max(worst, error), max(floors, row.in_floors), passed and row.passed
    return errors, str(report)


def print_remarks(module, op: str | None) -> None:
    """Print where the framework means something else, in words."""
    remarks = {title: words for title, words in module.REMARKS.items() if op in (None, title)}
    if remarks:
        print(f"where {module.VERSION} differs:")
    for title, words in remarks.items():
        print(f"  {title}: {words}")


def framework_names(choice: str) -> list[str]:
    """The frameworks that "torch", "jax", "keras" or "all" stands for."""
    return list(FRAMEWORKS) if choice == "all" else [choice]


def against_dump(op: str | None, path: Path) -> list[dict]:
    """Print the comparison of a dump with our op; return its rows as records."""
    if op is None:
        raise ValueError("--npz needs --op: the name of the op that the dump is of")
    report = check_dump(op, path)
    print(report)
    return [
        {"op": op, "tensor": row.name, "error": row.error, "allowed": row.allowed}
        | {"passed": bool(row.passed)}
        for row in report.rows
    ]
