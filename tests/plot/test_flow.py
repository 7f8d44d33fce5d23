import warnings

import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from attention_from_scratch.plot import flow_chart

BOXES = [("first", ["one line", "another"]), ("second", []), ("third", ["the last of all lines"])]


def texts(figure):
    return {text.get_text(): text for text in figure.axes[0].texts}


def extents(figure, kind):
    """The extents of the boxes or arrows, in pixels, from above to below."""
    figure.draw_without_rendering()
    found = [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]
    return [patch.get_window_extent() for patch in found]


def test_boxes_stand_in_order_with_an_arrow_between_each_two():
    figure = flow_chart(BOXES, ["to second", "to third"])
    boxes, arrows = extents(figure, FancyBboxPatch), extents(figure, FancyArrowPatch)
    assert len(boxes) == 3
    assert len(arrows) == 2
    for above, arrow, below in zip(boxes, arrows, boxes[1:], strict=False):
        assert above.y0 > below.y1
        assert arrow.y1 == pytest.approx(above.y0, abs=3)
        assert arrow.y0 == pytest.approx(below.y1, abs=3)
    found = texts(figure)
    for text, above, below in (("to second", *boxes[:2]), ("to third", *boxes[1:])):
        extent = found[text].get_window_extent()
        assert below.y1 < extent.y0 < extent.y1 < above.y0


@pytest.mark.parametrize(
    "text", ["i" * 60, "W" * 60, "short", "$\\foo$ is no mathematics", "É" * 30]
)
@pytest.mark.parametrize("where", ["title", "line", "arrow", "shortcut"])
def test_texts_of_any_width_stay_where_they_belong(text, where):
    boxes = [("a", ["b"]), ("c", ["d"]), ("e", ["f"])]
    arrows, shortcuts = ["g", "h"], [(0, 2, "j")]
    if where == "title":
        boxes[1] = (text, ["d"])
    elif where == "line":
        boxes[1] = ("c", ["d", text])
    elif where == "arrow":
        arrows[1] = text
    else:
        shortcuts = [(0, 2, text)]
    figure = flow_chart(boxes, arrows, shortcuts)
    frames = extents(figure, FancyBboxPatch)
    found = {name: text.get_window_extent() for name, text in texts(figure).items()}
    for extent in found.values():
        assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= extent.y0 < extent.y1 <= figure.bbox.y1
    for (title, lines), frame in zip(boxes, frames, strict=True):
        for name in (title, *lines):
            assert frame.x0 < found[name].x0 < found[name].x1 < frame.x1
            assert frame.y0 < found[name].y0 < found[name].y1 < frame.y1
        for line in lines:
            assert found[title].x1 < found[line].x0
    if where == "shortcut":
        assert found[text].x0 > frames[0].x1


def test_shortcuts_run_beside_the_boxes_and_beside_one_another():
    boxes = [(name, []) for name in "abcd"]
    figure = flow_chart(boxes, None, [(0, 2, "near"), (0, 3, "far")])
    frames = extents(figure, FancyBboxPatch)
    near, far = (texts(figure)[name].get_window_extent() for name in ("near", "far"))
    assert frames[0].x1 < near.x0 < near.x1 < far.x0
    lanes = [line.get_xydata() for line in figure.axes[0].lines]
    assert [len(lane) for lane in lanes] == [3, 3]
    from_above = [1 - (frame.y0 + frame.y1) / 2 / figure.bbox.y1 for frame in frames]
    high = figure.axes[0].get_ylim()[0]
    for lane, (start, end) in zip(lanes, [(0, 2), (0, 3)], strict=True):
        assert lane[0, 1] == pytest.approx(from_above[start] * high, abs=0.01)
        assert lane[-1, 1] == pytest.approx(from_above[end] * high, abs=0.01)


def test_one_box_needs_no_arrow():
    figure = flow_chart([("alone", [])])
    assert len(extents(figure, FancyBboxPatch)) == 1
    assert not extents(figure, FancyArrowPatch)


def test_long_lines_are_cut_and_characters_without_a_glyph_are_one_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = flow_chart([("a", ["\u5c11" * 3]), ("b", ["x" * 100])], ["\u6797"])
        figure._repr_png_()
    assert [str(warning.message)[:20] for warning in caught] in ([], ["the font has no glyp"])
    assert "x" * 59 + "…" in texts(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flow_chart([]), "boxes must hold at least one"),
        (lambda: flow_chart(["ab"]), r"boxes\[0\] was 'ab', but must be \(title, list of lines\)"),
        (lambda: flow_chart([("a", "b")]), r"boxes\[0\] was \('a', 'b'\), but must be"),
        (lambda: flow_chart(BOXES, ["a"]), "arrows has 1 texts, but between 3 boxes are 2"),
        (lambda: flow_chart(BOXES, None, [(0, 1, "")]), "shortcuts has one from box 0 to box 1"),
        (lambda: flow_chart(BOXES, None, [(0, 3, "")]), "but it must skip a box of 0..2"),
        (lambda: flow_chart(BOXES, None, [(-1, 2, "")]), "shortcuts has one from box -1 to box 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
