"""Molecular dynamics of many copies of a small molecule in compiled PyTorch, with the force field of an OpenMM system.

A small molecule cannot keep a processor busy that works on sixteen numbers at once; copies of it can. So a step is one
graph of tensor operations over all copies. Forces and steps are those of OpenMM, which tests compare.
"""

from mlff.sampling.engine.langevin import LangevinStep
from mlff.sampling.engine.reading import langevin_step

__all__ = ["LangevinStep", "langevin_step"]
