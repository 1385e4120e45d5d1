"""The algebra of SO(3) features: tensors only, no atoms, no energies."""

from mlff.irreps.activation import GateActivation, S2Activation, SeparableS2Activation, SwiGLUS2Activation
from mlff.irreps.constants import clebsch_gordan, spherical_harmonics, wigner_matrices
from mlff.irreps.grid import SphereGrid, exact_resolution, minimal_resolution
from mlff.irreps.layout import (
    edge_degrees,
    m_major_pairs,
    m_major_rows,
    node_degrees,
    num_coefficients,
    num_edge_rows,
    order_rescaling,
    order_sizes,
)
from mlff.irreps.linear import SO3Linear
from mlff.irreps.norm import DegreeLayerNorm, MergedLayerNorm, SeparableLayerNorm
from mlff.irreps.product import ChannelwiseProduct
from mlff.irreps.so2 import SO2Convolution, SO2Linear
from mlff.irreps.wigner import EdgeFrame, edge_rotation

__all__ = [
    "ChannelwiseProduct",
    "DegreeLayerNorm",
    "EdgeFrame",
    "GateActivation",
    "MergedLayerNorm",
    "S2Activation",
    "SO2Convolution",
    "SO2Linear",
    "SO3Linear",
    "SeparableLayerNorm",
    "SeparableS2Activation",
    "SphereGrid",
    "SwiGLUS2Activation",
    "clebsch_gordan",
    "edge_degrees",
    "edge_rotation",
    "exact_resolution",
    "m_major_pairs",
    "m_major_rows",
    "minimal_resolution",
    "node_degrees",
    "num_coefficients",
    "num_edge_rows",
    "order_rescaling",
    "order_sizes",
    "spherical_harmonics",
    "wigner_matrices",
]
