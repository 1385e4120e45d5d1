"""What a run was made with: hardware, library versions, commit."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import torch

from mlff.support.settings import Section
from mlff.support.versions import git_commit, installed_versions

_PACKAGES = ("mlff-equijump", "torch", "lightning", "ase", "numpy", "vesin")


class RunPart(Section):
    """A start or a resume of a run: from which step and minute on which code trained it where.

    Attributes:
        step: done before.
        minutes: of training before.
        date: of the start, UTC.
        hardware: see :func:`hardware`.
        threads: of torch.
        git_commit: see :func:`git_commit`.
    """

    step: int
    minutes: float
    date: str
    hardware: str
    threads: int
    git_commit: str | None

    @classmethod
    def starting(cls, step: int, minutes: float, device: torch.device) -> RunPart:
        """A part that starts now, in this process."""
        return cls(
            step=step,
            minutes=minutes,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            hardware=hardware(device),
            threads=torch.get_num_threads(),
            git_commit=git_commit(),
        )


def hardware(device: torch.device) -> str:
    """One line on the processor and, for a GPU, its name."""
    text = f"{_processor()}, {os.cpu_count()} logical cores"
    return f"{torch.cuda.get_device_name(device)}; {text}" if device.type == "cuda" else text


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter for a result."""
    return installed_versions(_PACKAGES)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
