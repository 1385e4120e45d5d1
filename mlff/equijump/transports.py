"""The former name of ``mlff.transports``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
