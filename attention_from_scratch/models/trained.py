"""What every model that learns by gradient descent shares: fit, scores, save, load."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models.explanation import Explanation, explain
from attention_from_scratch.models.recommender import Histories, Recommender, check_histories
from attention_from_scratch.models.settings import check_context, check_validation, check_wanted
from attention_from_scratch.training import Adam, load_model, pad, save_model, stream, train
from attention_from_scratch.training.checks import check_integer
from attention_from_scratch.training.loop import measured
from attention_from_scratch.tree import Tree, tree_leaves

N_SHARDS = 8  # of a batch; fixed, so that the number of threads does not change the sums
SCORING_BATCH = 128

Context = Mapping[str, Sequence[np.ndarray]]  # name -> one array a user, parallel to the histories


class TrainedRecommender(Recommender):
    """Base class of models that `train` trains.

    A subclass has a `KIND` (what its files say they hold), a `config` (what its constructor takes)
    and four functions: `initial_params`, `batches`, `loss` and `batch_scores`.

    Attributes
    ----------
    params : tree of arrays, or None before `fit`
    history : list of dicts
        Loss, metrics and seconds of each epoch of the last `fit`.
    best_epoch, interrupted, diverged : int, bool, bool
        How that went, as in `Training`.
    """

    KIND: str

    def __init__(self, config: dict):
        self.config = config
        self.n_items = config["n_items"]
        self.params: Tree = None
        self.item_counts = np.zeros(self.n_items + 1, np.int64)
        self.history: list[dict] = []
        self.best_epoch = 0
        self.interrupted = self.diverged = False

    # --- what a subclass provides

    def initial_params(self) -> Tree:
        """Fresh parameters, drawn from the seed."""
        raise NotImplementedError

    def batches(self, sequences, batch_size, epoch, *, context, wanted, pool, pieces):
        """Batches of one epoch, as `train` wants them; their order is drawn anew each time."""
        raise NotImplementedError

    def loss(self, params, shard, *, rng, total):
        """Loss of a shard of a batch, as `train` wants it."""
        raise NotImplementedError

    def batch_scores(self, params, item_counts, ids, context) -> np.ndarray:
        """Score of every item after the last event: ids, and each context, (B, L) -> (B, V + 1)."""
        raise NotImplementedError

    @property
    def constants(self) -> dict:
        """What the constructor takes besides `config`: trees of arrays that are not trained."""
        return {}

    def padded(self, sequences) -> np.ndarray:
        """Sequences as a table of integers, as wide as the longest, 0 before the first event."""
        return pad(sequences, self.config["max_len"])

    # --- what it gets for that

    def fit(
        self,
        histories: Histories,
        *,
        epochs: int,
        context: Context | None = None,
        wanted: Sequence[np.ndarray] | None = None,
        validation: np.ndarray | None = None,
        metric: str = "NDCG@10",
        protocol: Callable | None = None,
        evaluate_every: int = 5,
        patience: int | None = 50,
        batch_size: int = 128,
        pool: int = 1,
        pieces: bool = False,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.0,
        clip: float | None = None,
        schedule: str = "constant",
        threads: int | None = None,
        processes: int = 1,
        progress: bool | None = None,
    ) -> "TrainedRecommender":
        """Train from fresh parameters; keep those of the best epoch.

        If it fails, or is interrupted in the first epoch, the model stays as it was.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
            Users with fewer than two events teach nothing and are passed over.
        context : name -> one sequence of integers per user, parallel to the histories
            What else is known of each event; the names are those of the model's `context`.
        wanted : one sequence of booleans per user, parallel to the histories, or None
            Which events the model should learn to predict; None: all.
        validation : (users,) of item ids, or None
            The event after each history (0: none), for choosing the epoch by `metric` and for
            stopping after `patience` epochs without a better one.
        protocol : of `evaluation`, or None
            How the validation event is ranked; None: in the whole catalogue, seen items left out.
        batch_size : int
            Users in a step; pieces, with `pieces`; and cuts or events where a model learns from
            these.
        pool : int
            The users of so many batches are sorted by length before they are cut into batches, so
            that less padding is computed: faster, but users of like length meet in a step, and an
            event of a short history weighs more than one of a long history.
        pieces : bool
            False: of each history, the last max_len predictions are learned. True: all of them, in
            pieces of max_len, each of which counts as a user and does not see the events before it.
            (Nothing changes for a model that learns from single events or from cuts of histories.)
        lr, betas, weight_decay, clip
            Of `Adam` and `clip_gradients`.
        schedule : "constant" or "cosine"
            Whether lr stays, or falls along a half wave to 0 over the epochs.
        processes : int
            More than 1: so many processes compute each step, in place of threads; the result is the
            same, and small steps are faster. On Linux only: they are forks.
        epochs, evaluate_every, threads, progress
            As in `train`.
        """
        histories = check_histories(histories, self.n_items)
        context = check_context(context, self.config.get("context", {}), histories)
        wanted = check_wanted(wanted, histories)
        users = [user for user, history in enumerate(histories) if len(history) > 1]
        if not users:
            raise ValueError("no history has two events: there is nothing to learn from")
        params = self.initial_params()
        item_counts = np.bincount(np.concatenate(histories), minlength=self.n_items + 1)
        validate = None
        if validation is not None:
            validation = check_validation(validation, len(histories), self.n_items)
            settings = {"protocol": protocol, "context": context}
            validate = self.validator(item_counts, histories, validation, metric, settings)
            # One user first: what cannot be measured should not cost the epochs before it is.
            one = np.where(np.arange(len(validation)) == validation.nonzero()[0][0], validation, 0)
            measured(partial(validate, targets=one), params, metric, epoch=0)
        batches = partial(
            self.batches,
            [histories[user] for user in users],
            check_integer("batch_size", batch_size, 1),
            context={name: [column[user] for user in users] for name, column in context.items()},
            wanted=None if wanted is None else [wanted[user] for user in users],
            pool=check_integer("pool", pool, 1),
            pieces=bool(pieces),
        )
        result = train(
            self.loss,
            params,
            batches,
            Adam(params, lr=lr, betas=betas, weight_decay=weight_decay),
            epochs=epochs,
            evaluate=validate,
            metric=metric,
            evaluate_every=evaluate_every,
            patience=patience,
            clip=clip,
            schedule=schedule,
            seed=self.config["seed"],
            threads=threads,
            processes=processes,
            progress=progress,
        )
        self.params, self.item_counts, self.history = result.params, item_counts, result.history
        self.best_epoch = result.best_epoch
        self.interrupted, self.diverged = result.interrupted, result.diverged
        return self

    def validator(self, item_counts, histories, validation, metric, settings):
        """What `train` asks after an epoch: params -> metrics of the validation events."""

        def validate(params, targets=validation):
            def scores(users, context=None):
                scores = self.scores_with(params, item_counts, users, context)
                if np.isnan(scores).any():
                    raise FloatingPointError("the scores became NaN")
                return scores

            return evaluate(scores, histories, targets, **settings)

        return validate

    def scores(self, histories: Histories, context: Context | None = None) -> np.ndarray:
        """Score of every item as the next event of each user.

        Parameters
        ----------
        histories : one sequence of item ids per user, oldest first
            Of a longer one than max_len the latest events count. An empty one is scored by how
            often each item occurred in training.
        context : name -> one sequence per user, as in `fit`

        Returns
        -------
        (users, V + 1), -inf in column 0

        Raises
        ------
        ValueError
            For an item that is not in 1..V, or a model that has not been fitted.
        """
        self.require_fitted()
        return self.scores_with(self.params, self.item_counts, histories, context)

    def scores_with(self, params, item_counts, histories, context=None) -> np.ndarray:
        """`scores` of a model with other parameters and counts."""
        histories = check_histories(histories, self.n_items)
        context = check_context(context, self.config.get("context", {}), histories)
        scores = np.empty((len(histories), self.n_items + 1), self.config["dtype"])
        for users in self.scoring_batches(histories):
            ids = self.padded([histories[user] for user in users])
            around = {
                name: self.padded([column[user] for user in users])
                for name, column in context.items()
            }
            scores[users] = self.batch_scores(params, item_counts, ids, around)
        scores[[len(history) == 0 for history in histories]] = np.log1p(item_counts)
        scores[:, 0] = -np.inf
        return scores

    def scoring_batches(self, histories):
        """Users of like length together: each batch is as wide as its longest history."""
        max_len = self.config["max_len"]
        order = np.argsort([min(len(history), max_len) for history in histories], kind="stable")
        return [
            order[start : start + SCORING_BATCH] for start in range(0, len(order), SCORING_BATCH)
        ]

    def explain(self, history, item: int, context=None) -> Explanation:
        """Which past events a recommendation rests on: `models.explanation.explain`."""
        return explain(self, history, item, context)

    def save(self, path: str | Path) -> None:
        """Write the model to one .npz file: to a temporary file first, then renamed."""
        self.require_fitted()
        description = {"model": self.KIND, "config": self.config, "best_epoch": self.best_epoch}
        tree = {"model": self.params, "item_counts": self.item_counts, "constants": self.constants}
        save_model(path, tree, description | {"history": self.history})

    @classmethod
    def load(cls, path: str | Path):
        """Read what `save` wrote."""
        tree, description = load_model(path)
        if description.get("model") != cls.KIND:
            raise ValueError(f"{path} holds a {description.get('model')} model, not a {cls.KIND}")
        try:
            model = cls(**description["config"], **tree.get("constants", {}))
            model.history, model.best_epoch = description["history"], description["best_epoch"]
            params, model.item_counts = tree["model"], tree["item_counts"]
        except (KeyError, TypeError):
            raise ValueError(f"{path} lacks a part of a {cls.KIND} model") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        model.params = model.fitting(params, path)
        return model

    def fitting(self, params: Tree, source) -> Tree:
        """The parameters, if they are those of such a model; or an error naming the source."""
        fresh = self.initial_params()
        given = {name: leaf.shape for name, leaf in tree_leaves(params)}
        for name, leaf in tree_leaves(fresh):
            if given.pop(name, None) != leaf.shape:
                raise ValueError(f"{source} has no {name} of shape {leaf.shape}")
        if given:
            raise ValueError(f"{source} has a {next(iter(given))}, which the model has not")
        # A part that is None (no output projection) leaves no array behind: take it from `fresh`.
        return filled(fresh, params)

    def stream(self, purpose: str, *numbers: int) -> np.random.Generator:
        """`training.stream` of the model's seed."""
        return stream(self.config["seed"], purpose, *numbers)

    def require_fitted(self) -> None:
        """Raise unless there are parameters."""
        if self.params is None:
            raise ValueError("the model has not been trained: call fit, or load a saved one")


def filled(template: Tree, tree: Tree) -> Tree:
    """`tree` with the branches that are None or empty in `template` put back."""
    if template is None:
        return None
    if isinstance(template, dict):
        tree = tree or {}
        return {name: filled(branch, tree.get(name)) for name, branch in template.items()}
    if isinstance(template, list):
        return [filled(*pair) for pair in zip(template, tree, strict=True)]
    return tree
