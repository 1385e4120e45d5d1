"""Comparing outputs by name, of examples by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

from mlff.artifacts.self_test import Outputs

_VANISHING = 1e-6  # in units of the output
_SMALL = 1e-3  # of the largest example; smaller outputs are sums that cancel, and rounding errors follow what is summed


def deviations(
    law: str, expected: Mapping[str, Outputs], found: Mapping[str, Outputs], smallest: Mapping[str, float]
) -> dict[str, tuple[float, str]]:
    """Largest deviation of each output, relative to its size, with the name of the example.

    Args:
        smallest: size of outputs, by name, to which deviations are relative where they are smaller still.

    Raises:
        AssertionError: an output is missing, has another shape, or vanishes for all examples.
    """
    sizes = {
        name: max(float(torch.linalg.vector_norm(out[name])) for out in expected.values() if name in out)
        for outputs in expected.values()
        for name in outputs
    }
    if not sizes:
        raise AssertionError(f"{law}: there is no output to compare")
    worst = dict.fromkeys(sizes, (-1.0, ""))
    for example, outputs in expected.items():
        if set(found[example]) != set(outputs):
            raise AssertionError(f"{law}: {example!r} has {sorted(found[example])} instead of {sorted(outputs)}")
        for name, value in outputs.items():
            if not sizes[name] > _VANISHING:
                raise AssertionError(f"{law}: {name} is zero for all examples, so that nothing is tested")
            other = found[example][name]
            if other.shape != value.shape:
                raise AssertionError(f"{law}: {name} of {example!r} has shape {list(other.shape)}")
            size = max(float(torch.linalg.vector_norm(value)), _SMALL * sizes[name], smallest.get(name, 0.0))
            deviation = float(torch.linalg.vector_norm(other.double() - value.double())) / size
            if not deviation <= worst[name][0]:
                worst[name] = deviation, example
    return worst


def agree(
    law: str,
    expected: Mapping[str, Outputs],
    found: Mapping[str, Outputs],
    tolerance: float,
    smallest: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Make sure that outputs, by name of the example, are equal.

    Raises:
        AssertionError: they are not; see also :func:`deviations`.
    """
    for name, (deviation, example) in deviations(law, expected, found, smallest).items():
        if not deviation <= tolerance:
            raise AssertionError(f"{law}: {name} of {example!r} deviates by {deviation:.1e} of its size")
