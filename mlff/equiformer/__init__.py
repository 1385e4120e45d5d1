"""The EquiformerV2 backbone: configuration and layers."""

from mlff.equiformer.backbone import Equiformer
from mlff.equiformer.config import PRESETS, EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.support.renamed import former

__all__ = ["PRESETS", "Equiformer", "EquiformerConfig", "GraphContext"]

__getattr__ = former(__name__)
