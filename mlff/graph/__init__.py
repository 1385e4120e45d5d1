"""From atoms to graphs: neighbour lists, radial bases, envelopes."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.graph._structure import check_structure, spans_volume
    from mlff.graph.envelope import PolynomialEnvelope
    from mlff.graph.graph import AtomicGraph, GraphInput, graph_from_atoms
    from mlff.graph.neighbors import describe_neighbors, neighbor_list
    from mlff.graph.quantities import QUANTITIES, Quantity, quantity
    from mlff.graph.radial import BesselBasis, GaussianBasis
    from mlff.graph.skin import SkinNeighborList
    from mlff.graph.torch_neighbors import torch_neighbor_list

__all__ = [
    "QUANTITIES",
    "AtomicGraph",
    "BesselBasis",
    "GaussianBasis",
    "GraphInput",
    "PolynomialEnvelope",
    "Quantity",
    "SkinNeighborList",
    "check_structure",
    "describe_neighbors",
    "graph_from_atoms",
    "neighbor_list",
    "quantity",
    "spans_volume",
    "torch_neighbor_list",
]

__getattr__, __dir__ = lazy(__name__, __file__)
