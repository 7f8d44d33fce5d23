"""Which past events a recommendation rests on: by attention, and by leaving each event out.

Attention says where the model looked. Leaving an event out says what the recommendation loses
without it. The two need not agree, so they stand side by side, with their rank correlation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attention_from_scratch.arguments import check_context, check_histories, check_integer
from attention_from_scratch.explain.correlation import spearman
from attention_from_scratch.ops import log_softmax

HIGH, SOME = 0.7, 0.3  # correlations from which attention agrees, and agrees in part
CAUTION = """\
Attention by itself is not an explanation (Jain & Wallace 2019); when it may serve as one is a
matter of tests such as this (Wiegreffe & Pinter 2019)."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one recommendation rests on; L is the number of events that the model looked at.

    Attributes
    ----------
    item : int
        What is recommended.
    log_probability : float
        That of the item after the whole history: log-softmax of the scores over the catalogue.
    history : (L,) int64
        The events, oldest first.
    n_older : int
        How many events before these the model does not look at.
    attention : (L,), or None where there are no weights that say it
        The share of each event in what the answer is read from: see `attention_rollout`.
    loss : (L,)
        What `log_probability` loses when the event is left out, in nats. Above 0, the event speaks
        for the item; log 2 = 0.69 says that it doubles the probability. It is the measure to go by:
        a shift of all logits together means nothing, and here it cancels.
    score_loss : (L,)
        What the item's logit loses, the shift included. NaN for the only event of a history:
        without it an item is scored by how often it occurred, which is no logit.
    """

    item: int
    log_probability: float
    history: np.ndarray
    n_older: int
    attention: np.ndarray | None
    loss: np.ndarray
    score_loss: np.ndarray

    @property
    def correlation(self) -> float | None:
        """Rank correlation of attention with the loss; None without attention, NaN if undefined."""
        return None if self.attention is None else spearman(self.attention, self.loss)

    @property
    def size_correlation(self) -> float | None:
        """Rank correlation of attention with the size of the loss, its sign left out.

        A weight can say how much an event matters, not whether it speaks for the item or against.
        None without attention, NaN if undefined.
        """
        return None if self.attention is None else spearman(self.attention, np.abs(self.loss))

    @property
    def same_first(self) -> bool | None:
        """Whether the event with the most attention is that with the largest loss; or None.

        A rank correlation counts all events alike, and most of them hardly matter.
        """
        if self.attention is None:
            return None
        return bool(self.attention.argmax() == self.loss.argmax())

    def describe(self, names: Sequence[str] | None = None) -> str:
        """The table of the events, and what the comparison of its columns says.

        Parameters
        ----------
        names : V + 1 strings, or None
            names[i] of item i.
        """
        attention = [np.nan] * len(self.loss) if self.attention is None else self.attention
        without = np.exp(self.log_probability - self.loss)
        older = f"; {self.n_older} older ones are not looked at" if self.n_older else ""
        lines = [
            f"{name_of(self.item, names)}: probability {np.exp(self.log_probability):.3g} after "
            f"{len(self.loss)} event{'s' * (len(self.loss) != 1)}, oldest first{older}",
            f"{'attention':>10}{'loss':>9}{'p without':>11}  event",
        ]
        for event, share, loss, p in zip(self.history, attention, self.loss, without, strict=True):
            shown = "-" if np.isnan(share) else f"{share:.3f}"
            lines.append(f"{shown:>10}{loss:>+9.3f}{p:>11.3g}  {name_of(event, names)}")
        if len(self.loss) == 1:
            lines.append("Without its only event the item is as probable as it is popular.")
        return "\n".join([*lines, *self.verdict()])

    def verdict(self) -> list[str]:
        """What may be said of attention, given how it agrees with leaving events out."""
        if self.attention is None:
            return ["No attention weights say where this model looked: go by the loss alone."]
        correlation, size_correlation = self.correlation, self.size_correlation
        if np.isnan(correlation):
            return ["Too few events, or all alike: no rank correlation of the two.", CAUTION]
        if correlation >= HIGH:
            told = "ranks the events much as leaving them out does"
        elif self.same_first:
            told = "names the same event first as leaving out does, but ranks the others otherwise"
        elif size_correlation >= HIGH:
            told = "tells which events matter, but not whether they speak for the item or against"
        elif correlation >= SOME:
            told = "ranks the events only in part as leaving them out does"
        elif correlation > -SOME:
            told = "does not tell which events the recommendation rests on"
        else:
            told = "ranks the events against what leaving them out shows"
        return [
            f"Spearman's rank correlation of attention with the loss: {correlation:.2f}; with its "
            f"size: {size_correlation:.2f}",
            f"Here attention {told}.",
            CAUTION,
        ]

    def __str__(self):
        return self.describe()


def explain(
    model,
    history: Sequence[int] | np.ndarray,
    item: int,
    context: Mapping[str, Sequence[int]] | None = None,
) -> Explanation:
    """Ask which past events a recommendation rests on.

    The history is cut to the events that the model looks at before any is left out; else an older
    one would come into view in place of the one that left. What remains moves together: events
    before the one left out stand one position later, as if it had never happened. What `context`
    says of each stays as it was (such as the gap of time before it).

    Parameters
    ----------
    model : a `models.Recommender` whose scores are logits
        If it has attention weights, they are read as well. The probabilities are those that its
        softmax gives: of a model trained with loss="bce" they say what is ranked high, not how
        likely it is.
    history : (length,) item ids, oldest first, at least one
    item : int in 1..V
        It need not be the one that is ranked highest.
    context : name -> (length,) integers
        What else is known of each event, if the model was made for it.

    Raises
    ------
    ValueError
        If the history is empty, the item is none of the catalogue, or the model is not fitted.

    Source: the article, section 7.3. Leaving out: Li, Monroe & Jurafsky, Understanding Neural
    Networks through Representation Erasure (2016).
    """
    (history,) = check_histories([history], model.n_items)
    if not history.size:
        raise ValueError("history is empty, but an explanation needs at least one event")
    if check_integer("item", item, 1) > model.n_items:
        raise ValueError(f"item was {item}, but the catalogue has items 1..{model.n_items}")
    one_user = {name: [values] for name, values in (context or {}).items()}
    context = check_context(one_user, model.kinds, [history])
    start = -(model.max_len or len(history))
    seen, context = history[start:], {name: rows[0][start:] for name, rows in context.items()}
    scores = model.scores(*with_and_without(seen, context))[:, 1:].astype(np.float64)
    logits, log_p = scores[:, item - 1], log_softmax(scores)[0][:, item - 1]
    return Explanation(
        item=int(item),
        log_probability=float(log_p[0]),
        history=seen,
        n_older=len(history) - len(seen),
        attention=model.attention_shares(seen, context),
        loss=log_p[0] - log_p[1:],
        score_loss=logits[0] - logits[1:] if len(seen) > 1 else np.full(1, np.nan),
    )


def with_and_without(history: np.ndarray, context: Mapping[str, np.ndarray]) -> tuple:
    """Arguments of `scores`: the history and, for each event, the history without it."""

    def versions(row):
        return [row, *(np.delete(row, event) for event in range(len(row)))]

    columns = {name: versions(row) for name, row in context.items()}
    return (versions(history), columns) if columns else (versions(history),)


def name_of(item: int, names: Sequence[str] | None) -> str:
    """The name of an item; "item 7" where there are no names."""
    return f"item {item}" if names is None else str(names[item])
