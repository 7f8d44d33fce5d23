"""What is known of items apart from who met them: their genres, years and titles, as matrices."""

import re
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from attention_from_scratch.data.item_files import Item, read_items
from attention_from_scratch.data.tables import listed


def read_features(
    path: str | PathLike, labels: Sequence[str], *, min_items: int = 2
) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Read an item file of RecBole or MovieLens into matrices with a row an item.

    Parameters
    ----------
    path : path
        ``ml-100k.item``, ``u.item``, ``movies.dat``, ``movies.csv``: as in `read_items`.
    labels : sequence of str
        ``labels[i]`` is the label of item i, as in `Interactions.items`; ``labels[0]`` is "", the
        padding.
    min_items : int
        A word that is in fewer titles is left out.

    Returns
    -------
    features : dict of (V + 1, F) float64 matrices
        - "genres": 1 where the item is of the genre, else 0.
        - "year": one column, of mean 0 and standard deviation 1 over the items.
        - "title": `tf_idf` of the words of the title (without the year in it).

        Row 0, the padding, is 0. A row is NaN where nothing is known: no genre, no year, no word
        that counts, or no line for the item. A matrix of which no row is known is left out.
    names : dict of lists of str
        ``names["genres"][f]`` is what column f of ``features["genres"]`` stands for.

    Raises
    ------
    ValueError
        If the file is malformed, or nothing is known of any of the items.
    """
    if not labels or labels[0] != "":
        raise ValueError(f"labels begins with {list(labels[:1])}, but row 0 is padding: ''")
    found = read_items(path)
    nothing = Item("", None, ())
    items = [found.get(label, nothing) for label in labels[1:]]
    features, names = {}, {}
    parts = {"genres": _genres(items), "year": _years(items), "title": _titles(items, min_items)}
    for part, (matrix, columns) in parts.items():
        if not np.isnan(matrix).all():
            features[part] = np.concatenate([np.zeros((1, len(columns))), matrix])
            names[part] = columns
    if not features:
        raise ValueError(
            f"{Path(path).name}: no genre, year or title of any of the {len(items)} items "
            f"{listed(labels[1:])}; the {len(found)} items in it are {listed(list(found))}"
        )
    return features, names


def _genres(items: Sequence[Item]) -> tuple[np.ndarray, list[str]]:
    """Which genres each item is of, (V, F), and their names."""
    names = sorted({genre for item in items for genre in item.genres})
    rows = [[genre in item.genres for genre in names] for item in items]
    matrix = np.array(rows, float).reshape(len(items), len(names))
    matrix[[not item.genres for item in items]] = np.nan
    return matrix, names


def _years(items: Sequence[Item]) -> tuple[np.ndarray, list[str]]:
    """The year of each item, (V, 1), standardised."""
    years = np.array([np.nan if item.year is None else item.year for item in items])
    known = years[~np.isnan(years)]
    if known.size:
        years = (years - known.mean()) / (known.std() or 1)
    return years[:, None], ["year"]


def _titles(items: Sequence[Item], min_items: int) -> tuple[np.ndarray, list[str]]:
    """The words of each item's title, (V, F), weighted, and the words."""
    texts = [re.sub(r"\([0-9]{4}\)", "", item.title) for item in items]
    matrix, words = tf_idf(texts, min_items=min_items)
    matrix[~matrix.any(axis=1)] = np.nan
    return matrix, words


def tf_idf(texts: Sequence[str], *, min_items: int = 1) -> tuple[np.ndarray, list[str]]:
    """Weigh the words of texts: high where a word is frequent in the text and rare in the others.

        weight[d, w] = tf(d, w) * ln(N / n(w)), then each row divided by its length

    tf(d, w) is how often word w is in text d, n(w) the number of texts that it is in, and N the
    number of texts that are not empty. A word is a run of letters, digits and apostrophes; its
    case does not count.

    Parameters
    ----------
    texts : sequence of str, one an item
    min_items : int
        A word that is in fewer texts is left out.

    Returns
    -------
    matrix : (texts, words) float64
        Rows of length 1; of length 0 where no word counts (one that is in all texts weighs 0).
    words : list of str
        In alphabetical order.

    Source: Salton & Buckley, Term-weighting approaches in automatic text retrieval, Information
    Processing & Management 24(5), 1988: their weighting "tfc".
    """
    counts = [Counter(re.findall(r"\w+(?:'\w+)*", text.lower())) for text in texts]
    n_texts = Counter(word for count in counts for word in count)  # n(w)
    words = sorted(word for word, n in n_texts.items() if n >= min_items)
    column = {word: place for place, word in enumerate(words)}
    matrix = np.zeros((len(texts), len(words)))
    for row, count in zip(matrix, counts, strict=True):
        for word in count.keys() & column.keys():
            row[column[word]] = count[word]
    n_filled = sum(map(bool, counts))
    matrix *= np.log(n_filled / np.array([n_texts[word] for word in words]))
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0), words
