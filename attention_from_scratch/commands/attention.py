"""`attention-from-scratch attention`: who attends to whom in a history, as a picture."""

from argparse import ArgumentParser
from pathlib import Path

from attention_from_scratch.commands import runs
from attention_from_scratch.commands.options import add_history, add_run

SUMMARY = "Draw who attends to whom in a history."
EXAMPLE = 'runs/ml-100k --history "1,2,3,4,5" --out attention.png'


def add_options(parser: ArgumentParser) -> None:
    """What is drawn, and where to."""
    add_run(parser.add_argument)
    add_history(parser.add_argument)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("attention.png"),
        metavar="FILE",
        help=".png, .svg or .pdf (default attention.png)",
    )


def run(options) -> None:
    """Draw the weights of every block and head."""
    from attention_from_scratch import plot  # here: matplotlib takes a while

    model, catalogue = runs.load(options.run_folder)
    history = runs.history_of(options.history, catalogue)
    weights = model.attention_weights(history)
    names = [catalogue.names[item] for item in history[-weights.shape[-1] :]]
    print(plot.save(plot.attention_heads(weights, names), options.out))
