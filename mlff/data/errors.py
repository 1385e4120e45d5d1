"""The error of bad training data; its home is :mod:`mlff.support.errors`."""

from mlff.support.errors import DataError

__all__ = ["DataError"]
