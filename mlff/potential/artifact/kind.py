"""How potentials are exported, tested and opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ase
from torch import nn

from mlff.artifacts.errors import ArtifactError
from mlff.graph import quantity
from mlff.potential.artifact.examples import edge_cases
from mlff.potential.artifact.loaded import LoadedModel
from mlff.potential.artifact.metadata import UNITS, ArtifactMetadata
from mlff.potential.artifact.self_test import EXAMPLE, PotentialSelfTest, make_self_test

_NEEDED = ("species", "cutoff", "max_neighbors", "max_neighbors_strict", "conservative", "model_dump")


class PotentialKind:
    """See :class:`mlff.artifacts.ModelKind`."""

    metadata = ArtifactMetadata
    self_test = PotentialSelfTest
    loaded = LoadedModel
    methods: Sequence[str] = ()
    of_data: Sequence[str] = ("domain",)

    def facts(self, model: nn.Module) -> dict[str, Any]:
        """Elements, neighbours, outputs and architecture."""
        config: Any = getattr(model, "config", None)
        missing = [name for name in _NEEDED if not hasattr(config, name)]
        if missing:
            raise ArtifactError(f"{type(model).__name__} cannot be exported: its config lacks {missing}")
        further = tuple(getattr(config, "properties", ()))
        energy = ("energy", "energies", "forces", *(("stress",) if config.conservative else ()))
        return {
            "cutoff": config.cutoff,
            "max_neighbors": config.max_neighbors,
            "max_neighbors_strict": config.max_neighbors_strict,
            "species": list(config.species),
            "conservative": config.conservative,
            "receptive_field": getattr(config, "receptive_field", None),
            "outputs": [*(energy if getattr(config, "energy", True) else ()), *further],
            "units": {**UNITS, **{name: quantity(name).unit for name in further}},
            "architecture": config.model_dump(mode="json"),
            "uncertainty": _uncertainty(model),
        }

    def make_self_test(
        self, model: nn.Module, metadata: ArtifactMetadata, examples: Sequence[ase.Atoms]
    ) -> PotentialSelfTest:
        """Small structures of the model's elements, then those of the caller."""
        frames = [(f"{EXAMPLE} {i}", atoms) for i, atoms in enumerate(examples)]
        for name, atoms in frames:
            if len(atoms) == 0:
                raise ArtifactError(f"self-test {name} has no atoms")
            unknown = sorted(set(atoms.symbols) - set(metadata.symbols))
            if unknown:
                raise ArtifactError(f"self-test {name} holds {unknown}; the model knows {list(metadata.symbols)}")
        return make_self_test(model, metadata, edge_cases(metadata.species, metadata.cutoff) + frames)


def _uncertainty(model: nn.Module) -> Any:
    made = getattr(model, "uncertainty", None)
    return None if made is None else made.record.model_dump(mode="json")


KIND = PotentialKind()
