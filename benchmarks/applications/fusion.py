"""Section 7.2, fusion of what is known of items: films that are an id and genres, a year, a title.

A tenth of the films is left out of training altogether, as if they came to the catalogue later.
Every model is asked two things of each user: for the last film that was in training, and for the
last one that was left out, of which it can know nothing but the features. The features of the films
left out are handed to the models after training only: in training, a film that nobody ever meets is
a wrong answer, every time, and models learn that of its features too. (One model here is told
them in training all the same, to show what that does.)
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attention_from_scratch.data import (
    Split,
    UserField,
    leave_one_out,
    read_features,
    read_interactions,
    read_user_fields,
)
from attention_from_scratch.evaluation import (
    evaluate,
    hit_rate,
    mask_seen,
    ndcg,
    rank_targets,
)
from attention_from_scratch.models import Pipeline, Recommender
from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.popularity import MostPopular
from attention_from_scratch.networks.item_table import item_table
from attention_from_scratch.plot import save
from benchmarks.applications.fusion_page import figure, page
from benchmarks.common.machine import Clocks, made_on
from benchmarks.common.resuming import read_results, run_missing, training_of
from benchmarks.common.writing import write_text

LEFT_OUT = 0.1  # share of the films
BORDERS = (0, 10, 50, 200)  # events of a film in training: rare ones have fewer than 10
HALF_LIVES = (None, 1, 2, 3, 5, 10)  # of ContentBased; the validation event chooses
EXAMPLE = "ids-all-drop-fifth"  # the model whose vectors and recommendations are shown
NAMED = (  # if they are there, the films after which something is recommended
    ("Star Wars (1977)", "Empire Strikes Back, The (1980)", "Return of the Jedi (1983)"),
    ("Lion King, The (1994)", "Aladdin (1992)", "Beauty and the Beast (1991)"),
)


class Variant(NamedTuple):
    """What an item is made of; `half` hides the genres of half the films, `early` is told all.

    `who` is told who the user is: gender, age group, occupation, at every event.
    """

    title: str
    features: tuple[str, ...] = ()
    id_dropout: float = 0.0
    half: bool = False
    early: bool = False
    who: bool = False


ALL = ("genres", "year", "title")
VARIANTS = {
    "ids": Variant("ids"),
    "ids-genres": Variant("ids + genres", ("genres",)),
    "ids-year": Variant("ids + year", ("year",)),
    "ids-title": Variant("ids + title", ("title",)),
    "ids-all": Variant("ids + all", ALL),
    "ids-all-drop-fifth": Variant("ids + all, id dropout 0.2", ALL, 0.2),
    "ids-all-drop-half": Variant("ids + all, id dropout 0.5", ALL, 0.5),
    "features": Variant("all, no ids", ALL, 1.0),
    "ids-genres-half": Variant("ids + genres of half the films", ("genres",), half=True),
    "ids-all-early": Variant("ids + all, id dropout 0.2, told early", ALL, 0.2, early=True),
    "ids-who": Variant("ids, told who the user is", who=True),
}


class Questions(NamedTuple):
    """A film of each of some users: what the model sees, what is not ranked, what is asked for."""

    histories: list[np.ndarray]
    seen: list[np.ndarray]
    targets: np.ndarray
    users: np.ndarray


@dataclass(frozen=True, eq=False)
class Films:
    """What there is, and what is asked.

    Attributes
    ----------
    titles, genres : V + 1 strings
    features : name -> (V + 1, F), NaN where nothing is known
    left_out, hidden : bool (V + 1,)
        Who is left out of training, and whose genres a `half` variant does not know.
    split : Split
        Of the events with films that are not left out.
    known : Questions
        The last of these events of each user.
    new : Questions
        The last event of each user with a film that is left out, given those before it with films
        that are not; what a user has seen, left out or not, is not ranked.
    """

    name: str
    titles: list[str]
    genres: list[str]
    features: dict[str, np.ndarray]
    left_out: np.ndarray
    hidden: np.ndarray
    split: Split
    known: Questions
    new: Questions
    who: dict[str, UserField]

    @classmethod
    def read(cls, path: Path, users: int | None = None) -> "Films":
        """Read events, and what is known of items from the file beside them."""
        data = read_interactions(path)
        features, names = read_features(path.with_suffix(".item"), data.items)
        missing = set(ALL) - set(features)
        if missing:
            raise ValueError(f"{path.with_suffix('.item')} has no {', '.join(sorted(missing))}")
        rng = np.random.default_rng(0)
        left_out, hidden = (drawn(rng, data.n_items, share) for share in (LEFT_OUT, 0.5))
        histories = data.histories[:users]
        split = leave_one_out([history[~left_out[history]] for history in histories])
        asked = np.flatnonzero(split.test)
        before = [split.test_histories[user] for user in asked]
        return cls(
            name=path.stem,
            titles=data.titles or data.items,
            genres=[", ".join(np.array(names["genres"])[row == 1]) for row in features["genres"]],
            features=features,
            left_out=left_out,
            hidden=hidden,
            split=split,
            known=Questions(before, before, split.test[asked], asked),
            new=questions_of(histories, left_out),
            who=known_of_users(path, data.users),
        )

    @property
    def n_items(self) -> int:
        """Number of films V."""
        return len(self.titles) - 1

    def told_of(self, model: Recommender, users, histories) -> dict:
        """What else a model is told of these users: {"context": ...}, or nothing."""
        names = getattr(model, "config", {}).get("context", {})
        return {"context": {n: self.who[n].over(users, histories) for n in names}} if names else {}

    @property
    def counts(self) -> np.ndarray:
        """Events of each film in training: (V + 1,)."""
        return np.bincount(np.concatenate(self.split.train), minlength=self.n_items + 1)

    def features_of(self, variant: Variant) -> dict[str, np.ndarray]:
        """What a variant is to know of the films."""
        chosen = {name: self.features[name] for name in variant.features}
        return without(chosen, self.hidden) if variant.half else chosen


def known_of_users(path: Path, labels: list[str]) -> dict[str, UserField]:
    """What is known of users by the file of them beside the events, if there is one."""
    beside = path.with_suffix(".user")
    return read_user_fields(beside, labels) if beside.exists() else {}


def drawn(rng, n_items: int, share: float) -> np.ndarray:
    """Draw so many of the items at random: bool (V + 1,)."""
    flags = np.zeros(n_items + 1, bool)
    flags[rng.choice(np.arange(1, n_items + 1), round(share * n_items), replace=False)] = True
    return flags


def questions_of(histories: list[np.ndarray], left_out: np.ndarray) -> Questions:
    """For each user's last film that is left out, if another film came before it."""
    found = []
    for user, history in enumerate(histories):
        places = np.flatnonzero(left_out[history])
        before = history[: places[-1]] if len(places) else history[:0]
        rest = before[~left_out[before]]
        if len(rest):
            found.append((rest, before, history[places[-1]], user))
    if not found:
        raise ValueError("no user has a film that is left out after one that is not")
    rest, before, targets, users = map(list, zip(*found, strict=True))
    return Questions(rest, before, np.array(targets), np.array(users))


