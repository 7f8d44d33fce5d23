"""Names of items on a figure: cut to a length that fits, in fonts that can draw them."""

import warnings
from collections.abc import Sequence
from unicodedata import east_asian_width

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

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
    """The font that matplotlib is set to, then those that are there for what it lacks."""
    there = set(fontManager.get_font_names())
    return [*rcParams["font.family"], *(f for f in WITH_CHINESE_JAPANESE_KOREAN if f in there)]


def cut(text: str, longest: int) -> str:
    """The text, or as much of it as fits and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def width(text: str) -> int:
    """Columns the text takes in a terminal: two for each Chinese, Japanese or Korean character."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def drawable(*lists: Sequence[str]) -> list[list[str]]:
    """The lists with "?" for each character that no font here can draw; warns once if there are.

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
