"""Read a model without knowing which it is: its file says so."""

from pathlib import Path

from attention_from_scratch.models.bpr import BPR
from attention_from_scratch.models.content import ContentBased
from attention_from_scratch.models.markov import MarkovChain
from attention_from_scratch.models.neighbours import ItemKNN, UserKNN
from attention_from_scratch.models.pipeline import Pipeline
from attention_from_scratch.models.popularity import MostPopular, RecentlyPopular
from attention_from_scratch.models.recommender import Recommender
from attention_from_scratch.models.sasrec import SASRec
from attention_from_scratch.training import load_model

CAN_BE_SAVED: tuple[type[Recommender], ...] = (
    SASRec,
    Pipeline,
    BPR,
    MostPopular,
    RecentlyPopular,
    MarkovChain,
    UserKNN,
    ItemKNN,
    ContentBased,
)
KINDS = {model.KIND: model for model in CAN_BE_SAVED}


def load(path: str | Path) -> Recommender:
    """Read any model that was saved.

    Parameters
    ----------
    path : path
        What `save` wrote: .npz, or .safetensors, which is a SASRec.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file holds something else, a model that is not known here, or one in a format that
        is newer than this version.
    """
    if Path(path).suffix.lower() == ".safetensors":
        return SASRec.load(path)
    tree, description = load_model(path)
    kind = description.get("model")
    if kind not in tuple(KINDS):
        raise ValueError(f"{path} holds a {kind} model, but may hold one of {', '.join(KINDS)}")
    return KINDS[kind].from_file(path, tree, description)
