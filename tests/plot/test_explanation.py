from itertools import pairwise

import numpy as np
import pytest

from attention_from_scratch.plot import explanation

LABELS = ["Alien", "Fargo", "Heat"]
ATTENTION, LOSS = np.array([0.2, 0.1, 0.7]), np.array([0.5, -0.25, 0.0])


def bars(ax):
    """Height on the page -> length."""
    return {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in ax.patches}


def tick_labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_each_event_has_a_bar_in_both_panels():
    figure = explanation(LABELS, ATTENTION, LOSS, title="why Heat?")
    left, right = figure.axes
    assert bars(left) == dict(enumerate(ATTENTION))
    assert bars(right) == dict(enumerate(LOSS))
    assert "attention" in left.get_xlabel()
    assert "loss" in right.get_xlabel()
    assert tick_labels(left) == LABELS
    assert left.get_ylim() == right.get_ylim() == (2.5, -0.5)  # the oldest at the top
    assert figure.get_suptitle() == "why Heat?"


def test_for_and_against_differ_in_colour():
    right = explanation(LABELS, ATTENTION, LOSS).axes[1]
    colours = [bar.get_facecolor() for bar in right.patches]
    assert colours[0] != colours[1]
    low, high = right.get_xlim()
    assert low < -0.25
    assert high > 0.5


def test_without_attention_there_is_one_panel():
    (ax,) = explanation(LABELS, None, LOSS).axes
    assert bars(ax) == dict(enumerate(LOSS))


def test_zeros_and_a_single_event_are_drawn():
    explanation(["one"], [1.0], [0.0])._repr_png_()
    explanation(LABELS, np.zeros(3, np.float32), np.zeros(3))._repr_png_()


@pytest.mark.parametrize("length", [1, 64, 65])
def test_labels_of_many_events_neither_overlap_nor_leave_the_figure(length):
    names = [f"A title of a film that goes on and on $ {place}" for place in range(length)]
    figure = explanation(names, np.full(length, 1 / length), np.linspace(-1, 1, length))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == -(-length // -(-length // 64)) <= 64
    for above, below in pairwise(boxes):
        assert below.y1 <= above.y0 + 1
    for box in boxes:
        assert box.x0 >= 0
    assert max(figure.get_size_inches()) < 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: explanation([], None, []), r"loss has shape \(0,\), must be \(L,\), not empty"),
        (lambda: explanation(LABELS, [1, 2], LOSS), r"attention has shape \(2,\), must be \(3,\)"),
        (lambda: explanation(LABELS[:2], None, LOSS), "labels has 2 entries, must have 3"),
        (lambda: explanation(LABELS, [1, np.nan, 2], LOSS), "attention holds a value"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
