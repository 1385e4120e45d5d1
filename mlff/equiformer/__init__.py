"""The EquiformerV2 backbone: configuration and layers."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.equiformer.backbone import Equiformer as Equiformer
    from mlff.equiformer.config import PRESETS as PRESETS
    from mlff.equiformer.config import EquiformerConfig as EquiformerConfig
    from mlff.equiformer.context import GraphContext as GraphContext

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
