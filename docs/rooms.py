"""Draw the rooms of the package from what its files import: python docs/rooms.py."""

import ast
from pathlib import Path

from matplotlib.figure import Figure

from attention_from_scratch import plot

PACKAGE = Path(__file__).parent.parent / "attention_from_scratch"
PICTURE = Path(__file__).parent / "figures" / "rooms.png"
ROOMS = {  # what each is for, and where it stands in the picture: from left to right, floor
    "commands": ("the shell", 0.0, 4),
    "data": ("events, scenarios", -6.4, 3),
    "article": ("the article itself", -2.4, 3),
    "plot": ("figures", 6.0, 3),
    "models": ("what a person fits", -2.4, 2),
    "proofs": ("networks as cases", 3.4, 2),
    "training": ("loop, steps, forks", -7.4, 1),
    "evaluation": ("metrics, protocols", -5.0, 1),
    "interop": ("PyTorch, Keras, files", -2.5, 1),
    "explain": ("what answers rest on", 0.1, 1),
    "fast": ("for the machine", 2.2, 1),
    "networks": ("blocks, SASRec, pipeline", 4.4, 1),
    "verify": ("is it the derivative?", 7.0, 1),
    "ops": ("the mathematics", 3.4, 0),
}
WIDTH, HEIGHT, GAP = 1.4, 0.62, 1.5  # of a room, and between floors, in units of the picture


def imports() -> dict[str, set[str]]:
    """Which rooms the files of each room import from."""
    found = {}
    for room in ROOMS:
        names = set()
        for file in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module.startswith(PACKAGE.name):
                    names |= {f"{node.module}.{alias.name}".split(".")[1] for alias in node.names}
        found[room] = names & set(ROOMS) - {room}
    return found


def below(room: str, leans: dict[str, set[str]]) -> set[str]:
    """All rooms that it can do nothing without, through others too."""
    return leans[room].union(*(below(other, leans) for other in leans[room]))


def shown(leans: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no chain of others says already."""
    return {
        room: others - set().union(*(below(other, leans) for other in others))
        for room, others in leans.items()
    }


def draw() -> Figure:
    """A box for each room, an arrow to each that it leans on."""
    place = {room: (x, GAP * floor) for room, (_, x, floor) in ROOMS.items()}
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplots()
    for room, others in shown(imports()).items():
        for other in others:
            start, end = place[room], place[other]
            axes.annotate(
                "",
                xy=(end[0], end[1] + HEIGHT / 2),
                xytext=(start[0], start[1] - HEIGHT / 2),
                arrowprops={"arrowstyle": "->", "color": "#777777", "linewidth": 1.1},
            )
    for room, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.35", "facecolor": "#eaf1fa", "edgecolor": "#1f5a99"}
        axes.text(x, y, f"{room}\n{ROOMS[room][0]}", ha="center", va="center", fontsize=9, bbox=box)
    x, y = zip(*place.values(), strict=True)
    axes.set_xlim(min(x) - WIDTH, max(x) + WIDTH)
    axes.set_ylim(min(y) - HEIGHT, max(y) + HEIGHT)
    axes.set_axis_off()
    axes.set_title("The rooms, and what each leans on: imports go down only", fontsize=11)
    return figure


if __name__ == "__main__":
    print(plot.save(draw(), PICTURE))
