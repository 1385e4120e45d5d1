"""The EquiformerV2 backbone: configuration, layers, heads."""

from mlff.equiformer.backbone import Equiformer
from mlff.equiformer.config import PRESETS, EquiformerConfig
from mlff.equiformer.context import GraphContext
from mlff.equiformer.heads import EnergyHead, VectorHead

__all__ = ["PRESETS", "EnergyHead", "Equiformer", "EquiformerConfig", "GraphContext", "VectorHead"]
