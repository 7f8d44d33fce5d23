"""Wrong backward passes, each a few lines, and what is wrong with each: the doctor's examination.

A mutant has the signature and the forward pass of an op, and one mistake on the way back, of the
kinds that people make, in the many shapes that people give them: loops, einsum, a scaled query, a
fancy index that adds only once. There is a file an op family; the decorator `wrong` puts what
stands below it into the catalogue. What is in `correct/` is right in unfamiliar ways; what is in
`unknown` is wrong in ways that have no name.

A mutant that fits only some shapes (a forgotten transpose wants a square matrix) raises or returns
a gradient of another shape elsewhere, as its author's code would.
"""

from benchmarks.mutants import (
    activations,
    attention_weights,
    dropout,
    embedding,
    layer_norm,
    linear,
    losses,
    multi_head_attention,
    recurrent,
    scaled_dot_product_attention,
    softmax,
    unknown,
)
from benchmarks.mutants.correct import attention as correct_attention
from benchmarks.mutants.correct import layers as correct_layers
from benchmarks.mutants.correct import losses as correct_losses
from benchmarks.mutants.shelves import CORRECT, UNKNOWN, WRONG, Mutant

__all__ = ["Mutant", "catalogue", "correct_ops", "unknown_mutants"]

# The order of the catalogue: file by file, and in a file as its text has it.
FAMILIES = (
    linear,
    embedding,
    activations,
    softmax,
    layer_norm,
    dropout,
    attention_weights,
    scaled_dot_product_attention,
    multi_head_attention,
    losses,
    recurrent,
    correct_layers,
    correct_attention,
    correct_losses,
    unknown,
)


def catalogue(seed: int = 0) -> list[Mutant]:
    """All mutants, at inputs that depend on the seed and the name alone."""
    return mutants_on(WRONG, seed)


def correct_ops(seed: int = 0) -> list[Mutant]:
    """Right ops, written differently: no doctor may accuse them."""
    return mutants_on(CORRECT, seed)


def unknown_mutants(seed: int = 0) -> list[Mutant]:
    """Wrong ops whose mistake has no name: the doctor must say that it does not know."""
    return mutants_on(UNKNOWN, seed)


def mutants_on(shelf, seed: int) -> list[Mutant]:
    """Set up what stands on a shelf, file by file."""
    return [entry(seed) for family in FAMILIES for entry in shelf.get(family.__name__, [])]
