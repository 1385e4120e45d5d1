"""The forces of an OpenMM system, for :class:`LangevinStep`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mlff.sampling.engine.bonded import Bonded
from mlff.sampling.engine.constraints import Constraints
from mlff.sampling.engine.expressions import Expression, ExpressionError, Value
from mlff.sampling.engine.langevin import LangevinStep
from mlff.sampling.engine.nonbonded import BornTerms, Nonbonded, PairTables
from mlff.support.errors import InputError

if TYPE_CHECKING:
    from openmm import CustomGBForce, NonbondedForce, System

_COULOMB = 138.93545764438198  # kJ·nm/mol/e², as in OpenMM


def langevin_step(
    system: System,
    positions: Tensor,
    *,
    time_step: float,
    temperature: float,
    friction: float,
    dtype: torch.dtype = torch.float32,
) -> LangevinStep:
    """A step with the forces, masses and constraints of a system without cutoff and box.

    Args:
        system: bonds, angles, torsions, `NonbondedForce` and `CustomGBForce`.
        positions: [N,3] nm, a geometry.
        time_step: ps.
        temperature: K.
        friction: 1/ps.
        dtype: of the arithmetic.

    Raises:
        InputError: forces of another kind, a cutoff, virtual sites, or an expression that is not understood.
    """
    from openmm import unit

    number = system.getNumParticles()
    masses = torch.tensor(
        [system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(number)], dtype=torch.float64
    )
    if not (masses > 0).all():
        raise InputError("the system has atoms without mass, which cannot be run here")
    terms: dict[str, list[Any]] = {"bonds": [], "angles": [], "torsions": []}
    tables, born = _no_pairs(number), None
    for force in system.getForces():
        name = type(force).__name__
        if name == "HarmonicBondForce":
            terms["bonds"] += [_plain(force.getBondParameters(k)) for k in range(force.getNumBonds())]
        elif name == "HarmonicAngleForce":
            terms["angles"] += [_plain(force.getAngleParameters(k)) for k in range(force.getNumAngles())]
        elif name == "PeriodicTorsionForce":
            found = [_plain(force.getTorsionParameters(k)) for k in range(force.getNumTorsions())]
            terms["torsions"] += [term for term in found if term[-1]]
        elif name == "NonbondedForce":
            tables = _pair_tables(force)
        elif name == "CustomGBForce":
            born = _born_terms(force, dtype)
        else:
            raise InputError(f"forces of the kind {name} are not known to the platform torch; use another platform")
    fixed = [_plain(system.getConstraintParameters(k)) for k in range(system.getNumConstraints())]
    constraints = Constraints(fixed, 1 / masses, positions.double(), dtype) if fixed else None
    return LangevinStep(
        Bonded(**terms, num_atoms=number, dtype=dtype),
        Nonbonded(tables, born, dtype),
        constraints,
        masses,
        time_step=time_step,
        temperature=temperature,
        friction=friction,
        dtype=dtype,
    )


def _plain(parameters: list[Any]) -> tuple[Any, ...]:
    """Numbers in nm, kJ/mol, rad."""
    from openmm import unit

    return tuple(
        value.value_in_unit_system(unit.md_unit_system) if isinstance(value, unit.Quantity) else value
        for value in parameters
    )


def _no_pairs(number: int) -> PairTables:
    return PairTables(*(torch.zeros(number, number, dtype=torch.float64) for _ in range(3)))


def _pair_tables(force: NonbondedForce) -> PairTables:
    if force.getNonbondedMethod() != force.NoCutoff:
        raise InputError("the platform torch takes systems without cutoff only")
    if force.getNumParticleParameterOffsets() or force.getNumExceptionParameterOffsets():
        raise InputError("the platform torch does not know parameters that depend on global ones")
    number = force.getNumParticles()
    each = torch.tensor([_plain(force.getParticleParameters(k)) for k in range(number)], dtype=torch.float64)
    charge, sigma, epsilon = each.unbind(-1)
    product = charge.unsqueeze(1) * charge
    size = 0.5 * (sigma.unsqueeze(1) + sigma)
    depth = (epsilon.unsqueeze(1) * epsilon).sqrt()
    for k in range(force.getNumExceptions()):
        i, j, *values = _plain(force.getExceptionParameters(k))
        for table, value in zip((product, size, depth), values, strict=True):
            table[i, j] = table[j, i] = value
    apart = 1 - torch.eye(number, dtype=torch.float64)
    sixth = size**6
    return PairTables(_COULOMB * product * apart, 4 * depth * sixth * sixth * apart, 4 * depth * sixth * apart)


def _born_terms(force: CustomGBForce, dtype: torch.dtype) -> BornTerms:
    """Of a force with the values I, a sum over pairs, and B, a function of it, as all models of OpenMM have them."""
    if force.getNonbondedMethod() != force.NoCutoff or force.getNumExclusions():
        raise InputError("the platform torch takes implicit water without cutoff and exclusions only")
    values = [force.getComputedValueParameters(k) for k in range(force.getNumComputedValues())]
    if [(name, kind) for name, _, kind in values] != [
        ("I", force.ParticlePairNoExclusions),
        ("B", force.SingleParticle),
    ]:
        raise InputError("the platform torch knows implicit water with one pair sum I and one radius B only")
    names = [force.getPerParticleParameterName(k) for k in range(force.getNumPerParticleParameters())]
    columns = torch.tensor(
        [force.getParticleParameters(k) for k in range(force.getNumParticles())], dtype=torch.float64
    )
    each: dict[str, Value] = {name: columns[:, k, None].to(dtype) for k, name in enumerate(names)}
    common: dict[str, Value] = {
        force.getGlobalParameterName(k): force.getGlobalParameterDefaultValue(k)
        for k in range(force.getNumGlobalParameters())
    }
    pair = common | {name + "1": value.unsqueeze(1) for name, value in each.items()}  # type: ignore[union-attr]
    pair |= {name + "2": value.unsqueeze(0) for name, value in each.items()}  # type: ignore[union-attr]
    functions = {
        force.getTabulatedFunctionName(k): _table(force.getTabulatedFunction(k), dtype)
        for k in range(force.getNumTabulatedFunctions())
    }
    energies = [force.getEnergyTermParameters(k) for k in range(force.getNumEnergyTerms())]
    try:
        return BornTerms(
            integral=Expression(values[0][1], ["r"], pair, functions),
            radius=Expression(values[1][1], ["I"], common | each, functions),
            single=[
                Expression(text, ["I", "B"], common | each, functions)
                for text, kind in energies
                if kind == force.SingleParticle
            ],
            pair=[
                Expression(text, ["r", "B1", "B2"], pair, functions)
                for text, kind in energies
                if kind != force.SingleParticle
            ],
        )
    except ExpressionError as error:
        raise InputError(f"implicit water: {error}; use another platform") from error


def _table(function: Any, dtype: torch.dtype) -> Callable[[Tensor, Tensor], Tensor]:
    if type(function).__name__ != "Discrete2DFunction":
        raise InputError(f"tables of the kind {type(function).__name__} are not known to the platform torch")
    width, height, values = function.getFunctionParameters()
    # The first argument runs fastest.
    table = torch.tensor(values, dtype=torch.float64).reshape(height, width).T.to(dtype)
    return lambda i, j: table[i.long(), j.long()]
