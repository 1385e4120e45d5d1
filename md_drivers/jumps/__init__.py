"""Jump models at work: rollouts, dynamics for ASE, jumps for OpenMM, and the command ``equijump``.

Importing this package imports nothing else; torch and the engines come with the first of its names.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from md_drivers.jumps.driver import rollout
    from md_drivers.jumps.dynamics import JumpDynamics
    from md_drivers.jumps.errors import JumpFailed, OutOfMemory
    from md_drivers.jumps.openmm_bridge import JumpRecord, OpenMMJumper
    from md_drivers.jumps.results import RolloutProgress, RolloutResult
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

__getattr__, __dir__ = lazy(__name__, __file__)
