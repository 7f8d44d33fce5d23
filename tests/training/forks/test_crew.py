"""Several processes take the steps of one: bit for bit the same, and none is left behind."""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from tqdm import TMonitor, tqdm

from attention_from_scratch import rows
from attention_from_scratch.models import SASRec
from attention_from_scratch.rows import Rows
from attention_from_scratch.training import Adam, train
from attention_from_scratch.training.forks import choice, sharing
from attention_from_scratch.training.forks import crew as processes
from attention_from_scratch.training.forks.crew import Member, check_processes, crew
from attention_from_scratch.training.forks.layout import Layout
from attention_from_scratch.training.forks.sharing import Common
from attention_from_scratch.training.forks.step import share_of
from attention_from_scratch.training.loop import descend
from attention_from_scratch.tree import tree_leaves

RNG = np.random.default_rng(0)
HISTORIES = [RNG.integers(1, 2000, length) for length in RNG.integers(2, 12, 60)]
SMALL = {"max_len": 10, "dim": 8, "n_blocks": 1, "dropout": 0.3}


@pytest.fixture(autouse=True)
def nobody_is_left_behind():
    yield
    assert multiprocessing.active_children() == []


def fitted(model, **settings):
    settings = {"epochs": 2, "batch_size": 16, "threads": 2, "progress": False} | settings
    model.fit(HISTORIES, **settings)
    leaves = dict(tree_leaves(model.params))
    return leaves, [row["loss"] for row in model.history]


@pytest.fixture
def small_tables_are_large(monkeypatch):
    monkeypatch.setattr(rows, "LARGE", 100)


@pytest.mark.parametrize("large", [100, rows.LARGE])  # both ways of sharing arrays
@pytest.mark.parametrize("clip", [None, 0.01])
@pytest.mark.parametrize(
    "kind",
    [{"loss": "bce", "fast": True}, {"loss": "bce"}, {"loss": "cross_entropy", "fast": True}],
    ids=["bce fast, with rows", "bce", "cross-entropy fast"],
)
def test_any_number_of_processes_trains_the_model_that_threads_train(
    kind, clip, large, monkeypatch
):
    monkeypatch.setattr(rows, "LARGE", large)
    model = SASRec(2000, **SMALL, **kind)
    of_threads, losses = fitted(model, clip=clip, weight_decay=0.1)
    for number in (2, 3):
        of_processes, their_losses = fitted(model, clip=clip, weight_decay=0.1, processes=number)
        assert their_losses == losses
        for name, leaf in of_threads.items():
            np.testing.assert_array_equal(of_processes[name], leaf, err_msg=name)


@pytest.mark.usefixtures("small_tables_are_large")
def test_the_shards_here_have_gradients_of_rows_and_of_both_lengths():
    model = SASRec(2000, **SMALL, loss="bce", fast=True)
    settings = {"context": {}, "wanted": None, "pool": 1, "pieces": False}
    shards = next(iter(model.batches(HISTORIES, 16, 1, **settings)))
    assert len(shards) == 2
    total = sum(shard.count for shard in shards)
    rng = np.random.default_rng(0)
    _, backward = model.loss(model.initial_params(), shards[0], rng=rng, total=total)
    assert isinstance(backward()["items"], Rows)


def shard(*values):
    return SimpleNamespace(values=np.array(values, float), count=len(values))


def loss(params, shard, *, rng, total):
    distances = params["w"] - shard.values

    def backward():
        return {"w": (2 * distances).sum(keepdims=True) / total}

    return (distances**2).sum() / total, backward


BATCH = [shard(1.0), shard(2.0, 3.0), shard(4.0)]


def run(loss=loss, batch=BATCH, number=2, **settings):
    params = {"w": np.array([8.0])}
    settings = {"epochs": 3, "progress": False, "threads": 1} | settings
    return train(loss, params, lambda epoch: [batch], Adam(params), processes=number, **settings)


def elsewhere(act):
    """The loss, but that in other processes something happens."""
    here = os.getpid()

    def acting(*arguments, **settings):
        if os.getpid() != here:
            act()
        return loss(*arguments, **settings)

    return acting


