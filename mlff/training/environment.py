"""What a run was made with: hardware, library versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

from mlff.versions import installed_versions

_PACKAGES = ("mlff-equijump", "torch", "lightning", "e3nn", "ase", "numpy", "vesin")


def hardware(device: torch.device) -> str:
    """One line on the processor and, for a GPU, its name."""
    text = f"{_processor()}, {os.cpu_count()} logical cores"
    return f"{torch.cuda.get_device_name(device)}; {text}" if device.type == "cuda" else text


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter for a result."""
    return installed_versions(_PACKAGES)


def git_commit() -> str | None:
    """Commit of the source checkout this package runs from, with ``-dirty`` for local changes; None elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
