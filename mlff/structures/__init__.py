"""Structure files as they are meant: readers that check what they read, for training data and drivers alike."""

from mlff.structures.checks import occupancy_fault, room_fault
from mlff.structures.extxyz import iter_extxyz
from mlff.structures.pdb import read_pdb
from mlff.structures.reading import read_structures

__all__ = ["iter_extxyz", "occupancy_fault", "read_pdb", "read_structures", "room_fault"]
