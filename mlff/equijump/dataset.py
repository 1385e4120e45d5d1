"""The former name of ``mlff.trajectories``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
