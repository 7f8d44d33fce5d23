"""The gradient of a table in parts: what becomes of repeated ids, and of the row of padding."""

import numpy as np

from attention_from_scratch.verify.doctor.formulas.choices import RIGHT, Choices
from attention_from_scratch.verify.doctor.formulas.decay import with_decay
from attention_from_scratch.verify.doctor.formulas.positions import over_positions, sizes_of
from attention_from_scratch.verify.doctor.mistakes.shared import Probe


def embedding(probe: Probe) -> Choices:
    """d_weight: row v is the sum of d_output over all positions of id v; 0 for padding."""
    ids, weight = np.asarray(probe.inputs[0]), probe.inputs[1]
    d, y = probe.d_output, np.asarray(probe.output)
    padding = probe.keywords.get("padding_id", 0)
    rows = len(weight)

    def gradient(positions, what, repeats, shifted, cleared):
        table = repeats(ids, positions[..., None] * what, rows)
        return np.roll(table, shifted, axis=0) * cleared[:, None]

    parts = {
        "positions": over_positions(ids.shape, "the sum of d_weight"),
        "what": {
            RIGHT: d,
            "d_output is ignored: ids are counted": np.ones_like(d),
            "d_output is multiplied by the output": d * y,
            "d_output is summed over features": 0 * d + d.sum(axis=-1, keepdims=True),
            "d_output is averaged over features": 0 * d + d.mean(axis=-1, keepdims=True),
            "d_output is divided by the root of the width": d / np.sqrt(d.shape[-1]),
            "d_output is multiplied by the root of the width": d * np.sqrt(d.shape[-1]),
        },
        "repeats": REPEATS,
        "shifted": {
            RIGHT: 0,
            "every id has the row after its own, the last the first": 1,
            "every id has the row before its own, the first the last": -1,
        },
        "cleared": cleared_rows(rows, padding),
    }
    formula = "row v of d_weight = sum of d_output over the positions of id v, 0 for padding"
    return Choices(parts, gradient, formula, sizes(probe))


def sizes(probe: Probe) -> dict[str, float]:
    """The numbers of a call."""
    rows, width = probe.inputs[1].shape
    return sizes_of(np.shape(probe.inputs[0]), the_number_of_rows=rows, the_width=width)


def cleared_rows(rows: int, padding: int | None) -> dict[str, np.ndarray]:
    """Which rows keep their gradient: 1, and which are 0."""

    def but(*which):
        kept = np.ones(rows)
        kept[list(which)] = 0
        return kept

    right = but() if padding is None else but(padding)
    return {
        RIGHT: right,
        "the row of the padding id keeps a gradient": but(),
        "row 0 is cleared, not that of the padding id": but() if padding is None else but(0),
        "row 0 is cleared, whatever the padding id is": but(0),
        "row 0 is cleared as well as that of the padding id": (
            but(0) if padding is None else but(0, padding)
        ),
        "the row of the padding id is cleared only if that is not 0": (right if padding else but()),
        "row 1 is cleared as well as that of the padding id": right * but(1),
        "the last row is cleared, not that of the padding id": (
            but() if padding is None else but(rows - 1)
        ),
    }


def added_up(ids, d, rows) -> np.ndarray:
    """Every position is added to the row of its id."""
    table = np.zeros((rows, d.shape[-1]))
    np.add.at(table, ids, d)
    return table


def counts_of(ids, rows) -> np.ndarray:
    """How often each id occurs, at least 1, as a column."""
    return np.bincount(ids.ravel(), minlength=rows).clip(1).astype(float)[:, None]


def the_last(ids, d, rows) -> np.ndarray:
    """A repeated id keeps its last position."""
    table = np.zeros((rows, d.shape[-1]))
    for row, part in zip(ids.ravel(), d.reshape(-1, d.shape[-1]), strict=True):
        table[row] = part
    return table


def the_first(ids, d, rows) -> np.ndarray:
    """A repeated id keeps its first position."""
    return the_last(ids.ravel()[::-1], d.reshape(-1, d.shape[-1])[::-1], rows)


def once_in_a_row(ids, d, rows) -> np.ndarray:
    """Rows of ids are added up; within a row, the last position of an id stays."""
    if ids.ndim < 2:
        return the_last(ids, d, rows)
    return sum(the_last(own, part, rows) for own, part in zip(ids, d, strict=True))


def the_last_row(ids, d, rows) -> np.ndarray:
    """Within a row of ids all is added up; of rows, the last that has an id stays."""
    table = np.zeros((rows, d.shape[-1]))
    for own, part in zip(np.atleast_2d(ids), d.reshape((-1, *d.shape[-2:])), strict=True):
        here = added_up(own, part, rows)
        table = np.where(np.isin(np.arange(rows), own)[:, None], here, table)
    return table


def the_largest(ids, d, rows) -> np.ndarray:
    """Of a repeated id the largest number stays."""
    table = np.full((rows, d.shape[-1]), -np.inf)
    np.maximum.at(table, ids, d)
    return np.where(np.isinf(table), 0, table)


REPEATS = {
    RIGHT: added_up,
    "the mean is taken over the positions of a repeated id, not the sum": (
        lambda ids, d, rows: added_up(ids, d, rows) / counts_of(ids, rows)
    ),
    "of a repeated id the last position alone stays, where all are to be added up": the_last,
    "of a repeated id the first position alone stays, where all are to be added up": the_first,
    "an id that is repeated within a row of ids is overwritten, not added up": once_in_a_row,
    "an id that is in several rows of ids is overwritten from row to row, not added up": (
        the_last_row
    ),
    "the sum over the positions of an id is divided by the root of how often it occurs": (
        lambda ids, d, rows: added_up(ids, d, rows) / np.sqrt(counts_of(ids, rows))
    ),
    "the sum over the positions of an id is multiplied by how often it occurs": (
        lambda ids, d, rows: added_up(ids, d, rows) * counts_of(ids, rows)
    ),
    "of a repeated id the largest number stays, not the sum": the_largest,
}

EMBEDDING = {"d_weight": (embedding, with_decay("weight", sizes))}
