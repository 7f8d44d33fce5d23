"""The command `verify`: every case against its derivative, against a framework, against a dump."""

import json
import math
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attention_from_scratch.files import replace_file
from attention_from_scratch.proofs.calls import calls_of
from attention_from_scratch.proofs.cases import model_cases
from attention_from_scratch.verify import BOUNDS, Case, GradientError, compare, op_cases
from attention_from_scratch.verify.dump import check_dump
from attention_from_scratch.verify.frameworks import FRAMEWORKS, load


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
    # In float32 a central difference of a whole model keeps two digits, which shows nothing.
    settings = {} if dtype == "float64" else {"tolerances": {"complex step": 1e-4}}
    cases = [case for kind in all_cases(dtype, op=op).values() for case in kind]
    wide = note_width(cases)
    print(f"{'op':34}{'case':{wide}}{'complex step':>14}{'central diff.':>15}")
    records = []
    for case in tqdm(cases, unit="case", leave=False, disable=None):
        errors, message = {}, ""
        try:
            report = case.check(**settings)
            errors = {row.method: report.error(row.method) for row in report.rows}
            passed, message = report.passed, str(report)
        except GradientError as error:  # not even of the right form
            passed, message = False, str(error)
        shown = [errors.get(method) for method in ("complex step", "central difference")]
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
    print(f"{'op':34}{'case':{wide}}{'tensor':20}{'error':>9}{'epsilons':>10}{'bound':>8}")
    progress = tqdm(total=sum(map(len, cases.values())), unit="case", leave=False, disable=None)
    for kind, case in ((kind, case) for kind, listed in cases.items() for case in listed):
        progress.update()
        words = module.CANNOT.get((case.title, case.note))
        if case.title not in calls:
            words = "no entry in this framework's table"
        if words:
            tqdm.write(f"{case.title:34}{case.note:{wide}}not compared: {words}")
            continue
        bound = BOUNDS[kind, dtype]
        errors, report = errors_of(case, module.as_op(calls[case.title]), framework, bound)
        for tensor, (error, passed) in errors.items():
            verdict = "ok" if passed else "FAILED"
            tqdm.write(
                f"{case.title:34}{case.note:{wide}}{tensor:20}{error:9.1e}{error / epsilon:10.1f}"
                f"{bound:8.0e}  {verdict}"
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
                    "bound": bound,
                    "passed": passed,
                }
                | ({} if passed else {"report": report})
            )
    progress.close()
    print_remarks(module, op)
    return records


def errors_of(
    case: Case, theirs, framework: str, bound: float
) -> tuple[dict[str, tuple[float, bool]], str]:
    """Largest error, and whether it passed, of the output and each gradient; and the report."""
    try:
        report = compare(
            case.op,
            theirs,
            *case.inputs,
            bound=bound,
            labels=("ours", framework),
            **case.keywords,
        )
    except GradientError as error:  # not even of the right form
        return {"all": (np.inf, False)}, f"{case.title}, {case.note}: {error}"
    errors: dict[str, tuple[float, bool]] = {}
    for row in report.rows:
        tensor = row.name.split(" ")[0].split(".")[0]
        worst, passed = errors.get(tensor, (0.0, True))
        error = float(np.nan_to_num(row.error, nan=np.inf))
        errors[tensor] = max(worst, error), passed and row.passed
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
        {"op": op, "tensor": row.name, "error": row.error, "bound": row.tolerance}
        | {"passed": bool(row.passed)}
        for row in report.rows
    ]


def write_json(path: Path, records: list[dict]) -> None:
    """Write all rows for a machine to read; what is no finite number is null."""
    text = json.dumps(finite(records), indent=1, allow_nan=False) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def finite(value):
    """A tree of records with None in place of NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
