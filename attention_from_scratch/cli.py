"""The command line: demo, train, evaluate, recommend, attention, verify.

Exit status: 0 when it worked, 1 when a check failed, 2 with one line when something is wrong with
what was asked for, 130 when it was interrupted.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

PROGRAM = "attention-from-scratch"


class CheckFailed(Exception):
    """A check ran and did not pass."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    with careful_output(), ended_by_signals():
        options = build_parser().parse_args(arguments)
        try:
            options.run(options)
            sys.stdout.flush()
            return 0
        except (CheckFailed, FloatingPointError) as failure:
            status, message = 1, failure
        except OSError as error:
            name = f"{error.filename}: " if error.filename else ""
            status, message = 2, f"error: {name}{error.strerror or error}"
        except (ValueError, MemoryError) as error:
            status, message = 2, f"error: {str(error) or 'not enough memory for this size'}"
        except KeyboardInterrupt:
            status, message = 130, "interrupted"
        print(f"{PROGRAM} {options.command}: {message}", file=sys.stderr)
        return status


@contextlib.contextmanager
def careful_output():
    """Standard output and error that stop no command.

    What they cannot encode becomes "?", and a closed one (`>&-`) is like one that nobody reads.
    """
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                stream = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            elif hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
            redirect = getattr(contextlib, f"redirect_{name}")
            stack.enter_context(redirect(Steady(stream)))
        yield


class Steady:
    """A stream whose reader may leave, say `head`: from then on nobody reads it."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        """Write as far as somebody reads."""
        return self.attempt(self.stream.write, text)

    def flush(self):
        """Flush as far as somebody reads."""
        return self.attempt(self.stream.flush)

    def attempt(self, act, *arguments):
        """Do it; when it fails, nothing more is written, what is still buffered included."""
        try:
            return act(*arguments)
        except OSError as error:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.stream.fileno())
            if not isinstance(error, BrokenPipeError):  # a full disk, say, is the user's concern
                raise


@contextlib.contextmanager
def ended_by_signals():
    """SIGTERM and SIGHUP end a command as Ctrl-C does; what is ignored (`nohup`) stays ignored."""
    last, before = float("-inf"), {}

    def interrupt(number, frame):
        nonlocal last
        last, previous = time.monotonic(), last
        if last - previous > 1:  # `timeout` and terminals send theirs twice at once
            raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class OneLineParser(argparse.ArgumentParser):
    """argparse, but a mistake costs one line and not the whole usage."""

    def error(self, message):
        """Leave with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """All commands."""
    parser = OneLineParser(prog=PROGRAM, description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (add_options, run, summary, example) in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary, epilog=f"example: {PROGRAM} {name} {example}"
        )
        command.set_defaults(run=run)
        add_options(command.add_argument)
    return parser


def positive(text: str) -> int:
    """An integer from 1 on, of a command line; no machine has room for a size above a billion."""
    return integer(text, 1, 10**9)


def seed(text: str) -> int:
    """An integer from 0 on, of a command line."""
    return integer(text, 0, 2**64 - 1)


def integer(text: str, least: int, most: int) -> int:
    """An integer from `least` to `most`."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(
            f"was {text}, but must be an integer from {least} to {most}"
        )
    return value


def demo_options(add):
    """Options of `demo`."""
    add("--out", type=Path, default=Path("demo-output"), help="folder for the pictures")


def run_demo(options):
    """Run `demo`."""
    from attention_from_scratch.commands import runs
    from attention_from_scratch.commands.demo import demo

    with runs.folder_for_output(options.out):
        demo(options.out)


def train_options(add):
    """Options of `train`."""
    add_data(add)
    add("--model", choices=["sasrec"], default="sasrec")
    add("--loss", choices=["bce", "cross_entropy"], default="cross_entropy")
    add("--norm", choices=["pre", "paper"], default="pre", help="where the layer norms stand")
    count = {"type": positive, "metavar": "N"}
    add("--epochs", **count, default=200, help="at most (default %(default)s)")
    add("--patience", **count, default=50, help="epochs without a better validation NDCG@10")
    add("--evaluate-every", **count, default=5, help="epochs (default %(default)s)")
    add("--seed", type=seed, default=0)
    add("--max-len", **count, default=200, help="latest events looked at (default %(default)s)")
    add(
        "--count-from",
        choices=["end", "start"],
        default="end",
        help="of what is looked at, where positions are counted from (default %(default)s)",
    )
    add("--dim", **count, default=50, help="width of the model (default %(default)s)")
    add("--blocks", **count, default=2, dest="n_blocks", help="default %(default)s")
    add("--heads", **count, default=1, dest="n_heads", help="default %(default)s")
    add("--dropout", type=float, default=0.2, help="default %(default)s")
    add("--negatives", **count, default=1, dest="n_negatives", help="sampled for an event, by bce")
    add("--batch-size", **count, default=128, help="users in a step (default %(default)s)")
    add("--lr", type=float, default=1e-3, help="default %(default)s")
    add(
        "--schedule",
        choices=["constant", "cosine"],
        default="constant",
        help="cosine: lr falls to 0 over the epochs",
    )
    add(
        "--pieces",
        action="store_true",
        help="of a history longer than --max-len, learn from all of it, piece by piece",
    )
    add("--threads", **count, help="default: all cores; the result is the same on any number")
    add("--processes", **count, default=1, help="in place of threads (Linux): the same, sooner")
    add("--out", type=Path, help="folder for the run (default runs/DATA-LOSS-seedN)")
    add("--overwrite", action="store_true", help="replace a model that is there")
    add(
        "--fast", action="store_true", help="the fast ops: the same to rounding and dropout's draws"
    )


def run_train(options):
    """Fit a model; write it with its catalogue, its curves and its test figures."""
    from attention_from_scratch.commands import runs

    runs.train(options)


def evaluate_options(add):
    """Options of `evaluate`."""
    add_run(add)
    add_data(add)
    add("--protocol", choices=list(PROTOCOLS), default="whole", help="what it is ranked among")
    add("--include-seen", action="store_true", help="whole: rank what the user has had as well")
    add("-k", type=positive, default=10)


def run_evaluate(options):
    """Rank every user's last event and print the metrics."""
    from attention_from_scratch import evaluation
    from attention_from_scratch.commands import runs

    model, catalogue = runs.load(options.run_folder)
    split = runs.read_like(options.data, options.columns, catalogue, options.run_folder)
    result = evaluation.evaluate(
        model.scores,
        split.test_histories,
        split.test,
        k=min(options.k, model.n_items),
        protocol=PROTOCOLS[options.protocol](evaluation, split, not options.include_seen),
        progress=sys.stderr.isatty(),
    )
    print(runs.describe_metrics(result))


