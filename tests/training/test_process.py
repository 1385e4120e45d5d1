"""The process of a training."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# 64 MiB a step, more than glibc keeps by default in any state of its heap.
_STEPS = """
import resource, sys
import torch
from mlff.training.process import set_up_process

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    set_up_process(1)
for step in range(13):
    if step == 3:
        before = faults()
    torch.ones(1 << 24)
print(torch.get_num_threads(), faults() - before)
"""


def run_steps(how: str) -> tuple[int, int]:
    result = subprocess.run([sys.executable, "-c", _STEPS, how], capture_output=True, text=True, check=True)
    threads, faults = result.stdout.split()
    return int(threads), int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_steps_get_the_memory_of_the_step_before() -> None:
    threads, kept = run_steps("keep")
    _, given_back = run_steps("leave")
    assert threads == 1
    assert kept < 50  # of 16384 pages a step, or of 32 huge ones
    assert given_back > 300
