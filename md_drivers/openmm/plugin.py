"""The plug-in for openmm-ml: ``MLPotential("mlff", modelPath=...)``.

openmm-ml imports this file whenever it is imported itself, and cannot be imported at all if that fails; so nothing is
imported here but openmm-ml until a potential is made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

if TYPE_CHECKING:
    from openmm import System
    from openmm.app import Topology

    from md_drivers.common.models import Model

_OPTIONS = (
    *("device", "dtype", "skin", "periodic", "parameter", "implementation", "failure_file"),
    *("charge", "strict", "ignore", "engine"),
)
_PRECISIONS = {"single": "float32", "double": "float64"}  # the words of openmm-ml for dtypes
_OF_EMBEDDING = ("linkAtomDistances", "mlLongRange")


class MLFFPotentialFactory(MLPotentialImplFactory):
    """Makes potentials for openmm-ml."""

    def createImpl(self, name: str, modelPath: Model | None = None, **args: Any) -> MLFFPotential:
        """The potential for ``MLPotential(name, modelPath=..., **args)``.

        Args:
            name: as registered with openmm-ml, ``mlff``.
            modelPath: name of a pretrained model, path of an exported file, or a loaded model.
            args: ``device``, ``dtype``, ``skin``, ``periodic``, ``parameter`` (default: none), ``implementation``,
                ``failure_file``, ``charge``, ``strict``, ``ignore`` and ``engine`` of
                :func:`md_drivers.openmm_force`, and openmm-ml's ``precision`` (``"single"``, ``"double"``) for
                ``dtype``; the same can be given to ``createSystem`` and ``createMixedSystem``, where they go before
                these.

        Raises:
            TypeError: no ``modelPath``, or an unknown option.
            ImportError, ValueError: as :func:`md_drivers.openmm_force`.
        """
        if modelPath is None:
            raise TypeError(
                f"MLPotential({name!r}) needs modelPath=: the name of a pretrained model (mlff.available()) or the "
                "path of a model file"
            )
        return MLFFPotential(modelPath, _checked(args))


class MLFFPotential(MLPotentialImpl):
    """An exported potential as openmm-ml uses it. The model is opened once, for all systems made with it.

    Attributes:
        computation: what the last force that was made calls, see :func:`md_drivers.openmm_force`.
    """

    computation: Any = None

    def __init__(self, model: Model, options: dict[str, Any]) -> None:
        from md_drivers.common.engine import import_openmm

        import_openmm()
        from md_drivers.common.models import open_potential
        from md_drivers.openmm.force import reference, warn_if_direct

        self._options = options
        self._model = open_potential(model, options.get("device"), options.get("dtype"), engine=options.get("engine"))
        self._source = reference(model, self._model)
        warn_if_direct(self._model)

    def addForces(
        self, topology: Topology, system: System, atoms: Iterable[int] | None, forceGroup: int, **args: Any
    ) -> None:
        """Add the force of ``atoms`` (``None``: all) to ``system``; called by openmm-ml.

        Args:
            topology: with the atoms that cap cut bonds, if there are any.
            system: the System that is being made.
            atoms: indices into the topology.
            forceGroup: of OpenMM.
            args: options as of :meth:`MLFFPotentialFactory.createImpl`, before those; others are for the embedding.

        Raises:
            TypeError: an unknown option of ``createSystem``.
            StructureError: an atom without element, an unknown species, a box that is too small, a charge that is no
                input of the model.
        """
        from md_drivers.common.models import open_potential
        from md_drivers.openmm.charges import net_charge
        from md_drivers.openmm.force import build_force, check_region_charge
        from md_drivers.openmm.options import ForceOptions
        from md_drivers.openmm.region import read_region

        given = _checked(args) if atoms is None else _known(args)
        options = {**self._options, **given}
        periodic, charge, ignore = (options.pop(name, None) for name in ("periodic", "charge", "ignore"))
        model = open_potential(self._model, given.get("device"), given.get("dtype"), engine=given.get("engine"))
        region = read_region(topology, atoms, model)
        known = net_charge(topology, region.particles) if charge is None else charge
        check_region_charge(model, region, known, ignore or ())
        if periodic is None:
            periodic = region.box is not None or system.usesPeriodicBoundaryConditions()
        force = build_force(self._source, model, region, periodic, ForceOptions(**options), forceGroup)
        self.computation = getattr(force, "computation", None)
        system.addForce(force)

    def getSupportedEmbeddings(self) -> list[str]:
        """Mechanical embedding, see :meth:`createMixedSystem`."""
        return ["mechanical"]

    def createMixedSystem(
        self,
        topology: Topology,
        system: System,
        atoms: list[int],
        forceGroup: int,
        interpolate: bool,
        embedding: str,
        returnInfo: bool = False,
        **args: Any,
    ) -> System | dict[str, Any]:
        """The mechanical embedding of openmm-ml, after checks that it does not make.

        The model is periodic if ``system`` is, and water models with virtual sites are allowed (openmm-ml 1.8 reads
        the element of every particle, which virtual sites do not have). Arguments as in openmm-ml.

        Raises:
            TypeError: an unknown option.
            ValueError: ``interpolate`` with a ``torchforce``, or an option without meaning.
            StructureError: as :meth:`addForces`, and atoms without bonds in the topology.
        """
        from openmm.app import element
        from openmmml.embeddings.mechanicalembedding import MechanicalEmbedding

        from md_drivers.openmm.charges import classical_charge
        from md_drivers.openmm.region import atom_indices, check_bonds_known, read_region

        args = _checked(args, _OF_EMBEDDING)
        atoms = atom_indices(atoms, topology.getNumAtoms())  # openmm-ml would take a mask for the atoms 0 and 1
        read_region(topology, atoms, self._model)
        check_bonds_known(topology, atoms)
        known = {"periodic": system.usesPeriodicBoundaryConditions(), "charge": classical_charge(system, atoms)}
        options = {**known, **self._options, **_known(args)}
        if interpolate and options.get("implementation") == "torchforce":
            raise ValueError(
                "interpolate=True copies forces, and copying a TorchForce ends the process (openmmtorch 1.5); use "
                "implementation='pythonforce'"
            )
        sites = [atom.index for atom in topology.atoms() if atom.element is None]
        stand_in = copy.deepcopy(topology) if sites else topology
        _set_element(stand_in, sites, element.hydrogen)
        made = MechanicalEmbedding().createMixedSystem(
            self, stand_in, system, atoms, forceGroup, interpolate, returnInfo=True, **{**args, **options}
        )
        _set_element(made["topology"], sites, None)
        return made if returnInfo else made["system"]

    def getMLLongRange(self) -> bool:
        """False: the energy of an atom depends on what is within reach of the network alone."""
        return False


def _set_element(topology: Topology, indices: list[int], element: Any) -> None:
    atoms = list(topology.atoms())
    for k in indices:
        atoms[k].element = element


def _known(args: dict[str, Any]) -> dict[str, Any]:
    return _checked({key: args[key] for key in (*_OPTIONS, "precision") if key in args})


def _checked(args: dict[str, Any], others: tuple[str, ...] = ()) -> dict[str, Any]:
    """Options, with a dtype for a precision; TypeError for unknown ones, ValueError for a precision without meaning."""
    unknown = sorted(set(args) - {*_OPTIONS, "precision", *others})
    if unknown:
        known = ", ".join((*_OPTIONS, "precision", *others))
        raise TypeError(f"unknown option(s) {', '.join(unknown)}; there are {known}")
    options = dict(args)
    if "precision" in options:
        word = options.pop("precision")
        if word is not None and word not in _PRECISIONS:
            raise ValueError(f"precision must be single or double, got {word!r}")
        if word is not None:
            dtype = options.get("dtype") or _PRECISIONS[word]
            if str(dtype).removeprefix("torch.") != _PRECISIONS[word]:
                raise ValueError(f"precision={word!r} and dtype={dtype!r} contradict each other; give one of them")
            options["dtype"] = dtype
    return options