def without(features: dict[str, np.ndarray], items: np.ndarray) -> dict[str, np.ndarray]:
    """Features of which nothing is known for some items: NaN in their rows."""
    return {name: np.where(items[:, None], np.nan, rows) for name, rows in features.items()}


# --- the runs


def main(options: argparse.Namespace) -> str:
    """Run what is missing; the page."""
    settings = settings_of(options.quick)
    films = Films.read(options.data, settings["users"])
    settings |= {"data": films.name}
    folder = options.out / "fusion"
    folder.mkdir(parents=True, exist_ok=True)
    run_missing("fusion", jobs(films, settings, folder, options), settings, quick=options.quick)
    return write(folder)


def settings_of(quick: bool) -> dict:
    """All that a result depends on, beside variant and seed."""
    return {
        "users": 100 if quick else None,
        "left_out": LEFT_OUT,
        "model": {
            "encoder": "transformer",
            "attention": "none",
            "decoder": "dot",
            "max_len": 20 if quick else 50,
            "dim": 8 if quick else 48,
            "n_blocks": 1,
            "dropout": 0.3,
            "ops": "plain",
        },
        "fit": {"lr": 5e-3, "batch_size": 64, "evaluate_every": 2, "patience": 8}
        | {"epochs": 2 if quick else 40},
    }


