import numpy as np
import pytest

from attention_from_scratch.data import Interactions


def histories_of(data):
    return {user: h.tolist() for user, h in zip(data.users, data.histories, strict=True)}


def test_events_are_gathered_by_user_in_order_of_time():
    data = Interactions.from_events(
        users=["b", "a", "b", "a"], items=["x", "y", "z", "x"], timestamps=[3, 2, 1, 1]
    )
    assert data.items == ["", "x", "y", "z"]
    assert histories_of(data) == {"a": [1, 2], "b": [3, 1]}
    assert all(history.dtype == np.int64 for history in data.histories)


def test_ties_stay_in_the_order_of_the_file():
    items = ["5", "3", "4", "1", "2"]
    data = Interactions.from_events(["u"] * 5, items, timestamps=[7, 7, 7, 1, 7])
    assert histories_of(data) == {"u": [1, 5, 3, 4, 2]}


def test_without_timestamps_the_order_of_the_file_is_the_order_of_time():
    data = Interactions.from_events([2, 1, 2, 1, 2], [3, 3, 2, 1, 1])
    assert histories_of(data) == {"1": [3, 1], "2": [3, 2, 1]}


def test_integer_labels_are_sorted_as_numbers_and_others_as_text():
    numbers = Interactions.from_events(["10", "9", "2"], ["10", "9", "2"])
    assert (numbers.users, numbers.items) == (["2", "9", "10"], ["", "2", "9", "10"])
    words = Interactions.from_events(["10", "9", "x"], ["10", "9", "x"])
    assert (words.users, words.items) == (["10", "9", "x"], ["", "10", "9", "x"])


def test_labels_of_more_digits_than_an_int_takes_are_text():
    long = "9" * 5000
    data = Interactions.from_events(["u"] * 3, ["10", "9", long])
    assert data.items == ["", "10", "9", long]


def test_what_gave_the_order_of_time_is_known():
    assert Interactions.from_events(["u"], ["1"], [5.0]).ordered_by == "timestamp"
    assert Interactions.from_events(["u"], ["1"]).ordered_by == "line"
    assert Interactions([np.array([1])], ["u"], ["", "x"]).ordered_by == "line"


def test_times_and_behaviours_are_sorted_like_the_histories():
    data = Interactions.from_events(
        users=["b", "a", "b", "a", "b"],
        items=["x", "y", "z", "x", "y"],
        timestamps=[3, 2, 1, 1, 1],
        behaviours=["look", "buy", "buy", "look", "ask"],
    )
    assert histories_of(data) == {"a": [1, 2], "b": [3, 2, 1]}
    assert [times.tolist() for times in data.times] == [[1, 2], [1, 1, 3]]
    assert data.behaviour_names == ["", "ask", "buy", "look"]
    assert [b.tolist() for b in data.behaviours] == [[3, 2], [2, 1, 3]]
    assert all(times.dtype == np.float64 for times in data.times)
    assert all(b.dtype == np.int64 for b in data.behaviours)


def test_without_timestamps_there_are_no_times_but_there_can_be_behaviours():
    data = Interactions.from_events(["v", "u", "u"], [3, 3, 2], behaviours=[2, 1, 1])
    assert data.times is None
    assert data.ordered_by == "line"
    assert data.behaviour_names == ["", "1", "2"]
    assert [b.tolist() for b in data.behaviours] == [[1, 1], [2]]
    assert Interactions.from_events(["u"], ["1"], [5.0]).behaviours is None


def test_items_labelled_from_1_keep_their_labels_as_ids():
    data = Interactions.from_events(["1"] * 12, [str(i) for i in range(12, 0, -1)])
    assert data.histories[0].tolist() == list(range(12, 0, -1))


def test_ids_do_not_depend_on_the_order_of_the_events():
    events = [("u", "apple"), ("v", "pear"), ("u", "fig"), ("w", "apple")]
    one = Interactions.from_events(*zip(*events, strict=True))
    other = Interactions.from_events(*zip(*events[::-1], strict=True))
    assert (one.items, one.users) == (other.items, other.users)


def test_labels_are_translated_to_ids_and_an_unknown_one_is_named():
    data = Interactions.from_events(["u"] * 4, [1, 2, 3, 5])
    assert data.ids(["5", 1]).tolist() == [4, 1]
    assert data.ids("5").tolist() == [4]
    assert data.ids([]).dtype == np.int64
    expected = "unknown item '7x'; the data has 4 items, for example '1', '2', '3'"
    with pytest.raises(ValueError, match=f"^{expected}$"):
        data.ids(["1", "7x"])
    with pytest.raises(ValueError, match="unknown item ''"):
        data.ids([""])  # padding is no item


def test_a_label_may_be_a_word_for_nothing():
    assert Interactions.from_events(["u"] * 2, ["nan", "None"]).items == ["", "None", "nan"]


def test_an_error_about_a_long_label_is_short():
    data = Interactions.from_events(["u"], ["x" * 9999])
    with pytest.raises(ValueError, match="unknown item") as raised:
        data.ids(["y" * 9999])
    assert len(str(raised.value)) < 300


