"""Users: every format gives the same fields, and what is not known is 0."""

from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.data import read_user_fields

FILES = {
    "a.user": "user_id:token\tage:token\tgender:token\toccupation:token\n"
    "7\t24\tM\twriter\n9\t61\tF\tlawyer\n",
    "u.user": "7|24|M|writer|85711\n9|61|F|lawyer|94043\n",
    "users.dat": "7::M::24::writer::85711\n9::F::61::lawyer::94043\n",
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_fields(name, tmp_path):
    path = tmp_path / name
    path.write_text(FILES[name])
    fields = read_user_fields(path, ["9", "nobody", "7"])
    assert fields["gender"].names == ["", "F", "M"]
    assert fields["gender"].kinds.tolist() == [1, 0, 2]
    assert fields["age"].names == ["", "18-24", "from 56"]
    assert fields["age"].kinds.tolist() == [2, 0, 1]
    assert fields["occupation"].names == ["", "lawyer", "writer"]
    assert fields["occupation"].kinds.tolist() == [1, 0, 2]


def test_what_is_known_of_a_user_is_known_at_every_event(tmp_path):
    path = tmp_path / "u.user"
    path.write_text(FILES["u.user"])
    field = read_user_fields(path, ["7", "9"])["gender"]
    over = field.over([1, 0], [np.arange(3), np.arange(1)])
    assert [row.tolist() for row in over] == [[1, 1, 1], [2]]


@pytest.mark.parametrize(
    ("age", "group"),
    [
        ("1", "under 18"),
        ("17", "under 18"),
        ("18", "18-24"),
        ("24", "18-24"),
        ("25", "25-34"),
        ("55", "50-55"),
        ("56", "from 56"),
        ("90", "from 56"),
    ],
)
def test_ages_come_in_the_groups_of_movielens_1m(age, group, tmp_path):
    path = tmp_path / "u.user"
    path.write_text(f"7|{age}|M|writer|0\n")
    assert read_user_fields(path, ["7"])["age"].names == ["", group]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id:token\tzip:token\n7\t1\n", "has the columns 'user_id', 'zip', but must have one"),
        ("", "has the columns"),
        ("7|24|M\n", "line 1: too few fields"),
        ("7|old|M|writer|0\n", "line 1: age was 'old', but must be a whole number"),
        ("8|24|M|writer|0\n", "has none of the users '7'"),
    ],
)
def test_a_malformed_file_is_an_error_that_says_where(text, message, tmp_path):
    path = tmp_path / "u.user"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_user_fields(path, ["7"])


REAL = Path(__file__).parents[3] / "shared" / "data" / "ml-100k.user"


@pytest.mark.skipif(not REAL.exists(), reason="MovieLens-100K is not beside the project")
def test_movielens_knows_all_of_its_users():
    fields = read_user_fields(REAL, [str(user) for user in range(1, 944)])
    assert {name: len(field.names) - 1 for name, field in fields.items()} == {
        "gender": 2,
        "age": 7,
        "occupation": 21,
    }
    assert all((field.kinds > 0).all() for field in fields.values())
