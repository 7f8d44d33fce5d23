"""Every relative link leads somewhere."""

import json
import re

import pytest

from tests.docs.markdown import LINK, PAGES, ROOT, anchors, links, name_of

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OUTSIDE = re.compile(r"^(https?:|mailto:|data:|attachment:)")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_pages_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in links(text):
        follow(page, target)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name_of)
def test_links_of_notebooks_lead_somewhere(notebook):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "markdown":
            for target in LINK.findall("".join(cell["source"])):
                follow(notebook, target)


def follow(page, target):
    """A file or folder must be there, and so must be the heading that is pointed to."""
    if OUTSIDE.match(target):
        return
    name, _, anchor = target.partition("#")
    place = (page.parent / name).resolve() if name else page
    assert place.exists(), f"{name_of(page)}: {target}"
    if anchor and place.suffix == ".md":
        assert anchor in anchors(place.read_text(encoding="utf-8")), f"{name_of(page)}: {target}"


def test_every_page_is_in_the_index_and_can_be_reached_from_the_front():
    docs = ROOT / "docs"
    index = {docs / target for target in links((docs / "README.md").read_text(encoding="utf-8"))}
    assert {page for page in PAGES if page.parent == docs} - {docs / "README.md"} <= index
    front = links((ROOT / "README.md").read_text(encoding="utf-8"))
    for page in PAGES:
        if page.parent == docs:
            assert any(target.partition("#")[0] == name_of(page) for target in front), name_of(page)
