"""Read-outs from the features of the backbone to physical quantities."""

from pkgutil import resolve_name

from torch import nn

from mlff.equiformer import EquiformerConfig
from mlff.graph.quantities import Quantity
from mlff.heads.energy import EnergyHead
from mlff.heads.readout import IrrepsReadOut
from mlff.heads.vector import VectorHead

__all__ = ["EnergyHead", "IrrepsReadOut", "VectorHead", "build_head"]


def build_head(config: EquiformerConfig, row: Quantity) -> nn.Module:
    """The read-out of a quantity: the one that its row names, or the general one for its irreps.

    A head takes ``(config, row)``, says by ``degree`` up to which degree it reads the features, and its ``forward``
    takes the features [N,(lmax+1)²,C] and a :class:`mlff.graph.GraphInput`.

    Raises:
        ValueError: the quantity cannot be read from these features.
    """
    if row.head is None:
        return IrrepsReadOut(config, row)
    head: nn.Module = resolve_name(row.head)(config, row)
    return head
