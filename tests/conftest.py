"""What all tests share: hypothesis draws the same examples on every machine, and not too many."""

from hypothesis import settings

settings.register_profile("proofs", max_examples=40, derandomize=True, deadline=None)
settings.load_profile("proofs")
