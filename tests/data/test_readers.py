import re
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.data import read_interactions, readers

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ml-100k.inter"

# The same six events in every format. User 1 met 30 first, then 10 and 20 at one time; user 2 met
# 20, then 10 and 10 again.
EVENTS = [(1, 10, 5, 200), (2, 20, 3, 100), (1, 20, 4, 200), (1, 30, 1, 100), (2, 10, 2, 300)]
EVENTS.append((2, 10, 2, 400))


def lines(separator, fields=(0, 1, 2, 3), events=EVENTS):
    return "".join(separator.join(str(event[f]) for f in fields) + "\n" for event in events)


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


RECBOLE = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
FILES = {
    "ml.inter": RECBOLE + lines("\t"),
    "turned.inter": "timestamp:float\titem_id:token\tuser_id:token\n" + lines("\t", (3, 1, 0)),
    "u.data": lines("\t"),
    "other_name.tsv": lines("\t"),
    "ratings.dat": lines("::"),
    "ratings.csv": "userId,movieId,rating,timestamp\n" + lines(","),
    "semicolons.csv": "item;USER;time\n" + lines(";", (1, 0, 3)),
    "header.tsv": "user_id\titem_id\trating\ttimestamp\n" + lines("\t"),
    "header.txt": "item user timestamp\n" + lines(" ", (1, 0, 3)),
    "quoted.csv": '"user","item","timestamp"\n' + re.sub(r"(\d+)", r'"\1"', lines(",", (0, 1, 3))),
    "spaced.csv": "user, item, timestamp\n" + lines(", ", (0, 1, 3)),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_interactions(tmp_path, name):
    data = read_interactions(write(tmp_path, name, FILES[name]))
    assert data.users == ["1", "2"]
    assert data.items == ["", "10", "20", "30"]
    assert [h.tolist() for h in data.histories] == [[3, 1, 2], [2, 1, 1]]  # the tie: 10 before 20
    assert data.titles is None
    assert [times.tolist() for times in data.times] == [[100, 200, 200], [100, 300, 400]]
    assert data.behaviours is data.behaviour_names is None


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_lines_of_plain_text_are_in_the_order_of_time(tmp_path, separator):
    data = read_interactions(write(tmp_path, "ml.txt", lines(separator, (0, 1))))
    assert [h.tolist() for h in data.histories] == [[1, 2, 3], [2, 1, 1]]
    assert data.times is None


BEHAVIOURS = {
    "events.csv": (  # as RetailRocket ships it
        "timestamp,visitorid,event,itemid,transactionid\n"
        "300,7,transaction,5,4000\n100,7,view,5,\n200,7,view,9,\n100,8,addtocart,9,\n"
    ),
    "2019-Oct.csv": (  # REES46: its times are no numbers, its lines are in order
        "event_time,event_type,product_id,category_code,price,user_id,user_session\n"
        "2019-10-01 00:00:00 UTC,view,5,,1.5,7,a\n2019-10-01 00:00:01 UTC,view,9,,1.5,7,a\n"
        "2019-10-01 00:00:02 UTC,transaction,5,x,1,7,a\n"
        "2019-10-01 00:00:02 UTC,addtocart,9,x,1,8,b\n"
    ),
    "ml.inter": (
        "user_id:token\titem_id:token\tbehavior:token\n7\t5\tview\n7\t9\tview\n"
        "7\t5\ttransaction\n8\t9\taddtocart\n"
    ),
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_what_the_user_did_is_read_where_the_header_says_so(tmp_path, name):
    data = read_interactions(write(tmp_path, name, BEHAVIOURS[name]))
    assert data.behaviour_names == ["", "addtocart", "transaction", "view"]
    assert [h.tolist() for h in data.histories] == [[1, 2, 1], [2]]
    assert [b.tolist() for b in data.behaviours] == [[3, 3, 2], [1]]


def test_a_column_of_behaviours_is_read_by_any_name_that_is_given(tmp_path):
    path = write(tmp_path, "a.csv", "user,item,did,event\n1,8,buy,x\n1,9,look,y\n")
    data = read_interactions(path, columns={"behaviour": "did"})
    assert data.behaviour_names == ["", "buy", "look"]
    assert data.behaviours[0].tolist() == [1, 2]
    with pytest.raises(ValueError, match="no behaviour column 'verb'; its columns are 'user', 'i"):
        read_interactions(path, columns={"behaviour": "verb"})


def test_a_guess_does_not_take_the_column_of_another_role(tmp_path):
    path = write(tmp_path, "a.csv", "user,event,date\n1,8,3\n1,9,2\n")
    data = read_interactions(path, columns={"item": "event"})
    assert data.behaviours is None
    assert data.items == ["", "8", "9"]
    data = read_interactions(path, columns={"item": "event", "behaviour": "date"})
    assert data.times is None
    assert data.behaviour_names == ["", "2", "3"]


def test_a_column_can_be_left_unread(tmp_path):
    path = write(tmp_path, "a.csv", "user,item,event,time\n1,8,,3\n1,9,x,soon\n")
    with pytest.raises(ValueError, match=r"a\.csv line 3: expected a number as timestamp"):
        read_interactions(path)
    with pytest.raises(ValueError, match=r"a\.csv line 2: expected the behaviour's label"):
        read_interactions(path, columns={"timestamp": None})
    data = read_interactions(path, columns={"timestamp": None, "behaviour": None})
    assert (data.times, data.behaviours, data.ordered_by) == (None, None, "line")


@pytest.mark.parametrize("name", FILES)
def test_blank_lines_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path, name):
    text = "\n" + FILES[name].replace("\n", "\n\n") + "  \n"
    untidy = write(tmp_path, name, text.replace("\n", "\r\n"), encoding="utf-8-sig")
    data = read_interactions(str(untidy))
    assert [h.tolist() for h in data.histories] == [[3, 1, 2], [2, 1, 1]]


def test_the_last_line_need_not_end(tmp_path):
    assert read_interactions(write(tmp_path, "ml.txt", "1 2\n1 3")).n_events == 2


def test_columns_of_any_name_can_be_given(tmp_path):
    path = write(tmp_path, "log.csv", "when,who,what,user\n9,ann,tea,x\n3,ann,milk,x\n")
    data = read_interactions(path, columns={"user": "who", "item": "what", "timestamp": "when"})
    assert data.users == ["ann"]
    assert data.histories[0].tolist() == [1, 2]  # milk, tea
    untimed = read_interactions(path, columns={"user": "who", "item": "what"})
    assert untimed.histories[0].tolist() == [2, 1]


@pytest.mark.parametrize("name", ["unixTimestamp", "unixReviewTime", "DateTime", "date", "ts"])
def test_a_column_of_times_goes_by_many_names(tmp_path, name):
    path = write(tmp_path, "a.csv", f"userId,movieId,rating,{name}\n1,8,5,20\n1,9,5,10\n")
    data = read_interactions(path)
    assert [data.items[i] for i in data.histories[0]] == ["9", "8"]
    assert data.ordered_by == "timestamp"


def test_where_no_column_is_a_time_it_is_said_what_there_was(tmp_path):
    data = read_interactions(write(tmp_path, "a.csv", "user,item,heard\n1,8,20\n1,9,10\n"))
    expected = "line, as none of the columns 'user', 'item', 'heard' is known as a timestamp"
    assert data.ordered_by == expected
    assert read_interactions(write(tmp_path, "a.txt", "1 2\n")).ordered_by == "line"
    assert read_interactions(write(tmp_path, "u.data", lines("\t"))).ordered_by == "timestamp"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.inter", "user_id:token\titem_id:token\n 1 \t2 \n1\t2\n"),
        ("a.csv", "user,item\n 1 ,2 \n1,2\n"),
        ("quoted.csv", 'user,item\n"1 ","2"\n1," 2"\n'),
        ("u.data", "1 \t2 \t3\t4\n1\t2\t3\t5\n"),
        ("ratings.dat", "1 :: 2::3::4\n1::2::3::5\n"),
        ("a.txt", "1\t2 \n1\t2\n"),
    ],
)
def test_spaces_around_a_label_are_no_part_of_it(tmp_path, name, text):
    data = read_interactions(write(tmp_path, name, text))
    assert (data.users, data.items) == (["1"], ["", "2"])


