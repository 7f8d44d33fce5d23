"""Fusion: who is left out is left out, and what is asked and written is what is said."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from attention_from_scratch.evaluation import mask_seen, top_k
from attention_from_scratch.models import Pipeline, Recommender
from benchmarks.applications import fusion, fusion_page
from benchmarks.applications.__main__ import RESULTS, main
from benchmarks.applications.fusion import ALL, VARIANTS, Films, Variant

N_FILMS = 40
WORDS = ("war", "love", "star", "night")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """30 users, 40 films of four genres, each user's films mostly of one of them."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "films.inter"
    events = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(30):
        liked = np.arange(1, N_FILMS + 1) % 4 == user % 4
        films = rng.choice(np.arange(1, N_FILMS + 1), 14, replace=False, p=(1 + 5 * liked) / 90)
        events += [f"{user}\t{film}\t{time}" for time, film in enumerate(films)]
    # Every film has an event, so that labels and ids are the same.
    events += [f"30\t{film}\t{film}" for film in range(1, N_FILMS + 1)]
    path.write_text("\n".join(events) + "\n")
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    for film in range(1, N_FILMS + 1):
        word = WORDS[film % 4]
        items.append(f"{film}\tthe {word} {film}\t{1950 + film}\t{word.title()}")
    path.with_suffix(".item").write_text("\n".join(items) + "\n")
    users = ["user_id:token\tgender:token"] + [f"{user}\t{'FM'[user % 2]}" for user in range(31)]
    path.with_suffix(".user").write_text("\n".join(users) + "\n")
    return path


@pytest.fixture(scope="module")
def films(path):
    return Films.read(path)


@pytest.fixture(scope="module")
def written(path, tmp_path_factory):
    """A folder that the command has written, in its quick form, on two seeds."""
    folder = tmp_path_factory.mktemp("out")
    main(["fusion", "--data", str(path), "--quick", "--seeds", "0", "3", "--out", str(folder)])
    return folder


# --- what is left out


def test_no_film_left_out_is_in_training_and_one_in_ten_is(films):
    assert films.left_out.sum() == 4
    met = np.unique(np.concatenate([*films.split.train, *films.known.histories]))
    assert not films.left_out[met].any()
    assert not films.left_out[films.known.targets].any()
    assert not films.left_out[films.split.validation].any()
    assert not films.left_out[0]


def test_a_question_is_the_last_film_left_out_given_the_others_before_it():
    left_out = np.array([False, False, False, True, True])
    histories = [np.array(h) for h in ([1, 3, 2, 4, 1], [3, 4], [1, 2], [4, 2, 3])]
    found = fusion.questions_of(histories, left_out)
    assert found.targets.tolist() == [4, 3]  # the second user has no other film, the third no such
    assert [list(h) for h in found.histories] == [[1, 2], [2]]
    assert [list(h) for h in found.seen] == [[1, 3, 2], [4, 2]]
    with pytest.raises(ValueError, match="no user has a film that is left out"):
        fusion.questions_of(histories, np.zeros(5, bool))


def test_training_is_not_told_the_features_of_films_left_out_unless_early(films, monkeypatch):
    seen = {}

    def fit(model, histories, **settings):
        seen["rows"] = model.features["genres"].any(axis=1)
        seen["histories"] = histories
        model.params = model.initial_params()
        return model

    monkeypatch.setattr(Pipeline, "fit", fit)
    settings = fusion.settings_of(quick=True)
    for early in (False, True):
        variant = Variant("", ("genres",), early=early)
        model = fusion.train(films, variant, settings, seed=0, threads=1)
        assert seen["rows"][films.left_out].all() == early
        assert seen["rows"][1:][~films.left_out[1:]].all()
        assert seen["histories"] is films.split.train
        assert model.features["genres"][1:].any(axis=1).all()  # told afterwards


