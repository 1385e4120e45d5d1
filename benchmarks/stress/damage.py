"""Damaged model files: an error, or the same numbers."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import molecule

from benchmarks.stress.inputs import toy_model
from benchmarks.stress.tally import Limit, Tally
from md_drivers import MLFFCalculator
from mlff.support.errors import ArtifactError

_AT_A_TIME = 25
_PATIENCE = 120  # s


def in_child(work: Callable[[], Any]) -> tuple[int, Any]:
    """Exit status, or minus the signal, of a forked child that calls ``work``; what it returned, as JSON."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        status = 1
        try:
            signal.alarm(_PATIENCE)
            os.write(write, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), json.loads(text) if text else None


def numbers(path: Path, atoms: Atoms) -> list[float]:
    """Energy and forces by a file."""
    results = MLFFCalculator(str(path), device="cpu")
    return [results.get_potential_energy(atoms), *results.get_forces(atoms).ravel().tolist()]


def damaged(folder: Path, limit: Limit) -> Tally:
    """A byte changed, several, a cut, a hole of zeros: none may give other numbers, another error, or a crash."""
    whole, atoms, rng = toy_model(folder / "toy.pt"), molecule("CH3CH2OH"), random.Random(3)
    content, right, tally = whole.read_bytes(), numbers(whole, atoms), Tally("damaged", "model file")
    batch: list[tuple[str, int, bytes]] = []
    for number in limit.numbers():
        batch.append(_damage(content, number, rng))
        if len(batch) == _AT_A_TIME:
            _judge(batch, folder / "damaged.pt", atoms, right, tally)
            batch = []
    _judge(batch, folder / "damaged.pt", atoms, right, tally)
    return tally


def _damage(content: bytes, number: int, rng: random.Random) -> tuple[str, int, bytes]:
    place, data = rng.randrange(len(content)), bytearray(content)
    kind = ("bit", "byte", "zeros", "cut", "swapped")[number % 5]
    if kind == "bit":
        data[place] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        data[place] = (data[place] + rng.randrange(1, 256)) % 256
    elif kind == "zeros":
        length = min(rng.choice([4, 64, 512]), len(data) - place)
        data[place : place + length] = bytes(length)
    elif kind == "cut":
        del data[place : place + rng.choice([1, 64, len(data)])]
    else:
        data[place : place + 16] = reversed(data[place : place + 16])
    return kind, place, bytes(data)


def _judge(batch: list[tuple[str, int, bytes]], path: Path, atoms: Atoms, right: list[float], tally: Tally) -> None:
    def work() -> list[str]:
        return [_fault(data, path, atoms, right) for _, _, data in batch]

    status, faults = in_child(work)
    if status != 0 and len(batch) > 1:  # which one?
        for entry in batch:
            _judge([entry], path, atoms, right, tally)
        return
    for (kind, place, _), fault in zip(batch, faults or [f"crash: {status}"] * len(batch), strict=True):
        tally.add(kind, place, fault)


def _fault(data: bytes, path: Path, atoms: Atoms, right: list[float]) -> str:
    path.write_bytes(data)
    try:
        found = numbers(path, atoms)
    except ArtifactError:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    return "" if np.array_equal(found, right) else "other numbers"