def test_spaces_in_an_item_file_are_no_part_of_labels_and_titles(tmp_path):
    write(tmp_path, "u.item", "10 | Heat \n20|  |x\n")
    data = read_interactions(write(tmp_path, "u.data", FILES["u.data"]))
    assert data.names == ["", "Heat", "20", "30"]


def test_quoted_fields_may_hold_the_separator(tmp_path):
    data = read_interactions(write(tmp_path, "a.csv", 'user,item\n1,"tea, ""green"""\n1,milk\n'))
    assert data.items == ["", "milk", 'tea, "green"']


TITLES = [  # data file, item file, its text, its encoding
    (
        "ml.inter",
        "ml.item",
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "10\tUsual Suspects, The\t1995\tCrime\n20\tAmélie\t\t\n30\tunkonwn\tunkonwn\tunknown\n"
        "40\tNever Met\t1999\tDrama\n",
        "utf-8",
        ["", "Usual Suspects, The (1995)", "Amélie", "unkonwn"],
    ),
    (
        "u.data",
        "u.item",
        "10|Toy Story (1995)|01-Jan-1995||0|1\n20|Amélie (2001)|||0|0\n",
        "latin-1",
        ["", "Toy Story (1995)", "Amélie (2001)", "30"],
    ),
    (
        "ratings.dat",
        "movies.dat",
        "10::Toy Story (1995)::Comedy\n20::Amélie (2001)::Comedy|Romance\n30::Heat (1995)::Crime\n",
        "latin-1",
        ["", "Toy Story (1995)", "Amélie (2001)", "Heat (1995)"],
    ),
    (
        "ratings.csv",
        "movies.csv",
        'movieId,title,genres\n10,"Usual Suspects, The (1995)",Crime\n20,Amélie (2001),Comedy\n',
        "utf-8",
        ["", "Usual Suspects, The (1995)", "Amélie (2001)", "30"],
    ),
]