def test_names_are_titles_where_there_are_any_and_labels_otherwise():
    events = ["u", "u"], ["1", "2"]
    assert Interactions.from_events(*events).names == ["", "1", "2"]
    titled = Interactions.from_events(*events, titles={"1": "Toy Story", "9": "never met"})
    assert titled.names == titled.titles == ["", "Toy Story", "2"]
    assert titled.n_items == 2
    assert Interactions.from_events(*events, titles={"1": "", "2": "Heat"}).names == [
        "",
        "1",
        "Heat",
    ]


def test_a_summary_counts_users_items_and_events():
    data = Interactions.from_events(["u", "v", "v"], ["1", "2", "2"])
    assert str(data) == "2 users, 2 items, 3 events"
    assert repr(data) == "Interactions(2 users, 2 items, 3 events)"


@pytest.mark.parametrize(
    ("users", "items", "timestamps", "message"),
    [
        ([], [], None, "not a single event"),
        (["u"], ["1", "2"], None, "1 users, 2 items"),
        (["u"], ["1"], [1, 2], "1 items, 2 timestamps"),
        (["u"], [""], None, "item of event 0 is empty"),
        (["u"] * 2, ["None", None], None, "item of event 1 is None; it must have a label"),
        (["u", np.nan], ["1"] * 2, None, "user of event 1 is nan"),
        (np.array([1, np.nan]), ["1"] * 2, None, "user of event 1 is nan"),
        (["u"], ["1"], [np.nan], "timestamp nan"),
    ],
)
def test_events_that_make_no_table_are_an_error(users, items, timestamps, message):
    with pytest.raises(ValueError, match=message):
        Interactions.from_events(users, items, timestamps)


@pytest.mark.parametrize(
    ("behaviours", "message"),
    [
        (["look"], "columns differ in length: 2 users, 2 items, 2 timestamps, 1 behaviours"),
        (["look", ""], "the behaviour of event 1 is empty"),
        (["look", None], "the behaviour of event 1 is None"),
    ],
)
def test_behaviours_that_are_not_one_an_event_are_an_error(behaviours, message):
    with pytest.raises(ValueError, match=message):
        Interactions.from_events(["u"] * 2, ["1"] * 2, [1, 2], behaviours=behaviours)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (([np.array([1])], [], ["", "x"]), "0 users for 1 histories"),
        (([np.array([1])], ["u"], ["x"]), "id 0 is padding"),
        (([np.array([1])], ["u"], ["", "x"], [""]), "1 titles for 2 items"),
        (
            ([np.array([1, 2])], ["u"], ["", "x"]),
            r"histories of user 'u' holds 2, but may hold 1\.\.1",
        ),
        (([np.array([0, 1])], ["u"], ["", "x"]), "histories of user 'u' holds 0"),
    ],
)
def test_parts_that_do_not_fit_together_are_an_error(fields, message):
    with pytest.raises(ValueError, match=message):
        Interactions(*fields)


TWO = [np.array([1, 2]), np.array([], np.int64), np.array([2])]
NAMED = {"behaviour_names": ["", "look"]}
OF_W = r"of user 'w' was of shape \(2,\), but must be of \(1,\), one entry for each event"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"times": TWO[:2]}, "times was of 2 users, but must be of 3"),
        ({"times": [*TWO[:2], TWO[0]]}, rf"times {OF_W}"),
        ({"times": [np.array([1, np.inf]), *TWO[1:]]}, "user 'u' has time inf"),
        ({"times": [*TWO[:2], np.array([np.nan])]}, "user 'w' has time nan"),
        ({"times": [np.array([5.5, 4]), *TWO[1:]]}, "user 'u' has time 4.0 after 5.5, but"),
        ({"behaviours": TWO}, "behaviours is alone; behaviours and behaviour_names come together"),
        (NAMED, "behaviour_names is alone; behaviours and behaviour_names come together"),
        ({"behaviours": TWO, "behaviour_names": ["look"]}, r"begins with \['look'\], but id 0"),
        ({"behaviours": TWO, "behaviour_names": []}, r"begins with \[\], but id 0 is no event"),
        ({"behaviours": TWO[:2], **NAMED}, "behaviours was of 2 users, but must be of 3"),
        ({"behaviours": [*TWO[:2], TWO[0]], **NAMED}, rf"behaviours {OF_W}"),
        ({"behaviours": TWO, **NAMED}, r"behaviours of user 'u' holds 2, but may hold 1\.\.1"),
        (
            {"behaviours": [np.array([1, 1]), TWO[1], np.array([0])], **NAMED},
            r"behaviours of user 'w' holds 0, but may hold 1\.\.1",
        ),
    ],
)
def test_times_and_behaviours_that_do_not_fit_the_histories_are_an_error(fields, message):
    with pytest.raises(ValueError, match=message):
        Interactions(TWO, ["u", "v", "w"], ["", "x", "y"], **fields)


def test_the_time_of_one_user_may_be_before_that_of_another():
    times = [np.array([8.0, 9.0]), np.array([]), np.array([1.0])]
    assert Interactions(TWO, ["u", "v", "w"], ["", "x", "y"], times=times).times is times
    assert Interactions([], [], [""], times=[], behaviours=[], behaviour_names=[""]).n_events == 0
