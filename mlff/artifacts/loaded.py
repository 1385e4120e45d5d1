"""Models that were read from a file: a network, where it computes, and the file that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch

from mlff.artifacts.container import SELF_TEST, Container
from mlff.artifacts.devices import find_device, find_dtype
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.operators import operators_of
from mlff.artifacts.payloads import READERS, read_metadata
from mlff.artifacts.self_test import Program, SelfTest, SelfTestReport, parse_self_test, run_self_test
from mlff.support import kinds
from mlff.support.errors import first_line

_KEPT = 4
_reopened: dict[tuple[str, ...], Loaded] = {}
# SHA-256, dtype and device of files that agreed with their metadata and digests in this process: once is enough.
_agreed: set[tuple[str, torch.dtype, torch.device]] = set()


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
        kind = kinds.find(metadata.kind).model_kind
        reader = READERS[metadata.payload]
        self.module: Any = reader.load(container, device, dtype, kind.methods, operators_of(kind))
        self.metadata = metadata
        self.device = device
        self.dtype = dtype
        self.path = container.path.resolve()
        self.sha256 = container.sha256
        self.name = metadata.name or self.path.name
        self._test = test
        self.trust = container.trust

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {self.metadata.scope}, {self.dtype}, {self.device})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        where = (str(self.path), self.sha256, str(self.device), str(self.dtype).removeprefix("torch."))
        return reopen, (*where, False, self.trust)

    def program(self) -> Any:
        """The network as it is in the file, on the CPU: not frozen, weights in the precision of the file.

        Raises:
            ArtifactError: the file is gone or has changed.
        """
        container = Container(self.path, trust=self.trust)
        container.check_same(self.sha256)
        operators = operators_of(kinds.find(self.metadata.kind).model_kind)
        return READERS[self.metadata.payload].read(container, "cpu", operators)

    def self_test(self, program: Program | None = None, *, check_metadata: bool = True) -> SelfTestReport:
        """Recompute the cases in the file on this device in this dtype, by this model or another ``program``.

        Args:
            program: that computes instead of this model.
            check_metadata: hold the metadata against the program, too.

        Raises:
            ArtifactError: a deviation beyond the tolerance; the message names case, output and deviation.
        """
        tested, where = program or self.module, (self.dtype, self.device)
        report = run_self_test(self._test, tested, self.metadata, *where, str(self.path))
        try:
            if check_metadata:
                self._test.check_metadata(self.metadata, tested, *where)
        except ValueError as error:
            raise ArtifactError(f"{self.path}: {error}; the metadata is not that of this model") from error
        return report


def open_container(
    container: Container, *, device: torch.device, dtype: torch.dtype | str | None = None, verify: bool = True
) -> Loaded:
    """The model in a container, of the class of its kind; see :func:`mlff.load`."""
    chosen = None if dtype is None else find_dtype(dtype)
    try:
        metadata = read_metadata(container)
        kind = kinds.find(metadata.kind).model_kind
        test = parse_self_test(kind.self_test, container.read_text(SELF_TEST), str(container.path))
        model: Loaded = kind.loaded(container, metadata, test, device, chosen or find_dtype(metadata.dtype))
        if verify:
            known = (model.sha256, model.dtype, model.device)
            model.self_test(check_metadata=known not in _agreed)
            if known not in _agreed:
                container.check_digests()
            _agreed.add(known)
    except ArtifactError:
        raise
    except Exception as error:  # whatever parsers and torch raise for crafted bytes
        raise ArtifactError(f"{container.path}: not a usable model file ({first_line(error)})") from error
    return model


def reopen(path: str, sha256: str, device: str, dtype: str, verify: bool = False, trust: bool = False) -> Any:
    """A loaded model again, from its file; ArtifactError if that is gone or has changed.

    A process keeps the last few, so that whoever gets many pickled copies, as the workers of a pool do, compiles one.
    """
    container = Container(Path(path), trust=trust)
    container.check_same(sha256)
    key = (path, sha256, device, dtype, str(verify), str(trust))
    model = _reopened.get(key)
    if model is None:
        model = _reopened[key] = open_container(container, device=find_device(device), dtype=dtype, verify=verify)
        for oldest in list(_reopened)[:-_KEPT]:
            _reopened.pop(oldest, None)
    return model
