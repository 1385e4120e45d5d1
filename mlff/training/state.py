"""The former name of ``mlff.training.checkpointing``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
