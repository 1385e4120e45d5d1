"""Energy, forces and stress of atoms on an EquiformerV2 backbone."""

from typing import Any, Dict, Mapping, Tuple

import torch
from torch import Tensor, nn

from mlff.equiformer import Equiformer, GraphContext
from mlff.equiformer.block import equivariant_norm
from mlff.graph import quantity
from mlff.graph.graph import GraphInput
from mlff.heads import EnergyHead, VectorHead, build_head
from mlff.potential.config import PotentialConfig
from mlff.potential.edges import edge_vectors, forces_of_edges, gradient_by_edges, stress_of_edges
from mlff.potential.repulsion import NuclearRepulsion
from mlff.potential.uncertainty import LastLayerUncertainty

MAX_ATOMIC_NUMBER = 118


def completed(tensors: Mapping[str, Tensor], prefix: str = "") -> Dict[str, Tensor]:
    """Saved tensors of a potential, with the buffers that earlier versions did not have."""
    if f"{prefix}scale" not in tensors:
        return dict(tensors)
    later = {"force_scale": tensors[f"{prefix}scale"], "energy_offset": torch.zeros((), dtype=torch.float64)}
    return {**{prefix + name: value for name, value in later.items()}, **tensors}


def _complete(module: nn.Module, tensors: Dict[str, Tensor], prefix: str, *_: Any) -> None:
    tensors.update(completed(tensors, prefix))


