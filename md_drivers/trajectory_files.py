"""The former place of ``md_drivers.common.trajectory_files``."""

from mlff.support.renamed import former

__getattr__ = former(__name__)
