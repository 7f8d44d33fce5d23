"""What goes into the file comes out of it, or nothing is written at all."""

import os
import threading

import numpy as np
import pytest

from attention_from_scratch import files
from attention_from_scratch.training import load_model, replace_file, save_model
from attention_from_scratch.tree import tree_leaves

TREE = {
    "table": np.arange(6.0).reshape(2, 3),
    "blocks": [
        {"weight": np.full((2, 1), i, np.float32), "deep": [{"x": [np.array([-i])]}]}
        for i in range(12)
    ],
    "count": np.array(7),
}


def structure(tree):
    if isinstance(tree, dict):
        return {name: structure(branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [structure(branch) for branch in tree]
    return (tree.shape, tree.dtype)


def test_a_nested_tree_with_lists_comes_back_as_it_was(tmp_path):
    save_model(tmp_path / "m.npz", TREE, {"a": [1, 2.5, "x", None]})
    tree, description = load_model(tmp_path / "m.npz")
    assert structure(tree) == structure(TREE)
    for (path, leaf), (_, before) in zip(tree_leaves(tree), tree_leaves(TREE), strict=True):
        assert np.array_equal(leaf, before), path
    assert description == {"format": files.FORMAT, "a": [1, 2.5, "x", None]}


def test_the_file_has_exactly_the_name_that_was_asked_for(tmp_path):
    save_model(tmp_path / "model", TREE, {})
    save_model(str(tmp_path / "other.bin"), TREE, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "other.bin"]
    assert load_model(str(tmp_path / "other.bin"))[1] == {"format": files.FORMAT}


def test_numbers_of_numpy_may_stand_in_the_description(tmp_path):
    save_model(tmp_path / "m.npz", TREE, {"n": np.int64(3), "p": np.float32(0.5)})
    assert load_model(tmp_path / "m.npz")[1] == {"format": files.FORMAT, "n": 3, "p": 0.5}


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "m.npz")


def test_another_file_is_a_value_error(tmp_path):
    (tmp_path / "m.npz").write_text("user,item\n1,2\n")
    with pytest.raises(ValueError, match=r"m\.npz is not a model that was saved here"):
        load_model(tmp_path / "m.npz")


def test_replace_file_puts_the_new_one_in_place_of_the_old(tmp_path):
    path = tmp_path / "file.txt"
    for text in ("old", "new"):
        replace_file(path, lambda temporary, text=text: temporary.write_text(text))
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_until_the_new_file_is_whole_the_old_one_stands(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("ne")
        assert temporary.parent == path.parent  # so that the move is one step
        assert path.read_text() == "old"
        temporary.write_text("new")

    replace_file(path, write)
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(error):
        replace_file(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (28, lambda temporary: OSError(28, "No space left", str(temporary))),
        (None, lambda temporary: OSError("No space left")),  # so NumPy puts it at times
    ],
)
def test_an_error_names_the_file_that_was_asked_for(tmp_path, number, error):
    path = tmp_path / "file.txt"

    def write(temporary):
        raise error(temporary)

    with pytest.raises(OSError, match="No space left") as raised:
        replace_file(path, write)
    assert (raised.value.errno, raised.value.filename) == (number, str(path))


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("n" * 255)
    replace_file(path, lambda temporary: temporary.write_text("x"))
    assert path.read_text() == "x"


def test_a_file_in_place_of_the_folder_is_an_error_that_names_the_path(tmp_path):
    (tmp_path / "folder").write_text("a file")
    path = tmp_path / "folder" / "file"
    with pytest.raises(NotADirectoryError) as raised:
        replace_file(path, lambda temporary: temporary.write_text("x"))
    assert raised.value.filename == str(path)


def test_a_folder_that_is_not_there_is_an_error_and_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no/file'$"):
        replace_file(tmp_path / "no" / "file", lambda temporary: temporary.write_text("x"))
    assert not list(tmp_path.iterdir())


def test_replace_file_writes_to_what_is_no_file_and_through_a_link(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    read = []
    reader.start()
    replace_file(tmp_path / "pipe", lambda path: path.write_text("said"))
    reader.join(timeout=10)
    assert read == ["said"]
    assert not (tmp_path / "pipe").is_file()
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    replace_file(tmp_path / "link", lambda path: path.write_text("new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"