def jobs(
    films: Films, settings: dict, folder: Path, options: argparse.Namespace
) -> Iterator[tuple[Path, Callable[[], dict]]]:
    """All results that there are to be: the file, and what makes it."""
    yield folder / "baselines.json", partial(run_baselines, films)
    for seed in options.seeds:
        for key in VARIANTS:
            if VARIANTS[key].who and not films.who:
                continue  # there is no file of users beside the events
            make = partial(run_variant, films, settings, key, seed, options.threads)
            yield folder / f"{key}-seed{seed}.json", make


def run_baselines(films: Films) -> dict:
    """Models without training, and what there is."""
    content, half_life = best_content(films)
    counts, asked = films.counts, films.known.targets
    n_ranked = [films.left_out.sum() - films.left_out[seen].sum() for seen in films.new.seen]
    return {
        "data": {
            "users": len(films.split.train),
            "films": films.n_items,
            "left out": int(films.left_out.sum()),
            "events in training": int(counts.sum()),
            "rare films (under 10 events)": int(((counts < 10) & ~films.left_out)[1:].sum()),
            "known films asked for": len(asked),
            "rare ones asked for": int((counts[asked] < 10).sum()),
            "films left out asked for": len(films.new.targets),
            "different ones": len(np.unique(films.new.targets)),
        },
        "chance": float(np.mean([min(10, n) / n for n in n_ranked])),
        "half_life": half_life,
        "baselines": [
            {"title": title, "test": measured(model, films)}
            for title, model in (
                ("most popular", MostPopular(films.n_items).fit(films.split.train)),
                ("content-based", content),
            )
        ],
    }


def best_content(films: Films) -> tuple[ContentBased, float | None]:
    """`ContentBased` with the half-life that the validation event chooses."""

    def quality(model):
        return evaluate(model.scores, films.split.train, films.split.validation)["NDCG@10"]

    models = [
        ContentBased(films.n_items, films.features, half_life).fit(films.split.train)
        for half_life in HALF_LIVES
    ]
    best = max(models, key=quality)
    return best, best.settings.half_life


def run_variant(films: Films, settings: dict, key: str, seed: int, threads: int) -> dict:
    """Train one model; the questions are asked once, at the end."""
    clocks = Clocks()
    model = train(films, VARIANTS[key], settings, seed, threads)
    spent = clocks.read()
    return {
        "variant": key,
        "title": VARIANTS[key].title,
        "seed": seed,
        **training_of(model),
        **spent,
        "threads": threads,
        **made_on(),
        "test": measured(model, films),
        "example": example(model, films) if key == EXAMPLE else None,
    }


def train(films: Films, variant: Variant, settings: dict, seed: int, threads: int) -> Pipeline:
    """A model that learns without the films left out, and is then told their features."""
    features = films.features_of(variant)
    model = Pipeline(
        films.n_items,
        features=features if variant.early else without(features, films.left_out),
        id_dropout=variant.id_dropout,
        context={n: len(f.names) - 1 for n, f in films.who.items()} if variant.who else None,
        seed=seed,
        **settings["model"],
    )
    train = films.split.train
    model.fit(
        train,
        **films.told_of(model, range(len(train)), train),
        validation=films.split.validation,
        threads=threads,
        progress=False,
        **settings["fit"],
    )
    return model.with_features(features) if features else model


# --- what is measured


def measured(model: Recommender, films: Films) -> dict:
    """The answers to all questions."""
    known = scores_of(model, films, films.known)
    counts = films.counts[films.known.targets]
    events = np.digitize(counts, BORDERS) - 1
    new = scores_of(model, films, films.new)
    among = np.where(films.left_out, new, -np.inf)
    hidden = films.hidden[films.new.targets]
    return {
        "known": ranked(known, films.known.targets) | {"hits": hits_of(known, films.known.targets)},
        "by_events": [
            {"from": border} | ranked(known[events == place], films.known.targets[events == place])
            for place, border in enumerate(BORDERS)
        ],
        "new": ranked(new, films.new.targets),
        "new_among_new": ranked(among, films.new.targets),
        "new_genres_kept": ranked(among[~hidden], films.new.targets[~hidden]),
        "new_genres_hidden": ranked(among[hidden], films.new.targets[hidden]),
    }