@pytest.mark.parametrize(("name", "item_name", "text", "encoding", "titles"), TITLES)
def test_titles_are_found_beside_the_data(tmp_path, name, item_name, text, encoding, titles):
    write(tmp_path, item_name, text, encoding)
    data = read_interactions(write(tmp_path, name, FILES[name]))
    assert data.titles == data.names == titles  # item 40 has no event: it is not in the catalogue


@pytest.mark.parametrize(("name", "item_name", "text", "encoding", "titles"), TITLES)
def test_titles_are_read_from_where_they_are_said_to_be(
    tmp_path, name, item_name, text, encoding, titles
):
    (tmp_path / "elsewhere").mkdir()
    item_file = write(tmp_path / "elsewhere", item_name, text, encoding)
    path = write(tmp_path, "plain.txt", lines(" ", (0, 1)))
    assert read_interactions(path, titles=item_file).titles == titles


def test_an_item_file_without_titles_is_an_error_only_where_it_was_asked_for(tmp_path):
    item_file = write(tmp_path, "ml.item", "item_id:token\tprice:float\n10\t5\n")
    path = write(tmp_path, "ml.inter", FILES["ml.inter"])
    assert read_interactions(path).titles is None
    with pytest.raises(ValueError, match=r"ml\.item: no item with a title in it"):
        read_interactions(path, titles=item_file)


