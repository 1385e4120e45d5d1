"""From a name or a file to a model."""

from __future__ import annotations

import os
from typing import Any

import torch

from mlff.artifacts.container import Container
from mlff.artifacts.devices import find_device
from mlff.artifacts.loaded import Engine, open_container
from mlff.artifacts.names import resolve


def load(
    name_or_path: str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | str | None = None,
    verify: bool = True,
    trust: bool = False,
    engine: Engine = "auto",
) -> Any:
    """Load a model of any kind from a file written by :func:`mlff.export`. No pickle in the file is executed.

    A file whose program may do more than compute is refused before anything of it runs, see docs/artifact.md.

    Args:
        name_or_path: a pretrained name (see :func:`mlff.available`), a file, or a folder with a ``model.pt``.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
        dtype: ``torch.float32`` or ``torch.float64``, or their names; None for the one in the file.
        verify: repeat the self-test of the file on this device in this dtype, hold its metadata against what it
            computes, and compare it with the SHA-256 of its parts. Checksums are always compared.
        trust: run the program whatever it does. Only for files whose author you know.
        engine: what computes. ``torchscript``: the program in the file; ``native``: a compiled library, which knows
            some networks on CPUs; ``auto``: the library where it knows the network and passes the self-test of the
            file. ``engine`` and ``engine_note`` of the model say which it is, and why.

    Returns:
        The :class:`mlff.artifacts.Loaded` of its kind, for example a potential with ``evaluate`` or a jump model with
        ``jump``.

    Raises:
        ArtifactNotFoundError: no such name or file.
        ArtifactError: the file is damaged, of an unknown kind or from a newer version, or holds a program that may do
            more than compute (the message names the operator); a device that is not there; a
            self-test that fails; ``native`` for a model that the library does not know.
        ValueError: another dtype or engine.
    """
    target = find_device(device)
    container = Container(resolve(name_or_path), trust=trust)
    return open_container(container, device=target, dtype=dtype, verify=verify, engine=engine)