def test_a_model_that_is_told_who_the_user_is_is_told_at_every_event(films, monkeypatch):
    noted = {}

    def fit(model, histories, *, context=None, **settings):
        noted["context"], noted["kinds"] = context, model.config["context"]
        model.params = model.initial_params()
        return model

    monkeypatch.setattr(Pipeline, "fit", fit)
    settings = fusion.settings_of(quick=True)
    model = fusion.train(films, VARIANTS["ids-who"], settings, seed=0, threads=1)
    assert noted["kinds"] == {"gender": 2}
    assert [len(row) for row in noted["context"]["gender"]] == [len(h) for h in films.split.train]
    assert [set(row) for row in noted["context"]["gender"][:2]] == [{1}, {2}]
    told = films.told_of(model, films.new.users, films.new.histories)["context"]["gender"]
    assert [row[0] for row in told] == [1 + user % 2 for user in films.new.users]
    fusion.train(films, VARIANTS["ids"], settings, seed=0, threads=1)
    assert noted["context"] is None


def test_without_a_file_of_users_the_model_that_needs_it_is_left_out(films, path, tmp_path):
    alone = tmp_path / path.name
    for suffix in (".inter", ".item"):
        alone.with_suffix(suffix).write_text(path.with_suffix(suffix).read_text())
    settings = fusion.settings_of(quick=True)
    options = SimpleNamespace(seeds=[0], threads=1)
    names = [
        {file.name for file, _ in fusion.jobs(of, settings, tmp_path, options)}
        for of in (films, Films.read(alone))
    ]
    assert names[0] - names[1] == {"ids-who-seed0.json"}


def test_the_genres_of_half_the_films_are_hidden(films):
    hidden = films.features_of(VARIANTS["ids-genres-half"])
    assert films.hidden[1:].mean() == 0.5
    assert np.array_equal(np.isnan(hidden["genres"]).any(axis=1), films.hidden)
    assert not np.isnan(films.features["genres"]).any()


def test_a_model_that_is_told_more_keeps_what_it_has_learnt(films):
    features = {name: films.features[name] for name in ALL}
    model = Pipeline(N_FILMS, 5, 8, features=fusion.without(features, films.left_out))
    model.fit(films.split.train, epochs=1, progress=False, threads=1)
    scores = model.scores(films.known.histories)
    later = model.with_features(features).scores(films.known.histories)
    kept = ~films.left_out
    assert np.array_equal(scores[:, kept], later[:, kept])
    assert np.all(scores[:, films.left_out] == 0)
    assert len(np.unique(later[:, films.left_out])) > later.shape[0]


# --- what is measured


class Fixed(Recommender):
    """The higher its number, the higher the score of a film; of those left out, lower by 100."""

    n_items = N_FILMS

    def __init__(self, films):
        self.row = np.arange(N_FILMS + 1, dtype=float) - 100 * films.left_out
        self.row[0] = -np.inf

    def scores(self, histories):
        return np.tile(self.row, (len(histories), 1))


def test_ranks_are_those_of_lists_written_out(films):
    found = fusion.measured(Fixed(films), films)
    scores = mask_seen(Fixed(films).scores(films.known.histories), films.known.seen)
    hits = (top_k(scores, 10) == films.known.targets[:, None]).any(axis=1)
    assert found["known"]["HR@10"] == pytest.approx(hits.mean())
    everything, left_out = np.arange(1, N_FILMS + 1), np.flatnonzero(films.left_out)
    for name, candidates in (("new", everything), ("new_among_new", left_out)):
        hits, gains = [], []
        for seen, target in zip(films.new.seen, films.new.targets, strict=True):
            best_first = sorted(
                set(candidates) - set(seen), key=lambda film: -Fixed(films).row[film]
            )
            place = best_first.index(target)
            hits.append(place < 10)
            gains.append(1 / np.log2(place + 2) if place < 10 else 0)
        assert found[name]["HR@10"] == pytest.approx(np.mean(hits))
        assert found[name]["NDCG@10"] == pytest.approx(np.mean(gains))
    asked = [row["asked"] for row in found["by_events"]]
    assert sum(asked) == found["known"]["asked"] == len(films.known.targets)
    rare = films.counts[films.known.targets] < 10
    assert asked[0] == rare.sum()
    groups = [found[f"new_genres_{group}"]["asked"] for group in ("kept", "hidden")]
    assert sum(groups) == len(films.new.targets)


