"""The figure that every plot is drawn on, and how it gets into a file."""

import io
from os import PathLike
from pathlib import Path

from matplotlib.figure import Figure

from attention_from_scratch.files import replace_file

FORMATS = (".png", ".svg", ".pdf", ".jpg", ".webp")


class Picture(Figure):
    """A matplotlib figure that displays itself in a notebook.

    It is made without pyplot, which keeps every figure in a global list until somebody closes it
    and is not safe in threads. Without pyplot IPython does not know how to show a figure, so the
    figure has a method that IPython asks for.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """An empty figure, in inches, whose layout makes room for labels of any length."""
    return Picture(figsize=(width, height), layout="compressed", dpi=110)


def save(figure: Figure, path: str | PathLike, *, dpi: float = 150) -> Path:
    """Write a figure to a file: whole, or not at all.

    Parameters
    ----------
    figure : Figure
    path : path
        The suffix chooses the format: .png, .svg, .pdf, .jpg or .webp.
    dpi : float
        Pixels an inch.

    Raises
    ------
    ValueError
        If the folder does not exist or the format is another.
    OSError
        If it cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"path is {str(path)!r}, must end in one of {', '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise ValueError(f"path is {str(path)!r}, but there is no folder {str(path.parent)!r}")
    replace_file(path, lambda part: figure.savefig(part, format=suffix[1:], dpi=dpi))
    return path