def test_there_may_be_more_processes_than_shards():
    alone, many = run(number=1), run(number=5)
    assert many.params["w"].tolist() == alone.params["w"].tolist()


@pytest.mark.parametrize("kind", [KeyError, ChildProcessError, EOFError])
def test_an_error_in_another_process_is_raised_here(kind):
    def act():
        raise kind("no such thing")

    with pytest.raises(kind, match="no such thing"):
        run(elsewhere(act))


def test_who_has_arrived_and_gone_is_not_missed(monkeypatch):
    monkeypatch.setattr(processes, "AWAKE", 0)
    answers = iter([False, False, True])  # at once, after a while, and when the other has gone
    arrival = SimpleNamespace(acquire=lambda **how: next(answers))
    Member(0, [arrival, None], [SimpleNamespace(poll=lambda: True)]).wait()
    assert list(answers) == []


def test_a_process_keeps_the_moments_of_its_share_only():
    layout = Layout({"w": np.zeros((8, 2)), "b": np.zeros(3)})
    share = share_of(Member(1, [None] * 2, []), layout, {"w": np.ones((8, 2)), "b": np.ones(3)})
    assert [array.shape for array in share] == [(8, 1), (2,)]
    assert all(array.base is None and (array == 1).all() for array in share)


@pytest.mark.parametrize("number", [2, 3])
def test_a_process_that_ends_early_is_told_in_one_line(number):
    with pytest.raises(
        ChildProcessError, match=r"^a process of the training has ended before the others"
    ):
        run(elsewhere(lambda: os._exit(1)), number=number)


def test_a_loss_that_is_no_number_ends_it_everywhere():
    def diverging(params, shard, *, rng, total):
        value, backward = loss(params, shard, rng=rng, total=total)
        return value * (np.nan if 4.0 in shard.values else 1), backward

    with pytest.raises(FloatingPointError, match="the loss became nan in epoch 1"):
        run(diverging)


def test_an_interrupt_ends_it_and_keeps_the_best():
    def evaluate(params):
        if evaluate.calls:
            raise KeyboardInterrupt
        evaluate.calls = 1
        return {"score": 1.0}

    evaluate.calls = 0
    result = run(evaluate=evaluate, metric="score", evaluate_every=1)
    assert result.interrupted
    assert result.best_epoch == 1


def test_the_parameters_change_in_place_epoch_by_epoch_and_the_optimizer_does_not():
    params = {"w": np.array([8.0])}
    optimizer = Adam(params)
    steps = descend(
        loss, params, lambda epoch: [BATCH], optimizer, map, epochs=2, seed=0, processes=2
    )
    next(steps)
    after_one = params["w"].copy()
    assert after_one != 8.0
    next(steps)
    assert params["w"] != after_one
    assert optimizer.step_count == 0
    assert not optimizer.mean["w"].any()
    steps.close()


def test_who_stops_in_the_middle_leaves_no_process():
    params = {"w": np.array([8.0])}
    steps = descend(
        loss, params, lambda epoch: [BATCH], Adam(params), map, epochs=9, seed=0, processes=2
    )
    next(steps)
    assert len(multiprocessing.active_children()) == 1
    steps.close()


def test_a_batch_of_too_many_shards_is_an_error():
    with pytest.raises(ValueError, match="a batch has 9 shards, but processes have room for 8"):
        run(batch=[shard(1.0)] * 9)


@pytest.mark.parametrize("processes", [0, 1.5, "2"])
def test_an_impossible_number_is_an_error_that_names_it(processes):
    with pytest.raises((ValueError, TypeError), match="processes was"):
        run(number=processes)


