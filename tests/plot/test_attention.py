import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from attention_from_scratch.plot import attention_heads, attention_heatmap, labels

RNG = np.random.default_rng(0)


def weights(*shape):
    return RNG.dirichlet(np.ones(shape[-1]), shape[:-1])


def panels(figure):
    """The axes with a matrix, without those of the colour bar."""
    return [ax for ax in figure.axes if ax.images]


def tick_labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def cells(ax):
    return {text.get_position(): text for text in ax.texts}


def test_heatmap_says_what_stands_where():
    matrix = np.array([[1, 0], [0.254, 0.746]])
    figure = attention_heatmap(matrix, ["Alien", "Fargo"], title="head 1")
    (ax,) = panels(figure)
    assert ax.get_title() == "head 1"
    assert ax.get_xlabel().startswith("key")
    assert ax.get_ylabel().startswith("query")
    assert tick_labels(ax.xaxis) == tick_labels(ax.yaxis) == ["Alien", "Fargo"]
    # x is the key and y the query; a bare 0 is exactly zero.
    written = {position: text.get_text() for position, text in cells(ax).items()}
    assert written == {(0, 0): "1.00", (1, 0): "0", (0, 1): "0.25", (1, 1): "0.75"}
    assert len(figure.axes) == 2
    assert figure.axes[1].get_ylabel() == "attention weight"


def test_values_stand_out_from_their_cells():
    (ax,) = panels(attention_heatmap(np.linspace(0, 1, 36).reshape(6, 6)))
    image = ax.images[0]

    def luminance(colour):
        return np.dot(np.array(colour[:3]) ** 2.2, [0.2126, 0.7152, 0.0722])

    for (column, row), text in cells(ax).items():
        cell = luminance(image.cmap(image.norm(image.get_array()[row, column])))
        low, high = sorted([cell, luminance(to_rgb(text.get_color()))])
        assert (high + 0.05) / (low + 0.05) > 4.5  # WCAG AA


@pytest.mark.parametrize(("shape", "values"), [((12, 12), 144), ((12, 13), 0), ((1, 1), 1)])
def test_values_in_the_cells_when_few(shape, values):
    assert len(panels(attention_heatmap(weights(*shape)))[0].texts) == values


@pytest.mark.parametrize("length", [1, 5, 26, 50, 200])
def test_tick_labels_are_thinned_and_the_last_is_kept(length):
    (ax,) = panels(attention_heatmap(weights(length, length)))
    for axis in (ax.xaxis, ax.yaxis):
        labels = tick_labels(axis)
        assert len(labels) == len(axis.get_ticklocs()) <= 25
        assert labels[-1] == str(length)
        assert labels == [str(round(place) + 1) for place in axis.get_ticklocs()]


def test_cross_attention_names_rows_and_columns_apart():
    (ax,) = panels(attention_heatmap(weights(2, 3), ["a", "b"]))
    assert tick_labels(ax.yaxis) == ["a", "b"]
    assert tick_labels(ax.xaxis) == ["1", "2", "3"]


def test_long_labels_are_not_cut_off():
    labels = ["short", "A very long title " * 5, "$$ and $ are no mathematics"]
    for figure in (
        attention_heatmap(weights(3, 3), labels),
        attention_heads(weights(2, 2, 3, 3), labels),
    ):
        figure.draw_without_rendering()
        for ax in panels(figure):
            texts = ax.get_xticklabels() + ax.get_yticklabels() + [ax.xaxis.label, ax.yaxis.label]
            for text in texts:
                if text.get_visible() and text.get_text():
                    box = text.get_window_extent()
                    assert box.x0 >= 0
                    assert box.y0 >= 0
                    assert box.x1 <= figure.bbox.x1
                    assert box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("length", [300, 1500])
