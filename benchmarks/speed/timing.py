"""Alternating measurements, their statistics, and a record of the machine."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

#: Idle time before each turn: the threads of the process that had its turn before have then stopped spinning.
PAUSE_SECONDS = 0.02


def alternate(
    contestants: Mapping[str, Callable[[], float]],
    *,
    repeats: int,
    warmup: int,
    on_round: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Let the contestants take turns and return the milliseconds of every turn, `repeats` for each.

    Each contestant evaluates once and returns its own milliseconds. A turn is two evaluations, and the second counts,
    as in dynamics, where the model's data are still in the caches from the step before.
    """
    for contestant in contestants.values():
        for _ in range(warmup):
            contestant()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, contestant in contestants.items():
            time.sleep(PAUSE_SECONDS)
            contestant()
            times[name].append(contestant())
        on_round()
    return times


def summary(times: list[float]) -> dict[str, float | int]:
    """Median, extremes and number of the measurements (ms)."""
    return {"median_ms": median(times), "min_ms": min(times), "max_ms": max(times), "repeats": len(times)}


def exponent(sizes: list[int], values: list[float]) -> float:
    """Least-squares exponent p of values ~ sizes^p."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def linear_fit(sizes: list[int], values: list[float]) -> dict[str, float]:
    """Least-squares line through the values and its coefficient of determination."""
    slope, offset = np.polyfit(sizes, values, 1)
    residual = np.asarray(values) - (slope * np.asarray(sizes) + offset)
    total = np.asarray(values) - np.mean(values)
    return {"slope": float(slope), "offset": float(offset), "r2": float(1 - residual @ residual / (total @ total))}


def processor() -> str:
    """The processor's name as the operating system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """The checked-out commit, with "+" where tracked files differ from it; "unknown" outside a git checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code: processor, cores, threads, load, versions, commit, date."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
