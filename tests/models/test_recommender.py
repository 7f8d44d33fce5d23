"""What every recommender offers: what it refuses where its kind has nothing to say."""

import numpy as np
import pytest

from attention_from_scratch.models import (
    BPR,
    ContentBased,
    ItemKNN,
    MarkovChain,
    MostPopular,
    RecentlyPopular,
    Recommender,
    SASRec,
    UserKNN,
    gru4rec,
)

HISTORIES = [[1, 2, 3, 4], [5, 1, 6], [2, 2, 7, 8, 1], [3, 4]]
FEATURES = {"genres": np.random.default_rng(0).normal(size=(9, 3))}
COUNTING = [
    *(model(8) for model in (MostPopular, RecentlyPopular, MarkovChain, UserKNN, ItemKNN)),
    ContentBased(8, FEATURES),
]
TRAINED = [SASRec(8, 4, 6), SASRec(8, 4, 6, loss="bce"), gru4rec(8, 4, 6), BPR(8, 6)]


@pytest.mark.parametrize("model", COUNTING, ids=lambda model: model.KIND)
def test_a_model_that_counts_explains_nothing_and_has_no_attention(model):
    model.fit(HISTORIES)
    called = f"{'an' if model.KIND == 'item-knn' else 'a'} {model.KIND} model"
    with pytest.raises(ValueError, match=f"^{called} counts: its scores are no logits"):
        model.explain([1, 2], 3)
    with pytest.raises(ValueError, match=f"^{called} compares no event with another"):
        model.attention_weights([1, 2])
    assert not model.gives_logits


@pytest.mark.parametrize("model", TRAINED, ids=lambda model: model.KIND)
def test_a_model_that_is_trained_explains(model):
    model.fit(HISTORIES, epochs=1, threads=1, progress=False)
    assert model.explain([1, 2], 3).history.tolist() == [1, 2]


def test_models_of_which_a_loss_compares_some_items_only_rank():
    assert [model.ranks_only for model in TRAINED] == [False, True, False, True]


def test_a_recommender_of_ones_own_says_whether_its_scores_are_logits():
    class Uniform(Recommender):
        n_items = 3

        def scores(self, histories):
            return np.array([[-np.inf, 0.0, 0.0, 0.0] for _ in histories])

    with pytest.raises(ValueError, match=r"^a Uniform model counts"):
        Uniform().explain([1, 2], 3)
    Uniform.gives_logits = True
    assert Uniform().explain([1, 2], 3).log_probability == pytest.approx(-np.log(3))