def scores_of(model: Recommender, films: Films, asked: Questions) -> np.ndarray:
    """The score of every film for each question; what the user has seen is not ranked."""
    told = films.told_of(model, asked.users, asked.histories)
    return mask_seen(model.scores(asked.histories, **told), asked.seen)


def ranked(scores: np.ndarray, targets: np.ndarray) -> dict:
    """Means over the questions.

    `above` is the share of the other candidates ranked above; `error` the standard error of the hit
    rate if other films were asked for: questions for the same film are answered alike, so what
    counts is how the sums over each film's questions differ.
    """
    if not len(targets):
        return {"asked": 0, "HR@10": None, "error": None, "NDCG@10": None, "above": None}
    ranks = rank_targets(scores, targets)
    others = np.count_nonzero(scores > -np.inf, axis=1) - 1
    above = (ranks.better + ranks.tied / 2) / np.maximum(others, 1)
    hits = hit_rate(ranks, 10)
    by_film = np.bincount(targets, hits - hits.mean())
    return {
        "asked": len(targets),
        "HR@10": float(hits.mean()),
        "error": float(np.sqrt(by_film @ by_film) / len(targets)),
        "NDCG@10": float(ndcg(ranks, 10).mean()),
        "above": float(above.mean()),
    }


def hits_of(scores: np.ndarray, targets: np.ndarray) -> str:
    """A digit for each question: 1 where the film is among the first ten."""
    hits = hit_rate(rank_targets(scores, targets), 10)
    return "".join("01"[int(hit >= 0.5)] for hit in hits)


# --- something to look at


def example(model: Pipeline, films: Films) -> dict:
    """The neighbours of a film that was left out; what is recommended after three films."""
    histories = [named_films(films, titles) for titles in NAMED]
    return {
        "neighbours": neighbours(model, films),
        "after": [recommended(model, films, history) for history in histories],
    }


def neighbours(model: Pipeline, films: Films, k: int = 6) -> dict:
    """The films with the most similar vectors to that of the film asked for most."""
    keep = model.item_counts > 0
    table, _ = item_table(model.params["items"], model.features, keep=keep)
    film = np.bincount(films.new.targets).argmax()
    lengths = np.linalg.norm(table, axis=1)
    cosine = table @ table[film] / np.where(lengths > 0, lengths * lengths[film], np.inf)
    cosine[~keep] = -np.inf
    return shown(films, film) | {
        "neighbours": [
            shown(films, other) | {"cosine": round(float(cosine[other]), 3)}
            for other in np.argsort(-cosine)[:k]
        ],
    }


def named_films(films: Films, titles: tuple[str, ...]) -> np.ndarray:
    """The films of these titles that are in training; if there are not any, the commonest three."""
    wanted = [films.titles.index(title) for title in titles if title in films.titles]
    found = [film for film in wanted if films.counts[film]]
    return np.array(found or np.argsort(-films.counts)[:3], np.int64)


def recommended(model: Pipeline, films: Films, history: np.ndarray, k: int = 6) -> dict:
    """The films that are recommended first after a history, of those left out of training."""
    (scores,) = model.scores([history])
    scores = np.where(films.left_out, scores, -np.inf)
    return {
        "history": [films.titles[film] for film in history],
        "recommended": [shown(films, film) for film in np.argsort(-scores)[:k]],
    }


def shown(films: Films, film: int) -> dict:
    """What a reader is told of a film."""
    return {"film": films.titles[film], "genres": films.genres[film]}


def write(folder: Path) -> str:
    """Page and figure beside the folder, from the files in it; returns the page."""
    results = read_results(folder)
    text = page(results, list(VARIANTS))
    target = folder.with_suffix(".md")
    write_text(target, text)
    save(figure(results, list(VARIANTS)), target.with_suffix(".png"), dpi=120)
    return text
