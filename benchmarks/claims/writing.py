"""From a result to its three files: JSON, Markdown, PNG."""

from pathlib import Path

from threadpoolctl import threadpool_limits

from attention_from_scratch.plot import save
from benchmarks.claims import OPS
from benchmarks.common.machine import environment, load_average
from benchmarks.common.writing import as_json, read_json, write_text

RESULTS = Path(__file__).parents[1] / "results" / "claims"


def run(name: str, claim, out: Path, *, quick: bool = False) -> str:
    """Measure a claim, on one thread, and write its files; returns the Markdown."""
    before = load_average()
    with threadpool_limits(1):
        found = claim.measure(quick)
    around = environment() | {"load_before": before, "load_after": load_average()}
    write_result(name, out, found, around, quick=quick)
    return redraw(name, claim, out)


def write_result(name: str, out: Path, found: dict, around: dict, *, quick: bool) -> None:
    """The JSON of a claim."""
    head = {"claim": name, "quick": quick, "ops": OPS, "environment": around}
    write_text(out / f"{name}.json", as_json(head | found))


def redraw(name: str, claim, out: Path) -> str:
    """Table and figure of a claim from its JSON; returns the Markdown."""
    result = read_json(out / f"{name}.json")
    text = page(name, claim, result)
    save(claim.figure(result), out / f"{name}.png", dpi=120)
    write_text(out / f"{name}.md", text)
    return text


def page(name: str, claim, result: dict) -> str:
    """What a reader opens."""
    parts = [
        f"# {name}",
        f"**The article says** {claim.ARTICLE}",
        f"**Measured:** {claim.measured(result)}",
        claim.tables(result),
        f"![{name}: {claim.FIGURE}]({name}.png)",
    ]
    if hasattr(claim, "verdict"):
        parts.append(f"**Verdict.** {claim.verdict(result)}")
    command = f"python -m benchmarks.claims {name}{' --quick' if result['quick'] else ''}"
    parts.append(f"`{command}`: {result['ops']} ops; {describe(result['environment'])}.")
    return "\n\n".join(parts) + "\n"


def describe(around: dict) -> str:
    """Versions, cores, and how busy the machine was."""
    loads = around["load_before"], around["load_after"]
    busy = "" if None in loads else f"; load average {loads[0]} before and {loads[1]} after"
    return (
        "times are processor time; "
        f"NumPy {around['numpy']}, {around['blas']} on {around['blas_threads']} thread, "
        f"Python {around['python']}, {around['machine']}, {around['cores']} cores{busy}"
    )
