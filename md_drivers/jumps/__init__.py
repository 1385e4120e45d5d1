"""Jump models at work: rollouts, dynamics for ASE, jumps for OpenMM, and the command ``equijump``.

Importing this package imports nothing else; torch and the engines come with the first of its names.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from md_drivers.jumps.driver import RolloutProgress, RolloutResult, rollout
    from md_drivers.jumps.dynamics import JumpDynamics
    from md_drivers.jumps.errors import JumpFailed, OutOfMemory
    from md_drivers.jumps.openmm_bridge import JumpRecord, OpenMMJumper
    from md_drivers.jumps.settings import RolloutSettings

__all__ = [
    "JumpDynamics",
    "JumpFailed",
    "JumpRecord",
    "OpenMMJumper",
    "OutOfMemory",
    "RolloutProgress",
    "RolloutResult",
    "RolloutSettings",
    "rollout",
]

_HOME = {
    "JumpDynamics": "dynamics",
    "JumpFailed": "errors",
    "JumpRecord": "openmm_bridge",
    "OpenMMJumper": "openmm_bridge",
    "OutOfMemory": "errors",
    "RolloutProgress": "driver",
    "RolloutResult": "driver",
    "RolloutSettings": "settings",
    "rollout": "driver",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"md_drivers.jumps.{_HOME[name]}"), name)
    raise AttributeError(f"module 'md_drivers.jumps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
