"""The former name of ``mlff.sampling.engine``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
