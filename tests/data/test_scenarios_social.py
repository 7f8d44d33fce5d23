from itertools import product

import numpy as np
import pytest

from attention_from_scratch.data import Social
from attention_from_scratch.data.scenarios.social import CIRCLES

NAMES = Social.names
DID = Social.behaviour_names
COOKING, GARDEN = [subjects.split(", ") for subjects in list(CIRCLES.values())[:2]]


def story(text):
    """ "like Mia: ramen, follow Ben: roses" -> item ids, behaviour ids."""
    events = [event.strip().split(" ", 1) for event in text.split(",")]
    posts = np.array([NAMES.index(name) for _, name in events])
    return posts, np.array([DID.index(behaviour) for behaviour, _ in events])


def test_the_catalogue_has_five_posts_of_each_of_four_creators_on_a_topic():
    assert Social().n_items == 120
    assert NAMES[1:3] == ["Mia: sourdough", "Mia: brownies"]
    assert (np.bincount(Social.creator)[1:] == 5).all()
    assert (np.bincount(Social.topic)[1:] == 20).all()
    people = [name.split(":")[0] for name in NAMES[1:]]
    assert len(set(people)) == Social.creator.max() == 24


def test_the_formula_by_hand():
    posts, did = story("follow Ben: roses, share Mia: ramen, like Ella: piano, comment Zoe: desert")
    (p,) = Social(followed=0.5, shared=0.25, liked=0.15).next_probabilities(
        [posts], behaviours=[did]
    )
    chance = 0.1 / 120
    by_hand = {
        "Ben: compost": 0.5 / 5 + chance,  # of the creator last followed
        "Nora: roses": chance,  # of the topic only: a follow says nothing of it
        "Tom: pickles": 0.25 / 20 + chance,  # of the topic last shared
        "Ella: piano": chance,  # was liked, but the comment came later
        "Kai: island": 0.15 / 20 + chance,
        "": 0,
    }
    for name, expected in by_hand.items():
        np.testing.assert_allclose(p[NAMES.index(name)], expected, rtol=1e-13, err_msg=name)


def test_before_the_first_of_its_kind_a_weight_goes_to_chance():
    posts, did = story("share Mia: ramen")
    (p,) = Social(followed=0.5, shared=0.3, liked=0.1).next_probabilities([posts], behaviours=[did])
    np.testing.assert_allclose(p[NAMES.index("Tom: curry")], 0.3 / 20 + 0.7 / 120)
    np.testing.assert_allclose(p[NAMES.index("Ben: roses")], 0.7 / 120)
    (empty,) = Social().next_probabilities([np.array([], np.int64)])
    np.testing.assert_allclose(empty[1:], 1 / 120)


def test_a_share_says_more_than_a_like():
    shared, liked = (
        Social().next_probabilities([posts], behaviours=[did])[0]
        for posts, did in (story("share Mia: ramen"), story("like Mia: ramen"))
    )
    assert (shared > liked)[NAMES.index("Tom: curry")]


@pytest.mark.parametrize(
    "text", ["like Mia: ramen, like Mia: curry, like Ben: roses", "like Mei: pony"]
)
def test_hidden_behaviours_are_weighed_by_bayes_rule_in_full(text):
    scenario = Social(followed=0.45, shared=0.3, liked=0.15)
    posts, _ = story(text)
    total = np.zeros(121)
    for did in product(range(1, 5), repeat=len(posts)):
        weight = np.prod([[0.5, 0.2, 0.15, 0.15][behaviour - 1] for behaviour in did])
        p = scenario.next_probabilities(
            [posts[:t] for t in range(len(posts) + 1)],
            behaviours=[np.array(did[:t], np.int64) for t in range(len(posts) + 1)],
        )
        total += weight * np.prod(p[np.arange(len(posts)), posts]) * p[-1]
    (p,) = scenario.next_probabilities([posts])
    np.testing.assert_allclose(p, total / total.sum(), rtol=1e-12)


def test_behaviours_are_as_often_as_stated_and_times_rise():
    sample = Social().sample(2000, np.random.default_rng(0), length=(10, 10))
    shares = np.bincount(np.concatenate(sample.behaviours)) / 20_000
    assert abs(shares - [0, 0.5, 0.2, 0.15, 0.15]).max() < 4 * np.sqrt(0.25 / 20_000)
    assert (np.diff(np.array(sample.times), axis=1) >= 1).all()
