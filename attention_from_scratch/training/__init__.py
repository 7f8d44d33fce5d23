"""Training: Adam, batches, loop, checkpoint, threads, processes. Given a loss; knows no model."""

from attention_from_scratch.training.batches import (
    Shard,
    cut_batches,
    epoch_batches,
    pad,
    shard_of,
)
from attention_from_scratch.training.checkpoint import load_model, replace_file, save_model
from attention_from_scratch.training.loop import Training, train
from attention_from_scratch.training.negatives import draw_negatives
from attention_from_scratch.training.optimizer import Adam, clip_gradients
from attention_from_scratch.training.streams import stream
from attention_from_scratch.training.threads import available_cores, shard_pool

__all__ = [
    "Adam",
    "Shard",
    "Training",
    "available_cores",
    "clip_gradients",
    "cut_batches",
    "draw_negatives",
    "epoch_batches",
    "load_model",
    "pad",
    "replace_file",
    "save_model",
    "shard_of",
    "shard_pool",
    "stream",
    "train",
]
