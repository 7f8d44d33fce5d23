"""What every model that learns by gradient descent shares: fit, scores, save, load."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial

import numpy as np

from attention_from_scratch import fast as fast_ops
from attention_from_scratch import ops as plain_ops
from attention_from_scratch.arguments import check_context, check_histories, check_integer
from attention_from_scratch.evaluation import evaluate
from attention_from_scratch.models.checks import check_counts, check_validation, check_wanted
from attention_from_scratch.models.recommender import Histories, Recommender
from attention_from_scratch.rows import Rows, is_large, places
from attention_from_scratch.settings import Choice, Dtype, Settings, Whole, option
from attention_from_scratch.training import Adam, pad, shard_pool, stream, train
from attention_from_scratch.training.forks.choice import processes_that_help
from attention_from_scratch.training.loop import measured
from attention_from_scratch.tree import Tree, rebuild, tree_leaves

SCORING_BATCH = 128
OPS = {"fast": fast_ops, "plain": plain_ops}

Context = Mapping[str, Sequence[np.ndarray]]  # name -> one array a user, parallel to the histories


@dataclass(frozen=True)
class TrainedSettings(Settings):
    """The settings of every model that learns by gradient descent."""

    n_items: int = option(may_be=Whole(), says="V; items are 1..V")
    _: KW_ONLY
    seed: int = option(0, Whole(0), "of the initial parameters and of all draws in training")
    dtype: str = option("float32", Dtype(), "of the parameters")
    ops: str = option(
        "fast",
        Choice(tuple(OPS)),
        "what it computes with; plain: the ops that are there to be read",
    )


class TrainedRecommender(Recommender):
    """Base class of models that `train` trains.

    A subclass has a `KIND` (what its files say they hold), `Settings` (what its constructor takes)
    and four functions: `initial_params`, `batches`, `loss` and `batch_scores`.

    Attributes
    ----------
    params : tree of arrays, or None before `fit`
    history : list of dicts
        Loss, metrics and seconds of each epoch of the last `fit`.
    best_epoch, interrupted, diverged : int, bool, bool
        How that went, as in `Training`.
    """

    Settings = TrainedSettings
    gives_logits = True

    def __init__(self, *args, fast: bool | None = None, **settings):
        if fast is not None:  # another way to say `ops`
            said = settings.setdefault("ops", "fast" if fast else "plain")
            if said != ("fast" if fast else "plain"):
                raise ValueError(f"fast was {fast!r}, but ops was {said!r}: say one of them")
        self.settings = self.Settings(*args, **settings)
        self.n_items = self.settings.n_items
        self.max_len = getattr(self.settings, "max_len", None)
        self.params: Tree = None
        self.item_counts = np.zeros(self.n_items + 1, np.int64)
        self.history: list[dict] = []  # of the training, a dict an epoch; not of a user
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
        """What the constructor takes besides the settings: trees of arrays that are not trained."""
        return {}

    def padded(self, sequences) -> np.ndarray:
        """Sequences as a table of integers, as wide as the longest, 0 before the first event."""
        return pad(sequences, self.max_len)

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
        processes: int | None = None,
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
            As in `Adam` and `clip_gradients`.
        schedule : "constant" or "cosine"
            Whether lr stays, or falls along a half wave to 0 over the epochs.
        processes : int or None
            More than 1: so many processes compute each step, in place of threads; the result is the
            same, and small steps are faster. On Linux only: they are forks. None: where they help,
            as `processes_that_help` says.
        epochs, evaluate_every, threads, progress
            As in `train`.
        """
        histories = check_histories(histories, self.n_items)
        context = check_context(context, self.kinds, histories)
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
        if processes is None:  # who asks for threads gets threads
            n_events = check_integer("epochs", epochs, 1) * self.n_looked_at(histories, pieces)
            n_shards = self.shards["n_shards"]
            processes = processes_that_help(n_events, n_shards) if threads is None else 1
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
            seed=self.settings.seed,
            threads=threads,
            processes=processes,
            progress=progress,
        )
        self.params, self.item_counts, self.history = result.params, item_counts, result.history
        self.best_epoch = result.best_epoch
        self.interrupted, self.diverged = result.interrupted, result.diverged
        return self

    def validator(self, item_counts, histories, validation, metric, settings):
        """A function for `train` to evaluate by: params -> metrics of the validation events."""

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
        """The scores that a model with these parameters and counts would give, (users, V + 1)."""
        histories = check_histories(histories, self.n_items)
        context = check_context(context, self.kinds, histories)
        scores = np.empty((len(histories), self.n_items + 1), self.settings.dtype)
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
        """Users in batches, those of like length of history together, so that little is padded."""
        lengths = np.array([len(history) for history in histories], int)
        looked_at = lengths if self.max_len is None else np.minimum(lengths, self.max_len)
        order = np.argsort(looked_at, kind="stable")
        return [
            order[start : start + SCORING_BATCH] for start in range(0, len(order), SCORING_BATCH)
        ]

    def state(self) -> tuple[Tree, dict]:
        """Parameters, counts and constants as a tree; and how the training went."""
        self.require_fitted()
        tree = {"model": self.params, "item_counts": self.item_counts, "constants": self.constants}
        return tree, {"best_epoch": self.best_epoch, "history": self.history}

    def restore(self, tree: Tree, description: dict, path) -> None:
        """Take up what `state` gave; raise if the parameters are not those of such a model."""
        self.history, self.best_epoch = description["history"], description["best_epoch"]
        self.item_counts = check_counts(tree["item_counts"], self.n_items)
        self.params = self.fitting(tree["model"], path)

    @classmethod
    def settings_of_file(cls, config: dict, number: int) -> dict:
        """What the constructor takes, where a file of format 1 without `fast` means plain ops."""
        return {"fast": False} | config if number == 1 else config

    def fitting(self, params: Tree, source) -> Tree:
        """The parameters, if they are those of such a model; or an error naming the source."""
        fresh = self.initial_params()
        given = dict(tree_leaves(params))
        for name, leaf in tree_leaves(fresh):
            found = given.pop(name, None)
            if np.shape(found) != leaf.shape or found is None:
                raise ValueError(f"{source} has no {name} of shape {leaf.shape}")
            if found.dtype != leaf.dtype:
                raise ValueError(f"{source} has {name} in {found.dtype}, but must be {leaf.dtype}")
        if given:
            raise ValueError(f"{source} has a {next(iter(given))}, which the model has not")
        # A part that is None (no output projection) leaves no array behind: it comes from `fresh`.
        return rebuild(fresh, dict(tree_leaves(params)))

    def stream(self, purpose: str, *numbers: int) -> np.random.Generator:
        """The random numbers of the model's seed for one purpose, by `training.stream`."""
        return stream(self.settings.seed, purpose, *numbers)

    def require_fitted(self) -> None:
        """Raise unless the model has been trained or loaded, so that there are parameters."""
        if self.params is None:
            raise ValueError("the model has not been trained: call fit, or load a saved one")

    # --- what is there for speed alone, and changes nothing but the rounding

    @property
    def ops(self):
        """The module that the model computes with: the fast ops, or the plain ones."""
        return OPS[self.settings.ops]

    @property
    def shards(self) -> dict[str, int]:
        """How a batch is cut: into how many shards at most, and of how many events at least."""
        return SHARDS[self.settings.ops]

    def n_looked_at(self, histories: Histories, pieces: bool) -> int:
        """How many events an epoch looks at: of a history all, or only the last max_len."""
        most = None if pieces else self.max_len
        return sum(len(history[-most:] if most else history) for history in histories)

    def by_few_items(self, loss, params: Tree, *ids: np.ndarray, total: int, **settings):
        """`loss(params, *ids)`, by way of the items that occur in ids, where they are few.

        They are numbered anew, in their order, and their gradient comes as `Rows`. Where a batch
        meets few of a large catalogue, an array as large as the catalogue would take the time.
        """
        items = params["items"]
        few = self.settings.ops == "fast" and is_large(items) and len(items) > SEVERAL * total
        if not few:
            return loss(params, *ids, total=total, **settings)
        occurs = np.zeros(len(items), bool)
        occurs[0] = True
        for some in ids:
            occurs[some] = True
        these = np.flatnonzero(occurs)
        number = places(these, len(items))
        params, ids = params | {"items": items[these]}, [number[some] for some in ids]
        value, back_loss = loss(params, *ids, total=total, **settings)

        def backward(d_output=1.0):
            grads = back_loss(d_output)
            return grads | {"items": Rows(these, grads["items"], len(items))}

        return value, backward

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool = True, context=None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k items with the highest scores, best first, as `Recommender.recommend` gives them.

        Many users are scored side by side, in parts whose histories are of like length.
        """
        ask = partial(super().recommend, k=k, exclude_seen=exclude_seen)
        if self.settings.ops == "plain" or len(histories) <= SCORING_BATCH:
            return ask(histories, context=context)
        histories = check_histories(histories, self.n_items)
        columns = check_context(context, self.kinds, histories)

        def ask_some(users):
            around = {name: [column[user] for user in users] for name, column in columns.items()}
            return ask([histories[user] for user in users], context=around)

        parts = self.scoring_batches(histories)
        with shard_pool() as parallel:
            found = list(parallel(ask_some, parts))
        back = np.argsort(np.concatenate(parts))
        ids, scores = (np.concatenate(of)[back] for of in zip(*found, strict=True))
        return ids, scores


SHARDS = {
    "plain": {"n_shards": 8},  # fixed, so that the number of threads does not change the sums
    "fast": {"n_shards": 4, "least": 1024},  # fewer, larger ones leave less to the interpreter
}
SEVERAL = 8  # times as many items as events to predict: then few rows of a large table are met
