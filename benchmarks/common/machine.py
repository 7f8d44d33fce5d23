"""What a number was measured with: versions, cores, load, clocks."""

import os
import platform
import time

import numpy as np
from threadpoolctl import threadpool_info

from attention_from_scratch.training import available_cores


def load_average() -> float | None:
    """How many processes wanted to run in the last minute, where the system says so."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def environment() -> dict:
    """Versions, processor and the one BLAS thread that measurements of operations have."""
    libraries = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": ", ".join(f"{lib['internal_api']} {lib['version']}" for lib in libraries),
        "blas_threads": 1,
        "machine": platform.machine(),
        "cores": available_cores(),
    }


def made_on() -> dict:
    """What the file of a training says of the machine."""
    return {
        "cores": available_cores(),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


class Clocks:
    """Seconds since it was made: on the clock, and those that processors gave to this process."""

    def __init__(self):
        self.start = time.perf_counter(), time.process_time()

    def read(self, digits: int = 1) -> dict[str, float]:
        """The two, for a result."""
        now = time.perf_counter(), time.process_time()
        clock, processor = (
            round(after - before, digits) for before, after in zip(self.start, now, strict=True)
        )
        return {"seconds": clock, "cpu_seconds": processor}