def test_titles_of_any_length_leave_room_for_the_weights(length):
    title = "A tale of many words " * (length // 21)
    for figure in (
        attention_heatmap(weights(5, 5), [title] * 5, title=title),
        attention_heads(weights(2, 5, 5), [title] * 5, titles=[title] * 2),
    ):
        figure.draw_without_rendering()
        assert max(figure.get_size_inches()) < 9
        for ax in panels(figure):
            assert tick_labels(ax.xaxis)[0] == "A tale of many words A tale o…"
            assert ax.get_window_extent().width > 150
    assert len(panels(attention_heatmap(weights(2, 2), title=title))[0].get_title()) == 60


def test_wide_characters_get_the_room_they_take():
    narrow, wide = (attention_heatmap(weights(2, 2), [c * 30] * 2) for c in "n\U0001f600")
    assert wide.get_size_inches() == pytest.approx(narrow.get_size_inches() + 0.07 * 30)


def test_titles_are_no_mathematics():
    title = r"$\foo$"
    for figure in (
        attention_heatmap(weights(2, 2), [title] * 2, title=title),
        attention_heads(weights(2, 2, 2), titles=[title] * 2),
    ):
        figure.draw_without_rendering()
        assert panels(figure)[0].get_title() == title


# Three characters that the font of matplotlib lacks, one of which its STIXGeneral has.
LACKING = "\u5c11\u6797\u214a"


def test_characters_without_a_glyph_are_one_warning_and_not_one_each():
    for draw in (
        lambda: attention_heatmap(weights(3, 3), [LACKING, "é", "$"], title=LACKING),
        lambda: attention_heads(weights(2, 3, 3), [LACKING, "é", "$"], titles=[LACKING, "b"]),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            figure = draw()
            figure._repr_png_()
        (warning,) = caught
        assert str(warning.message).startswith("the font has no glyph for some characters, such as")
        assert warning.filename == __file__
        (ax, *_) = panels(figure)
        assert tick_labels(ax.yaxis) == ["???", "é", "$"]
        assert ax.get_title() == "???"


def test_fonts_that_are_there_draw_what_the_first_one_lacks(monkeypatch):
    fonts = ("Not There", "STIXGeneral")
    monkeypatch.setattr(labels, "WITH_CHINESE_JAPANESE_KOREAN", fonts)
    assert labels.font_family()[-1] == "STIXGeneral"
    assert "Not There" not in labels.font_family()
    figure = attention_heatmap(weights(1, 1), [LACKING[-1]], title=LACKING[-1])
    figure._repr_png_()  # without a warning
    assert tick_labels(panels(figure)[0].yaxis) == [LACKING[-1]]


def test_heatmap_draws_where_it_is_told():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert attention_heatmap(weights(3, 3), ax=right, vmin=-1, vmax=2) is figure
    assert not left.images
    assert right.images[0].get_clim() == (-1, 2)


def test_heads_share_one_scale_and_one_colour_bar():
    heads = weights(2, 3, 4, 4) * np.linspace(0.1, 1, 6).reshape(2, 3, 1, 1)
    figure = attention_heads(heads, list("abcd"))
    axes = panels(figure)
    assert [ax.get_title() for ax in axes[:2]] == ["block 1, head 1", "block 1, head 2"]
    assert axes[-1].get_title() == "block 2, head 3"
    assert {ax.images[0].get_clim() for ax in axes} == {(0, heads.max())}
    assert len(figure.axes) == 6 + 1
    for ax, head in zip(axes, heads.reshape(6, 4, 4), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), head)
    figure.draw_without_rendering()
    assert tick_labels(axes[3].yaxis) == tick_labels(axes[3].xaxis) == list("abcd")


def test_heads_of_one_block_and_titles():
    assert [ax.get_title() for ax in panels(attention_heads(weights(2, 3, 3)))] == [
        "head 1",
        "head 2",
    ]
    figure = attention_heads(weights(1, 2, 50, 50), titles=["local", "global"])
    assert [ax.get_title() for ax in panels(figure)] == ["local", "global"]
    assert not any(ax.texts for ax in panels(figure))


def test_the_input_is_left_alone_and_all_zeros_are_drawn():
    matrix = np.zeros((2, 2), np.float32)
    matrix.flags.writeable = False
    attention_heatmap(matrix)._repr_png_()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attention_heatmap(np.ones(3)), r"weights has shape \(3,\), must be \(L_query"),
        (lambda: attention_heatmap(np.ones((0, 3))), "not empty"),
        (lambda: attention_heatmap([[np.nan]]), "weights holds a value that is no finite"),
        (lambda: attention_heatmap([["a"]]), "weights holds a value that is no finite"),
        (
            lambda: attention_heatmap(np.ones((2, 3)), "abc"),
            "row_labels has 3 entries, must have 2",
        ),
        (lambda: attention_heatmap(np.ones((2, 3)), None, "ab"), "column_labels has 2 entries"),
        (lambda: attention_heads(np.ones((2, 2))), r"weights has shape \(2, 2\), must be \(n_blo"),
        (lambda: attention_heads(np.ones((1, 2, 3))), "weights has 2 queries and 3 keys"),
        (lambda: attention_heads(np.ones((1, 2, 2)), "abc"), "labels has 3 entries, must have 2"),
        (lambda: attention_heads(np.ones((1, 2, 2)), titles="ab"), "titles has 2 entries"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
