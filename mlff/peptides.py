"""The former name of ``mlff.sampling.peptides``."""

from mlff.support.renamed import former

__getattr__ = former(__name__, "mlff.sampling.peptides")
