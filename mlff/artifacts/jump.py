"""The former name of ``mlff.equijump.artifact``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