MALFORMED = [
    (
        "ml.inter",
        RECBOLE + lines("\t", events=EVENTS[:1] * 15) + "196\t242\t3\n1\t2\t3\t4\n",
        r"ml.inter line 17: expected 4 tab-separated fields, found 3: '196\t242\t3'",
    ),
    (
        "ml.inter",
        RECBOLE + "\n\n1\t2\t3\tsoon\n",
        "ml.inter line 4: expected a number as timestamp, found 'soon'",
    ),
    (
        "u.data",
        lines("\t") + "1\t2\t3\tnan\n",
        "u.data line 7: expected a number as timestamp, found 'nan'",
    ),
    (
        "u.data",
        "1\t2\t3\n",
        r"u.data line 1: expected 4 tab-separated fields, found 3: '1\t2\t3'",
    ),
    (
        "ratings.dat",
        "1::2::3::4\n1:2:3:4\n",
        "ratings.dat line 2: expected 4 '::'-separated fields, found 1: '1:2:3:4'",
    ),
    ("ml.txt", "1 2\n\n3\n", "ml.txt line 3: expected 2 space-separated fields, found 1: '3'"),
    (
        "a.csv",
        "user,item\n1,2\n3\n",
        "a.csv line 3: expected 2 comma-separated fields, found 1: '3'",
    ),
    (
        "a.csv",
        'user,item\n1,"2"\n1,"3,4\n',
        "a.csv line 3: expected 2 comma-separated fields, found a quote that does not end as it "
        "should: '1,\"3,4'",
    ),
    ("a.csv", "user,item\n1,2\n1,\n", "a.csv line 3: expected the item's label, found ''"),
    ("ml.inter", RECBOLE + "\t2\t3\t4\n", "ml.inter line 2: expected the user's label, found ''"),
    ("a.csv", "user,item\n1,2\n 　,3\n", "a.csv line 3: expected the user's label, found ''"),
    (
        "x.txt",
        "x" * 300_000,
        "x.txt line 1: field larger than field limit (131072)",
    ),
    (
        "a.csv",
        f'user,item\n1,"{"x" * 300_000}"\n',
        "a.csv line 2: expected 2 comma-separated fields, found field larger than field limit "
        f"(131072): '1,\"{'x' * 76}…'",
    ),
    (
        "ml.inter",
        "x" * 300_000,
        "ml.inter line 1: expected a header such as 'user_id:token\\titem_id:token\\t"
        f"timestamp:float', found '{'x' * 79}…'",
    ),
    (
        "a.csv",
        ",".join(map(str, range(99_999))),
        "a.csv: no user column 'user' or 'user_id' or 'userid' or 'visitorid'; its columns are "
        "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', … (99999 in all)",
    ),
    (
        "u.data",
        f"1\t2\t3\t{'x' * 9999}\n",
        f"u.data line 1: expected a number as timestamp, found '{'x' * 79}…'",
    ),
    ("ml.inter", RECBOLE, "ml.inter: no events, only a header"),
    ("ml.inter", "", "ml.inter: the file is empty"),
    ("ml.txt", "\n \n", "ml.txt: the file is empty"),
    (
        "a.csv",
        "who,item\n1,2\n",
        "a.csv: no user column 'user' or 'user_id' or 'userid' or 'visitorid'; its columns are "
        "'who', 'item'",
    ),
    (
        "b.inter",
        "user_id:token\tprice:float\n1\t2\n",
        "b.inter: no item column 'item' or 'item_id' or 'itemid' or 'movie_id' or 'movieid' or "
        "'product_id'; its columns are 'user_id', 'price'",
    ),
]


