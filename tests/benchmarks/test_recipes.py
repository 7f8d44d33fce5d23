"""What is committed was made by the recipe in the code, and every page says on which ops."""

from types import SimpleNamespace

import pytest

from benchmarks import baselines, frameworks, movielens
from benchmarks.applications import __main__ as applications
from benchmarks.applications import decisions, fusion, news, shop, social
from benchmarks.claims.__main__ import CLAIMS
from benchmarks.claims.trained import CLAIMS as TRAINED
from benchmarks.claims.writing import RESULTS as CLAIMED
from benchmarks.common.resuming import read_results
from benchmarks.common.writing import as_read, in_words, read_json, recipe_lines
from benchmarks.digits import __main__ as digits
from benchmarks.digits import page as digits_page
from benchmarks.reproduce.__main__ import RESULTS as REPRODUCED
from benchmarks.reproduce.recipes import RECIPES

STUDIES = [shop.Shop(), news.Newspaper(), social.Feed()]
CALLED_FOR = SimpleNamespace(
    quick=False, seeds=[0, 1, 2], data=SimpleNamespace(name="ml-100k.inter")
)


def settings_in_code():
    """Name of a folder or file of applications -> the settings that its command has."""
    settings = {study.NAME: study.settings(False) for study in STUDIES}
    films = fusion.settings_of(False) | {"data": "ml-100k"}
    return settings | {"fusion": films, "decisions.json": decisions.settings_of(CALLED_FOR)}


def models_in(settings):
    """The settings of every model in a recipe."""
    found = [settings["model"]] if "model" in settings else []
    for part in settings.values():
        found += models_in(part) if isinstance(part, dict) else []
    return found


@pytest.mark.parametrize("name", settings_in_code())
def test_an_application_was_made_by_the_settings_in_the_code(name):
    settings, path = settings_in_code()[name], applications.RESULTS / name
    results = [read_json(path)] if path.is_file() else read_results(path)
    assert results
    for result in results:
        assert result["settings"] == as_read(settings)
    models = models_in(settings)
    assert models
    assert all(model["ops"] == "plain" for model in models)


@pytest.mark.parametrize("data", ["ml-100k", "ml-1m"])
def test_the_baselines_were_made_by_the_settings_in_the_code(data):
    results = read_results(baselines.RESULTS / data)
    assert results
    for result in results:
        assert result["asked"] == as_read(baselines.asked(result["model"], data))
        if result["model"] in baselines.LEARNING:
            assert result["asked"]["model"]["ops"] == "plain"


def test_the_results_on_movielens_100k_are_of_the_plain_ops():
    assert {result["ops"] for result in read_results(movielens.RESULTS)} == {movielens.OPS}
    assert movielens.OPS == "plain"
    page = (movielens.RESULTS / "README.md").read_text("utf-8")
    assert page == movielens.page(read_results(movielens.RESULTS))


@pytest.mark.parametrize("name", CLAIMS | TRAINED)
def test_claims_are_of_the_plain_ops(name):
    assert read_json(CLAIMED / f"{name}.json")["ops"] == "plain"


def test_every_page_names_its_ops():
    pages = {
        "plain": [*CLAIMED.glob("*.md"), *applications.RESULTS.glob("*.md")],
        "fast": [REPRODUCED / f"{'-'.join(key)}.md" for key in RECIPES],
    }
    pages["plain"] += [baselines.RESULTS / "README.md", movielens.RESULTS / "README.md"]
    pages["plain"] += [digits.RESULTS / "digits.md", frameworks.RESULTS]
    pages["plain"] += [frameworks.RESULTS.with_name("keras-listing.txt")]
    for ops, paths in pages.items():
        assert len(paths) >= 4
        for path in paths:
            assert f"{ops} ops" in path.read_text("utf-8"), path


def test_the_page_of_digits_is_what_its_results_make():
    made = digits_page.page(read_json(digits.RESULTS / "digits.json"))
    assert made == (digits.RESULTS / "digits.md").read_text("utf-8")
    assert frameworks.RESULTS.read_text("utf-8").startswith(frameworks.ABOUT)


def test_settings_are_told_in_words():
    assert in_words({"dim": 4, "ops": "fast"}) == "dim 4, fast ops"
    told = recipe_lines({"users": 3, "none": None, "bank": {"asked": 2, "model": {"ops": "plain"}}})
    assert told == ["- users: 3", "- bank: asked 2, model (plain ops)"]
