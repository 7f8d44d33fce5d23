"""What every recommender here offers: scores, recommendations, explanations, a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from attention_from_scratch.arguments import check_histories
from attention_from_scratch.evaluation import mask_seen, top_k
from attention_from_scratch.explain import Explanation, explain
from attention_from_scratch.settings import Settings, documented, signature_of
from attention_from_scratch.training import load_model, save_model
from attention_from_scratch.tree import Tree

Histories = Sequence[Sequence[int] | np.ndarray]


class Recommender:
    """Base class: a subclass has `n_items` and `scores(histories) -> (users, V + 1)`.

    One that can be saved also has a `KIND` (what its files say they hold), `Settings` (what its
    constructor takes), and `state` and `restore`.

    Attributes
    ----------
    settings : Settings
    n_items : int
    max_len : int or None
        How many of the latest events are looked at; None: all.
    kinds : name -> int
        What is to be known of each event besides the item, and of how many kinds: the `context`.
    gives_logits : bool
        Whether a softmax turns the scores into probabilities; of a model that counts it does not.
    ranks_only : bool
        Whether it was trained to set items in order, so that these probabilities say what stands
        high, not how likely it is.
    """

    KIND: str
    Settings: type[Settings] = Settings

    settings: Settings
    n_items: int
    max_len: int | None = None
    kinds: Mapping[str, int] = {}
    gives_logits: bool = False
    ranks_only: bool = False

    def __init_subclass__(cls):
        """Let the constructor and its documentation follow from the settings."""
        if {"Settings", "__init__"} & set(cls.__dict__):
            cls.__signature__ = signature_of(cls.__init__, cls.Settings)
        if "Settings" in cls.__dict__ and cls.__doc__:
            cls.__doc__ = f"{cls.__doc__.rstrip()}\n\n{documented(cls.Settings)}\n"

    def scores(self, histories: Histories) -> np.ndarray:
        """Score of every item as the next event of each user; -inf in column 0."""
        raise NotImplementedError

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool = True, **known
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k items with the highest scores, best first.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
        k : int
        exclude_seen : bool
            Leave out what is in the history.
        **known
            What else `scores` takes, such as the `context` of a model that was made for one.

        Returns
        -------
        ids : (users, k) of int64
            0 where fewer than k items can be recommended.
        scores : (users, k)
            -inf where the id is 0.
        """
        if k < 1:
            raise ValueError(f"k was {k}, but must be at least 1")
        histories = check_histories(histories, self.n_items)
        scores = self.scores(histories, **known)
        if exclude_seen:
            scores = mask_seen(scores, histories)
        ids = top_k(scores, k)
        return ids, np.take_along_axis(scores, ids, axis=1)

    @property
    def called(self) -> str:
        """What the model is, at the beginning of a sentence: "a markov model"."""
        kind = getattr(self, "KIND", type(self).__name__)
        return f"{'an' if kind[0] in 'aei' else 'a'} {kind} model"

    # --- what a recommendation rests on

    def attention_weights(self, history, context: Mapping | None = None) -> np.ndarray:
        """Who attends to whom in one history: (n_maps, n_heads, L, L); raise if nobody does."""
        raise ValueError(
            f"{self.called} compares no event with another: it has no attention to show"
        )

    def attention_shares(self, history: np.ndarray, context: Mapping) -> np.ndarray | None:
        """The share of each event in what the answer is read from; None if no weights say it.

        The history is no longer than what the model looks at.
        """
        return None

    def explain(self, history, item: int, context=None) -> Explanation:
        """Which past events a recommendation rests on: `attention_from_scratch.explain`.

        Raises
        ------
        ValueError
            For what `explain` refuses, and for a model whose scores are no logits.
        """
        if not self.gives_logits:
            raise ValueError(
                f"{self.called} counts: its scores are no logits, so there is no probability that "
                "an event could add to"
            )
        return explain(self, history, item, context)

    # --- files

    @property
    def config(self) -> dict:
        """The settings as a dict, which is how a file holds them."""
        return self.settings.as_dict()

    def save(self, path: str | Path) -> None:
        """Write the model to one .npz file: to a temporary file first, then renamed."""
        if Path(path).suffix.lower() == ".safetensors":
            raise ValueError(f"path was {path}, but only a SASRec can be saved as safetensors")
        tree, description = self.state()
        save_model(path, tree, {"model": self.KIND, "config": self.config} | description)

    @classmethod
    def load(cls, path: str | Path):
        """Read a model from a file that `save` wrote.

        Raises
        ------
        FileNotFoundError
        ValueError
            If the file holds something else, or another model.
        """
        return cls.from_file(path, *load_model(path))

    @classmethod
    def from_file(cls, path: str | Path, tree: Tree, description: dict):
        """The model that a file holds, from its arrays and description; errors name the path."""
        if description.get("model") != cls.KIND:
            raise ValueError(f"{path} holds a {description.get('model')} model, not a {cls.KIND}")
        try:
            config = cls.settings_of_file(description["config"], description.get("format", 1))
            model = cls(**config, **tree.get("constants", {}))
            model.restore(tree, description, path)
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"{path} lacks a part of a {cls.KIND} model") from None
        except ValueError as error:
            told = str(error)
            raise ValueError(told if told.startswith(str(path)) else f"{path}: {told}") from None
        return model

    @classmethod
    def settings_of_file(cls, config: dict, number: int) -> dict:
        """What the constructor takes, given the settings in a file of format `number`."""
        return config

    def state(self) -> tuple[Tree, dict]:
        """What was learned, as a tree of arrays and a description; raise if nothing was."""
        raise ValueError(f"a {type(self).__name__} cannot be saved: it says nothing of its state")

    def restore(self, tree: Tree, description: dict, path) -> None:
        """Take up what `state` gave; raise if it is not of such a model, naming the path."""
        raise ValueError(f"a {type(self).__name__} cannot be loaded")
