"""Options that several commands share, and those that follow from what a model is told."""

import argparse
import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from attention_from_scratch.settings import (
    Choice,
    Flag,
    Number,
    OrNone,
    Settings,
    Share,
    Whole,
)

LARGEST, LARGEST_SEED = 10**9, 2**64 - 1  # no machine has room for a size above a billion


def integer(text: str, least: int, most: int) -> int:
    """An integer from `least` to `most`, of a command line."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(
            f"was {text}, but must be an integer from {least} to {most}"
        )
    return value


def positive(text: str) -> int:
    """A number of something, of a command line."""
    return integer(text, 1, LARGEST)


def or_none(read: Callable) -> Callable:
    """What reads "none", or else what `read` does."""

    def read_or_none(text: str):
        if text.lower() == "none":
            return None
        try:
            return read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"was {text}, but must be a number or none") from None

    return read_or_none


def add_run(add: Callable) -> None:
    """The folder of a run."""
    add("run_folder", type=Path, metavar="DIR", help="folder that train wrote")


def add_data(add: Callable, *, required: bool = True) -> None:
    """A file of events."""
    kinds = ".inter, u.data, ratings.dat, user-item text, CSV"
    add("--data", type=Path, required=required, metavar="FILE", help=kinds)
    add("--columns", metavar="USER,ITEM[,TIME]", help="names of the columns of a CSV")


def add_features(add: Callable, *, required: bool = False) -> None:
    """A file of items."""
    kinds = "what is known of the items: .item, u.item, movies.dat, movies.csv"
    add("--features", type=Path, required=required, metavar="FILE", help=kinds)


def add_history(add: Callable, *, required: bool = True) -> None:
    """The history of one user."""
    example = 'items as in the data, oldest first: 50,172,"one, two"'
    add("--history", required=required, metavar="ITEMS", help=example)


def add_k(add: Callable) -> None:
    """The length of a list."""
    add("-k", type=positive, default=10, metavar="N", help="length of the list (default 10)")


# --- options that follow from the settings of a model, and from what its fit takes

FLAGS = {"n_blocks": "--blocks", "n_heads": "--heads", "n_negatives": "--negatives"}
NOT_AT_THE_SHELL = {
    "n_items": "the data say it",
    "context": "files of events have none that a command reads",
    "dtype": "float64 is there to prove gradients",
}


@dataclass(frozen=True)
class Option:
    """An option of the command line: the name of the argument, what it may be, what it is."""

    name: str
    may_be: Any
    says: str
    default: Any

    @property
    def flag(self) -> str:
        """The word of the option at the shell."""
        return FLAGS.get(self.name, f"--{self.name.replace('_', '-')}")

    @property
    def flags(self) -> list[str]:
        """All words of the command line that set this option."""
        if isinstance(self.kind, Flag):
            return [self.flag, f"--no-{self.flag[2:]}"]
        return [self.flag, "--fast"] if self.name == "ops" else [self.flag]

    @property
    def kind(self):
        """What the option may be, if it is not None."""
        return self.may_be.otherwise if isinstance(self.may_be, OrNone) else self.may_be

    def add_to(self, group) -> None:
        """Make it an option of a parser or a group of one; --fast excludes --ops."""
        group = group.add_mutually_exclusive_group() if self.name == "ops" else group
        add = group.add_argument
        action = add(self.flag, dest=self.name, default=self.default, **self.keywords())
        action.help = self.help()  # only now: of a flag, argparse would write a default of its own
        if self.name == "ops":
            words = {"dest": "ops", "const": "fast", "default": argparse.SUPPRESS}
            add("--fast", action="store_const", help="another word for --ops fast", **words)

    def keywords(self) -> dict:
        """How argparse reads it."""
        kind, optional = self.kind, isinstance(self.may_be, OrNone)
        if isinstance(kind, Flag):
            return {"action": argparse.BooleanOptionalAction}
        if isinstance(kind, Choice):
            return {"choices": kind.words}
        if isinstance(kind, Number | Share):
            read, metavar = float, "X"
        elif isinstance(kind, Whole):
            most = LARGEST if kind.least else LARGEST_SEED
            read, metavar = partial(integer, least=kind.least, most=most), "N"
        else:
            raise TypeError(f"{self.name} may be {self.may_be}, which no command line can say")
        return {"type": or_none(read) if optional else read, "metavar": metavar}

    def help(self) -> str:
        """What the help says of the option: what it is, and its default."""
        nothing = "neither" if isinstance(self.kind, Flag) else "none"
        said = self.says.replace("None:", f"{nothing}:").replace("%", "%%")
        if self.default is None:
            return said
        shown = ("yes" if self.default else "no") if isinstance(self.kind, Flag) else self.default
        return f"{said} (default {shown})"


def options_of(told: type[Settings], defaults: dict) -> list[Option]:
    """What a model is told, as far as the shell has it; `defaults` in place of its own."""
    return [
        Option(
            one.name,
            one.metadata["may_be"],
            one.metadata["says"],
            defaults.get(one.name, None if one.default is MISSING else one.default),
        )
        for one in fields(told)
        if one.name not in NOT_AT_THE_SHELL
    ]


OF_FIT = {
    "epochs": (Whole(), "at most"),
    "patience": (OrNone(Whole()), "epochs without a better validation NDCG@10; None: all epochs"),
    "evaluate_every": (Whole(), "epochs between validations"),
    "batch_size": (Whole(), "users in a step; events or cuts, where a model learns from these"),
    "lr": (Number(), "learning rate"),
    "schedule": (Choice(("constant", "cosine")), "cosine: lr falls to 0 over the epochs"),
    "weight_decay": (Number(above_0=False), "of matrices, by AdamW"),
    "clip": (OrNone(Number()), "largest norm of a step's gradients; None: any"),
    "pool": (Whole(), "so many batches are sorted by length before they are cut: faster"),
    "pieces": (
        Flag(),
        "of a history longer than --max-len, learn from all of it, piece by piece",
    ),
    "threads": (Whole(), "all cores, if it is not given; the result is the same on any number"),
    "processes": (
        Whole(),
        "in place of threads (Linux): the same, sooner; if it is not given: where they help",
    ),
}


def options_of_fit(model: type, defaults: dict, without: Iterable[str] = ()) -> list[Option]:
    """What the `fit` of a model takes, as far as the shell has it."""
    defaults = defaults_of_fit(model) | defaults
    return [
        Option(name, may_be, says, defaults[name])
        for name, (may_be, says) in OF_FIT.items()
        if name not in without
    ]


def defaults_of_fit(model: type) -> dict:
    """The defaults of `fit`, which may hand on to that of a base class what it does not name."""
    found: dict[str, Any] = {}
    for base in model.__mro__:
        if "fit" in vars(base):
            for one in inspect.signature(base.fit).parameters.values():
                if one.default is not one.empty:
                    found.setdefault(one.name, one.default)
    return found
