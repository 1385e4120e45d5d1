"""The EquiformerV2 backbone: configuration and layers."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equiformer.backbone import Equiformer
    from mlff.equiformer.config import PRESETS, EquiformerConfig
    from mlff.equiformer.context import GraphContext

__all__ = ["PRESETS", "Equiformer", "EquiformerConfig", "GraphContext"]

__getattr__, __dir__ = lazy(__name__, __file__)
