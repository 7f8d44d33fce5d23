"""Who may attend to whom, told instead of written out: what a tile needs to know of itself."""

from dataclasses import dataclass, replace
from functools import lru_cache

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
        broadcasts to (..., stop - start, which), and others may read it too. Where all is seen
        there is nothing to add.
        """
        edges = []
        if self.before is not None and keys.start < stop - 1 - self.before:
            edges.append(slice(keys.start, stop - 1 - self.before))
        if self.after is not None and keys.stop > start + self.after + 1:
            edges.append(slice(max(keys.start, start + self.after + 1), keys.stop))
        around, dtype = (self.before, self.after), np.dtype(dtype)
        hidden = [
            (edge, edge_of_band(stop - start, edge.start - start, edge.stop - start, around, dtype))
            for edge in edges
        ]
        if self.real is not None and not self.real[..., keys].all():
            hidden.append((keys, minus_infinity_unless(self.real[..., keys], dtype)))
        return [
            (slice(which.start - keys.start, which.stop - keys.start), added)
            for which, added in hidden
        ]

    def dense(self, length: int) -> np.ndarray:
        """The same written out, as the plain ops take it: (L, L) or (..., L, L) of bool."""
        ahead = np.arange(length) - np.arange(length)[:, None]
        seen = in_band(ahead, self.before, self.after)
        return seen if self.real is None else seen & self.real


@lru_cache(maxsize=64)
def edge_of_band(n_queries: int, first: int, last: int, around, dtype) -> np.ndarray:
    """What to add for keys first..last-1, counted from the first query: (n_queries, last - first).

    Blocks, shards and steps have few such edges among them, so those made last are kept.
    """
    ahead = np.arange(first, last) - np.arange(n_queries)[:, None]
    edge = minus_infinity_unless(in_band(ahead, *around), dtype)
    edge.setflags(write=False)
    return edge


def in_band(ahead: np.ndarray, before: int | None, after: int | None) -> np.ndarray:
    """Whether a query sees a key that is so many positions ahead of it."""
    seen = np.ones(ahead.shape, bool)
    if before is not None:
        seen &= ahead >= -before
    if after is not None:
        seen &= ahead <= after
    return seen


def minus_infinity_unless(seen: np.ndarray, dtype) -> np.ndarray:
    """0 where it is seen, -inf where not."""
    return np.where(seen, 0, -np.inf).astype(dtype)


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
