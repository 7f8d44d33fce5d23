"""Who ranks all users of a file in the whole catalogue."""

import time

import numpy as np

from attention_from_scratch.models import SASRec
from attention_from_scratch.training import pad
from benchmarks.speed.ours import histories_of, numpy_on

SHAPE = {"max_len": 200, "dim": 50, "n_blocks": 2, "n_heads": 1}
K = 10


def model_of(n_items: int, ops: str) -> SASRec:
    """A model with its first parameters: how good it is changes nothing in the time."""
    model = SASRec(n_items, **SHAPE, ops=ops)
    model.params = model.initial_params()
    return model


def ours(*, data, users, threads, ops="fast"):
    """`recommend`."""
    histories, n_items = histories_of(data, users)
    model = model_of(n_items, ops)
    return lambda: model.recommend(histories, k=K), numpy_on(threads)


def torch(*, data, users, threads, batch):
    """PyTorch: users sorted by length, so that a batch is as wide as it need be."""
    import torch

    from benchmarks.speed.peers import torch_sasrec

    torch.set_num_threads(threads)
    histories, n_items = histories_of(data, users)
    sizes = [SHAPE[name] for name in ("max_len", "dim", "n_blocks", "n_heads")]
    model = torch_sasrec.Model(n_items, *sizes).eval()
    seen = [torch.tensor(history) for history in histories]

    def run():
        order = np.argsort([len(history) for history in histories], kind="stable")
        found = torch.empty(len(histories), K, dtype=torch.long)
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                users = order[start : start + batch]
                ids = torch.tensor(pad([histories[user] for user in users], SHAPE["max_len"]))
                scores = model(ids)[:, -1] @ model.items.weight.T
                scores[:, 0] = -torch.inf
                for row, user in zip(scores, users, strict=True):
                    row[seen[user]] = -torch.inf
                found[users] = scores.topk(K).indices
        return found

    return run, f"PyTorch {torch.__version__}"


def one_by_one(settings: dict, calls: int) -> dict:
    """Seconds of a recommendation for one user."""
    histories, n_items = histories_of(settings["data"], settings["users"])
    model = model_of(n_items, "fast")
    seconds = []
    for call in range(calls + 10):
        history = histories[call % len(histories)]
        start = time.perf_counter()
        model.recommend([history], k=K)
        seconds.append(time.perf_counter() - start)
    median, p99 = np.quantile(seconds[10:], [0.5, 0.99])
    return {"calls": calls, "median": float(median), "p99": float(p99)}
