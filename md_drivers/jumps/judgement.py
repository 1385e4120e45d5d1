"""Whether jumps can begin at a structure: the same for rollouts, `JumpDynamics` and `OpenMMJumper`."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch

from md_drivers.common.errors import StructureError
from mlff.equijump.artifact import Familiarity, LoadedJump
from mlff.proteins import CloudLayout
from mlff.proteins import StructureError as CloudError
from mlff.proteins.geometry import GeometryReference, GeometryTerms
from mlff.proteins.integrity import IntegrityCheck
from mlff.proteins.validity import GeometryCheck

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is known of a start.

    Attributes:
        integrity: what tells molecules from what is none.
        check: what tells valid frames from others. Bonds and angles are compared with their means in the training data;
            those that the model file does not know, with the start.
        borrowed: names of the terms that are compared with the start.
        familiarity: how far the molecule is from those that the model was trained on.
    """

    integrity: IntegrityCheck
    check: GeometryCheck
    borrowed: list[str]
    familiarity: Familiarity


def judge(model: LoadedJump, layout: CloudLayout, atoms: np.ndarray, where: str, strict: bool) -> Judgement:
    """Judge models of one molecule, before anything is written.

    Args:
        model: that is to jump.
        layout: of the molecule.
        atoms: [S,M,3] in Å, heavy atoms.
        where: the structure, for messages.
        strict: refuse what is warned of otherwise: what the model was not trained on, and models whose geometry
            would not count as a valid frame.

    Raises:
        StructureError: a model that is no molecule (torn, inverted, atoms on top of each other, not finite), or
            ``strict`` and a warning.
    """
    try:
        integrity = IntegrityCheck(layout)
        integrity(atoms)
        own = GeometryReference.of([(layout, atoms)])
        known = model.metadata.geometry or GeometryReference(bonds={}, angles={}, centres={})
        reference, borrowed = known.filled(own, GeometryTerms.of(layout))
        check = GeometryCheck(layout, reference)
    except CloudError as error:
        raise StructureError(f"{where}: {error}") from error
    familiarity = model.familiarity(layout.cloud(torch.from_numpy(atoms[0])))
    for doubt in (*_never_seen(model, familiarity), *_distorted(check, atoms)):
        if strict:
            raise StructureError(f"{where}: {doubt}; leave out --strict (strict=True) to run it all the same")
        _log.warning("%s: %s", where, doubt)
    return Judgement(integrity, check, borrowed, familiarity)


def _never_seen(model: LoadedJump, familiarity: Familiarity) -> list[str]:
    doubts = []
    if familiarity.unseen_residues:
        doubts.append(
            f"the model was not trained on {', '.join(familiarity.unseen_residues)} (only on "
            f"{', '.join(model.metadata.residues)}); what it makes of them means nothing"
        )
    if familiarity.unseen:
        doubts.append(
            f"the training data of the model do not have {' or '.join(familiarity.unseen)}; expect frames that are no "
            "molecules"
        )
    return doubts


def _distorted(check: GeometryCheck, atoms: np.ndarray) -> list[str]:
    """Words on models that would not be valid frames, or have peptide bonds in cis."""
    found = check(atoms)
    doubts = []
    if not found.valid.all():
        worst = int(np.argmin(found.valid))
        doubts.append(
            f"model {worst} is far from the geometry of the training data: {found.bond_outliers[worst]} bonds (up to "
            f"{found.bond_error[worst]:.2f} Å), {found.angle_outliers[worst]} angles (up to "
            f"{found.angle_error[worst]:.0f}°), {found.overlaps[worst]} overlaps, {found.inverted[worst]} inverted "
            "centres; minimise it first"
        )
    if found.cis.any():
        doubts.append(f"model {int(np.argmax(found.cis > 0))} has peptide bonds in cis, which jumps seldom leave")
    return doubts
