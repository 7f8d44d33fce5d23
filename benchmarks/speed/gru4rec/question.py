"""A step of GRU4Rec on MovieLens-1M; and what the fast ops gain for every encoder."""

from pathlib import Path

from attention_from_scratch.networks.stages import CHOICES
from attention_from_scratch.training import available_cores
from benchmarks.common.writing import in_words, markdown
from benchmarks.speed.contest import Contender, ratio, shown, take_turns
from benchmarks.speed.gru4rec.contenders import BATCH, SHAPE
from benchmarks.speed.ours import histories_of
from benchmarks.speed.showing import HELD_AGAINST, OURS, TURNS, against_best, bars, everybody

TITLE = "A step of GRU4Rec, and of every encoder"
CONTENDERS = "benchmarks.speed.gru4rec.contenders"
ROUNDS = {False: 15, True: 1}
GRU, ENCODERS = "gru", CHOICES["encoder"]
THREADS, PLAIN = "ours, threads", "ours, plain ops"
REPLICAS = "PyTorch, DistributedDataParallel"
SHARDS = (2, 4)


def measure(quick: bool, data: Path) -> dict:
    """Seconds of everybody who has a GRU; and of the fast and the plain ops of every encoder."""
    path = data / "ml-1m.txt"
    histories_of(path, 1)  # a file that cannot be read is told at once
    settings = {"data": str(path), "threads": available_cores()} | ({"users": 100} if quick else {})
    rows = {}
    for encoder in ENCODERS:
        taking_part = encoder_contenders(encoder, settings)
        if encoder == GRU:
            taking_part |= gru_contenders(settings)
        rows[encoder] = take_turns(taking_part, ROUNDS[quick], encoder)
    return {"shape": SHAPE | {"batch": BATCH}, "rows": rows}


def encoder_contenders(encoder: str, settings: dict) -> dict[str, Contender]:
    """The fast ops and the plain ones, both in processes."""
    cores = settings | {"encoder": encoder, "processes": settings["threads"]}
    return {
        OURS: Contender(CONTENDERS, "ours", cores | {"ops": "fast"}),
        PLAIN: Contender(CONTENDERS, "ours", cores | {"ops": "plain"}),
    }


def gru_contenders(settings: dict) -> dict[str, Contender]:
    """The contenders of a step of GRU4Rec: ours with threads, and the peers."""

    def of(function, **more):
        return Contender(CONTENDERS, function, settings | more)

    found = {
        THREADS: of("ours", encoder=GRU, ops="fast"),
        f"{PLAIN}, threads": of("ours", encoder=GRU, ops="plain"),
        "PyTorch, one thread": of("torch", threads=1),
    }
    for words, chunked in (("", {}), (", chunked", {"chunked": True})):
        found[f"PyTorch{words}"] = of("torch", **chunked)
        for n_shards in SHARDS:
            name = f"PyTorch{words}, shards of {BATCH // n_shards}"
            found[name] = of("torch", n_shards=n_shards, **chunked)
        found[f"{REPLICAS}{words}"] = of("torch_replicas", **chunked)
    return found


def tables(result: dict) -> str:
    """GRU4Rec against the best peer, every encoder, then everybody."""
    rows, gru = result["rows"], result["rows"][GRU]
    encoders = [
        [name, shown(of[OURS]), shown(of[PLAIN]), ratio(of[OURS], of[PLAIN])]
        for name, of in rows.items()
    ]
    return "\n\n".join(
        [
            f"{in_words(result['shape'])}; float32, softmax over the whole catalogue of "
            "MovieLens-1M with the item table as the last layer, Adam: the settings of the table "
            "of the baselines. The first batch of the first epoch, histories of real lengths, cut "
            "into shards as the model cuts it. Ours are processes that share the step "
            "(`fit(processes=...)`), or threads. PyTorch, eager, is spared a thing: padding is not "
            f"hidden from the state. Seconds of a step: {TURNS}",
            markdown(["", *HELD_AGAINST], [["GRU4Rec", *against_best(gru)]]),
            "The same step with each encoder of the pipeline in the GRU's place, in processes.",
            markdown(["encoder", "fast ops", "plain ops", "fast / plain"], encoders),
            everybody("GRU4Rec", gru),
        ]
    )


def figure(result: dict):
    """A panel an encoder, a bar a contender."""
    return bars(result["rows"], "seconds a step")
