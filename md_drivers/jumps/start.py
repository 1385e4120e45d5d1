"""Where rollouts begin: a structure file as tensor clouds, and what its frames are judged by."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from md_drivers.common.checks import check_file
from md_drivers.common.engine import import_mdtraj
from md_drivers.common.errors import StructureError
from md_drivers.jumps.settings import STRUCTURE
from mlff.equijump.artifact import LoadedJump
from mlff.proteins import CloudLayout, TensorCloud, cloud_from_trajectory
from mlff.proteins import StructureError as CloudError
from mlff.proteins.geometry import GeometryReference, GeometryTerms
from mlff.proteins.validity import GeometryCheck
from mlff.support.errors import first_line
from mlff.support.files import sha256_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Start:
    """S models of one molecule.

    Attributes:
        path, sha256: the file.
        layout: of the molecule.
        clouds: [S,N], float64.
    """

    path: Path
    sha256: str
    layout: CloudLayout
    clouds: TensorCloud

    @property
    def atoms(self) -> np.ndarray:
        """[S,M,3] in Å, heavy atoms."""
        return self.layout.atoms(self.clouds).numpy()


def read_start(path: Path) -> Start:
    """All models of a structure file that MDTraj reads (PDB, mmCIF); hydrogens are left out.

    Raises:
        ImportError: MDTraj is not installed.
        FileNotFoundError: there is no such file.
        StructureError: it cannot be read, or is no whole protein or peptide of known residues.
    """
    mdtraj = import_mdtraj()
    check_file(path, STRUCTURE)
    try:
        trajectory = mdtraj.load(str(path))
    except Exception as error:  # readers of many formats raise many kinds
        raise StructureError(f"{path}: cannot be read as a structure: {first_line(error)}") from error
    try:
        clouds, layout = cloud_from_trajectory(trajectory, torch.float64)
    except CloudError as error:
        raise StructureError(f"{path}: {error}") from error
    return Start(path, sha256_of(path), layout, clouds)


def check_residues(model: LoadedJump, start: Start, strict: bool) -> list[str]:
    """Names of residues that the model was not trained on, with a warning.

    Raises:
        StructureError: there are some, and ``strict``.
    """
    names = model.untrained_residues(start.clouds)
    if names:
        message = (
            f"{start.path}: the model was not trained on {', '.join(names)} (only on "
            f"{', '.join(model.metadata.residues)}); what it makes of them means nothing"
        )
        if strict:
            raise StructureError(f"{message}; leave out --strict (strict=True) to run it all the same")
        _log.warning(message)
    return names


def geometry_check(model: LoadedJump, start: Start) -> tuple[GeometryCheck, list[str]]:
    """What tells valid frames from others, and the names of terms that it had to take from the start.

    Bonds and angles are compared with their means in the training data; those that the model file does not know, with
    the start.

    Raises:
        StructureError: a topology without bonds.
    """
    try:
        own = GeometryReference.of([(start.layout, start.atoms)])
        known = model.metadata.geometry or GeometryReference(bonds={}, angles={}, centres={})
        reference, borrowed = known.filled(own, GeometryTerms.of(start.layout))
        check = GeometryCheck(start.layout, reference)
    except CloudError as error:
        raise StructureError(f"{start.path}: {error}") from error
    if borrowed:
        _log.warning(
            "%s: %d bonds and angles were not in the training data of the model; frames are judged by their values in "
            "the start",
            start.path,
            len(borrowed),
        )
    return check, borrowed
