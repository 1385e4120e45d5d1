"""One calculator with many structures, for many steps, in many copies."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet

from benchmarks.stress.inputs import toy_model
from benchmarks.stress.tally import Limit, Tally
from md_drivers import MLFFCalculator
from md_drivers.common.errors import CalculationError, StructureError

_SPECIES = (1, 6, 7, 8, 29)
_GROWTH = 16 * 2**20  # bytes, over thousands of steps
_CHECK_EVERY = 20
_NAMED = (StructureError, CalculationError, PropertyNotImplementedError)


def structures(folder: Path, limit: Limit) -> Tally:
    """Random structures by one calculator: finite and as by a new one, or an error with a name; memory stays."""
    path, tally, rng = toy_model(folder / "toy.pt"), Tally("structures", "calculator"), np.random.default_rng(4)
    calculator = MLFFCalculator(str(path), device="cpu")
    used: list[tuple[int, int]] = []
    for number in limit.numbers():
        kind, atoms = _random_structure(rng)
        tally.add(kind, number, _fault(atoms, calculator, compare=number % _CHECK_EVERY == 0))
        used.append(_used())
    tally.add("memory", "structures", _growth(used))
    atoms = molecule("CH3CH2OH")
    atoms.calc, used = calculator, []
    dynamics = VelocityVerlet(atoms, 0.1 * units.fs)
    for _ in limit.numbers():
        dynamics.run(1)
        used.append(_used())
    tally.add("memory", f"{len(used)} steps of dynamics", _growth(used))
    return tally


def _random_structure(rng: np.random.Generator) -> tuple[str, Atoms]:
    count, edge = int(rng.integers(1, 21)), rng.uniform(3.0, 14.0)
    cell = edge * (np.eye(3) + 0.3 * rng.normal(size=(3, 3)))
    atoms = Atoms(rng.choice(_SPECIES, count), rng.random((count, 3)) @ cell, cell=cell, pbc=rng.random(3) < 0.5)
    kind = str(rng.choice(["plain", "plain", "coincident", "not finite", "unknown", "flat cell", "no cell", "far"]))
    if kind == "coincident":
        atoms.positions[-1] = atoms.positions[0]
    elif kind == "not finite":
        atoms.positions[rng.integers(count), 0] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == "unknown":
        atoms.numbers[rng.integers(count)] = rng.choice([0, 2, 79, 118])
    elif kind == "flat cell":
        atoms.cell[2] = atoms.cell[1]
    elif kind == "no cell":
        atoms.cell = None
    elif kind == "far":
        atoms.positions += rng.choice([1e3, 1e6, 1e12]) * rng.normal(size=(count, 3))
    return kind, atoms


def _fault(atoms: Atoms, calculator: MLFFCalculator, compare: bool) -> str:
    try:
        energy, forces = calculator.get_potential_energy(atoms), calculator.get_forces(atoms)
    except _NAMED:
        return ""
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        return "not finite"
    if not compare:
        return ""
    other = MLFFCalculator(calculator.model)
    tolerance = 1e-5 * max(1.0, np.abs(forces).max())  # float32, edges in another order
    same = np.allclose(other.get_forces(atoms), forces, rtol=1e-5, atol=tolerance)
    return "" if same and np.isclose(other.get_potential_energy(atoms), energy, rtol=1e-5) else "other numbers"


def _used() -> tuple[int, int]:
    """Bytes in memory, open files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))


def _growth(used: list[tuple[int, int]]) -> str:
    """What grew in the second half."""
    (bytes_before, files_before), (bytes_after, files_after) = used[len(used) // 2], used[-1]
    grown = [f"{(bytes_after - bytes_before) / 2**20:.1f} MiB"] if bytes_after - bytes_before > _GROWTH else []
    return ", ".join(grown + ([f"{files_after - files_before} files"] if files_after > files_before else []))


def copies(folder: Path, limit: Limit) -> Tally:
    """Forked, spawned, pickled and copied calculators give the same numbers, and threads right ones or an error."""
    calculator, tally = MLFFCalculator(str(toy_model(folder / "toy.pt")), device="cpu"), Tally("copies", "calculator")
    atoms = molecule("CH3CH2OH")
    right = _numbers(calculator, atoms)
    ways: dict[str, Callable[[], Iterable[Any]]] = {
        "deepcopy": lambda: _numbers(copy.deepcopy(calculator), atoms),
        "pickle": lambda: _numbers(pickle.loads(pickle.dumps(calculator)), atoms),
        "fork": lambda: _in_process("fork", calculator, atoms),
        "spawn": lambda: _in_process("spawn", calculator, atoms),
    }
    for number in limit.numbers():
        name = list(ways)[number % len(ways)]
        moved = atoms.copy()
        calculator.get_forces(moved)  # used between copies
        tally.add(name, number, "" if np.array_equal(list(ways[name]()), right) else "other numbers")
        if number % len(ways) == 0:
            two = [MLFFCalculator(calculator.model), MLFFCalculator(calculator.model)]
            tally.add("two calculators", number, _threads(two, may_raise=False))
            tally.add("one calculator", number, _threads([calculator, calculator], may_raise=True))
    return tally


def _numbers(calculator: MLFFCalculator, atoms: Atoms) -> list[float]:
    return [calculator.get_potential_energy(atoms), *calculator.get_forces(atoms).ravel().tolist()]


def _put(queue: Any, calculator: MLFFCalculator, atoms: Atoms) -> None:
    queue.put(_numbers(calculator, atoms))


def _in_process(method: str, calculator: MLFFCalculator, atoms: Atoms) -> list[float]:
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    process = context.Process(target=_put, args=(queue, calculator, atoms))  # type: ignore[attr-defined]
    process.start()
    process.join(300)
    return queue.get() if process.exitcode == 0 else [float(process.exitcode or -1)]


def _threads(calculators: list[MLFFCalculator], may_raise: bool, each: int = 20) -> str:
    """Both threads compute other structures; each result is held against one computed alone."""
    moved = [molecule("CH3CH2OH") for _ in range(each)]
    for number, atoms in enumerate(moved):
        atoms.rattle(0.05, seed=number)
    alone = MLFFCalculator(calculators[0].model)
    right, faults = [alone.get_forces(atoms) for atoms in moved], []

    def work(calculator: MLFFCalculator, order: Iterable[int]) -> None:
        for number in order:
            try:
                found = calculator.get_forces(moved[number])
            except CalculationError as error:
                if not may_raise:
                    faults.append(str(error))
                continue
            if not np.allclose(found, right[number], rtol=1e-5, atol=1e-5 * max(1.0, np.abs(found).max())):
                faults.append("wrong forces")

    orders = (range(each), reversed(range(each)))
    threads = [threading.Thread(target=work, args=pair) for pair in zip(calculators, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return f"{len(faults)} of {2 * each}: {faults[0]}" if faults else ""
