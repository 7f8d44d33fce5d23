import platform
import subprocess
import sys

import pytest

from attention_from_scratch.training import memory, shard_pool

COUNT_FAULTS = """
import resource
import numpy as np
from attention_from_scratch.training.memory import keep_memory

if {keep}:
    keep_memory()
def step():
    np.ones(2_000_000)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the settings")
def test_memory_that_is_kept_costs_no_page_faults():
    def faults(keep):
        code = COUNT_FAULTS.format(keep=keep)
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return int(run.stdout)

    assert faults(keep=True) < 100 < faults(keep=False)


def test_a_training_keeps_its_memory(monkeypatch):
    called = []
    monkeypatch.setattr(
        "attention_from_scratch.training.threads.keep_memory", lambda: called.append(1)
    )
    with shard_pool(1):
        pass
    assert called == [1]


def test_where_there_is_no_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.keep_memory() is False
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_memory() is False
