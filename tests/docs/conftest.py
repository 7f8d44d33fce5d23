import pytest

from tests.docs.standin import write_standins


@pytest.fixture
def readers_folder(tmp_path, monkeypatch):
    """Where a reader works: a folder of its own, with what the pages read."""
    write_standins(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")  # the width of what argparse prints
    return tmp_path
