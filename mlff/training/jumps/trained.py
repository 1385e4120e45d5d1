"""The former name of ``mlff.equijump.training.trained``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