class Potential(nn.Module):
    """A scriptable interatomic potential: E = Σ_i (E0[Z_i] + scale · e_i) + offset, and further properties.

    Direct forces have a scale of their own. Models trained here have no offset, which is an energy per structure and so
    not extensive: public models subtract the mean energy of their training structures.

    Where the energy alone needs the last block, which then computes l = 0 only (``last_block`` of the configuration),
    properties of higher degree read its l = 0 and the l > 0 that entered it, under a norm of their own: the energy is
    that of the model without them.

    Parameters carry the compute dtype. Constant tables, reference energies and the energy sum are float64 and are cast
    where they are used, so changing the precision of a model means converting its parameters only.
    """

    species_of_number: Tensor
    reference_energies: Tensor
    scale: Tensor
    force_scale: Tensor
    energy_offset: Tensor

    def __init__(self, config: PotentialConfig) -> None:
        super().__init__()
        self.config = config
        self.conservative = config.conservative and config.energy  # has derivatives of its energy
        row_by_number = config.backbone.max_num_elements is not None
        num_species = config.backbone.max_num_elements or len(config.species)
        if not config.species:
            raise ValueError("species is auto, which a training replaces by those of its data; list them")
        if row_by_number and max(config.species) >= num_species:
            raise ValueError(
                f"species holds atomic number {max(config.species)}, but max_num_elements = {num_species} "
                "embeds numbers below that only"
            )
        species_of_number = torch.full((MAX_ATOMIC_NUMBER + 1,), -1)
        for row, number in enumerate(config.species):
            species_of_number[number] = number if row_by_number else row
        self.register_buffer("species_of_number", species_of_number, persistent=False)
        self.register_buffer("reference_energies", torch.zeros(MAX_ATOMIC_NUMBER + 1, dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("force_scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("energy_offset", torch.zeros((), dtype=torch.float64))
        self.register_load_state_dict_pre_hook(_complete)
        properties = {name: build_head(config.backbone, quantity(name)) for name in config.properties}
        higher = any(int(head.degree) > 0 for head in properties.values())  # type: ignore[arg-type]
        scalars_only = config.last_block == "scalars" or (
            config.last_block == "auto" and config.energy_needs_scalars and not higher
        )
        self.backbone = Equiformer(config.backbone, num_species, scalars_only)
        self.energy_head = EnergyHead(config.backbone, config.energy_head, config.avg_num_atoms)
        self.repulsion = NuclearRepulsion(config.cutoff) if config.repulsion == "zbl" else None
        direct = config.energy and not config.conservative
        self.force_head = VectorHead(config.backbone, num_species) if direct else None
        self.properties = nn.ModuleDict(properties)
        own_norm = scalars_only and higher
        self.property_norm = equivariant_norm(config.backbone, config.backbone.lmax) if own_norm else None
        self.uncertainty: LastLayerUncertainty | None = None

    @torch.jit.ignore
    def set_normalization(self, reference_energies: Mapping[int, float], scale: float, avg_degree: float) -> None:
        """Set what is taken from the training data before training starts.

        Args:
            reference_energies: eV by atomic number, of every known species.
            scale: eV; the typical size of a force component (eV/Å) makes network outputs of order one.
            avg_degree: average number of edges per atom.

        Raises:
            ValueError: a species without reference energy, or a scale or degree that is not positive.
        """
        missing = [number for number in self.config.species if number not in reference_energies]
        if missing:
            raise ValueError(f"no reference energy for atomic numbers {missing}")
        if not (scale > 0 and avg_degree > 0):
            raise ValueError(f"scale and avg_degree must be positive, got {scale} and {avg_degree}")
        for number in self.config.species:
            self.reference_energies[number] = reference_energies[number]
        self.scale.fill_(scale)
        self.force_scale.fill_(scale)
        self.backbone.degree_embedding.avg_degree.fill_(avg_degree)

    def forward(
        self,
        positions: Tensor,
        numbers: Tensor,
        cell: Tensor,
        edge_index: Tensor,
        shifts: Tensor,
        batch: Tensor,
        compute_forces: bool = True,
        compute_stress: bool = False,
        compute_uncertainty: bool = False,
        compute_forces_uncertainty: bool = False,
    ) -> Dict[str, Tensor]:
        """Evaluate a batch of B structures with N atoms and E edges.

        The tensors are those of :class:`mlff.graph.GraphInput`, one by one because this is the signature of exported
        programs, which other languages call: ``potential(*graph.inputs)``.

        Args:
            positions: [N,3] Å; float64 positions and cell are welcome whatever the dtype of the parameters.
            numbers: [N] int64 atomic numbers.
            cell: [B,3,3] Å, rows are lattice vectors.
            edge_index: [2,E] int64; row 0 the source j, row 1 the target i.
            shifts: [E,3] lattice vectors to add to the source, so that edge_vec = r_j − r_i + shifts · cell.
            batch: [N] int64 structure of each atom.
            compute_forces: add forces.
            compute_stress: add stress (conservative models only).
            compute_uncertainty: add standard deviations of energies, where the potential has ``uncertainty``.
            compute_forces_uncertainty: add those of forces, too (conservative models only).

        Returns:
            ``energy`` [B] float64 eV; ``energies`` [N] float64 eV, summing to it; ``forces`` [N,3] eV/Å; ``stress``
            [B,3,3] eV/Å³, dE/dε over the volume; the properties of the configuration by name; and what
            :class:`mlff.potential.uncertainty.LastLayerUncertainty` gives. Gradients of the forces are kept in training
            mode or where positions require gradients. Conservative forces need gradients enabled (not under
            ``no_grad``).
        """
        given = GraphInput(positions, numbers, cell, edge_index, shifts, batch)
        derivatives = compute_forces or compute_stress or compute_forces_uncertainty
        edge_vec, keep_graph = self.edge_vectors(given, derivatives)
        species, context = self.context(given, edge_vec)
        x, whole = self.backbone.layers(self.backbone.embed(species, context), context)
        further: Dict[str, Tensor] = {}
        uncertainty = self.uncertainty
        if uncertainty is not None and (compute_uncertainty or compute_forces_uncertainty):
            inputs = self.energy_head.last_inputs(self.backbone.norm(x))
            further = uncertainty(inputs, edge_vec, given, compute_forces_uncertainty)
        out = self.read_out(x, whole, context, edge_vec, given, compute_forces, compute_stress, keep_graph)
        for name, value in further.items():
            out[name] = value
        return out

    def context(self, graph: GraphInput, edge_vec: Tensor) -> Tuple[Tensor, GraphContext]:
        """Rows of the element embeddings [N], and what the layers of the backbone share."""
        species = self.species_of_number.index_select(0, graph.numbers)
        return species, self.backbone.context(species, edge_vec, graph.edge_index, graph.batch, graph.cell.shape[0])

    def edge_vectors(self, graph: GraphInput, derivatives: bool) -> Tuple[Tensor, bool]:
        """Edge vectors [E,3] in the compute dtype, and whether outputs keep their graph.

        They require gradients where a conservative potential is asked for ``derivatives``.
        """
        edge_vec = edge_vectors(graph)
        edge_vec = edge_vec.to(self.backbone.embedding.weight.dtype)  # atoms far from the origin keep their precision
        keep_graph = self.training or edge_vec.requires_grad
        if self.conservative and derivatives and not edge_vec.requires_grad:
            edge_vec.requires_grad_(True)
        return edge_vec, keep_graph

    def read_out(
        self,
        x: Tensor,
        whole: Tensor,
        context: GraphContext,
        edge_vec: Tensor,
        graph: GraphInput,
        compute_forces: bool,
        compute_stress: bool,
        keep_graph: bool,
        repulsive: bool = True,
    ) -> Dict[str, Tensor]:
        """What :meth:`forward` returns, from what :meth:`mlff.equiformer.Equiformer.layers` gives.

        Without the nuclear repulsion where not ``repulsive``.
        """
        features = self.backbone.norm(x)
        out, interaction = self.energies(features, context, edge_vec, graph, repulsive)
        if self.conservative and (compute_forces or compute_stress):
            # the energy depends on the geometry through edge vectors only: one gradient gives forces and virial
            gradient = gradient_by_edges(interaction.sum(), edge_vec, keep_graph)
            if compute_forces:
                out["forces"] = forces_of_edges(gradient, context.source, context.target, graph.numbers.shape[0])
            if compute_stress:
                graph_of_edge = context.batch.index_select(0, context.target)
                out["stress"] = stress_of_edges(gradient, edge_vec, graph_of_edge, graph.cell)
        force_head = self.force_head
        if force_head is not None and compute_forces:
            out["forces"] = force_head(features, context) * self.force_scale.to(features.dtype)
        property_norm = self.property_norm
        whole = features if property_norm is None else property_norm(whole)
        for name, head in self.properties.items():
            out[name] = head(whole if head.degree > 0 else features, graph)  # type: ignore[operator]
        if not keep_graph:
            for key in out:
                out[key] = out[key].detach()
        return out

    def energies(
        self, features: Tensor, context: GraphContext, edge_vec: Tensor, graph: GraphInput, repulsive: bool
    ) -> Tuple[Dict[str, Tensor], Tensor]:
        """``energy`` [B] and ``energies`` [N], and of the latter the part [N] that depends on the geometry."""
        numbers = graph.numbers
        interaction = self.energy_head(features).to(torch.float64) * self.scale
        repulsion = self.repulsion
        if repulsion is not None and repulsive:
            numbers_of = numbers.index_select(0, context.source), numbers.index_select(0, context.target)
            pairs = repulsion(torch.linalg.vector_norm(edge_vec, dim=1), numbers_of[0], numbers_of[1])
            interaction = interaction.index_add(0, context.target, 0.5 * pairs.to(torch.float64))
        energies = self.reference_energies.index_select(0, numbers) + interaction
        # atoms share the offset, so that their energies sum to that of the structure
        sizes = torch.zeros(graph.cell.shape[0], dtype=energies.dtype, device=energies.device)
        sizes = sizes.index_add(0, graph.batch, torch.ones_like(energies))
        energies = energies + (self.energy_offset / sizes.clamp(min=1.0)).index_select(0, graph.batch)
        energy = torch.zeros(graph.cell.shape[0], dtype=energies.dtype, device=energies.device)
        energy = energy.index_add(0, graph.batch, energies)
        return {"energy": energy, "energies": energies}, interaction
