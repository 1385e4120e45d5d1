"""Import of checkpoints that the public EquiformerV2 and DeNS code writes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    from mlff.potential import DensPotential, Potential


@overload
def import_equiformer_v2(path: str | os.PathLike[str], *, dens: Literal[False] = False) -> Potential: ...


@overload
def import_equiformer_v2(path: str | os.PathLike[str], *, dens: Literal[True]) -> DensPotential: ...


def import_equiformer_v2(path: str | os.PathLike[str], *, dens: bool = False) -> Potential | DensPotential:
    """The potential in a checkpoint (``.pt``) of the public EquiformerV2 code. Nothing in the file is executed.

    Read are ``config``, ``state_dict``, ``normalizers``, ``elementrefs`` and ``ema``, in the layouts of
    atomicarchitects/equiformer_v2, atomicarchitects/DeNS and fairchem 1.x. Averaged weights are used where present, and
    the normalisers become scale, offset and reference energies in eV and eV/Å.

    Args:
        path: of the file.
        dens: keep what DeNS training adds: encoded forces at the input and the head for the noise.

    Returns:
        The potential in evaluation mode, with direct forces and parameters in the precision of the file.

    Raises:
        ArtifactNotFoundError: there is no such file.
        ArtifactError: the file is damaged or holds more than tensors and plain values, an option is unknown or not
            supported, or parameters are missing, left over, of the wrong shape or not finite; ``dens`` for a file
            without it.
    """
    # Whoever only loads exported models needs no network.
    from mlff.imports.equiformer_v2.building import build, build_dens
    from mlff.imports.equiformer_v2.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(path)
    return build_dens(checkpoint) if dens else build(checkpoint)
