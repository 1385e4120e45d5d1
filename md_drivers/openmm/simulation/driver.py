"""``simulate``: a structure file and a model in, a trajectory out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from md_drivers.common.checks import ignore, never
from md_drivers.common.engine import import_openmm
from md_drivers.common.models import Model, open_potential
from md_drivers.openmm.simulation.results import Progress, SimulationResult
from md_drivers.openmm.simulation.settings import SimulationSettings
from mlff.artifacts.loaded import Engine


def simulate(
    structure: str | os.PathLike[str],
    model: Model,
    output: str | os.PathLike[str],
    *,
    steps: int,
    settings: SimulationSettings | None = None,
    device: str | torch.device | None = None,
    engine: Engine | None = None,
    resume: bool = False,
    platform: str | None = None,
    checkpoint_interval: int = 5000,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    stop_above: float | None = None,
) -> SimulationResult:
    """Molecular dynamics of a structure file, all atoms driven by a model or some of them, with OpenMM.

    Writes ``topology.pdb`` (the start, minimised), ``trajectory.dcd`` or ``.xtc``, ``state.csv``, ``simulation.json``,
    ``checkpoint.zip``, ``simulation.png`` and, for peptides, ``ramachandran.png`` into ``output``. Everything but
    trajectory and table is replaced as a whole, and these are cut back to the checkpoint on resuming, so whatever ends
    the process leaves files that can be resumed from.

    Args:
        structure: PDB or PDBx/mmCIF file with hydrogens.
        model: name of a pretrained model, path of an exported file, or a loaded model.
        output: folder, new or empty unless ``resume``.
        steps: since the start, those before a resumption included.
        settings: ensemble, temperature and all else that defines the simulation.
        device: of the model; ``None`` takes a GPU if there is one.
        engine: what computes, see :func:`mlff.load`.
        resume: go on from the checkpoint in ``output``: as without interruption on the same platform and version of
            OpenMM (to the last bit on Reference), with new random numbers elsewhere and for the barostat of ``npt``.
        platform: of OpenMM; ``None``: Reference where all forces are the model's, else the fastest.
        checkpoint_interval: steps between checkpoints.
        on_progress: called about every half second and after each frame.
        should_stop: asked between steps; when true, the simulation stops with a checkpoint.
        stop_above: end in a frame in which the forces of the model are more uncertain, eV/A (root mean square over
            their components).

    Raises:
        ImportError: OpenMM, or openmm-ml or MDTraj where a part of the atoms is selected, is missing.
        FileExistsError: ``output`` has files and ``resume`` is off.
        FileNotFoundError: no such structure or model, or nothing to resume.
        ValueError: a setting without meaning; as :class:`md_drivers.StructureError`, a structure, selection, box, model
            or checkpoint that cannot be used, or other settings than those of the simulation to resume.
        SimulationFailed: the simulation exploded, a force failed, or ``stop_above`` was passed.
    """
    import_openmm()
    from md_drivers.openmm.simulation.run import Request, run

    settings = settings or SimulationSettings()
    on_progress, should_stop = on_progress or ignore, should_stop or never
    request = Request(settings, steps, resume, platform, checkpoint_interval, on_progress, should_stop, stop_above)
    potential = open_potential(model, device, settings.dtype, engine=engine, user="a simulation")
    return run(Path(structure), potential, Path(output), request)
