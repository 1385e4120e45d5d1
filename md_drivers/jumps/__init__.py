"""Jump models at work: rollouts, dynamics for ASE, jumps for OpenMM, and the command ``equijump``.

Importing this package imports nothing else; torch and the engines come with the first of its names.
"""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from md_drivers.jumps.driver import rollout as rollout
    from md_drivers.jumps.dynamics import JumpDynamics as JumpDynamics
    from md_drivers.jumps.errors import JumpFailed as JumpFailed
    from md_drivers.jumps.errors import OutOfMemory as OutOfMemory
    from md_drivers.jumps.openmm_bridge import JumpRecord as JumpRecord
    from md_drivers.jumps.openmm_bridge import OpenMMJumper as OpenMMJumper
    from md_drivers.jumps.results import Confidence as Confidence
    from md_drivers.jumps.results import RolloutProgress as RolloutProgress
    from md_drivers.jumps.results import RolloutResult as RolloutResult
    from md_drivers.jumps.settings import RolloutSettings as RolloutSettings

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
