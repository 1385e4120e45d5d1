"""Structure files as they are meant: readers that check what they read, for training data and drivers alike."""

from mlff.structures.checks import occupancy_fault, room_fault
from mlff.structures.extxyz import iter_extxyz
from mlff.structures.located import located_format, read_located
from mlff.structures.reading import read_structures

__all__ = ["iter_extxyz", "located_format", "occupancy_fault", "read_located", "read_structures", "room_fault"]
