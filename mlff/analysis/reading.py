"""Trajectories from files: data sets of this project, or any topology with trajectories next to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlff.analysis.ensemble import Ensemble, atom_keys
from mlff.proteins.layout import CloudLayout
from mlff.support.errors import DataError
from mlff.support.units import ANGSTROM_PER_NM
from mlff.trajectories import DATASET_FILE, SYSTEM_FILE, SystemData, load_dataset, read_record
from mlff.trajectories.checks import WITH_TIMES

if TYPE_CHECKING:
    from mdtraj import Topology, Trajectory

_TOPOLOGY = "topology.pdb"
_TOPOLOGIES = (".pdb", ".cif")
_TRAJECTORIES = (".xtc", ".dcd", ".trr", ".nc", ".h5")
_DESCRIPTIONS = (".yaml", ".yml", ".json")
_ROLLOUT = "rollout.json"


def read_reference(source: Path, interval: float | None, molecule: Ensemble | None = None) -> Ensemble:
    """Molecular dynamics to compare with.

    Args:
        source: a data set folder of `equijump generate-data`, the folder of one of its systems, a YAML or JSON
            description of trajectories, or what :func:`read_trajectories` takes.
        interval: ps between frames, for trajectories without a description.
        molecule: the system of a data set that is meant, where it has several.

    Raises:
        DataError: missing or damaged files, or not one system with this molecule.
    """
    described = source.is_file() and source.suffix in _DESCRIPTIONS
    if source.is_dir() and not (source / SYSTEM_FILE).is_file() and (source / DATASET_FILE).is_file():
        source, described = _system_of(source, molecule), True
    if not described and not (source / SYSTEM_FILE).is_file():
        return read_trajectories(source, interval, "reference")
    return ensemble_of(load_dataset(source)[0])


def read_trajectories(source: Path, interval: float | None, name: str) -> Ensemble:
    """A topology and the trajectories next to it.

    Args:
        source: a folder with ``topology.pdb`` (or a single PDB or CIF file) and trajectory files, or one trajectory
            file in such a folder.
        interval: ps between frames; None: the lag in the record of `equijump rollout`, or the times in the files.

    A ``rollout.json`` next to them also tells how many replicas exploded.

    Raises:
        DataError: missing or damaged files, no interval.
    """
    import mdtraj

    if not source.exists():
        raise DataError("no such file or folder", file=source)
    folder = source if source.is_dir() else source.parent
    files = [source] if source.is_file() else sorted(p for p in folder.iterdir() if p.suffix in _TRAJECTORIES)
    if not files:
        raise DataError("no trajectories", file=folder, hint=f"expected files {', '.join(_TRAJECTORIES)}")
    path = _topology_file(folder)
    topology = _load(mdtraj.load_topology, path)
    trajectories = [_load(lambda text: mdtraj.load(text, top=topology), file) for file in files]
    record = _rollout_record(folder)
    lost = None if record is None else _lost_replicas(record, len(files) if source.is_dir() else None)
    interval = _recorded_lag(record or {}) if interval is None else interval
    labels = [file.name for file in files]
    if interval is not None:
        return Ensemble.of(name, trajectories, interval, labels, lost=lost)
    intervals = [_interval(file, trajectory) for file, trajectory in zip(files, trajectories, strict=True)]
    first = intervals[0]
    for file, other in zip(files, intervals, strict=True):
        if abs(other - first) > 1e-3 * first:
            raise DataError(
                f"frames are {other:g} ps apart, but {first:g} ps in {files[0].name}",
                file=file,
                hint="analyse them separately",
            )
    return Ensemble.of(name, trajectories, first, labels, lost=lost)


def ensemble_of(system: SystemData) -> Ensemble:
    """A system of a data set."""
    import mdtraj

    trajectories = [
        mdtraj.Trajectory(part.atoms.numpy() / np.float32(ANGSTROM_PER_NM), system.layout.topology)
        for part in system.trajectories
    ]
    known = {key: value for key, value in system.conditions.model_dump().items() if value is not None}
    return Ensemble.of(
        system.name,
        trajectories,
        system.frame_interval,
        labels=[part.name for part in system.trajectories],
        splits=[part.split for part in system.trajectories],
        held_out=system.split != "train",
        conditions=", ".join(f"{key.replace('_', ' ')} {value}" for key, value in known.items()),
    )


def _system_of(folder: Path, molecule: Ensemble | None) -> Path:
    """The folder of the system of a data set that is this molecule."""
    import mdtraj

    systems = sorted(path.parent for path in folder.glob(f"*/{SYSTEM_FILE}"))
    matching = systems
    if molecule is not None and len(systems) > 1:
        wanted = set(atom_keys(molecule.layout))
        files = [path / read_record(path / SYSTEM_FILE).topology for path in systems]
        topologies = [_load(mdtraj.load_topology, file) for file in files]
        matching = [path for path, topology in zip(systems, topologies, strict=True) if _keys(topology) == wanted]
    if len(matching) != 1:
        names = ", ".join(path.name for path in systems) or "none"
        found = "none of its systems is" if not matching else "several of its systems are"
        hint = f"give the folder of one system ({names})"
        raise DataError(f"{found} the generated molecule", file=folder, hint=hint)
    return matching[0]


def _keys(topology: Topology) -> set[tuple[int, str]]:
    try:
        return set(atom_keys(CloudLayout.of(topology)))
    except DataError:  # a system with solvent, which its description leaves out
        return set()


def _topology_file(folder: Path) -> Path:
    if (folder / _TOPOLOGY).is_file():
        return folder / _TOPOLOGY
    others = sorted(path for path in folder.iterdir() if path.suffix in _TOPOLOGIES)
    if len(others) != 1:
        raise DataError(
            f"no {_TOPOLOGY}, and {len(others)} other PDB or CIF files instead of one",
            file=folder,
            hint=f"put the topology next to the trajectories as {_TOPOLOGY}",
        )
    return others[0]


def _load(load, path: Path):  # type: ignore[no-untyped-def]  # MDTraj has no types
    try:
        return load(str(path))
    except Exception as error:  # readers of many formats raise many kinds
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split()) or type(error).__name__})") from error


def _rollout_record(folder: Path) -> dict[str, Any] | None:
    """What `equijump rollout` wrote about the folder; None where it made none, empty if it cannot be read."""
    path = folder / _ROLLOUT
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _setting(record: dict[str, Any], name: str) -> float | None:
    """A number of the settings; None where the record does not tell."""
    settings = record.get("settings")
    value = settings.get(name) if isinstance(settings, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _recorded_lag(record: dict[str, Any]) -> float | None:
    """ps; None where the record does not tell."""
    lag = _setting(record, "lag")
    return lag if lag is not None and lag > 0 else None


def _lost_replicas(record: dict[str, Any], files: int | None) -> float:
    """Replicas that exploded, or have no file (as those that exploded in their first jump); nan: not known.

    Args:
        files: trajectories in the folder; None if only one of them was asked for.
    """
    exploded = record.get("exploded_replicas")
    if not isinstance(exploded, dict):  # it runs still, or was interrupted
        return float("nan")
    replicas = _setting(record, "replicas")
    missing = 0.0 if replicas is None or files is None else replicas - files
    return max(float(len(exploded)), missing)


def _interval(file: Path, trajectory: Trajectory) -> float:
    steps = np.diff(trajectory.time.astype(np.float64))
    if file.suffix not in WITH_TIMES or not len(steps) or not steps.mean() > 0:
        raise DataError("the file does not tell the time between frames", file=file, hint="give the interval in ps")
    if np.abs(steps - steps.mean()).max() > 0.01 * steps.mean():
        raise DataError(f"{file}: frames are not equally far apart in time; give the interval if the times are wrong")
    return round(float(steps.mean()), 4)
