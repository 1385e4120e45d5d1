"""The loss of a batch as a function of the parameters, for training steps as they are and for compiled ones."""

from __future__ import annotations

from torch import Tensor, nn

from mlff.graph import AtomicGraph
from mlff.potential import CorruptedGraph, DensConfig, DensPotential, Potential
from mlff.potential.training.config import LossConfig
from mlff.potential.training.losses import LossTerms, compute_dens_loss, compute_loss


class Objective(nn.Module):
    """Model and loss together.

    Args:
        potential: the model.
        loss: kind and weights.
        dens: the same model with what DeNS adds to it, and its settings; None without.
    """

    def __init__(
        self, potential: Potential, loss: LossConfig, dens: DensPotential | None, settings: DensConfig | None
    ) -> None:
        super().__init__()
        self.potential = potential
        self.dens = dens
        self._loss = loss
        self._settings = settings

    def loss_names(self, batch: AtomicGraph | CorruptedGraph) -> list[str]:
        """Names of the parts of the loss of a batch, in order."""
        trained = [name for name, weight in self._loss.weights.items() if weight > 0]
        return trained if isinstance(batch, AtomicGraph) else [*trained, "noise"]

    def forward(
        self, batch: AtomicGraph | CorruptedGraph, noise_weight: float | Tensor, padded: bool = False
    ) -> LossTerms:
        """Loss of a batch.

        Args:
            batch: with labels; one from ``corrupt`` with DeNS, also where chance spared all atoms, so that the parts of
                DeNS have gradients, if only zeros, at every step.
            noise_weight: of the denoising loss at this step.
            padded: the last structure is padding and counts for nothing.
        """
        stress = self._loss.weight("stress") > 0
        if isinstance(batch, AtomicGraph):
            output = evaluate_potential(self.potential, batch, stress)
            return compute_loss(output, batch, self._loss, padded=padded)
        if self.dens is None or self._settings is None:
            raise TypeError("a corrupted batch needs the parts of the model that DeNS adds")
        graph = batch.graph
        output = self.dens(graph.inputs, batch.encoded_forces, batch.corrupted, stress)
        output["energy"] = output["energy"] + batch.repulsion_energy
        output["forces"] = output["forces"] + batch.repulsion_forces
        if stress:
            output["stress"] = output["stress"] + batch.repulsion_stress
        return compute_dens_loss(output, batch, self._loss, self._settings, noise_weight, padded=padded)


def evaluate_potential(potential: nn.Module, graph: AtomicGraph, stress: bool) -> dict[str, Tensor]:
    """Energy, forces and optionally stress of a batch."""
    output: dict[str, Tensor] = potential(*graph.inputs, True, stress)
    return output
