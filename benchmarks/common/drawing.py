"""The looks of lines, axes and bars."""

# Told apart by the colour-blind (Okabe & Ito 2008), and by marker and dash in grey print.
STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#56B4E9", "marker": "s", "linestyle": "--"},
    {"color": "#000000", "marker": "D", "linestyle": "-"},
    {"color": "#E69F00", "marker": "^", "linestyle": "-"},
    {"color": "#D55E00", "marker": "v", "linestyle": "--"},
    {"color": "#CC79A7", "marker": "P", "linestyle": "-."},
)


def draw_line(ax, x, middle, low, high, style: dict, label: str | None = None) -> None:
    """A line with a band around it."""
    ax.plot(x, middle, **{"markersize": 4, "linewidth": 1.5, "label": label} | style)
    ax.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0)


def log_axes(ax, *, x: bool = True, y: bool = True) -> None:
    """Powers of 2 along the bottom, of 10 up the side."""
    if x:
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:g}")
    if y:
        ax.set_yscale("log")


def finish(ax, title: str, xlabel: str, ylabel: str) -> None:
    """Names and a quiet frame."""
    ax.set_title(title, fontsize=10)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