PROTOCOLS = {
    "whole": lambda e, split, exclude_seen: e.whole_catalogue(exclude_seen=exclude_seen),
    "negatives": lambda e, split, _: e.sampled_negatives(variant="strict"),
    "paper-negatives": lambda e, split, _: e.sampled_negatives(
        variant="paper", train_histories=split.train
    ),
}


def recommend_options(add):
    """Options of `recommend`."""
    add_run(add)
    add_history(add)
    add("-k", type=positive, default=10)
    add("--include-seen", action="store_true", help="items of the history may come again")


def run_recommend(options):
    """Print the history and what should come next."""
    from attention_from_scratch.commands import runs

    model, catalogue = runs.load(options.run_folder)
    history = runs.history_of(options.history, catalogue)
    k = min(options.k, model.n_items)
    (ids,), (scores,) = model.recommend([history], k, exclude_seen=not options.include_seen)
    if not history.size:
        print("no history: the items most often met in training")
    for item in history:
        print(f"after  {describe_item(catalogue, item)}")
    print(f"{'rank':>4}  {'score':>7}  item")
    for rank, (item, score) in enumerate(zip(ids, scores, strict=True), 1):
        if item:
            print(f"{rank:4}  {score:7.3f}  {describe_item(catalogue, item)}")


def describe_item(catalogue, item) -> str:
    """The label, and the title where the data had one."""
    label, title = catalogue.items[item], catalogue.names[item]
    return label if title == label else f"{label:>6}  {title}"


def attention_options(add):
    """Options of `attention`."""
    add_run(add)
    add_history(add)
    add("--out", type=Path, default=Path("attention.png"), help=".png, .svg or .pdf")


def run_attention(options):
    """Draw the weights of every block and head."""
    from attention_from_scratch import plot
    from attention_from_scratch.commands import runs

    model, catalogue = runs.load(options.run_folder)
    history = runs.history_of(options.history, catalogue)
    weights = model.attention_weights(history)
    names = [catalogue.names[item] for item in history[-weights.shape[-1] :]]
    print(plot.save(plot.attention_heads(weights, names), options.out))


def verify_options(add):
    """Options of `verify`."""
    add("--op", metavar="NAME", help="only this op or model")
    add("--dtype", choices=["float64", "float32"], help="default float64")
    add("--framework", choices=["torch", "jax", "keras", "all"], help="compare with it")
    add("--npz", type=Path, metavar="DUMP", help="compare with what other code wrote")
    add("--json", type=Path, metavar="FILE", help="write every row to this file as well")


def run_verify(options):
    """Check every gradient, by numerical derivatives, against frameworks or against a dump."""
    from attention_from_scratch.proofs import checks

    noun, dtype = "rows", options.dtype or "float64"
    if options.json is not None:
        checks.check_json(options.json)
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
        checks.write_json(options.json, records)
    failed = [record for record in records if not record["passed"]]
    print(f"{len(records) - len(failed)} of {len(records)} {noun} passed")
    if failed:
        reports = [record["report"] for record in failed if "report" in record]
        raise CheckFailed("\n".join(["some gradients are wrong", *dict.fromkeys(reports)]))


def add_run(add):
    """The folder of a run, which several commands take."""
    add("run_folder", type=Path, metavar="DIR", help="folder that train wrote")


def add_data(add):
    """A file of events, which several commands take."""
    add("--data", type=Path, required=True, help=".inter, u.data, ratings.dat, user-item text, CSV")
    add("--columns", metavar="USER,ITEM[,TIME]", help="names of the columns of a CSV")


def add_history(add):
    """A history, which several commands take."""
    add("--history", required=True, help='items as in the data, oldest first: 50,172,"one, two"')


COMMANDS = {
    "demo": (
        demo_options,
        run_demo,
        "The worked example, and a recommender trained and looked at.",
        "--out demo-output",
    ),
    "train": (
        train_options,
        run_train,
        "Train a recommender on a file of events.",
        "--data ml-100k.inter --loss cross_entropy --out runs/ml-100k",
    ),
    "evaluate": (
        evaluate_options,
        run_evaluate,
        "Rank each user's last event.",
        "runs/ml-100k --data ml-100k.inter",
    ),
    "recommend": (
        recommend_options,
        run_recommend,
        "What comes next after a history.",
        'runs/ml-100k --history "1,2,3,4,5" -k 10',
    ),
    "attention": (
        attention_options,
        run_attention,
        "Draw who attends to whom in a history.",
        'runs/ml-100k --history "1,2,3,4,5" --out attention.png',
    ),
    "verify": (
        verify_options,
        run_verify,
        "Check every gradient: numerically, against a framework, or a dump.",
        "--framework torch --op softmax",
    ),
}
