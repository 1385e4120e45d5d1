"""What loaded models of every kind are: a network, where it computes, and the file that it is of."""

from __future__ import annotations

from typing import Any, Self

import torch

from mlff.artifacts.container import Container
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.payloads import load_payload


class LoadedFile:
    """The network of a file. Immutable, so copies are the same object; pickled as path and SHA-256 of the file.

    Attributes:
        module: the network; frozen, so its weights are constants and its dtype is fixed.
        device, dtype: where and in what it computes.
        name: that of the model, or of the file where the model has none.
        path, sha256: of the file.
    """

    def __init__(self, container: Container, metadata: Metadata, device: torch.device, dtype: torch.dtype) -> None:
        self.module: Any = load_payload(container, metadata, device, dtype)
        self.device = device
        self.dtype = dtype
        self.path = container.path.resolve()
        self.sha256 = container.sha256
        self.name = metadata.name or self.path.name

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        from mlff.artifacts.jump.loading import reopen  # it imports the classes of this one

        return reopen, (str(self.path), self.sha256, str(self.device), str(self.dtype).removeprefix("torch."))