@pytest.mark.parametrize(("name", "text", "message"), MALFORMED, ids=[m[2] for m in MALFORMED])
def test_what_cannot_be_read_is_an_error_that_says_where_and_what(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_interactions(write(tmp_path, name, text))


@pytest.mark.parametrize("text", ["1\t2\t3\n", "once upon a time\n", "lonely\n"])
def test_an_unknown_format_is_an_error_that_lists_the_known_ones(tmp_path, text):
    with pytest.raises(ValueError, match=r"^x\.txt: no known format begins .*u\.data.*CSV"):
        read_interactions(write(tmp_path, "x.txt", text))


def test_a_column_that_was_asked_for_must_be_there(tmp_path):
    path = write(tmp_path, "a.csv", "user,item\n1,2\n")
    with pytest.raises(ValueError, match="no timestamp column 'when'; its columns are 'user', 'i"):
        read_interactions(path, columns={"timestamp": "when"})
    with pytest.raises(ValueError, match="'users'; it may have user, item, timestamp, behaviour"):
        read_interactions(path, columns={"users": "user"})


def test_each_role_has_a_column_of_its_own(tmp_path):
    path = write(tmp_path, "a.csv", "user,item\n1,2\n")
    message = (
        "a.csv: each role must have a column of its own, but they are user 'user', item 'user'"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        read_interactions(path, columns={"user": "user", "item": "USER"})


@pytest.mark.parametrize("text", ["once upon a time ", '[{"user": 1, "item": 2}, '])
def test_an_error_about_a_long_line_is_short(tmp_path, text):
    with pytest.raises(ValueError, match=r"^a\.txt: ") as raised:
        read_interactions(write(tmp_path, "a.txt", text * 5000))
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ('20,"Amélie (2001),Comedy', "a quote that does not end as it should"),
        (f"20,{'x' * 200_000},Comedy", r"field larger than field limit \(131072\)"),
        ("20", "'20'"),
    ],
)
def test_a_malformed_row_of_titles_is_named(tmp_path, row, found):
    text = f'movieId,title,genres\n10,"A\nB",C\n{row}\n30,"Heat, again",Crime\n'
    item_file = write(tmp_path, "movies.csv", text)
    expected = rf"^movies\.csv line 4: expected an item and its title, found {found}$"
    with pytest.raises(ValueError, match=expected):
        read_interactions(write(tmp_path, "a.txt", "1 10\n"), titles=item_file)


def test_an_item_whose_title_is_empty_goes_by_its_label(tmp_path):
    text = "item_id:token\tmovie_title:token_seq\trelease_year:token\n10\t\t1995\n20\t \t\n"
    write(tmp_path, "ml.item", text + "30\tHeat\t1995\n")
    data = read_interactions(write(tmp_path, "ml.inter", FILES["ml.inter"]))
    assert data.names == ["", "10", "20", "Heat (1995)"]


def test_a_missing_or_binary_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.inter"):
        read_interactions(tmp_path / "none.inter")
    with pytest.raises(ValueError, match=r"ml\.inter: not a text file in UTF-8"):
        read_interactions(write(tmp_path, "ml.inter", RECBOLE + "caf\xe9", encoding="latin-1"))


def test_files_longer_than_a_block_are_read_whole_and_counted_right(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_CHARACTERS", 20)
    text = "".join(f"1 {item}\n\n" for item in range(1, 40))
    data = read_interactions(write(tmp_path, "ml.txt", text))
    assert data.histories[0].tolist() == list(range(1, 40))
    with pytest.raises(ValueError, match="line 79: expected 2 space-separated fields, found 3"):
        read_interactions(write(tmp_path, "ml.txt", text + "1 2 3\n"))


@pytest.mark.skipif(not REAL.exists(), reason="MovieLens-100K is not beside the project")
def test_movielens_100k_is_read_with_its_titles():
    data = read_interactions(REAL)
    assert str(data) == "943 users, 1682 items, 100000 events"
    assert data.names[1] == "Toy Story (1995)"
    assert data.names[12] == "Usual Suspects, The (1995)"
    assert data.users[-1] == "943"
    assert len(data.histories[0]) == 272
    assert np.bincount(np.concatenate(data.histories)).argmax() == 50  # Star Wars, the most rated
