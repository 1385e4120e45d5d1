"""Structures that are relaxed side by side: the results of one after the other."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.constraints import FixAtoms, Hookean

from md_drivers import DomainWarning, MLFFCalculator, RelaxFailed, RelaxInterrupted, relax
from md_drivers.ase.results import RelaxStep
from md_drivers.common import together
from mlff.potential.artifact import LoadedModel


def structures() -> dict[str, Atoms]:
    """Of different sizes and periodicity; with constraints of two kinds; one is relaxed already."""
    rng = np.random.default_rng(0)
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0, periodic=True)
    add_adsorbate(slab, "O", 1.2, "fcc")
    slab.set_constraint(FixAtoms(indices=[0, 1, 2, 3]))
    held = molecule("CH3CH2OH")
    held.set_constraint(Hookean(0, 1, k=5.0, rt=1.4))
    given = {"slab": slab, "alone": Atoms("O"), "water": molecule("H2O"), "held": held, "more": molecule("CH3OH")}
    for atoms in given.values():
        atoms.rattle(0.05, rng=rng)
    return given


@pytest.mark.parametrize("optimizer", ["FIRE", "LBFGS"])
@pytest.mark.parametrize("size", [2, 10])
def test_results_are_those_of_one_by_one(model: LoadedModel, optimizer: str, size: int, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"steps": 6, "optimizer": optimizer, "fmax": 0.02, "dtype": "float64"}
    alone = relax(structures(), model, **settings)
    side_by_side = relax(structures(), model, tmp_path / "out", batch=size, figure=False, **settings)
    assert [result.name for result in side_by_side] == list(structures())
    for one, other in zip(alone, side_by_side, strict=True):
        assert (one.name, one.steps, one.converged) == (other.name, other.steps, other.converged)
        np.testing.assert_allclose(other.atoms.positions, one.atoms.positions, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.energies, one.energies, rtol=1e-12)
        frames = ase.io.read(tmp_path / "out" / one.name / "trajectory.traj", ":")
        assert len(frames) == one.steps + 1


def test_cells_are_relaxed_side_by_side(model: LoadedModel) -> None:
    given = {f"{a}": bulk("Cu", "fcc", a=a) for a in (3.5, 3.7)}
    settings: dict[str, Any] = {"steps": 4, "cell": "frechet", "dtype": "float64"}
    for one, other in zip(relax(given, model, **settings), relax(given, model, batch=2, **settings), strict=True):
        np.testing.assert_allclose(other.atoms.cell.array, one.atoms.cell.array, rtol=0, atol=1e-9)


def test_one_evaluation_for_all(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    evaluate = type(model).evaluate

    def counted(self: Any, graph: Any, **what: Any) -> Any:
        counts.append(graph.num_graphs)
        return evaluate(self, graph, **what)

    monkeypatch.setattr(type(model), "evaluate", counted)
    given = {str(seed): molecule("CH3OH") for seed in range(5)}
    for seed, atoms in enumerate(given.values()):
        atoms.rattle(0.1, seed=seed)
    relax(given, model, steps=3, fmax=1e-9, batch=4)
    assert counts[:4] == [4, 4, 4, 4]
    assert sum(counts) == 5 * 4


def test_batches_stay_small_enough_for_the_processor(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = [model.graph(molecule("CH3OH")) for _ in range(5)]
    monkeypatch.setitem(together._EDGES, "cpu", 2 * graphs[0].num_edges)
    counts: list[int] = []
    evaluate = type(model).evaluate

    def counted(self: Any, graph: Any, **what: Any) -> Any:
        counts.append(graph.num_graphs)
        return evaluate(self, graph, **what)

    monkeypatch.setattr(type(model), "evaluate", counted)
    hub, found = together.Together(model, 5), {}

    def ask(index: int) -> None:
        found[index] = hub.evaluate(graphs[index], forces=index < 3)

    hub.run(partial(ask, index) for index in range(5))
    assert counts == [2, 1, 2]
    assert ["forces" in found[index] for index in range(5)] == [True, True, True, False, False]


def test_one_that_fails_leaves_the_others_alone(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = type(model).evaluate

    def broken(self: Any, graph: Any, **what: Any) -> Any:
        outputs = evaluate(self, graph, **what)
        for b, structure in enumerate(graph.split()):
            if len(structure.numbers) == 3:
                outputs["energy"][b] = np.nan
        return outputs

    monkeypatch.setattr(type(model), "evaluate", broken)
    with pytest.raises(RelaxFailed, match="structure 'water': the model gave energy that are not finite") as caught:
        relax(structures(), model, steps=2, batch=3)
    assert [result.name for result in caught.value.results] == ["slab", "alone", "held", "more"]


@pytest.mark.parametrize("by", ["should_stop", "callback"])
def test_a_stop_keeps_what_is_finished_and_is_resumed(model: LoadedModel, by: str, tmp_path: Path) -> None:
    seen: list[RelaxStep] = []

    def look(step: RelaxStep) -> None:
        seen.append(step)
        if by == "callback" and len(seen) == 12:
            raise KeyboardInterrupt

    def stop() -> bool:
        return by == "should_stop" and len(seen) >= 12

    settings: dict[str, Any] = {"steps": 6, "fmax": 1e-6, "batch": 5, "dtype": "float64", "figure": False}
    with pytest.raises(RelaxInterrupted) as caught:
        relax(structures(), model, tmp_path, on_progress=look, should_stop=stop, **settings)
    assert [result.name for result in caught.value.results] == ["alone"]
    results = relax(structures(), model, tmp_path, resume=True, **settings)
    assert [result.steps for result in results] == [6, 0, 6, 6, 6]
    for name, result in zip(structures(), results, strict=True):
        assert len(ase.io.read(tmp_path / name / "trajectory.traj", ":")) == result.steps + 1


def test_atoms_that_a_callback_kept_can_be_asked_after_a_stop(model: LoadedModel) -> None:
    kept: list[Atoms] = []

    def keep(step: RelaxStep) -> None:
        kept.append(step.atoms)
        if len(kept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(RelaxInterrupted):
        relax({name: molecule(name) for name in ("H2O", "CH3OH")}, model, batch=2, fmax=1e-9, on_progress=keep)
    for atoms in kept:
        atoms.positions[0] += 0.01
        assert np.isfinite(atoms.get_potential_energy())


def test_all_are_ended_when_one_raises(model: LoadedModel) -> None:
    hub, ended = together.Together(model, 3), []

    def ask(index: int) -> None:
        try:
            hub.evaluate(model.graph(molecule("H2O")))
            if index == 0:
                raise RuntimeError("one of them")
            hub.evaluate(model.graph(molecule("H2O")))
        finally:
            ended.append(index)

    with pytest.raises(RuntimeError, match="one of them"):
        hub.run(partial(ask, index) for index in range(3))
    assert sorted(ended) == [0, 1, 2]


def test_an_interrupt_while_the_last_files_are_written(model: LoadedModel, tmp_path: Path, monkeypatch: Any) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("md_drivers.ase.relaxation.write_figure", interrupted)
    with pytest.raises(RelaxInterrupted) as caught:
        relax(molecule("H2O"), model, tmp_path / "out", steps=1)
    assert len(caught.value.results) == 1


def test_a_calculator_of_the_user_is_left_as_it_was(model: LoadedModel) -> None:
    calculator = MLFFCalculator(model)
    relax({"a": molecule("H2O"), "b": molecule("CH3OH")}, calculator, steps=1, batch=2)
    atoms = molecule("H2O")
    atoms.calc = calculator
    assert np.isfinite(atoms.get_potential_energy())


def test_batch_is_a_count(model: LoadedModel) -> None:
    with pytest.raises(ValueError, match="batch must be a whole number >= 1, got 0"):
        relax(molecule("H2O"), model, batch=0)


def test_what_lies_outside_is_said_once_for_all_and_noted_for_each() -> None:
    given = {name: molecule(name) for name in ("H2O", "CH3OH")}
    with pytest.warns(DomainWarning) as said:
        results = relax(given, "formate-cu110", steps=0, batch=2)
    kinds = [str(warning.message.kind) for warning in said if isinstance(warning.message, DomainWarning)]
    assert len(kinds) == len(set(kinds)) > 0
    assert {warning.filename for warning in said if isinstance(warning.message, DomainWarning)} == {__file__}
    assert all("composition" in result.outside for result in results)
