"""The blocks of the pages that need PyTorch run."""

import pytest

from tests.docs.comparing import difference
from tests.docs.markdown import PAGES, blocks, name_of
from tests.docs.running import run_page

NEEDING = [
    page
    for page in PAGES
    if any(block.words == ("torch",) for block in blocks(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("page", NEEDING, ids=name_of)
def test_the_blocks_with_torch_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # they write files
    for output in run_page(page.read_text(encoding="utf-8"), only="torch"):
        wrong = difference(output.expected or "", output.printed, output.tolerance)
        assert wrong is None, f"{name_of(page)}, line {output.line}: {wrong}"


def test_there_is_such_a_page():
    assert NEEDING
