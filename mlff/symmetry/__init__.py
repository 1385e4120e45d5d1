"""Finite subgroups of O(3) and their limits, the symmetry of structures, and sets that break it."""
