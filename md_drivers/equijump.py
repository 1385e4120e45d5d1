"""The former name of ``md_drivers.jumps``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
