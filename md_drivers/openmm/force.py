"""``openmm_force``: an exported potential as an OpenMM Force."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from md_drivers.common.engine import import_openmm
from md_drivers.common.errors import StructureError
from md_drivers.common.models import Model, dtype_name, model_name, open_potential
from md_drivers.openmm.charges import net_charge
from md_drivers.openmm.options import ForceOptions, Implementation
from mlff.artifacts import available
from mlff.artifacts.loaded import Engine
from mlff.potential.artifact import LoadedModel
from mlff.potential.inputs import charge_fault, check_ignore

if TYPE_CHECKING:
    from openmm import Force
    from openmm.app import Topology

    from md_drivers.openmm.region import Region


def openmm_force(
    model: Model,
    topology: Topology,
    atoms: Iterable[int] | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    skin: float = 0.5,
    periodic: bool | None = None,
    parameter: str | None = "lambda",
    force_group: int = 0,
    implementation: Implementation = "pythonforce",
    failure_file: str | os.PathLike[str] = "mlff-failure.extxyz",
    charge: float | None = None,
    strict: bool = False,
    ignore: Sequence[str] = (),
    engine: Engine | None = None,
) -> Force:
    """An OpenMM Force that computes energy and forces of an exported potential; add it to a System.

    It adds energies to what the System has already: to replace the classical terms of part of a system use openmm-ml
    (``MLPotential("mlff", modelPath=...).createMixedSystem``), which also caps bonds at the border. The attribute
    ``computation`` of a ``pythonforce`` has ``energy_uncertainty`` (eV, last evaluation) and ``forces_uncertainty()``.

    Args:
        model: name of a pretrained model, path of an exported file, or a loaded model.
        topology: of the whole System; gives elements, bonds and whether there is a box.
        atoms: indices of the atoms that the model sees, whole molecules; ``None`` for all.
        device: of the model, ``"cpu"`` or ``"cuda"``; ``None`` takes a GPU if there is one. It is independent of
            OpenMM's platform; a ``torchforce`` runs on the device of OpenMM whatever is said here.
        dtype: ``"float32"`` or ``"float64"``; ``None`` keeps the model's own.
        skin: extra reach of the stored neighbour list in A; results do not depend on it. Not for ``torchforce``.
        periodic: use OpenMM's periodic box, triclinic and changing ones too. ``None``: if the topology has a box. A
            force of all atoms admits any box; one of part of them needs twice the cutoff of the model.
        parameter: name of a global parameter, 1 at first, that multiplies energy and forces (0: no evaluation); forces
            with the same name share it. ``None``: there is none.
        force_group: of OpenMM, 0 to 31.
        implementation: ``"pythonforce"``, or ``"torchforce"`` with the package openmmtorch.
        failure_file: where a ``pythonforce`` writes positions (extxyz, A) when something is not finite.
        charge: total charge of the atoms in e, the one that the training data imply; ``None``: as the topology knows.
        strict: refuse what lies outside of the training data, instead of a warning; not for ``torchforce``.
        ignore: ``("charge",)`` for any charge.
        engine: what computes a ``pythonforce``, see :func:`mlff.load`.

    Raises:
        ImportError: OpenMM 8.6 or newer is missing; for ``torchforce`` a working pair of openmmtorch and torch.
        TypeError, ValueError: an argument is something else; no such model, no potential, an impossible option.
        StructureError: no atoms, a wrong index, an atom without element, an unknown species, a bond cut by the border
            of ``atoms`` or not in the topology, a box that is too small, or a charge that is no input of the model.
        openmm.OpenMMException: (from a simulation) what :class:`md_drivers.openmm.computation.Computation` raises.
        UserWarning: forces are predicted directly; a ``torchforce`` does not say what others do. DomainWarning
            (``pythonforce``): atoms outside of the training data.
    """
    import_openmm()
    from md_drivers.openmm.region import whole_region  # imports OpenMM

    options = ForceOptions(device, dtype, skin, parameter, implementation, failure_file, strict, engine)
    potential = open_potential(model, device, dtype, engine=engine)
    warn_if_direct(potential)
    region = whole_region(topology, atoms, potential)
    check_region_charge(potential, region, net_charge(topology, region.particles) if charge is None else charge, ignore)
    periodic = region.box is not None if periodic is None else periodic
    return build_force(reference(model, potential), potential, region, periodic, options, force_group)


def build_force(
    source: str, model: LoadedModel, region: Region, periodic: bool, options: ForceOptions, force_group: int
) -> Force:
    """The force of a region whose atoms were checked; ``source`` is what finds the model again.

    Raises:
        ImportError, StructureError: as :func:`openmm_force`.
    """
    import openmm

    from md_drivers.openmm.region import check_box

    if region.partial and periodic and region.box is not None:
        check_box(region.box, model.metadata.cutoff)
    if options.implementation == "torchforce":
        from md_drivers.openmm.torchforce import torch_force

        force = torch_force(model, region, periodic, options.parameter)
        _warn_of_silence(model)
    else:
        from md_drivers.openmm.computation import Computation, Settings

        plain = replace(
            options,
            dtype=dtype_name(model.dtype),
            failure_file=os.fspath(options.failure_file),
            engine=model.asked_engine,
        )
        settings = Settings(source, model.sha256, region, periodic, plain, model.trust)
        parameters = {} if options.parameter is None else {options.parameter: 1.0}
        computation = Computation(settings, model)
        force = openmm.PythonForce(computation, parameters)
        force.computation = computation
        force.setParticles(region.particles or ())
    force.setUsesPeriodicBoundaryConditions(periodic)
    force.setForceGroup(force_group)
    force.setName(f"mlff {model_name(model)}")
    return force


def check_region_charge(model: LoadedModel, region: Region, charge: float | None, ignore: Sequence[str]) -> None:
    """Raise StructureError where a charge (e) is known and no input of the model; ValueError for unknown ``ignore``."""
    if "charge" in check_ignore(ignore) or charge is None:
        return
    if fault := charge_fault(np.array(region.numbers), charge, model.metadata.domain, model_name(model)):
        raise StructureError(fault)


def warn_if_direct(model: LoadedModel) -> None:
    """Warn (UserWarning) where the forces of a model are not the derivative of its energy."""
    if not model.metadata.conservative:
        warnings.warn(
            f"model {model_name(model)!r} predicts forces directly: they are not the derivative of its energy. Total "
            "energy is not conserved, and whatever uses both (barostats, minimisation, free energies) is inconsistent",
            stacklevel=3,  # the caller of openmm_force
        )


def _warn_of_silence(model: LoadedModel) -> None:
    """Warn (UserWarning) of what a TorchForce leaves out that the file of the model has."""
    if model.metadata.domain is not None or model.sigmas:
        warnings.warn(
            f"a TorchForce says neither what lies outside of what model {model_name(model)!r} was trained on nor how "
            "uncertain it is; implementation='pythonforce' does",
            stacklevel=4,  # the caller of openmm_force
        )


def reference(model: Model, loaded: LoadedModel) -> str:
    """What finds the model again: the name of a pretrained one, known on any machine, else the file's absolute path."""
    return model if isinstance(model, str) and model in available() else str(loaded.path)
