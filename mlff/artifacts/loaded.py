"""Models that were read from a file: a network, where it computes, and the file that it is of."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import torch

from mlff.artifacts.container import SELF_TEST, Container
from mlff.artifacts.devices import find_device, find_dtype
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.payloads import READERS, read_metadata
from mlff.artifacts.self_test import Program, SelfTest, SelfTestReport, parse_self_test, run_self_test
from mlff.support import kinds

_KEPT = 4  # reopened models


class Loaded:
    """An opened model. Immutable, so copies are the same object; pickled as path and SHA-256 of its file.

    Attributes:
        module: the network; frozen, so its weights are constants and its dtype is fixed.
        metadata: of the file.
        device, dtype: where and in what it computes.
        name: that of the model, or of the file where the model has none.
        path, sha256: of the file.
    """

    metadata: Any

    def __init__(
        self, container: Container, metadata: Metadata, test: SelfTest, device: torch.device, dtype: torch.dtype
    ) -> None:
        methods = kinds.find(metadata.kind).model_kind.methods
        self.module: Any = READERS[metadata.payload].load(container, device, dtype, methods)
        self.metadata = metadata
        self.device = device
        self.dtype = dtype
        self.path = container.path.resolve()
        self.sha256 = container.sha256
        self.name = metadata.name or self.path.name
        self._test = test

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {self.metadata.scope}, {self.dtype}, {self.device})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return reopen, (str(self.path), self.sha256, str(self.device), str(self.dtype).removeprefix("torch."))

    def self_test(self, program: Program | None = None) -> SelfTestReport:
        """Recompute the cases in the file on this device in this dtype, by this model or another ``program``.

        Raises:
            ArtifactError: a deviation beyond the tolerance; the message names case, output and deviation.
        """
        return run_self_test(self._test, program or self.module, self.metadata, self.dtype, self.device, str(self.path))


def open_container(
    container: Container, *, device: torch.device, dtype: torch.dtype | str | None = None, verify: bool = True
) -> Loaded:
    """The model in a container, of the class of its kind; see :func:`mlff.load`."""
    metadata = read_metadata(container)
    kind = kinds.find(metadata.kind).model_kind
    test = parse_self_test(kind.self_test, container.read_text(SELF_TEST), str(container.path))
    if verify:
        container.check_intact()
    chosen = find_dtype(metadata.dtype if dtype is None else dtype)
    model: Loaded = kind.loaded(container, metadata, test, device, chosen)
    if verify:
        model.self_test()
    return model


def reopen(path: str, sha256: str, device: str, dtype: str, *, verify: bool = False) -> Any:
    """A loaded model again, from its file; ArtifactError if that is gone or has changed.

    A process keeps the last few, so that whoever gets many pickled copies, as the workers of a pool do, compiles one.
    """
    Container(Path(path)).check_same(sha256)
    return _reopened(path, sha256, device, dtype, verify)


@lru_cache(maxsize=_KEPT)
def _reopened(path: str, sha256: str, device: str, dtype: str, verify: bool) -> Loaded:
    return open_container(Container(Path(path)), device=find_device(device), dtype=dtype, verify=verify)
