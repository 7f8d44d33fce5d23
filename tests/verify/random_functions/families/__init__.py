"""What a step can be, by subject; importing a file registers its families."""

from tests.verify.random_functions.families import (
    arithmetic,
    elementwise,
    kinks,
    layers,
    not_analytic,
    products,
    reductions,
    sequences,
    shapes,
)
from tests.verify.random_functions.primitive import FAMILIES

__all__ = [
    "FAMILIES",
    "arithmetic",
    "elementwise",
    "kinks",
    "layers",
    "not_analytic",
    "products",
    "reductions",
    "sequences",
    "shapes",
]
