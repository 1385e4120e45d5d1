"""The process of a training."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# Three blocks of 24 MiB a step: more than glibc keeps by default in any state of its heap, and each of a size that
# every version takes from there if told to.
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
    blocks = [torch.ones(6 << 20) for _ in range(3)]
    del blocks
print(torch.get_num_threads(), faults() - before)
"""


def run_steps(how: str, **environment: str) -> tuple[int, int]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", _STEPS, how]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=plain | environment)
    threads, faults = result.stdout.split()
    return int(threads), int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_steps_get_the_memory_of_the_step_before() -> None:
    threads, kept = run_steps("keep")
    _, given_back = run_steps("leave")
    _, as_the_user_said = run_steps("keep", MALLOC_TRIM_THRESHOLD_="131072")
    assert threads == 1
    assert kept < 50  # of 18432 pages a step, or of 36 huge ones
    assert given_back > 300
    assert as_the_user_said > 300
