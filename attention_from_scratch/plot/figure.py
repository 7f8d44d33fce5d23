"""The figure that every plot is drawn on, and how it gets into a file."""

import io
import os
import uuid
from pathlib import Path

from matplotlib.figure import Figure


class Picture(Figure):
    """A matplotlib figure that displays itself in a notebook.

    Made without pyplot, which keeps every figure in a global list until somebody closes it and is
    not safe in threads. But without pyplot IPython does not know how to show a figure: so it says.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """An empty figure, in inches, whose layout makes room for labels of any length."""
    return Picture(figsize=(width, height), layout="compressed", dpi=110)


def save(figure: Figure, path: str | os.PathLike, *, dpi: float = 150) -> Path:
    """Write a figure to a file: whole, or not at all.

    It is written beside its destination and renamed, so a reader never meets half a picture and a
    failure leaves the old one in place.

    Parameters
    ----------
    figure : Figure
    path : path
        The suffix chooses the format: .png, .svg, .pdf and what else matplotlib writes.
    dpi : float
        Pixels an inch.

    Raises
    ------
    ValueError
        If the folder does not exist or the format is unknown.
    """
    path = Path(path)
    formats = sorted(figure.canvas.get_supported_filetypes())
    suffix = path.suffix[1:].lower()
    if suffix not in formats:
        raise ValueError(f"path is {str(path)!r}, must end in one of .{', .'.join(formats)}")
    if not path.parent.is_dir():
        raise ValueError(f"path is {str(path)!r}, but there is no folder {str(path.parent)!r}")
    unfinished = path.with_name(f".{uuid.uuid4().hex}.{suffix}")
    try:
        figure.savefig(unfinished, format=suffix, dpi=dpi)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
