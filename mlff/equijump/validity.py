"""The former name of ``mlff.proteins.validity``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
