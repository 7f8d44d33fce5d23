"""Shop, news and social: what is asked is not known, and what is written is what was measured."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.data import Events
from attention_from_scratch.data.scenarios.purchases import CART, PURCHASE, VIEW
from attention_from_scratch.data.scenarios.social import FOLLOW
from attention_from_scratch.models import Pipeline
from attention_from_scratch.models.markov import MarkovChain
from benchmarks.applications import news, shop, social, study, study_page
from benchmarks.applications.__main__ import RESULTS, main
from benchmarks.applications.news import NEW, NEWS
from benchmarks.common.resuming import read_results

STUDIES = {"shop": shop.Shop(), "news": news.Newspaper(), "social": social.Feed()}
USERS = 100  # instead of the 300 of --quick: what is asked here is true of any number


@pytest.fixture(scope="module", autouse=True)
def few_users():
    """Every study in its quick size has few users."""

    def smaller(settings):
        return lambda study, quick: settings(study, quick) | ({"users": USERS} if quick else {})

    with pytest.MonkeyPatch.context() as patch:
        for kind in map(type, STUDIES.values()):
            patch.setattr(kind, "settings", smaller(kind.settings))
        yield


@pytest.fixture(scope="module", params=STUDIES)
def study_and_data(request):
    found = STUDIES[request.param]
    return found, found.prepare(found.settings(quick=True), 0)


@pytest.fixture(scope="module")
def data():
    """name -> what is asked, in the quick size."""
    return {name: found.prepare(found.settings(quick=True), 0) for name, found in STUDIES.items()}


# --- what is asked


def test_a_question_comes_after_all_that_is_known_of_the_user(study_and_data):
    _, data = study_and_data
    assert np.all(data.targets > 0)
    assert len(data.targets) == len(data.known.histories)
    assert all(t[-1] < at for t, at in zip(data.known.times, data.at, strict=True) if len(t))
    asked = data.validation > 0
    assert asked.mean() > 0.5
    ends = [t[-1] for t, ask in zip(data.train.times, asked, strict=True) if ask and len(t)]
    nexts = [
        at
        for t, ask, at in zip(data.train.times, asked, data.validation_at, strict=True)
        if ask and len(t)
    ]
    assert np.all(np.array(ends) < nexts)


def test_a_model_is_told_what_it_is_said_to_see(study_and_data):
    found, data = study_and_data
    for model in found.MODELS.values():
        context = found.context(data.known, model)
        assert tuple(context) == model.sees
        for name in found.KINDS:
            assert (f"{name}s" in model.told) == (name in model.sees)
        for name, rows in context.items():
            assert [len(r) for r in rows] == [len(h) for h in data.known.histories]
            assert max(r.max(initial=0) for r in rows) <= found.KINDS[name]


def test_the_truth_is_a_distribution_over_what_can_come_next(study_and_data):
    found, data = study_and_data
    for model in found.MODELS.values():
        p = found.truth(data, model)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert np.all(p[:, 0] == 0)
        assert np.all(p[np.arange(len(p)), data.targets] > 0)


def test_baselines_recommend_no_padding_and_their_probabilities_sum_to_one(study_and_data):
    found, data = study_and_data
    for baseline in found.counted(data):
        assert baseline.scores.shape == (len(data.targets), found.scenario.n_items + 1)
        told = study.measured(baseline.scores, data.targets, told=baseline.told)
        assert (told["cross_entropy"] is None) or told["cross_entropy"] > 0
        assert baseline.told or told["cross_entropy"] is None


def test_the_customers_of_the_shop_are_asked_for_purchases_alone(data):
    asked, found = data["shop"], STUDIES["shop"]
    flags = found.wanted(asked.train)
    for wanted, behaviours in zip(flags, asked.train.behaviours, strict=True):
        assert np.array_equal(wanted, behaviours == PURCHASE)
    bought = sum(int(wanted.sum()) for wanted in flags)
    assert found.describe(asked)["purchases among them"] == bought


def test_nobody_in_training_has_met_an_article_that_is_new(data):
    asked = data["news"]
    assert not NEW[np.concatenate(asked.train.histories)].any()
    assert not NEW[asked.validation].any()
    assert NEW[asked.targets].mean() > 0.8


def test_the_titles_of_new_articles_are_told_after_training(data, monkeypatch):
    found, told = STUDIES["news"], []

    def fit(model, histories, **settings):
        told.append(model.features["title"].any(axis=1) if model.features else None)
        model.params = model.initial_params()
        return model

    monkeypatch.setattr(Pipeline, "fit", fit)
    settings = found.settings(quick=True)
    reader, blind = found.MODELS["transformer"], found.MODELS["transformer-no-titles"]
    fitted = found.train(settings, data["news"], reader, seed=0, threads=1)
    assert np.array_equal(told[0][1:], ~NEW[1:])
    assert fitted.features["title"][1:].any(axis=1).all()
    assert not found.train(settings, data["news"], blind, seed=0, threads=1).features


def test_only_articles_that_are_alive_and_not_opened_can_be_recommended(data):
    asked = data["news"]
    scores = np.zeros((len(asked.targets), NEWS.n_items + 1))
    open_ = np.isfinite(news.open_to(scores, asked.known.histories, asked.at))
    assert open_[np.arange(len(open_)), asked.targets].all()
    for row, history, at in zip(open_, asked.known.histories, asked.at, strict=True):
        articles = np.flatnonzero(row)
        assert np.all((NEWS.published[articles] <= at) & (at < NEWS.expires[articles]))
        assert not set(articles) & set(history.tolist())


# --- the rules that a shop and a feed would begin with


def test_the_rule_of_the_cart_is_the_share_of_purchases_that_were_in_it():
    train = Events(
        [np.array([1, 1, 2, 3])], [np.array([CART, PURCHASE, CART, PURCHASE])], [np.arange(4.0)]
    )
    known = Events(
        [np.array([4, 5]), np.array([6])], [np.array([CART, VIEW]), np.array([VIEW])], []
    )
    follows = np.zeros((2, shop.SHOP.n_items + 1))
    follows[:, 7] = 1
    asked = SimpleNamespace(train=train, known=known)
    p = np.exp(shop.by_cart(asked, follows))
    assert p[0, 4] == p[0, 7] == 0.5  # one of two purchases was what was last in the cart
    assert p[1, 7] == 1  # nothing in the cart


def test_the_rule_of_the_follow_is_the_share_of_posts_by_the_creator_last_followed():
    mine = np.flatnonzero(social.SOCIAL.creator == 2)
    train = Events([mine[:1], mine[:1]], [np.array([FOLLOW]), np.array([FOLLOW])], [])
    known = Events([mine[1:3], mine[:1]], [np.array([1, FOLLOW]), np.array([1])], [])
    follows = np.zeros((2, social.SOCIAL.n_items + 1))
    follows[:, 100] = 1
    asked = SimpleNamespace(train=train, known=known, validation=np.array([mine[1], 100]))
    p = np.exp(social.by_follow(asked, follows))
    np.testing.assert_allclose(p[0, mine], 0.5 / 5)
    assert p[0, 100] == 0.5
    assert p[1, 100] == 1


def test_a_chain_that_nothing_came_before_expects_what_is_popular():
    chain = MarkovChain(3).fit([np.array([1, 2, 1]), np.array([3])])
    p = study.after(chain, [np.array([1]), np.zeros(0, np.int64)])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p[1], [0, 0.5, 0.25, 0.25])


# --- what is measured and written


def test_measures_are_those_of_the_metrics_and_of_the_softmax():
    scores = np.array([[-np.inf, 1, 0, -np.inf], [-np.inf, 0, 2, 1]])
    found = study.measured(scores, np.array([1, 3]))
    nats = [np.log(1 + np.exp(-1)), np.log(np.exp([0, 2, 1]).sum()) - 1]
    assert found["cross_entropy"] == pytest.approx(np.mean(nats), rel=1e-12)
    assert found["HR@1"] == 0.5
    assert found["HR@10"] == 1
    assert found["NDCG@10"] == pytest.approx((1 + 1 / np.log2(3)) / 2)
    assert study.measured(scores, np.array([3, 3]))["cross_entropy"] is None  # thought impossible
    assert study.measured(scores, np.array([1, 3]), told=False)["cross_entropy"] is None


def test_a_recommendation_shows_both_probabilities_and_what_came_next():
    scores, truth = np.array([5.0, 0, np.log(3)]), np.array([0, 0.4, 0.6])
    lines = study.recommended(["", "tea", "cake"], scores, truth, 1, k=1)
    assert lines[1:] == ["  cake   0.750   0.600", "came next: tea (0.250, truth 0.400)"]
    assert study.recommended(["", "tea", "cake"], scores, truth, 2, k=1)[-1].endswith("came next")


@pytest.fixture(scope="module", params=STUDIES)
def written(request, tmp_path_factory):
    """A folder that the command has written, in its quick form."""
    out = tmp_path_factory.mktemp("out")
    main([request.param, "--quick", "--seeds", "0", "--out", str(out)])
    return request.param, out


def test_the_command_writes_a_file_for_each_run_a_page_and_a_figure(written):
    name, out = written
    keys = list(STUDIES[name].MODELS)
    files = {path.name for path in (out / name).iterdir()}
    assert files == {
        "limits-data0.json",
        "limits-data1.json",
        f"{keys[0]}-data1-seed0.json",
        *(f"{key}-data0-seed0.json" for key in keys),
    }
    text = (out / f"{name}.md").read_text("utf-8")
    run = json.loads((out / name / f"{keys[0]}-data0-seed0.json").read_text("utf-8"))
    assert f"{run['test']['NDCG@10']:.3f}" in text
    assert all(line in text for line in run["example"])
    assert "nan" not in text
    assert (out / f"{name}.png").stat().st_size > 10_000


def test_what_is_there_is_not_trained_again(written, monkeypatch):
    name, out = written
    monkeypatch.setattr(Pipeline, "fit", None)
    before = (out / f"{name}.md").read_text("utf-8")
    main([name, "--quick", "--seeds", "0", "--out", str(out)])
    assert (out / f"{name}.md").read_text("utf-8") == before


def test_results_of_other_settings_are_told_apart_in_one_line(written, capsys):
    name, out = written
    with pytest.raises(SystemExit) as stopped:
        main([name, "--seeds", "0", "--out", str(out)])
    assert stopped.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert "was made with other settings" in line


def test_the_way_to_the_limit_is_measured_from_the_first_row():
    found = {
        "limits": {
            "baselines": [{"test": {"NDCG@10": 0.1}}],
            "limits": {"gru": {"test": {"NDCG@10": 0.5}}},
        },
        "runs": {"gru": [{"test": {"NDCG@10": 0.2}}, {"test": {"NDCG@10": 0.4}}]},
    }
    assert study_page.closed(found, "gru", "NDCG@10") == pytest.approx(0.5)


@pytest.mark.parametrize("name", STUDIES)
def test_the_committed_page_is_what_its_results_say(name):
    results = read_results(RESULTS / name)
    assert study_page.page(STUDIES[name], results) == (RESULTS / f"{name}.md").read_text("utf-8")
    assert {r["seed"] for r in results if "model" in r and r["data_seed"] == 0} == {0, 1, 2}
    for result in results:
        assert not result["quick"]
