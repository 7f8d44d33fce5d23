import pytest

from attention_from_scratch.plot.labels import (
    check_labels,
    cut,
    inches_of_longest,
    one_line,
    places_to_label,
    title_of,
)


def test_labels_are_texts_of_one_line_and_thirty_characters():
    assert check_labels("labels", ["two\nlines ", 7, "x" * 31], 3) == [
        "two lines",
        "7",
        "x" * 29 + "…",
    ]
    assert check_labels("labels", None, 3) == ["1", "2", "3"]


def test_too_few_labels_are_an_error_that_names_the_argument():
    with pytest.raises(ValueError, match="titles has 1 entries, must have 2"):
        check_labels("titles", ["one"], 2)


def test_what_is_cut_ends_in_an_ellipsis_and_never_in_a_space():
    assert cut("a tale", 6) == "a tale"
    assert cut("a tale", 4) == "a t…"
    assert cut("a tale", 3) == "a…"
    assert one_line(" a \t tale ", 5) == "a ta…"


def test_no_title_is_an_empty_title():
    assert title_of(None) == ""
    assert title_of("x" * 61) == "x" * 59 + "…"


def test_a_wide_character_takes_the_room_of_two():
    assert inches_of_longest(["ab", "a"]) == inches_of_longest(["注", "a"]) == pytest.approx(0.14)


@pytest.mark.parametrize(
    ("count", "places"),
    [(1, [0]), (3, [0, 1, 2]), (4, [1, 3]), (6, [1, 3, 5]), (7, [0, 3, 6]), (10, [1, 5, 9])],
)
def test_at_most_so_many_places_are_labelled_up_to_the_last(count, places):
    assert list(places_to_label(count, 3)) == places
