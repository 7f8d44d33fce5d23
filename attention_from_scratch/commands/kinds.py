"""The models that the shell has, by the words for them, and what each is told there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from attention_from_scratch.commands.options import Option, options_of, options_of_fit
from attention_from_scratch.models import (
    BPR,
    ContentBased,
    ItemKNN,
    MarkovChain,
    MostPopular,
    Pipeline,
    RecentlyPopular,
    Recommender,
    SASRec,
    UserKNN,
    gru4rec,
)
from attention_from_scratch.models.trained import TrainedRecommender
from attention_from_scratch.training import Adam
from attention_from_scratch.training.forks.crew import check_processes
from attention_from_scratch.training.loop import check_settings

# Where the shell's defaults are not those of the classes: a file of events has long histories.
DEFAULTS = {name: {"max_len": 200} for name in ("sasrec", "gru4rec", "pipeline")}
DEFAULTS_OF_FIT = {"epochs": 200}


@dataclass(frozen=True)
class Kind:
    """A model of the shell.

    Attributes
    ----------
    name : str
        The word for it.
    model : class
        Its settings, and what its `fit` takes, say what the options are.
    maker : callable or None
        n_items, **settings -> model; None: the class.
    title : str
        What to call it in a table; "": as the class.
    only : names of settings, or None for all
        Those that change it.
    without : names
        Arguments of `fit` that change nothing.
    features : None, "may" or "must"
        Whether it looks at what is known of the items.
    """

    name: str
    model: type[Recommender]
    maker: Callable | None = None
    title: str = ""
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    features: str | None = None

    @property
    def called(self) -> str:
        """What to call it in a table."""
        return self.title or self.model.__name__

    @property
    def is_trained(self) -> bool:
        """Whether it learns by gradient descent, from a seed and for some time."""
        return issubclass(self.model, TrainedRecommender)

    @cached_property
    def settings(self) -> list[Option]:
        """The options that the model is told."""
        options = options_of(self.model.Settings, DEFAULTS.get(self.name, {}))
        return [one for one in options if self.only is None or one.name in self.only]

    @cached_property
    def fit(self) -> list[Option]:
        """The options that the training of the model is told."""
        if not self.is_trained:
            return []
        return options_of_fit(self.model, DEFAULTS_OF_FIT, self.without)

    @property
    def flags(self) -> list[str]:
        """All words that belong to it."""
        flags = [flag for option in (*self.settings, *self.fit) for flag in option.flags]
        return flags + ["--features"] * bool(self.features)

    def make(self, n_items: int, settings: dict, features=None) -> Recommender:
        """A model that has learnt nothing yet."""
        known = {"features": features} if self.features else {}
        return (self.maker or self.model)(n_items, **known, **settings)

    def check(self, settings: dict, fit: dict) -> None:
        """Raise for what cannot be, before hours of work that it would spoil."""
        self.model.Settings(1, **settings)
        if self.is_trained:
            names = ("epochs", "evaluate_every", "patience", "clip", "schedule")
            check_settings(**{name: fit[name] for name in names})
            Adam({}, lr=fit["lr"], weight_decay=fit["weight_decay"])
            check_processes(fit["processes"] or 1)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("sasrec", SASRec),
        Kind(
            "gru4rec",
            Pipeline,
            gru4rec,
            title="GRU4Rec",
            only=("max_len", "dim", "dropout", "seed", "ops"),
        ),
        Kind("pipeline", Pipeline, features="may"),
        Kind(
            "bpr",
            BPR,
            only=("seed", "dim", "regularization"),  # it computes the same with either ops
            without=("pool", "pieces"),
        ),
        Kind("item-knn", ItemKNN),
        Kind("user-knn", UserKNN),
        Kind("markov", MarkovChain),
        Kind("popular", MostPopular),
        Kind("recently-popular", RecentlyPopular),
        Kind("content-based", ContentBased, features="must"),
    )
}


def elsewhere(kind: Kind) -> dict[str, str]:
    """What to say of words of other models only: {"--heads": "of sasrec, not of bpr"}."""
    owners: dict[str, list[str]] = {}
    for other in KINDS.values():
        for flag in set(other.flags) - set(kind.flags):
            owners.setdefault(flag, []).append(other.name)
    return {flag: f"of {listed(names)}, not of {kind.name}" for flag, names in owners.items()}


def listed(names: list[str]) -> str:
    """Names as a sentence has them: "one, two and three"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
