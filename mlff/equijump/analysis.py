"""The former name of ``mlff.analysis``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
