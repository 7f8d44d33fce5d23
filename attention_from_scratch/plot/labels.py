"""Text on a figure: checked, cut to a length that fits, in fonts that can draw it, and placed."""

import warnings
from collections.abc import Sequence
from unicodedata import east_asian_width

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

LONGEST_LABEL, LONGEST_TITLE = 30, 60  # characters that are shown
WITH_CHINESE_JAPANESE_KOREAN = (  # one or the other comes with most systems
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
)


def font_family() -> list[str]:
    """The font that matplotlib is set to, then installed ones for the characters it lacks."""
    there = set(fontManager.get_font_names())
    return [*rcParams["font.family"], *(f for f in WITH_CHINESE_JAPANESE_KOREAN if f in there)]


def check_labels(name: str, labels: Sequence | None, count: int) -> list[str]:
    """The labels as texts of one line, each cut to 30 characters; None counts from 1.

    Raises
    ------
    ValueError
        If there are not `count` of them; the message calls them `name`.
    """
    labels = range(1, count + 1) if labels is None else labels
    if len(labels) != count:
        raise ValueError(f"{name} has {len(labels)} entries, must have {count}")
    return [one_line(label, LONGEST_LABEL) for label in labels]


def one_line(thing: object, longest: int) -> str:
    """The text of a thing in a single line: runs of white space become one space, and it is cut."""
    return cut(" ".join(str(thing).split()), longest)


def title_of(title: object) -> str:
    """The title of a figure as it is shown: cut to 60 characters, empty for None."""
    return cut(str(title or ""), LONGEST_TITLE)


def cut(text: str, longest: int) -> str:
    """The text, or as much of it as fits and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def width(text: str) -> int:
    """Columns the text takes in a terminal: two for each Chinese, Japanese or Korean character."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def inches_of_longest(labels: Sequence[str]) -> float:
    """Width of the longest label: 0.07 inches a character, twice that for a wide one."""
    return 0.07 * max(map(width, labels))


def places_to_label(count: int, most: int) -> range:
    """Which of 0..count - 1 get a label: all, or every second, third, ... up to the last.

    The step is the smallest with which there are at most `most`.
    """
    step = -(-count // most)
    return range((count - 1) % step, count, step)


def drawable(*lists: Sequence[str]) -> list[list[str]]:
    """The lists with "?" for each character that no font here can draw; warns once if any is.

    matplotlib would warn of each character each time it is drawn.
    """
    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in font_family()]
    characters = sorted({c for texts in lists for text in texts for c in text} - {"\n"})
    lacking = [c for c in characters if not any(font.get_char_index(ord(c)) for font in fonts)]
    if lacking:
        message = f"the font has no glyph for some characters, such as {lacking[0]!r}: drawn as '?'"
        warnings.warn(message, stacklevel=3)
    table = str.maketrans(dict.fromkeys(lacking, "?"))
    return [[text.translate(table) for text in texts] for texts in lists]
