import pytest

from attention_from_scratch.plot import learning_curves

HISTORY = [
    {"epoch": 1, "loss": 5.0, "seconds": 1.0},
    {"epoch": 2, "loss": 4.0, "seconds": 1.0, "HR@10": 0.3, "NDCG@10": 0.2, "users": 9},
    {"epoch": 3, "loss": 3.0, "seconds": 1.0},
    {"epoch": 4, "loss": 2.9, "seconds": 1.0, "HR@10": 0.4, "NDCG@10": 0.1, "users": 9},
]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_a_panel_each_and_the_best_epoch_in_all():
    figure = learning_curves(HISTORY)
    figure.draw_without_rendering()
    loss, hr, ndcg = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "HR@10", "NDCG@10"]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "epoch"]
    assert loss.lines[0].get_xydata().tolist() == [[1, 5], [2, 4], [3, 3], [4, 2.9]]
    assert ndcg.lines[0].get_xydata().tolist() == [[2, 0.2], [4, 0.1]]
    assert figure.get_suptitle() == "best epoch by NDCG@10: 2"
    assert legend(loss) == ["epoch 2: 4"]
    assert legend(hr) == ["epoch 2: 0.3"]
    assert loss.get_shared_x_axes().joined(loss, ndcg)


@pytest.mark.parametrize(("best_by", "epoch"), [("HR@10", 4), ("loss", 4), ("NDCG@10", 2)])
def test_best_is_lowest_for_a_loss_and_highest_for_all_else(best_by, epoch):
    figure = learning_curves(HISTORY, best_by=best_by)
    assert figure.get_suptitle() == f"best epoch by {best_by}: {epoch}"


def test_limits_are_dashed_and_labelled():
    loss, _, ndcg = learning_curves(HISTORY, limits={"loss": 2.5, "NDCG@10": 0.41}).axes
    assert legend(loss)[-1] == "best possible: 2.5"
    assert legend(ndcg)[-1] == "best possible: 0.41"
    assert loss.lines[-1].get_linestyle() == "--"
    assert loss.get_ylim()[0] < 2.5


def test_one_epoch_and_an_epoch_that_diverged():
    for history in (HISTORY[:1], [*HISTORY, {"epoch": 5, "loss": float("nan")}]):
        figure = learning_curves(history)
        figure.draw_without_rendering()
    assert learning_curves(history, best_by="loss").get_suptitle().endswith(": 4")


@pytest.mark.parametrize(
    ("history", "options", "message"),
    [
        ([], {}, "history must be a list of at least one dict"),
        ([{"loss": 1}], {}, "each with an 'epoch'"),
        ([{"epoch": 1}], {}, "history holds nothing to draw"),
        ([{"epoch": 1, "loss": float("nan")}], {}, "history holds no number for 'loss'"),
        (HISTORY, {"best_by": "MRR"}, "best_by names 'MRR', but history holds"),
        (HISTORY, {"limits": {"los": 1}}, "limits names 'los', but history holds"),
    ],
)
def test_errors(history, options, message):
    with pytest.raises(ValueError, match=message):
        learning_curves(history, **options)
