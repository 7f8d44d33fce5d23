"""Scripts that ask for the readers of weights by their former address still run."""

from attention_from_scratch.interop import keras, torch
from attention_from_scratch.models import weights


def test_the_former_address_has_the_functions_of_interop():
    for name in weights.__all__:
        assert getattr(weights, name) is getattr(keras if "keras" in name else torch, name)
