"""A flow chart: boxes one under the other, what each does, and what it hands to the next."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.textpath import TextToPath

from attention_from_scratch.plot.figure import new_figure
from attention_from_scratch.plot.labels import drawable, font_family, one_line

EDGE, FILL, INK, GREY = "#1f5a99", "#eef4fb", "#1a1a1a", "#444444"
TITLE, DETAIL, ARROW = 11, 9.5, 9.5  # points
LONGEST = 60  # characters of a line
LINE, PAD, GAP = 0.2, 0.12, 0.42  # inches: height of a line, edge of a box, from box to box
MARGIN, BETWEEN, LANE = 0.1, 0.3, 0.25  # inches: around all, from title to lines, for a shortcut


@dataclass(frozen=True)
class Box:
    """A box of a flow chart, in inches from the upper edge of the figure."""

    title: str
    lines: list[str]
    top: float

    @property
    def height(self) -> float:
        """Height of the box: what its lines take, and the space above and below them."""
        return 2 * PAD + LINE * max(1, len(self.lines))

    @property
    def middle(self) -> float:
        """Height at which the title stands and shortcuts begin and end."""
        return self.top + self.height / 2

    @property
    def bottom(self) -> float:
        """Height of the lower edge, where the arrow to the next box begins."""
        return self.top + self.height


def flow_chart(
    boxes: Sequence[tuple[str, Sequence[str]]],
    arrows: Sequence[str] | None = None,
    shortcuts: Sequence[tuple[int, int, str]] = (),
) -> Figure:
    """Draw boxes from top to bottom, with an arrow from each to the next.

    Parameters
    ----------
    boxes : list of (title, lines)
        The name of each, and what is to be said of it; 60 characters of each line are shown.
    arrows : one text fewer than boxes, or None
        What stands at each arrow.
    shortcuts : list of (from, to, text)
        Arrows past the boxes in between; boxes are counted from 0.

    Raises
    ------
    ValueError
        If there is no box, the arrows are not one fewer, or a shortcut skips no box.
    """
    arrows = [""] * (len(boxes) - 1) if arrows is None else arrows
    _check(boxes, arrows, shortcuts)
    boxes, arrows, shortcuts = _shown(boxes, arrows, shortcuts)
    column = max(_inches(box.title, TITLE, "bold") for box in boxes) + BETWEEN
    widest = max(_inches(line, DETAIL) for box in boxes for line in ["", *box.lines])
    widest_arrow = max(_inches(text, ARROW) for text in ["", *arrows])
    right = MARGIN + max(2 * PAD + column + widest, 2 * (2 * PAD + widest_arrow))
    lanes = [right + LANE]  # where each shortcut runs, and the right edge of all
    for _, _, text in shortcuts:
        lanes.append(lanes[-1] + PAD + _inches(text, ARROW) + LANE)

    ax = _canvas(lanes[-1] - LANE + MARGIN, boxes[-1].bottom + MARGIN)
    for box in boxes:
        _draw_box(ax, box, right, column)
    centre = (MARGIN + right) / 2
    for box, below, text in zip(boxes, boxes[1:], arrows, strict=False):
        _draw_arrow(ax, [(centre, box.bottom), (centre, below.top)])
        _write(ax, centre + PAD, (box.bottom + below.top) / 2, text, ARROW, GREY)
    for (start, end, text), lane in zip(shortcuts, lanes, strict=False):
        start, end = boxes[start].middle, boxes[end].middle
        _draw_arrow(ax, [(right, start), (lane, start), (lane, end), (right, end)])
        _write(ax, lane + PAD, (start + end) / 2, text, ARROW, GREY)
    return ax.figure


def _check(boxes, arrows, shortcuts):
    """Raise unless there are boxes, arrows between them, and shortcuts past some of them."""
    if not len(boxes):
        raise ValueError("boxes must hold at least one (title, lines)")
    for i, box in enumerate(boxes):
        if isinstance(box, str) or len(box) != 2 or isinstance(box[1], str):
            raise ValueError(f"boxes[{i}] was {box!r}, but must be (title, list of lines)")
    if len(arrows) != len(boxes) - 1:
        raise ValueError(
            f"arrows has {len(arrows)} texts, but between {len(boxes)} boxes are {len(boxes) - 1}"
        )
    for start, end, _ in shortcuts:
        if start < 0 or not start + 2 <= end < len(boxes):
            raise ValueError(
                f"shortcuts has one from box {start} to box {end}, but it must skip a box of "
                f"0..{len(boxes) - 1}"
            )


def _shown(boxes, arrows, shortcuts):
    """Boxes at their heights, arrows and shortcuts, with the texts as they can be drawn."""
    counts = [1 + len(lines) for _, lines in boxes]
    of_boxes = [text for title, lines in boxes for text in (title, *lines)]
    lists = [of_boxes, arrows, [text for _, _, text in shortcuts]]
    lists = [[one_line(text, LONGEST) for text in texts] for texts in lists]
    of_boxes, arrows, passing = drawable(*lists)
    placed, top = [], MARGIN
    for count in counts:
        (title, *lines), of_boxes = of_boxes[:count], of_boxes[count:]
        placed.append(Box(title, lines, top))
        top = placed[-1].bottom + GAP
    shortcuts = [(a, b, text) for (a, b, _), text in zip(shortcuts, passing, strict=True)]
    return placed, arrows, shortcuts


def _inches(text: str, size: float, weight: str = "normal") -> float:
    """Width of a text, with 8% more for letters that are set at whole pixels."""
    if not text:
        return 0.0
    font = FontProperties(family=font_family(), weight=weight, size=size)
    return TextToPath().get_text_width_height_descent(text, font, ismath=False)[0] / 72 * 1.08


def _canvas(width: float, height: float) -> Axes:
    """Axes over a whole figure, in inches from its upper left corner."""
    figure = new_figure(width, height)
    figure.set_layout_engine("none")  # every place is known
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    return ax


def _draw_box(ax, box, right, column):
    """Draw a box: its title on the left, in a column of its own, and its lines on the right."""
    style = "round,pad=0,rounding_size=0.08"
    width = right - MARGIN
    frame = FancyBboxPatch(
        (MARGIN, box.top), width, box.height, style, facecolor=FILL, edgecolor=EDGE, linewidth=1.2
    )
    ax.add_patch(frame)
    _write(ax, MARGIN + PAD, box.middle, box.title, TITLE, EDGE, weight="bold")
    for i, line in enumerate(box.lines):
        y = box.middle + LINE * (i - (len(box.lines) - 1) / 2)
        _write(ax, MARGIN + PAD + column, y, line, DETAIL, INK)


def _draw_arrow(ax, corners):
    """Draw a line from corner to corner that ends in an arrowhead."""
    *line, last = corners
    if len(line) > 1:
        ax.plot(*zip(*line, strict=True), color=EDGE, linewidth=1.2, solid_joinstyle="round")
    head = FancyArrowPatch(
        line[-1], last, arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0, color=EDGE
    )
    head.set_linewidth(1.2)
    ax.add_patch(head)


def _write(ax, x, y, text, size, colour, **options):
    """Write a line of text that begins at x; dollar signs are no mathematics."""
    ax.text(
        x,
        y,
        text,
        va="center_baseline",
        fontsize=size,
        color=colour,
        parse_math=False,
        fontfamily=font_family(),
        **options,
    )
