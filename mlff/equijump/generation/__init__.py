"""The former name of ``mlff.sampling.trajectories``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
