"""What all tests share: one thread a worker, and hypothesis draws the same on every machine."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before NumPy is loaded, which reads it then
    os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")

from hypothesis import settings

settings.register_profile("proofs", max_examples=40, derandomize=True, deadline=None)
settings.load_profile("proofs")
