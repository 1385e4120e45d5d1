"""``rollout``: a structure and a jump model in, trajectories out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from md_drivers.common.checks import check_count, ignore, never
from md_drivers.common.models import Model, open_jump_model
from md_drivers.jumps.course import Course
from md_drivers.jumps.folder import RolloutFolder
from md_drivers.jumps.judgement import Judgement, judge
from md_drivers.jumps.results import RolloutProgress, RolloutResult
from md_drivers.jumps.settings import RolloutSettings
from md_drivers.jumps.start import Start, read_start
from md_drivers.jumps.state import State

_BORROWED = (
    "%s: %d bonds and angles were not in the training data of the model; frames are judged by their values in the start"
)
_log = logging.getLogger(__name__)


def rollout(
    structure: str | os.PathLike[str],
    model: Model,
    output: str | os.PathLike[str],
    *,
    steps: int,
    settings: RolloutSettings,
    device: str | torch.device | None = None,
    resume: bool = False,
    strict: bool = False,
    on_progress: Callable[[RolloutProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> RolloutResult:
    """Trajectories of heavy atoms by repeated jumps from a structure.

    Writes into ``output``: ``topology.pdb`` (the start), ``replica_000.xtc`` and so on with one frame for each jump,
    ``frames.csv`` with their geometry, ``rollout.json``, ``state.npz`` (to resume from), ``rollout.png`` and
    ``ramachandran.png``. No frame is filtered, repaired or left out; a replica whose coordinates explode ends before
    that jump, and the result says so. A replica does not depend on how many others run, but for rounding errors.

    Args:
        structure: PDB or mmCIF file of proteins or peptides; replicas begin with one of its models after the other.
        model: name of a pretrained model, path of an exported file, or a loaded model.
        output: folder, new or empty unless ``resume``.
        steps: jumps since the start, those before a resumption included.
        settings: lag, replicas and all else that defines the rollout.
        device: of the model; ``None`` takes a GPU if there is one.
        resume: go on from the state in ``output``; to rounding errors on a GPU or with another ``batch_size``.
        strict: refuse molecules that the model was not trained for and distorted starts, instead of a warning.
        on_progress: called after each jump.
        should_stop: asked between jumps; when true, the state is saved and the rollout ends.

    Raises:
        ImportError: MDTraj is missing.
        FileExistsError: ``output`` has files and ``resume`` is off.
        FileNotFoundError: no such structure or model, or nothing to resume.
        ValueError: a setting without meaning, a lag that the model was not trained for, a model of another kind; as
            StructureError, a structure that is no molecule, a structure or state that cannot be used, or other
            settings than those to resume with.
        OutOfMemory: so many replicas do not fit at once; go on with ``resume`` and a smaller ``batch_size``.
    """
    check_count("steps", steps)
    loaded = open_jump_model(model, device, settings.dtype)
    loaded.check_lag(settings.lag)
    start = read_start(Path(structure))
    judged = judge(loaded, start.layout, start.atoms, str(start.path), strict)
    if judged.borrowed:
        _log.warning(_BORROWED, start.path, len(judged.borrowed))
    folder = RolloutFolder(Path(output), start, loaded, settings)
    with folder.at_work(resume):
        course = _begun(folder, judged, resume, steps)
        result = course.go(steps, on_progress or ignore, should_stop or never)
        from md_drivers.jumps.figures import draw_figures  # matplotlib takes its time to import

        draw_figures(folder)
    return result


def _begun(folder: RolloutFolder, judged: Judgement, resume: bool, steps: int) -> Course:
    """The rollout where it starts or goes on, its files as they were then."""
    first = _first_state(folder.start, folder.settings.replicas)
    state = folder.opened(resume, first.coordinates.shape, steps)
    unseen = list(judged.familiarity.unseen_residues)
    folder.begin(untrained_residues=unseen, terms_judged_by_the_start=judged.borrowed)
    folder.write_topology()
    if state is None:
        folder.frames.create()
    else:
        folder.frames.cut_back(state.sizes, state.frames)
    return Course(folder, judged, state or first)


def _first_state(start: Start, replicas: int) -> State:
    models = torch.arange(replicas) % len(start.clouds.residues)
    return State(0, start.clouds.coordinates[models].numpy(), np.full(replicas, -1, dtype=np.int64))
