"""Who may attend to whom, told instead of written out: what a tile needs to know of itself."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Mask:
    """A band around the diagonal, and keys that are hidden from everybody.

    An (L, L) array of booleans says nothing about where its blocks of False are; this does, and it
    takes no memory. Masks combine with `&`, as arrays do.

    Attributes
    ----------
    before, after : int or None
        Position i sees no further back than i - before, and no further on than i + after; None: as
        far as there is. A causal mask has after = 0.
    real : bool (..., 1, L) or None
        Which keys there are; None: all.
    """

    before: int | None = None
    after: int | None = None
    real: np.ndarray | None = None

    def __and__(self, other: "Mask") -> "Mask":
        """Both must allow it."""
        real = self.real if other.real is None else other.real
        if self.real is not None and other.real is not None:
            real = self.real & other.real
        return Mask(least(self.before, other.before), least(self.after, other.after), real)

    def over_heads(self) -> "Mask":
        """With an axis for the heads, where there is one for the batch."""
        if self.real is None or self.real.ndim <= 2:
            return self
        return replace(self, real=self.real[..., None, :, :])

    def keys(self, start: int, stop: int, length: int) -> slice:
        """The keys that any query of start..stop-1 may see: the others are never looked at."""
        first = 0 if self.before is None else max(0, start - self.before)
        last = length if self.after is None else min(length, stop + self.after)
        return slice(first, last)

    def hidden(self, start: int, stop: int, keys: slice, dtype) -> list[tuple[slice, np.ndarray]]:
        """What to add to the scores of queries start..stop-1 with these keys: 0 or -inf.

        Pairs of which of the keys, counted from the first of them, and of what to add there; it
        broadcasts to (..., stop - start, which). Where all is seen there is nothing to add.
        """
        query = np.arange(start, stop)[:, None]
        found = []
        if self.before is not None and keys.start < stop - 1 - self.before:
            which = slice(keys.start, stop - 1 - self.before)
            found.append((which, np.arange(which.start, which.stop) >= query - self.before))
        if self.after is not None and keys.stop > start + self.after + 1:
            which = slice(max(keys.start, start + self.after + 1), keys.stop)
            found.append((which, np.arange(which.start, which.stop) <= query + self.after))
        if self.real is not None and not self.real[..., keys].all():
            found.append((keys, self.real[..., keys]))
        return [
            (
                slice(which.start - keys.start, which.stop - keys.start),
                np.where(seen, 0, -np.inf).astype(dtype),
            )
            for which, seen in found
        ]

    def dense(self, length: int) -> np.ndarray:
        """The same written out, as the plain ops take it: (L, L) or (..., L, L) of bool."""
        ahead = np.arange(length) - np.arange(length)[:, None]
        seen = np.ones((length, length), bool)
        if self.before is not None:
            seen &= ahead >= -self.before
        if self.after is not None:
            seen &= ahead <= self.after
        return seen if self.real is None else seen & self.real


def least(one: int | None, other: int | None) -> int | None:
    """The smaller of two bounds; None is no bound."""
    return min((bound for bound in (one, other) if bound is not None), default=None)


def causal_mask(length: int) -> Mask:
    """As `ops.causal_mask`: j <= i."""
    return Mask(after=0)


def local_mask(length: int, window: int) -> Mask:
    """As `ops.local_mask`: abs(i - j) < window."""
    if window < 1:
        raise ValueError(f"window was {window}, but must be at least 1 (1 is the position alone)")
    return Mask(before=window - 1, after=window - 1)


def padding_mask(ids, *, padding_id: int = 0) -> Mask:
    """As `ops.padding_mask`: nobody sees padding as a key."""
    return Mask(real=(np.asarray(ids) != padding_id)[..., None, :])
