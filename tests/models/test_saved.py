"""Any saved model can be read without saying which it is, also of a version from before."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from attention_from_scratch.models import (
    BPR,
    ContentBased,
    ItemKNN,
    MarkovChain,
    MostPopular,
    Pipeline,
    RecentlyPopular,
    SASRec,
    UserKNN,
    gru4rec,
    load,
)
from attention_from_scratch.models.saved import CAN_BE_SAVED, KINDS

BEFORE = Path(__file__).parent.parent / "golden" / "before"
"""Files that were written when files had no format yet, with the scores of their models."""
HISTORIES = [[1, 2, 3, 4], [5, 1, 6], [2, 2, 7, 8, 1], [3, 4]]
ASKED = [[1, 2], [7], []]
FEATURES = {"genres": np.random.default_rng(0).normal(size=(9, 3))}
COUNTING = (MostPopular, RecentlyPopular, MarkovChain, UserKNN, ItemKNN)
MODELS = {
    **{model.KIND: model(8) for model in COUNTING},
    "content-based": ContentBased(8, FEATURES),
    "sasrec": SASRec(8, 4, 6),
    "gru4rec": gru4rec(8, 4, 6),
    "pipeline": Pipeline(8, 4, 6, ops="plain", features=FEATURES),
    "bpr": BPR(8, 6),
}


def fitted(model):
    if hasattr(model, "params"):
        return model.fit(HISTORIES, epochs=1, threads=1, progress=False)
    return model.fit(HISTORIES)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_model_is_read_again_as_what_it_is(model, tmp_path):
    fitted(model).save(tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert type(again) is type(model)
    assert again.config == model.config
    assert np.array_equal(again.scores(ASKED), model.scores(ASKED))


def test_the_models_that_can_be_read_are_all_that_can_be_saved():
    assert set(KINDS.values()) == {type(model) for model in MODELS.values()}
    assert len(KINDS) == len(CAN_BE_SAVED)


# --- files of before


@pytest.mark.parametrize(
    "name", ["sasrec.npz", "sasrec.safetensors", "gru4rec.npz", "pipeline.npz", "bpr.npz"]
)
def test_a_file_of_before_scores_as_it_did(name):
    expected = np.load(BEFORE / "scores.npz")[name.replace(".", "_")]
    found = load(BEFORE / name).scores([[1, 2, 3], [5], []])
    assert np.isneginf(found[:, 0]).all()
    # float32; the order of its sums is not that of before
    assert np.abs(found[:, 1:] - expected[:, 1:]).max() < 1e-5


@pytest.mark.parametrize(("name", "ops"), [("run", "plain"), ("run-fast", "fast")])
def test_a_file_of_before_is_made_of_the_ops_that_it_was_made_of(name, ops):
    assert load(BEFORE / name / "model.npz").settings.ops == ops


# --- files that are refused


def rewritten(source, target, **changes):
    """A copy of a model's file whose description says something else."""
    arrays = dict(np.load(source))
    description = json.loads(str(arrays["description"])) | changes
    arrays["description"] = np.array(json.dumps(description))
    np.savez(target, **arrays)
    return target


@pytest.mark.parametrize("number", [3, 99, 10**30])
def test_a_format_of_a_newer_version_is_refused_by_a_line_that_says_so(tmp_path, number):
    path = rewritten(BEFORE / "sasrec.npz", tmp_path / "new.npz", format=number)
    said = f"has format {number}, but this version reads formats 1 to 2: a newer version wrote it"
    with pytest.raises(ValueError, match=rf"new\.npz {said}"):
        load(path)


@pytest.mark.parametrize("number", [0, -1, "two", None, 1.5, 1.0, [2], True], ids=repr)
def test_a_format_that_no_version_has_is_not_taken_for_a_newer_one(tmp_path, number):
    path = rewritten(BEFORE / "sasrec.npz", tmp_path / "new.npz", format=number)
    said = f"new.npz: its format is {number!r}, but must be an integer from 1 on"
    with pytest.raises(ValueError, match=re.escape(said)):
        load(path)


@pytest.mark.parametrize("kind", ["magic", None, 3, ["sasrec"]])
def test_a_model_that_is_not_known_is_refused_by_a_line_that_says_so(tmp_path, kind):
    path = rewritten(BEFORE / "sasrec.npz", tmp_path / "new.npz", model=kind)
    with pytest.raises(ValueError, match=r"new\.npz holds a .* model, but may hold one of sasrec,"):
        load(path)


def test_a_model_under_the_name_of_another_is_refused(tmp_path):
    path = rewritten(BEFORE / "sasrec.npz", tmp_path / "new.npz", model="bpr")
    with pytest.raises(ValueError, match=r"new\.npz"):
        load(path)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "empty.npz").touch()
    with pytest.raises(ValueError, match="is not a model that was saved here"):
        load(tmp_path / "empty.npz")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.npz")


def test_only_a_sasrec_can_be_saved_as_safetensors(tmp_path):
    model = MarkovChain(3).fit([[1, 2, 3]])
    with pytest.raises(ValueError, match="only a SASRec can be saved as safetensors"):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())
