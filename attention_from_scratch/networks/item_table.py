"""An item is the sum of what it is called and of all that is known of it."""

from collections.abc import Mapping

import numpy as np

from attention_from_scratch.tree import Tree


def item_table(params: Tree, features: Mapping[str, np.ndarray], *, keep=None):
    """v_i = id_i + sum over modalities m of f_mi W_m: one vector an item, from any number of parts.

    Each modality (words, genres, an image's embedding, ...) has a projection of its own into the
    space of the items. Something that is not known of an item is a row of zeros and adds nothing;
    an item without events can have its id left out, and is then what its features say.

        d_id_i = keep_i d_v_i        d_W_m = F_m^T d_V

    Parameters
    ----------
    params : {"ids": (V + 1, D), "projections": {name: (F, D)}}
    features : name -> (V + 1, F)
        Of the dtype of params, and of its modalities; not differentiated.
    keep : bool (V + 1,) or None
        False leaves the id vector of an item out.

    Returns
    -------
    output : (V + 1, D)
        Row 0 is padding, and whatever it holds is not looked at.
    backward : d_output (V + 1, D) -> grads

    Source: a sum of projected modalities is the simplest of the fusions in Zhou et al., A
    Comprehensive Survey on Multimodal Recommender Systems (2023). Leaving ids out in training, so
    that the features must carry: Volkovs et al., DropoutNet (2017).
    """
    kept = True if keep is None else keep[:, None]
    table = np.where(kept, params["ids"], 0)
    for name, weight in params["projections"].items():
        table = table + features[name] @ weight

    def backward(d_table):
        return {
            "ids": np.where(kept, d_table, 0),
            "projections": {name: features[name].T @ d_table for name in params["projections"]},
        }

    return table, backward
