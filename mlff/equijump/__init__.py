"""EquiJump: a network and a transport that jump from one frame of a trajectory to a later one."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
