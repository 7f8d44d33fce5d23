"""`attention-from-scratch explain`: which past events a recommendation rests on."""

from argparse import ArgumentParser
from pathlib import Path

from attention_from_scratch.commands import runs
from attention_from_scratch.commands.options import add_history, add_run

SUMMARY = "Which events of a history a recommendation rests on."
EXAMPLE = 'runs/ml-100k --history "1,2,3,4,5" --item 50'


def add_options(parser: ArgumentParser) -> None:
    """What is explained, and where a picture of it goes."""
    add = parser.add_argument
    add_run(add)
    add_history(add)
    add("--item", required=True, metavar="ITEM", help="what is recommended, as in the data")
    add("--out", type=Path, metavar="FILE", help="draw it as well: .png, .svg or .pdf")


def run(options) -> None:
    """Print what attention says and what leaving each event out does; draw it."""
    from attention_from_scratch import plot  # here: matplotlib takes a while

    model, catalogue = runs.load(options.run_folder)
    history = runs.history_of(options.history, catalogue)
    (item,) = catalogue.ids([options.item.strip()])
    found = model.explain(history, int(item))
    if options.out is not None:  # first: should it not be possible, nothing else is said
        names = [catalogue.names[event] for event in found.history]
        figure = plot.explanation(names, found.attention, found.loss, title=catalogue.names[item])
        plot.save(figure, options.out)
    print(found.describe(catalogue.names))
    if model.ranks_only:
        print("It was trained to rank: its probabilities say what stands high, not how likely.")
    if options.out is not None:
        print(options.out)