def test_on_other_systems_there_can_be_only_one(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    assert check_processes(1) == 1
    with pytest.raises(ValueError, match="processes was 2, but must be 1 on darwin"):
        check_processes(2)


def test_there_can_be_no_more_than_a_batch_has_shards():
    assert check_processes(8) == 8
    with pytest.raises(ValueError, match="processes was 9, but must be 1 to 8: a batch"):
        check_processes(9)


def test_processes_are_chosen_where_they_help(monkeypatch):
    monkeypatch.setattr(choice, "available_cores", lambda: 6)
    monkeypatch.setattr(choice, "other_threads", list)
    monkeypatch.setattr("sys.platform", "linux")
    assert choice.processes_that_help(choice.LONG, 8) == 6
    assert choice.processes_that_help(choice.LONG, 4) == 4
    assert choice.processes_that_help(choice.LONG - 1, 8) == 1
    monkeypatch.setattr("sys.platform", "darwin")
    assert choice.processes_that_help(choice.LONG, 8) == 1


def test_they_are_not_where_the_program_has_threads_but_for_that_of_progress_bars(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    before = choice.other_threads()  # such as those of a worker of pytest
    with tqdm(total=1, disable=False, file=io.StringIO()):
        assert any(type(one) is TMonitor for one in threading.enumerate())
        assert choice.other_threads() == before
    over = threading.Event()
    waiting = threading.Thread(target=over.wait)
    waiting.start()
    assert waiting in choice.other_threads()
    assert choice.processes_that_help(choice.LONG, 8) == 1
    over.set()
    waiting.join()


def test_a_long_fit_with_validation_is_of_processes_if_nobody_says_otherwise():
    code = (
        "import numpy as np\n"
        "from attention_from_scratch import SASRec\n"
        "from attention_from_scratch.models import trained\n"
        "from attention_from_scratch.training.forks import choice\n"
        "choice.LONG, choice.available_cores = 10, lambda: 2\n"
        "train, asked = trained.train, []\n"
        "def noted(*given, **settings):\n"
        "    asked.append(settings['processes'])\n"
        "    return train(*given, **settings)\n"
        "trained.train = noted\n"
        "model = SASRec(5, max_len=4, dim=4)\n"
        "for _ in 'ab':\n"
        "    model.fit([[1, 2, 3]] * 9, epochs=2, validation=np.full(9, 4))\n"
        "print(asked)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[2, 2]\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_shard_is_computed_by_one_and_every_number_updated_by_one(size):
    members = [Member(rank, [None] * size, []) for rank in range(size)]
    for n_shards in range(20):
        for index in range(n_shards):
            assert [member.computes(index, n_shards) for member in members].count(True) == 1
    if size == 2:
        assert [members[0].computes(index, 3) for index in range(3)] == [False, False, True]
        assert [members[0].computes(index, 4) for index in range(4)] == [True, False, False, True]
    arrays = [np.zeros((5, 3)), np.zeros(4), np.zeros((11, 1)), np.zeros(0)]
    for member in members:
        for own in member.share(arrays):
            own += 1
    assert all((array == 1).all() for array in arrays)


@pytest.mark.parametrize("awake", [processes.AWAKE, 0], ids=["awake", "asleep"])
def test_what_one_process_writes_another_reads_after_they_have_met(awake, monkeypatch):
    monkeypatch.setattr(processes, "AWAKE", awake)
    common = Common({"w": np.zeros(3)})

    def work(member):
        common.params["w"][member.rank] = member.rank
        member.meet()

    with crew(3, work) as first:
        work(first)
        assert common.params["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("awake", [processes.AWAKE, 0], ids=["awake", "asleep"])
def test_nobody_goes_on_before_the_slowest_has_come(awake, monkeypatch):
    monkeypatch.setattr(processes, "AWAKE", awake)
    steps = sharing.shared((3,), np.int64)

    def work(member):
        for step in range(1, 30):
            time.sleep(0.003 * (member.rank == step % 3))
            steps[member.rank] = step
            member.meet()
            assert steps.min() >= step
            member.meet()

    with crew(3, work) as first:
        work(first)


def test_ctrl_c_in_the_middle_of_the_forks_waits_until_they_are_there(monkeypatch):
    """There, Python would print it as an exception ignored and go on."""
    start, started = multiprocessing.context.ForkProcess.start, []

    def interrupt_and_start(self):
        os.kill(os.getpid(), signal.SIGINT)
        start(self)
        started.append(self)

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", interrupt_and_start)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), crew(3, lambda member: None):
        pytest.fail("the interrupt came too late")
    assert len(started) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_a_fork_that_fails_is_its_own_error(monkeypatch):
    def failing(self):
        raise OSError("no more processes")

    monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", failing)
    with pytest.raises(OSError, match="no more processes"), crew(2, lambda member: None):
        pass
