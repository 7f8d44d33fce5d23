"""The options of train follow from the models: each is shown where it belongs, and only there."""

import dataclasses
import inspect

import pytest

from attention_from_scratch.cli import build_parser
from attention_from_scratch.commands.kinds import DEFAULTS, KINDS
from attention_from_scratch.commands.options import NOT_AT_THE_SHELL, OF_FIT
from attention_from_scratch.models import BPR, SASRec
from attention_from_scratch.models.trained import TrainedRecommender

ITEMS = ["--features", "films.item"]


def parsed(*words):
    return vars(build_parser().parse_args(["train", "--data", "films.inter", *words]))


def of_model(kind):
    """What train needs to be told at least."""
    return ["--model", kind.name, *(ITEMS if kind.features == "must" else [])]


def flags_in(text):
    words = text.replace(",", " ").replace("[", " ").replace("]", " ").split()
    return {word for word in words if word.startswith("--")}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_setting_of_a_model_is_an_option_with_its_default(kind):
    options = parsed(*of_model(kind))
    told = {field.name: field.default for field in dataclasses.fields(kind.model.Settings)}
    shown = kind.only or told.keys() - NOT_AT_THE_SHELL.keys()
    expected = {name: told[name] for name in shown} | DEFAULTS.get(kind.name, {})
    assert {name: options[name] for name in shown} == expected
    assert not options.keys() & (told.keys() - shown)


def test_what_fit_takes_is_an_option_with_the_default_of_each_model():
    for kind in KINDS.values():
        options = parsed(*of_model(kind))
        takes = inspect.signature(TrainedRecommender.fit).parameters
        for name in OF_FIT:
            if not kind.is_trained or name in kind.without:
                assert name not in options
            elif name == "epochs":
                assert options[name] == 200
            elif kind.model is not BPR or name not in ("lr", "batch_size"):
                assert options[name] == takes[name].default
    assert (parsed("--model", "bpr")["batch_size"], parsed("--model", "bpr")["lr"]) == (8192, 5e-3)


def test_the_options_of_the_first_command_there_was_have_the_defaults_they_had():
    expected = {
        "model": "sasrec",
        "loss": "cross_entropy",
        "norm": "pre",
        "epochs": 200,
        "patience": 50,
        "evaluate_every": 5,
        "seed": 0,
        "max_len": 200,
        "count_from": "end",
        "dim": 50,
        "n_blocks": 2,
        "n_heads": 1,
        "dropout": 0.2,
        "n_negatives": 1,
        "batch_size": 128,
        "lr": 1e-3,
        "schedule": "constant",
        "pieces": False,
        "threads": None,
        "out": None,
        "overwrite": False,
        "ops": "fast",
    }
    options = parsed()
    assert {name: options[name] for name in expected} == expected
    assert options["processes"] is None  # chosen where they help


def test_an_option_is_read_as_what_it_may_be():
    options = parsed(
        *("--blocks", "3", "--heads", "5", "--negatives", "4", "--dropout", "0.5", "--fast"),
        *("--no-mask-padding", "--output-projection", "--pieces", "--clip", "2", "--seed", "0"),
        *("--patience", "none", "--norm", "paper"),
    )
    assert (options["n_blocks"], options["n_heads"], options["n_negatives"]) == (3, 5, 4)
    assert (options["dropout"], options["clip"], options["patience"]) == (0.5, 2.0, None)
    flags = options["mask_padding"], options["output_projection"], options["pieces"]
    assert flags == (False, True, True)
    assert (options["ops"], options["norm"]) == ("fast", "paper")
    assert parsed("--ops", "fast")["ops"] == "fast"
    assert parsed("--model", "gru4rec", "--ops", "plain")["ops"] == "plain"
    assert parsed("--model", "item-knn", "--half-life", "none")["half_life"] is None
    assert parsed("--model", "item-knn", "--half-life", "2.5")["half_life"] == 2.5
    assert parsed("--model=item-knn", "--k", "7")["k"] == 7


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_help_shows_the_options_of_one_model_and_an_example_that_is_understood(call, kind):
    result = call("train", "--model", kind.name, "--help")
    assert (result.status, result.err) == (0, "")
    own = {"--help", "--data", "--columns", "--model", "--out", "--overwrite"}
    usage, said = result.out.split("Train a recommender on a file of events.")
    assert flags_in(usage) - own == set(kind.flags)
    for option in (*kind.settings, *kind.fit):
        assert option.says.split("None:")[0].split()[0] in said
    (example,) = [line for line in said.splitlines() if line.startswith("example: ")]
    _, _, command, *words = example.split()
    options = build_parser().parse_args([command, *words])
    assert options.model == kind.name


