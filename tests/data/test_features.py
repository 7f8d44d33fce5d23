import math
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.data import read_features, read_interactions, tf_idf

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ml-100k.inter"

LABELS = ["", "10", "20", "30", "40", "50"]
# Of 30 nothing is known but a title of a word that no other has, of 40 no genre; 50 has no line.
FILES = {
    "ml.item": (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "20\tToy Amélie\t2001\tComedy Romance\n10\tToy Story\t1995\tChildren's Comedy\n"
        "30\tunkonwn\tunkonwn\tunknown\n40\tAmélie, a Story\t1995\t\n60\tNever\t1920\tWar\n",
        "utf-8",
    ),
    "u.item": (
        "20|Toy Amélie (2001)|25-Apr-2001||url|0|0|0|0|0|1|0|0|0|0|0|0|0|0|1|0|0|0|0\n"
        "10|Toy Story|01-Jan-1995||url|0|0|0|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        "30|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        "40|Amélie, a Story (1995)|02-Feb-1996||url|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
        "60|Never (1920)|01-Jan-1920||url|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0\n",
        "latin-1",
    ),
    "movies.dat": (
        "20::Toy Amélie (2001)::Comedy|Romance\n10::Toy Story (1995)::Children's|Comedy\n"
        "30::unknown::\n40::Amélie, a Story (1995)::(no genres listed)\n60::Never (1920)::War\n",
        "latin-1",
    ),
    "movies.csv": (
        "movieId,title,genres\n20,Toy Amélie (2001),Comedy|Romance\n"
        "10,Toy Story (1995),Children's|Comedy\n30,unknown,(no genres listed)\n"
        '40,"Amélie, a Story (1995)",(no genres listed)\n60,Never (1920),War\n',
        "utf-8",
    ),
}


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture(params=FILES)
def features_and_names(request, tmp_path):
    return read_features(write(tmp_path, request.param, *FILES[request.param]), LABELS)


def test_genres_are_flags_in_the_order_of_the_labels(features_and_names):
    features, names = features_and_names
    assert names["genres"] == ["Children's", "Comedy", "Romance"]  # no War: item 60 has no label
    missing = [np.nan] * 3
    expected = [[0, 0, 0], [1, 1, 0], [0, 1, 1], missing, missing, missing]
    np.testing.assert_array_equal(features["genres"], expected)


def test_years_are_standardised_over_the_items_that_have_one(features_and_names):
    features, names = features_and_names
    assert names["year"] == ["year"]
    # 1995, 2001, 1995: mean 1997, standard deviation sqrt((4 + 16 + 4) / 3) = sqrt(8)
    expected = np.array([0, -2, 4, np.nan, -2, np.nan])[:, None] / math.sqrt(8)
    np.testing.assert_allclose(features["year"], expected)


def test_titles_are_weighted_words_without_the_year(features_and_names):
    features, names = features_and_names
    assert names["title"] == ["amélie", "story", "toy"]  # "a" and "unknown" are in one title each
    half = math.sqrt(0.5)  # each of the three is in two of four titles: they weigh the same
    missing = [np.nan] * 3
    expected = [[0, 0, 0], [0, half, half], [half, 0, half], missing, [half, half, 0], missing]
    np.testing.assert_allclose(features["title"], expected)


def test_matrices_are_float64_with_a_row_an_item(features_and_names):
    for matrix in features_and_names[0].values():
        assert matrix.dtype == np.float64
        assert len(matrix) == len(LABELS)


def test_rare_words_are_left_out_and_a_matrix_without_any_is_too(tmp_path):
    path = write(tmp_path, "movies.dat", *FILES["movies.dat"])
    every, names = read_features(path, LABELS, min_items=1)
    assert names["title"] == ["a", "amélie", "story", "toy", "unknown"]
    assert not np.isnan(every["title"][3]).any()
    assert list(read_features(path, LABELS, min_items=3)[0]) == ["genres", "year"]


def test_where_all_years_are_one_they_are_0(tmp_path):
    path = write(tmp_path, "movies.dat", "1::Heat (1995)::\n2::Seven (1995)::\n")
    features, _ = read_features(path, ["", "1", "2"])
    assert list(features) == ["year"]
    np.testing.assert_array_equal(features["year"], np.zeros((3, 1)))


def test_an_item_file_that_knows_none_of_the_items_is_an_error(tmp_path):
    path = write(tmp_path, "movies.dat", *FILES["movies.dat"])
    message = (
        r"^movies\.dat: no genre, year or title of any of the 2 items '1', '2'; "
        r"the 5 items in it are '20', '10', '30', '40', '60'$"
    )
    with pytest.raises(ValueError, match=message):
        read_features(path, ["", "1", "2"])
    with pytest.raises(ValueError, match=r"labels begins with \['10'\], but row 0 is padding: ''"):
        read_features(path, ["10", "20"])


def slow_tf_idf(texts, word, text):
    filled = [t.lower().split() for t in texts if t]
    containing = sum(word in t for t in filled)
    return text.lower().split().count(word) * math.log(len(filled) / containing)


def test_tf_idf_is_the_formula():
    texts = ["red red blue", "Blue green", "", "red black", "blue"]
    matrix, words = tf_idf(texts)
    assert words == ["black", "blue", "green", "red"]
    for row, text in zip(matrix, texts, strict=True):
        weights = np.array([slow_tf_idf(texts, word, text) for word in words])
        np.testing.assert_allclose(row, weights / (np.linalg.norm(weights) or 1), atol=1e-15)


def test_a_word_of_all_texts_weighs_nothing_and_leaves_no_nan():
    matrix, words = tf_idf(["the cat", "the dog", "the"])
    assert words == ["cat", "dog", "the"]
    np.testing.assert_array_equal(matrix, [[1, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_words_are_runs_of_letters_digits_and_apostrophes():
    assert tf_idf(["Children's 2nd: 'été'!", "x"])[1] == ["2nd", "children's", "x", "été"]


def test_words_in_too_few_texts_are_left_out():
    matrix, words = tf_idf(["a b b", "a c", "d"], min_items=2)
    assert words == ["a"]  # b is twice in one text
    np.testing.assert_array_equal(matrix, [[1], [1], [0]])
    for texts in ([], ["", ""]):
        matrix, words = tf_idf(texts)
        assert (matrix.shape, words) == ((len(texts), 0), [])


@pytest.mark.skipif(not REAL.exists(), reason="MovieLens-100K is not beside the project")
def test_movielens_100k_has_features():
    data = read_interactions(REAL)
    features, names = read_features(REAL.with_suffix(".item"), data.items)
    assert {name: len(matrix) for name, matrix in features.items()} == dict.fromkeys(names, 1683)
    assert len(names["genres"]) == 18
    star_wars = features["genres"][50]
    expected = ["Action", "Adventure", "Romance", "Sci-Fi", "War"]
    assert [names["genres"][f] for f in np.flatnonzero(star_wars)] == expected
    # "unkonwn" has no year, and neither has it a genre; nor has Good Morning.
    assert np.flatnonzero(np.isnan(features["year"][:, 0])).tolist() == [267]
    assert np.flatnonzero(np.isnan(features["genres"][:, 0])).tolist() == [267, 1373]
