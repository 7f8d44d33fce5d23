"""Whole models as cases for `verify`: the loss, to every parameter."""

import numpy as np

from attention_from_scratch.models import sasrec, transformer
from attention_from_scratch.ops import causal_mask
from attention_from_scratch.tree import tree_map
from attention_from_scratch.verify import Case


def model_cases(seed: int = 0, dtype: str = "float64", *, dropout: bool = True) -> list[Case]:
    """Transformer blocks and SASRec with every norm and both losses, with dropout or without."""
    rng = np.random.default_rng(seed)
    ids = np.array([[0, 0, 3, 1, 5], [2, 4, 4, 1, 6], [0, 1, 2, 3, 2]])
    targets = np.array([[0, 0, 1, 5, 2], [4, 4, 1, 6, 3], [0, 2, 0, 2, 1]])
    negatives = rng.integers(1, 8, (*ids.shape, 2))
    x = rng.standard_normal((3, 5, 4)).astype(dtype)

    def noisy(params):  # away from the zeros and ones that a model starts from
        return tree_map(lambda a: (a + 0.5 * rng.standard_normal(a.shape)).astype(dtype), params)

    def with_dropout(loss):  # the same draws at every evaluation
        def loss_with_dropout(params, *integers, **settings):
            rng = np.random.default_rng(1)
            return loss(params, *integers, dropout_p=0.3, rng=rng, **settings)

        return loss_with_dropout

    cases = []
    for norm, block in transformer.BLOCKS.items():
        params = noisy(
            transformer.init_block(rng, 4, output_projection=norm != "paper", dtype=dtype)
        )
        keywords = {"n_heads": 2, "mask": causal_mask(5), "eps": 1e-8}
        cases.append(Case(block, (params, x), keywords, "causal, 2 heads"))

        params = noisy(
            sasrec.init_params(rng, n_items=7, max_len=6, dim=4, n_blocks=2, norm=norm, dtype=dtype)
        )
        tables = {name: params[name] for name in ("items", "positions")}
        cases.append(Case(sasrec.embed, (tables, ids), {}, "padding", "sasrec.embed"))
        for loss, integers in (
            (sasrec.catalogue_loss, (ids, targets)),
            (sasrec.sampled_loss, (ids, targets, negatives)),
        ):
            settings = {"n_heads": 2, "norm": norm}
            name = f"sasrec.{loss.__name__}"
            inputs = (params, *integers)
            cases.append(Case(loss, inputs, settings, f'norm="{norm}"', name))
            if dropout:
                noisy_loss = with_dropout(loss)
                cases.append(Case(noisy_loss, inputs, settings, f'norm="{norm}", dropout', name))
        if norm != "paper":
            settings = {"n_heads": 2, "norm": norm, "mask_padding": False}
            note = f'norm="{norm}", padding attended'
            inputs = (params, ids, targets)
            cases.append(
                Case(sasrec.catalogue_loss, inputs, settings, note, "sasrec.catalogue_loss")
            )
    return cases