def test_help_without_a_model_is_that_of_sasrec(call):
    assert call("train", "--help").out == call("train", "--model", "sasrec", "--help").out


def test_help_says_yes_no_and_the_default_of_each():
    texts = {
        option.name: option.help() for option in (*KINDS["sasrec"].settings, *KINDS["bpr"].fit)
    }
    assert texts["mask_padding"].endswith("(default yes)")
    assert texts["max_len"].endswith("(default 200)")
    assert texts["lr"].endswith("(default 0.005)")
    assert texts["output_projection"] == "of attention; neither: unless norm is paper"


def test_what_no_command_line_can_say_is_not_made_an_option():
    told = {field.name for field in dataclasses.fields(SASRec.Settings)}
    assert {option.name for option in KINDS["sasrec"].settings} == told - NOT_AT_THE_SHELL.keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model bpr --heads 3", "--heads is of sasrec and pipeline, not of bpr"),
        ("--model=bpr --heads=3", "--heads is of sasrec and pipeline, not of bpr"),
        ("--heads 3 --model bpr", "--heads is of sasrec and pipeline, not of bpr"),
        ("--model markov --fast", "--fast is of sasrec, gru4rec and pipeline, not of markov"),
        ("--model bpr --ops plain", "--ops is of sasrec, gru4rec and pipeline, not of bpr"),
        ("--ops plain --fast", "argument --fast: not allowed with argument --ops"),
        ("--fast --ops plain", "argument --ops: not allowed with argument --fast"),
        ("--threads 1 --processes 2", "argument --processes: not allowed with argument --threads"),
        ("--model popular --epochs 3", "--epochs is of sasrec, gru4rec, pipeline and bpr, not of"),
        ("--model bpr --no-pieces", "--no-pieces is of sasrec, gru4rec and pipeline, not of bpr"),
        ("--model gru4rec --norm pre", "--norm is of sasrec, not of gru4rec"),
        ("--features a.item", "--features is of pipeline and content-based, not of sasrec"),
        ("--haeds 3", "unrecognized arguments: --haeds 3; did you mean --heads?"),
        ("--model user-knn --halflife 3", "did you mean --half-life?"),
        ("--colour red", "unrecognized arguments: --colour red"),
        ("--zip 3", "unrecognized arguments: --zip 3 (see attention-from-scratch train --help)"),
        ("--model content-based", "required: --features"),
        ("--model", "argument --model: expected one argument"),
        ("--model item-knn --half-life soon", "was soon, but must be a number or none"),
        ("--model item-knn --half-life 0", "half_life was 0.0, but must be finite and above 0"),
        ("--model recently-popular --share 2", "share was 2.0, but must be above 0 and at most 1"),
        ("--model pipeline --window 2", "window was 2, but attention 'causal' has none"),
        ("--model pipeline --id-dropout 1", "id_dropout was 1, but without features"),
        ("--clip 0", "clip was 0.0, but must be finite and above 0"),
        ("--weight-decay -1", "weight_decay was -1.0, but must be finite and at least 0"),
        ("--patience 0", "--patience: was 0, but must be an integer from 1"),
    ],
)
def test_a_word_that_is_not_of_this_model_costs_one_line(
    shelf, tmp_path, costs_one_line, words, message
):
    out = ["--out", tmp_path / "run"]
    costs_one_line(["train", "--data", shelf.data, *out, *words.split()], message)
