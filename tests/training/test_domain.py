"""The domain of a potential, from its training frames to its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read, write
from support.domains import domain_of_atoms
from typer.testing import CliRunner

import mlff
from mlff.artifacts.metadata import build_metadata
from mlff.cli import app
from mlff.data import Frame
from mlff.graph import graph_from_atoms
from mlff.potential.artifact import ArtifactMetadata
from mlff.potential.domain import Domain, connected_extent, formula_of, pair_name
from mlff.potential.training.about import about_trained, splits_of
from mlff.potential.training.domain import DomainRecord
from mlff.potential.training.trained import load_trained

CUTOFF = 3.2
FACTS = {"cutoff": 4.0, "species": [1, 8], "dtype": "float32", "conservative": True, "outputs": ["energy"]}
_DATA = {"file": "emt.extxyz", "title": "Rattled cells", "origin": "these tests", "licence": "CC0", "citation": "none"}
NOTES = {"description": "Toy alloy.", "licence": "MIT", "data": [_DATA], "not_for": ["Anything but tests."]}


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def measured(structures: list[Atoms]) -> Domain:
    return Domain.model_validate(domain_of_atoms(structures, CUTOFF))


def of_peptides(*charges: float | str | None) -> Domain:
    """Of methanol, whose frames say these charges, and neutral water."""
    record = DomainRecord()
    for charge in charges:
        for atoms in (molecule("CH3OH"), molecule("H2O")):
            if charge is not None:
                atoms.info["charge"] = charge if atoms.get_chemical_formula() == "CH4O" else 0
            record.add(Frame(atoms, {}), graph_from_atoms(atoms, CUTOFF))
    return record.domain(("energy",))


def test_distances_compositions_and_cells_are_those_of_the_frames(data_file: Path) -> None:
    frames = read(data_file, ":")
    domain = measured(frames)
    smallest: dict[str, float] = {}
    for atoms in frames:
        repeated = atoms.repeat(3)
        distances = repeated.get_all_distances()
        np.fill_diagonal(distances, np.inf)
        for first, second in combinations_with_replacement(sorted(set(atoms.numbers.tolist())), 2):
            block = distances[np.ix_(repeated.numbers == first, repeated.numbers == second)]
            if block.min() <= CUTOFF:
                name = pair_name(first, second)
                smallest[name] = min(smallest.get(name, np.inf), block.min())
    assert domain.distances == pytest.approx(smallest, abs=1e-4)
    assert set(domain.compositions) == {formula_of(atoms.numbers) for atoms in frames}
    assert domain.num_compositions == 2
    assert (domain.frames, domain.num_atoms, domain.directions, domain.periodic) == (20, (4, 4), (3,), ("TTT",))
    assert domain.extent[3] == pytest.approx((frames[0].get_volume() / 4,) * 2, abs=1e-5)
    assert domain.fractions["Au"] == pytest.approx((0.25, 0.5))
    assert domain.relative_energies


def test_one_composition_leaves_relative_energies_undetermined() -> None:
    frames = [bulk("Cu", cubic=True) for _ in range(3)]
    for atoms in frames:
        atoms.symbols[0] = "O"
    domain = measured(frames)
    assert not domain.relative_energies
    assert domain.composition_violations(frames[0].numbers) == {}
    assert domain.composition_violations(frames[0].repeat(3).numbers) == {}  # the same composition
    (text,) = domain.composition_violations(bulk("Cu", cubic=True).numbers).values()
    assert "Cu4" in text
    assert "cannot be compared" in text
    assert measured([molecule("H2O"), molecule("H2")]).relative_energies
    # Formic acid is no combination of methanol and water.
    pair = measured([molecule("CH3OH"), molecule("H2O")])
    assert not pair.relative_energies
    assert "cannot be compared" in pair.composition_violations(molecule("HCOOH").numbers)["composition"]


def test_a_charge_is_the_one_that_frames_of_the_composition_had() -> None:
    domain = of_peptides(1.0)
    methanol, water, ethanol = (molecule(name).numbers for name in ("CH3OH", "H2O", "CH3CH2OH"))
    assert domain.charges == (0.0, 1.0)
    assert domain.charge_obstacle(methanol, 1.0) is None
    assert "+1" in domain.charge_obstacle(methanol, 0.0)
    assert domain.charge_obstacle(water, 0.0) is None
    assert "total charge 0" in domain.charge_obstacle(water, 1.0)
    # of a composition that no frame has, any within the range
    assert domain.charge_obstacle(ethanol, 0.0) is None
    assert domain.charge_obstacle(ethanol, 1.0) is None
    assert domain.charge_obstacle(ethanol, -1.0) is not None
    assert domain.charge_obstacle(ethanol, 2.0) is not None


def test_electrons_stay_paired() -> None:
    domain = of_peptides(2.0)
    assert domain.odd_electrons is False
    assert "odd number of electrons" in domain.charge_obstacle(molecule("CH3CH2OH").numbers, 1.0)


@pytest.mark.parametrize("stated", [None, "neutral"])
def test_frames_without_a_charge_imply_none(stated: str | None) -> None:
    domain = of_peptides(stated)
    assert domain.charges == (None if stated is None else (0.0,))
    assert domain.charge_obstacle(molecule("CH3OH").numbers, 0.0) is None
    assert domain.charge_obstacle(molecule("CH3OH").numbers, 1.0) is not None


def test_lattices_that_run_askew_have_no_extent() -> None:
    cell = np.diag([2.0, 3.0, 4.0])
    assert connected_extent(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), cell, 3) == (2, pytest.approx(2.0))
    assert connected_extent(np.array([[1.0, 1.0, 0.0]]), cell, 3) == (1, None)


def test_the_run_its_export_and_its_publication_carry_the_same_domain(
    write_config: Callable[..., Path], data_file: Path, tmp_path: Path
) -> None:
    run, notes = tmp_path / "run", tmp_path / "notes.yaml"
    assert invoke("train", write_config(epochs=1), "-o", run).exit_code == 0
    record = json.loads((run / "report" / "data.json").read_text())
    split = record["split"]["train"]
    frames = [read(data_file, ":")[entry["index"]] for entry in split]
    domain = Domain.model_validate(record["domain"])
    assert domain.model_copy(update={"largest_force": None}) == measured(frames).model_copy(
        update={"largest_force": None}
    )
    largest = max(np.linalg.norm(atoms.get_forces(), axis=1).max() for atoms in frames)
    assert domain.largest_force == pytest.approx(largest, abs=1e-3)
    assert domain.trained_on == ("energy", "forces")

    published = tmp_path / "published"
    notes.write_text(yaml.safe_dump(NOTES))
    assert invoke("publish", run, "-o", published, "--notes", notes).exit_code == 0
    about = mlff.load(published).metadata
    assert about.domain == domain
    assert about.receptive_field == pytest.approx(2 * CUTOFF)

    # A published folder has no record: its model says what it said before, and keeps its structures; notes are as now.
    again = tmp_path / "again.pt"
    (published / "notes.yaml").write_text(yaml.safe_dump(NOTES | {"not_for": ["whole proteins"]}))
    assert invoke("export", published, "-o", again).exit_code == 0
    before, after = mlff.load(published, dtype="float64"), mlff.load(again, dtype="float64")
    assert after.metadata.extra == {**before.metadata.extra, "not_for": ["whole proteins"]}
    changed = {"uncertainty", "created", "extra"}
    assert after.metadata.model_dump(exclude=changed) == before.metadata.model_dump(exclude=changed)
    assert [atoms.positions.tolist() for atoms in after.examples] == [a.positions.tolist() for a in before.examples]
    graph = before.graph(frames[0])
    for name, value in before.evaluate(graph).items():
        np.testing.assert_allclose(after.evaluate(graph)[name], value, rtol=0, atol=1e-12)


def test_a_run_without_a_domain_gets_it_from_its_data_or_says_that_it_knows_none(
    write_config: Callable[..., Path], data_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert invoke("train", write_config(epochs=1), "-o", run).exit_code == 0
    record = run / "report" / "data.json"
    content = json.loads(record.read_text())
    domain = content.pop("domain")
    record.write_text(json.dumps(content))  # as of an earlier version
    assert about_trained(run, load_trained(run), 0, splits_of(run))["metadata"]["domain"] == domain

    frames = read(data_file, ":")
    frames[0].info["note"] = "the same structures in another file"
    write(data_file, frames)
    found = about_trained(run, load_trained(run), 0, splits_of(run))["metadata"]["domain"]
    assert found["source"] == "measured on files that differ from those of the training: emt.extxyz"
    assert {**found, "source": None} == domain
    data_file.unlink()
    assert about_trained(run, load_trained(run), 0, splits_of(run))["metadata"]["domain"] is None
    about = build_metadata(ArtifactMetadata, {}, FACTS)
    assert "does not know what it was trained on" in about.facts()["domain"]
