"""Trajectory files and descriptions from the chunks that exist."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlff.proteins.layout import CloudLayout
from mlff.sampling.trajectories.chunks import PICOMETRES_PER_NM, Chunk, groups_of, read_chunk
from mlff.sampling.trajectories.config import GenerationConfig, SystemConfig
from mlff.sampling.trajectories.isomers import Isomers
from mlff.support.files import replacing, sha256_of, write_text
from mlff.support.xtc import write_xtc
from mlff.trajectories import (
    DATASET_FILE,
    SCHEMA_VERSION,
    SPLITS,
    SYSTEM_FILE,
    Conditions,
    Split,
    SystemRecord,
    TrajectoryRecord,
    sequence_of,
    write_record,
)

_LOG = logging.getLogger(__name__)
_SECONDS_PER_DAY = 86400.0


def split_of(config: GenerationConfig, system: SystemConfig, trajectory: int) -> Split:
    """Held-out trajectories are chosen at random, the same ones in every system."""
    if system.split != "train":
        return system.split
    order = np.random.default_rng([config.seed, 1]).permutation(config.trajectories).tolist()
    test, val = config.num_held_out("test"), config.num_held_out("val")
    place = order.index(trajectory)
    return "test" if place < test else "val" if place < test + val else "train"


def trajectory_file(trajectory: int) -> str:
    """Its name in the folder of its system."""
    return f"trajectory_{trajectory:03d}.xtc"


def assemble_system(config: GenerationConfig, system: SystemConfig, folder: Path) -> SystemRecord | None:
    """Write ``topology.pdb``, ``trajectory_*.xtc`` and last ``system.json`` of a system, from all of its chunks.

    A trajectory ends before the first frame that is another isomer than the start, with a warning.

    Returns:
        what ``system.json`` holds; None where there is no frame yet.

    Raises:
        DataError: a damaged chunk.
        OSError: a file cannot be written.
    """
    import mdtraj

    place = folder / system.folder
    if not (place / "start.pdb").exists():
        return None
    start = mdtraj.load(str(place / "start.pdb"))
    layout = CloudLayout.of(start.topology)
    reference, isomers = start.xyz[0, layout.heavy_atoms.numpy()], Isomers.of(layout)
    records: list[TrajectoryRecord] = []
    reports: list[tuple[dict[str, Any], float]] = []  # of the chunks, with the ns that they hold
    complete = True
    for group in groups_of(config, system):
        number = group.finished(folder)
        complete = complete and number >= config.chunks
        chunks = [read_chunk(group.path(folder, k)) for k in range(min(number, config.chunks))]
        reports += [(chunk.report, 1e-3 * config.chunk * group.size) for chunk in chunks]
        for copy, trajectory in enumerate(range(group.first, group.last)) if chunks else ():
            frames = _frames(chunks, copy)
            cut = isomers.first_change(frames, reference)
            words = None if cut is None else f"frame {cut[0]}: {cut[1]}"
            if cut is not None:
                _LOG.warning("%s: trajectory %d ends before %s", system.folder, trajectory, words)
                frames = frames[: cut[0]]
            if len(frames):
                file = place / trajectory_file(trajectory)
                _write_xtc(file, frames, config.frame_interval)
                about = {"frames": len(frames), "sha256": sha256_of(file), "start": chunks[0].report["starts"][copy]}
                split = split_of(config, system, trajectory)
                records.append(TrajectoryRecord(file=Path(file.name), split=split, cut=words, **about))
    if not records:
        return None
    with replacing(place / "topology.pdb") as temporary:
        # The PDB format has three decimals; the name of a temporary file tells nothing.
        mdtraj.Trajectory(reference, layout.topology).save_pdb(str(temporary))
    record = SystemRecord(
        name=system.folder,
        sequence=sequence_of(layout),
        split=system.split,
        topology=Path("topology.pdb"),
        frame_interval=config.frame_interval,
        trajectories=tuple(records),
        conditions=conditions(config),
        complete=complete,
        provenance=_provenance(config, reports, place),
    )
    write_record(record, place / SYSTEM_FILE)
    return record


def _provenance(config: GenerationConfig, reports: list[tuple[dict[str, Any], float]], place: Path) -> dict[str, Any]:
    seconds = sum(report["seconds"] for report, _ in reports)
    simulated = sum(ns for _, ns in reports)
    return {
        "program": "equijump generate-data",
        "equilibration_ps": config.equilibration,
        "seed": config.seed,
        "copies": config.copies,
        "platform": config.platform,
        "versions": reports[-1][0]["versions"],
        "failed_attempts": sum(len(report["failures"]) for report, _ in reports),
        "simulated_ns": round(simulated, 6),
        "wall_seconds": round(seconds, 1),
        "ns_per_day_and_process": round(_SECONDS_PER_DAY * simulated / seconds, 1) if seconds else None,
        "sha256": {name: sha256_of(place / name) for name in ("start.pdb", "topology.pdb")},
    }


def conditions(config: GenerationConfig) -> Conditions:
    """The dynamics as models keep it."""
    return Conditions(
        force_field="amber14-all (ff14SB)",
        solvent="implicit, GBn2" if config.solvent == "gbn2" else "none",
        temperature=config.temperature,
        friction=config.dynamics.friction,
        time_step=config.dynamics.time_step,
        hydrogen_mass=config.dynamics.hydrogen_mass,
        constraints=config.dynamics.constraints,
    )


def write_dataset(
    config: GenerationConfig, folder: Path, records: list[SystemRecord], details: dict[str, Any]
) -> dict[str, Any]:
    """Write ``dataset.json``, whose content is returned; without any system, which nobody could read, no file."""
    systems = []
    for record in records:
        frames = dict.fromkeys(SPLITS, 0)
        for trajectory in record.trajectories:
            frames[trajectory.split or record.split] += trajectory.frames or 0
        systems.append(
            {
                "name": record.name,
                "sequence": record.sequence,
                "split": record.split,
                "complete": record.complete,
                "frames": frames,
                "cut": sum(trajectory.cut is not None for trajectory in record.trajectories),
            }
        )
    content = {
        "schema_version": SCHEMA_VERSION,
        "frame_interval_ps": config.frame_interval,
        "conditions": conditions(config).model_dump(mode="json"),
        "complete": len(records) == len(config.systems) and all(record.complete for record in records),
        "simulated_ns": round(sum(record.provenance["simulated_ns"] for record in records), 6),
        "wall_seconds": round(sum(record.provenance["wall_seconds"] for record in records), 1),
        **details,
        "systems": systems,
    }
    if systems:
        write_text(folder / DATASET_FILE, json.dumps(content, indent=1) + "\n")
    return content


def _frames(chunks: list[Chunk], copy: int) -> NDArray[np.float32]:
    """[F,M,3] in nm."""
    joined = np.concatenate([chunk.frames[:, copy] for chunk in chunks])
    return (joined / PICOMETRES_PER_NM).astype(np.float32)


def _write_xtc(path: Path, frames: NDArray[np.float32], interval: float) -> None:
    # The time that has passed since the end of equilibration.
    time = interval * np.arange(1, len(frames) + 1)
    with replacing(path) as temporary:
        write_xtc(temporary, frames, time)
