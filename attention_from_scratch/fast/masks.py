"""Who may attend to whom, told instead of written out: what a block of queries needs to know."""

from functools import lru_cache

import numpy as np

from attention_from_scratch.arguments import check_integer
from attention_from_scratch.ops.attention import over_heads as plain_over_heads
from attention_from_scratch.ops.contract import check_bools
from attention_from_scratch.ops.masks import padding_mask as plain_padding_mask


class Mask:
    """A band around the diagonal, and an array of booleans; a pair must be seen by both.

    An (L, L) array of booleans does not say where its blocks of False are; a band does, and takes
    no memory. Masks combine with `&`, with each other and with arrays, and are arrays to whoever
    asks for one: `np.asarray(mask)` and `mask[...]` write them out, so that the plain ops take them
    too.

    Parameters
    ----------
    seen : bool, broadcasts to (..., L_query, L_key), or None
        Which pairs there are; None: all.
    length : int or None
        L, of the band, whose queries and keys are the same; None: there is no band.
    before, after : int or None
        Position i sees no further back than i - before, and no further on than i + after; None: as
        far as there is. A causal mask has after = 0.
    """

    __array_ufunc__ = None  # `array & mask` is ours to say
    dtype = np.dtype(bool)

    def __init__(
        self,
        seen: np.ndarray | None = None,
        *,
        length: int | None = None,
        before: int | None = None,
        after: int | None = None,
    ):
        if seen is not None:
            check_bools("mask", seen)
        if length is None and (before, after) != (None, None):
            raise ValueError("length was None, but must be that of the band")
        if length == 1:  # a position always sees itself, however many this one is stretched to
            length, before, after = None, None, None
            seen = np.ones((1, 1), bool) if seen is None else seen & np.ones((1, 1), bool)
        self.seen, self.length, self.before, self.after = seen, length, before, after
        self.shape = np.shape(seen)
        if length is not None:
            self.shape = np.broadcast_shapes((length, length), self.shape)

    @property
    def ndim(self) -> int:
        """Number of axes of the mask written out."""
        return len(self.shape)

    def __repr__(self) -> str:
        band = f"length={self.length}, before={self.before}, after={self.after}"
        array = None if self.seen is None else f"bool {self.seen.shape}"
        return f"Mask({array}, {band})"

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Write the mask out, as the plain ops take it."""
        seen = np.ones((), bool) if self.seen is None else self.seen
        if self.length is not None:
            position = np.arange(self.length)
            seen = seen & in_band(position - position[:, None], self.before, self.after)
        return np.array(seen, dtype, copy=True if copy is None else copy)

    def __getitem__(self, index) -> np.ndarray:
        """Part of the mask written out."""
        return np.asarray(self)[index]

    def __and__(self, other: "Mask | np.ndarray") -> "Mask":
        """Both must allow it."""
        other = as_mask(other if isinstance(other, Mask) else np.asarray(other))
        np.broadcast_shapes(self.shape, other.shape)  # or an error: two bands have the same length
        seen = self.seen if other.seen is None else other.seen
        if self.seen is not None and other.seen is not None:
            seen = self.seen & other.seen
        return Mask(
            seen,
            length=other.length if self.length is None else self.length,
            before=least(self.before, other.before),
            after=least(self.after, other.after),
        )

    __rand__ = __and__

    def but(self, seen: np.ndarray | None) -> "Mask":
        """A mask of this band and another array."""
        return Mask(seen, length=self.length, before=self.before, after=self.after)

    def over_heads(self) -> "Mask":
        """The mask with an axis for the heads, where there is one for the batch."""
        return self if self.ndim <= 2 else self.but(self.seen[..., None, :, :])

    def over_keys(self, n_keys: int) -> "Mask":
        """The mask as (..., 1 or L_query, n_keys): an answer for each key where one was for all."""
        if self.seen is None or (self.seen.ndim >= 2 and self.seen.shape[-1] == n_keys):
            return self
        seen = np.atleast_2d(self.seen)
        return self.but(np.broadcast_to(seen, (*seen.shape[:-1], n_keys)))

    def keys(self, start: int, stop: int, length: int) -> slice:
        """The keys that any query of start..stop-1 may see: the others are never looked at."""
        first = 0 if self.before is None else max(0, start - self.before)
        last = length if self.after is None else min(length, stop + self.after)
        if self.seen is None:
            return slice(first, last)
        seen = self.seen_of(start, stop, slice(first, last))
        anywhere = np.flatnonzero(seen.any(axis=tuple(range(seen.ndim - 1))))
        if not anywhere.size:
            return slice(first, first)
        return slice(first + anywhere[0], first + anywhere[-1] + 1)

    def parts(self, start: int, stop: int, keys: slice) -> list[tuple[slice, np.ndarray]]:
        """Where queries start..stop-1 do not see all of these keys, and what they see there.

        Pairs of which of the keys, counted from the first of them, and of booleans that broadcast
        to (..., stop - start, which); others may read them too. The edge of a band begins with the
        last key that all see: so a first block is hidden whole, which is faster than some columns.
        """
        edges = []
        if self.before is not None and keys.start < stop - 1 - self.before:
            edges.append(slice(keys.start, min(stop - 1 - self.before, keys.stop)))
        if self.after is not None and keys.stop > start + self.after + 1:
            edges.append(slice(max(keys.start, start + self.after), keys.stop))
        around = self.before, self.after
        parts = [
            (edge, edge_of_band(stop - start, edge.start - start, edge.stop - start, around))
            for edge in edges
        ]
        if self.seen is not None:
            seen = self.seen_of(start, stop, keys)
            if not seen.all():
                parts.append((keys, seen))
        return [
            (slice(which.start - keys.start, which.stop - keys.start), seen)
            for which, seen in parts
        ]

    def seen_of(self, start: int, stop: int, keys: slice) -> np.ndarray:
        """What the array says of queries start..stop-1 and these keys.

        (..., stop - start or 1, keys).
        """
        rows = slice(start, stop) if self.seen.shape[-2] > 1 else slice(None)
        return self.seen[..., rows, keys]

    def n_seen(self, n_queries: int, n_keys: int) -> np.ndarray:
        """How many keys each query may see: (..., n_queries)."""
        before = n_queries if self.before is None else self.before  # as far as there is
        after = n_keys if self.after is None else self.after
        at = np.arange(n_queries)
        first, stop = np.maximum(0, at - before), np.minimum(n_keys, at + after + 1)
        if self.seen is None:
            return stop - first
        if self.length is None:
            return np.count_nonzero(self.seen, axis=-1)
        up_to = np.zeros((*self.seen.shape[:-1], n_keys + 1), int)
        np.cumsum(self.seen, axis=-1, out=up_to[..., 1:])
        row = at if self.seen.shape[-2] > 1 else 0
        return up_to[..., row, stop] - up_to[..., row, first]


@lru_cache(maxsize=64)
def edge_of_band(n_queries: int, first: int, last: int, around: tuple) -> np.ndarray:
    """Who sees keys first..last-1, counted from the first query: (n_queries, last - first).

    Blocks, shards and steps have few such edges among them, so those made last are kept.
    """
    ahead = np.arange(first, last) - np.arange(n_queries)[:, None]
    edge = in_band(ahead, *around)
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


def least(one: int | None, other: int | None) -> int | None:
    """The smaller of two bounds; None is no bound."""
    return min((bound for bound in (one, other) if bound is not None), default=None)


def as_mask(mask: Mask | np.ndarray | None) -> Mask:
    """What the ops take for a mask, as a `Mask`."""
    return mask if isinstance(mask, Mask) else Mask(mask)


def over_heads(mask: Mask | np.ndarray | None) -> Mask | np.ndarray | None:
    """`ops.attention.over_heads`, which leaves a band a band."""
    return mask.over_heads() if isinstance(mask, Mask) else plain_over_heads(mask)


def causal_mask(length: int) -> Mask:
    """Each position sees itself and what came before: `ops.causal_mask` as a band."""
    return Mask(length=check_integer("length", length, 0), after=0)


def local_mask(length: int, window: int) -> Mask:
    """Each position sees those less than `window` away: `ops.local_mask` as a band."""
    length, window = check_integer("length", length, 0), check_integer("window", window, 1)
    return Mask(length=length, before=window - 1, after=window - 1)


def padding_mask(ids: np.ndarray, *, padding_id: int = 0) -> Mask:
    """Nobody sees padding as a key: `ops.padding_mask`, ready to be combined with a band."""
    return Mask(plain_padding_mask(ids, padding_id=padding_id))
