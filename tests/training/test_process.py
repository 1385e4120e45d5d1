"""The process of a training."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# 64 MiB a step, which glibc by default takes from the system in any state of its heap, as older versions always do.
_STEPS = """
import ctypes, resource, sys
import torch
from mlff.training.process import set_up_process

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    set_up_process(1)
for step in range(25):  # the heap takes some steps until a block is free that the next one fits into
    if step == 15:
        before = faults()
    torch.ones(1 << 24)
kept = faults() - before
print(torch.get_num_threads(), kept, ctypes.CDLL(None).mallopt(-3, 1 << 30))
"""


def run_steps(how: str, **environment: str) -> tuple[int, ...]:
    """Threads, page faults of ten steps, and whether glibc takes blocks of this size from its heap if told to."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", _STEPS, how]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=plain | environment)
    return tuple(map(int, result.stdout.split()))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_steps_get_the_memory_of_the_step_before() -> None:
    threads, kept, possible = run_steps("keep")
    assert threads == 1
    assert run_steps("leave")[1] > 300
    assert run_steps("keep", MALLOC_TRIM_THRESHOLD_="131072")[1] > 300
    if not possible:
        pytest.skip("an older glibc")
    assert kept < 50  # of 16384 pages a step, or of 32 huge ones
