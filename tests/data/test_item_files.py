import pytest

from attention_from_scratch.data.item_files import Item, read_items


def read(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode("utf-8"))
    return read_items(path)


HEADER = "item_id:token\tmovie_title:token_seq\trelease_year:token\tgenre:token_seq\n"
FLAGS = "|".join(["0"] * 5 + ["1"] + ["0"] * 13)
LINES = [
    ("ml.item", HEADER + "1\tHeat\t1995\tCrime Drama\n", ("Heat (1995)", 1995, "Crime Drama")),
    ("ml.item", HEADER + "1\tHeat\t\t\n", ("Heat", None, "")),
    ("ml.item", HEADER + "1\t\t1995\tCrime\n", ("", 1995, "Crime")),
    ("ml.item", HEADER + "1\tHeat\n", ("Heat", None, "")),
    # As RecBole's ml-100k.item has one of them: the year stayed in the title.
    ("ml.item", HEADER + "1\tLand III (1995)\tV\tDrama\n", ("Land III (1995)", 1995, "Drama")),
    ("ml.item", HEADER + "1\t2001\t1968\tSci-Fi\n", ("2001 (1968)", 1968, "Sci-Fi")),
    ("u.item", f"1|Heat (1995)|03-Mar-1996||x|{FLAGS}\n", ("Heat (1995)", 1995, "Comedy")),
    ("u.item", f"1|Heat|03-Mar-1996||x|{FLAGS}\n", ("Heat", 1996, "Comedy")),
    ("u.item", "1|Heat\n", ("Heat", None, "")),
    ("movies.dat", "1::Heat (1995) (V)::Film-Noir\n", ("Heat (1995) (V)", 1995, "Film-Noir")),
    ("movies.dat", "1::12 (1995) (2007)::\n", ("12 (1995) (2007)", 2007, "")),
    ("movies.csv", 'movieId,title,genres\n1,"A, B",War|IMAX\n', ("A, B", None, "War IMAX")),
    ("x.item", "item_id:token\tclass:token_seq\n1\tWar unknown\n", ("", None, "War")),
]


@pytest.mark.parametrize(("name", "text", "expected"), LINES, ids=[line[1] for line in LINES])
def test_a_line_says_title_year_and_genres(tmp_path, name, text, expected):
    title, year, genres = expected
    assert read(tmp_path, name, text) == {"1": Item(title, year, tuple(genres.split()))}


def test_a_file_without_items_has_none(tmp_path):
    assert read(tmp_path, "x.item", "what:token\tprice:float\n1\t2\n") == {}
    assert read(tmp_path, "x.item", "") == {}


def test_a_line_without_a_title_is_named(tmp_path):
    expected = r"^movies\.dat line 3: expected an item and its title, found '2'$"
    with pytest.raises(ValueError, match=expected):
        read(tmp_path, "movies.dat", "1::Heat::War\n\n2\n")