def test_above_is_a_half_by_chance_and_0_at_the_top():
    scores = np.array([[-np.inf, 1.0, 1.0, 1.0, -np.inf], [-np.inf, 3.0, 2.0, 1.0, 0.0]])
    assert fusion.ranked(scores[:1], np.array([2]))["above"] == 0.5
    assert fusion.ranked(scores[1:], np.array([1]))["above"] == 0
    assert fusion.ranked(scores[1:], np.array([2]))["above"] == pytest.approx(1 / 3)
    nothing = fusion.ranked(scores[:0], np.array([], int))
    assert nothing == {"asked": 0, "HR@10": None, "error": None, "NDCG@10": None, "above": None}


def test_questions_for_the_same_film_count_as_one_where_they_are_answered_alike():
    scores = np.zeros((40, 21))
    scores[:, 0], scores[:, 1] = -np.inf, 1
    scores[:, 2] = -1  # so film 1 is always among the first ten, and film 2 never
    found = fusion.ranked(scores, np.repeat([1, 2], 20))
    assert found["HR@10"] == 0.5
    assert found["error"] == pytest.approx(0.5 / 2**0.5)  # as of two questions
    assert fusion.hits_of(scores, np.repeat([1, 2], 20)) == 20 * "1" + 20 * "0"


def test_a_difference_is_taken_user_by_user():
    def runs(*hits):
        return [{"test": {"known": {"hits": digits}}} for digits in hits]

    change, error = fusion_page.paired(runs("1100", "1110"), runs("1000", "1000"))
    differences = np.array([0, 1, 0.5, 0])
    assert change == pytest.approx(differences.mean())
    assert error == pytest.approx(differences.std(ddof=1) / 2)


# --- what is written


def test_every_variant_and_seed_leaves_a_file_and_stands_in_the_tables(written):
    files = {path.stem for path in (written / "fusion").iterdir()}
    assert files == {"baselines"} | {f"{key}-seed{seed}" for key in VARIANTS for seed in (0, 3)}
    text = (written / "fusion.md").read_text(encoding="utf-8")
    for variant in VARIANTS.values():
        rows = [line for line in text.splitlines() if line.startswith(f"| {variant.title} |")]
        assert len(rows) >= 3
        assert rows[0].endswith("| 2 |")
    assert "nan" not in text
    assert "--quick" in text
    assert (written / "fusion.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_there_is_not_made_again(written, path, monkeypatch, capsys):
    before = (written / "fusion.md").read_text(encoding="utf-8")
    for name in ("run_variant", "run_baselines"):
        monkeypatch.setattr(fusion, name, lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(fusion, "save", lambda *_, **__: None)
    main(["fusion", "--data", str(path), "--quick", "--seeds", "0", "3", "--out", str(written)])
    assert capsys.readouterr().out == before + "\n"


def test_the_example_is_a_film_left_out_and_its_neighbours_are_not(written, films):
    run = json.loads((written / "fusion" / f"{fusion.EXAMPLE}-seed0.json").read_text())
    near = run["example"]["neighbours"]
    left_out = [films.titles[film] for film in np.flatnonzero(films.left_out)]
    assert near["film"] in left_out
    assert not {row["film"] for row in near["neighbours"]} & set(left_out)
    cosines = [row["cosine"] for row in near["neighbours"]]
    assert cosines == sorted(cosines, reverse=True)
    for after in run["example"]["after"]:
        assert {row["film"] for row in after["recommended"][:4]} == set(left_out)
    genre = WORDS[films.titles.index(near["film"]) % 4].title()
    assert near["genres"] == genre


def test_the_committed_page_is_what_the_committed_numbers_give():
    results = [
        json.loads(path.read_text("utf-8")) for path in sorted((RESULTS / "fusion").iterdir())
    ]
    assert not any(result["quick"] for result in results)
    page = fusion_page.page(results, list(VARIANTS))
    assert (RESULTS / "fusion.md").read_text(encoding="utf-8") == page


def test_a_users_mistake_is_one_line_and_status_2(path, written, tmp_path, capsys):
    alone = tmp_path / "alone.inter"
    alone.write_text(path.read_text())
    for arguments, words in (
        (["fusion", "--out", str(tmp_path)], "fusion needs --data"),
        (["fusion", "--data", str(tmp_path / "no"), "--out", str(tmp_path)], "No such file"),
        (["fusion", "--data", str(alone), "--out", str(tmp_path)], "No such file"),
        (["fusion", "--data", str(path), "--out", str(written)], "made with other settings"),
    ):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        assert words in capsys.readouterr().err
