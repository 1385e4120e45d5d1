"""Former place of :mod:`mlff.equijump.training`."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
