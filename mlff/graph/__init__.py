"""From atoms to graphs: neighbour lists, radial bases, envelopes."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.graph._structure import check_structure as check_structure
    from mlff.graph._structure import spans_volume as spans_volume
    from mlff.graph.envelope import PolynomialEnvelope as PolynomialEnvelope
    from mlff.graph.graph import AtomicGraph as AtomicGraph
    from mlff.graph.graph import GraphInput as GraphInput
    from mlff.graph.graph import graph_from_atoms as graph_from_atoms
    from mlff.graph.neighbors import describe_neighbors as describe_neighbors
    from mlff.graph.neighbors import neighbor_list as neighbor_list
    from mlff.graph.origin import origin_shift as origin_shift
    from mlff.graph.origin import total_charge as total_charge
    from mlff.graph.periodicity import connected_lattice as connected_lattice
    from mlff.graph.quantities import QUANTITIES as QUANTITIES
    from mlff.graph.quantities import Quantity as Quantity
    from mlff.graph.quantities import quantity as quantity
    from mlff.graph.radial import BesselBasis as BesselBasis
    from mlff.graph.radial import GaussianBasis as GaussianBasis
    from mlff.graph.skin import SkinNeighborList as SkinNeighborList
    from mlff.graph.torch_neighbors import torch_neighbor_list as torch_neighbor_list

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
