"""From the counts to the page: what was asked, two tables, a picture."""

from collections import Counter

from attention_from_scratch.plot.figure import new_figure
from benchmarks.common.drawing import finish
from benchmarks.common.writing import markdown
from benchmarks.verdicts.measuring import LEAST, MOST
from benchmarks.verdicts.tables import HEADER, Record, cells, how_many, records

TITLE = "How often does a gradient checker accuse right code, and miss wrong code?"
PICTURE = "Right functions not called right, and planted errors not called wrong, by each checker"
ABOUT = """Random functions of two to six steps, of this package's ops and of plain NumPy, with
backward passes by hand that are right: the gradient is where differences in 100 digits put it, to
16 times what rounding can do. Each is checked as it is, and with one planted error of the kinds
that people make (a factor, a sign, a transpose, a summand lost), which moves at least one entry by
more than 1,000 times what rounding can do. The sizes of inputs are spread evenly from 1e-6 to 1e6
on a logarithmic scale, with a quarter of them near 1; of every second function some entries lie at
a kink or close to one; a third is not analytic, which is to say that complex numbers cannot go
through (`tests/verify/random_functions`)."""
READING = """\
- Accused: called wrong. Missed: not called wrong; "cannot tell" counts as missed. The others have
  no "cannot tell": each passes or objects. Refused: an exception that is no objection, of right
  functions and planted errors together; it counts as neither.
- The others are asked for the first derivative, backwards, each at its own default steps and
  tolerances, and contracted as each does it: torch's gradcheck goes through the Jacobian entry by
  entry, its fast mode and the other two take one random direction. They are not meant for float32
  and not asked there, nor for kinks, as torch's manual says. Their tolerances are absolute in part
  and mean numbers near 1; the second table has the functions of such numbers, away from kinks. The
  relative tolerance of torch is 1e-3, so that a factor of 1.001 is right to it.
- They are wrapped from outside (`torch.autograd.Function`; `jax.custom_vjp` and `pure_callback`; a
  primitive of autograd) around the same NumPy op: trees flattened, integers and keywords closed
  over. That does not touch a verdict, as the gradients that arrive are the op's to the last bit.
  But the milliseconds have the wrapping in them. Nearly all of JAX's are spent on compiling
  callbacks, which a function of JAX's own does not have: as times of JAX they are not fair.
- A function is right, and its planted error shows, at a gradient of the output of its own; each
  checker draws another. There one right function in some hundreds is off by more than 16 times
  what rounding can do, and a planted error may be smaller or, as an absolute value, gone."""


def page(result: dict) -> str:
    """What a reader opens."""
    of_all, moderate = list(records(result)), list(records(result, moderate=True))
    parts = [
        f"# {TITLE}",
        ABOUT,
        how_many(of_all),
        markdown(HEADER, [[*cells(record), milliseconds(result, record)] for record in of_all]),
        f"![{PICTURE}](verdicts.png)",
        READING,
        "## Moderate numbers alone",
        f"The largest entry of each input is from {LEAST:g} to {MOST:g}, and none was put at a "
        f"kink or close to one. {how_many(moderate)}",
        markdown(HEADER[:-1], map(cells, moderate)),
        *left_out(result["missing"]),
        made_with(result),
    ]
    return "\n\n".join(parts) + "\n"


def milliseconds(result: dict, record: Record) -> str:
    """The median of all its checks, where there were any."""
    for row in result["times"]:
        if (row["contender"], row["dtype"]) == (record.contender, record.dtype):
            return f"{row['milliseconds']:.1f}"
    return "-"


def left_out(missing: list[str]) -> list[str]:
    """A line on the packages that were not there."""
    if not missing:
        return []
    return [f"Left out, as they are not installed: {', '.join(missing)}."]


def made_with(result: dict) -> str:
    """The command, versions, and the load on the machine."""
    around = result["environment"]
    versions = ", ".join(dict.fromkeys(who["version"] for who in result["contenders"]))
    loads = around["load_before"], around["load_after"]
    busy = "" if None in loads else f"; load average {loads[0]} before and {loads[1]} after"
    return (
        f"`python -m benchmarks.verdicts --functions {result['functions']} "
        f"--seed {result['seed']}`: {versions}; medians of processor time; "
        f"Python {around['python']}, {around['machine']}, {around['cores']} cores{busy}."
    )


def figure(result: dict):
    """Bars of both kinds of error, in percent; what cannot be told is drawn lighter."""
    found = list(records(result))
    drawn = new_figure(9, 1.1 + 0.36 * len(found))
    left, right = drawn.subplots(1, 2, sharey=True)
    bars(left, [record.right for record in found], "wrong")
    bars(right, [record.planted for record in found], "right")
    labels = [f"{record.contender}, {record.dtype}" for record in found]
    left.set_yticks(range(len(labels)), labels, fontsize=9)
    left.invert_yaxis()
    finish(left, "right functions not called right", "% of them", "")
    finish(right, "planted errors not called wrong", "% of them", "")
    return drawn


def bars(ax, counts: list[Counter], error: str) -> None:
    """A bar for each: those called what they are not, then those of which it cannot tell."""
    begin = [0.0] * len(counts)
    for verdict, color in ((error, "#0072B2"), ("cannot tell", "#A6CEE3")):
        percent = [100 * of_one[verdict] / max(of_one.total(), 1) for of_one in counts]
        label = verdict if verdict == "cannot tell" else f"called {verdict}"
        ax.barh(range(len(counts)), percent, left=begin, color=color, height=0.6, label=label)
        begin = [a + b for a, b in zip(begin, percent, strict=True)]
    for place, end in enumerate(begin):
        ax.text(end, place, f" {end:.1f}", va="center", fontsize=9)
    ax.set_xlim(0, 1.15 * max(begin) or 1)
    ax.legend(fontsize=8)
