"""Models that were read from a file: a network, where it computes, and the file that it is of."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch

from mlff.artifacts.container import SELF_TEST, Container
from mlff.artifacts.devices import find_device, find_dtype
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.metadata import Metadata
from mlff.artifacts.operators import operators_of
from mlff.artifacts.payloads import READERS, read_metadata
from mlff.artifacts.self_test import Program, SelfTest, SelfTestReport, parse_self_test, run_self_test
from mlff.support import kinds
from mlff.support.errors import first_line, unknown

Engine = Literal["auto", "native", "torchscript"]
_KEPT = 4
_log = logging.getLogger(__name__)
_reopened: dict[tuple[str, ...], Loaded] = {}
# SHA-256, dtype and device of files that agreed with their metadata and digests in this process: once is enough.
_agreed: set[tuple[str, torch.dtype, torch.device]] = set()


class Loaded:
    """An opened model. Immutable, so copies are the same object; pickled as path and SHA-256 of its file.

    Attributes:
        module: what computes; its weights are constants and its dtype is fixed.
        engine: ``native`` or ``torchscript``, whichever computes; ``engine_note`` says why it is not the native one, or
            for which processors that was compiled, and ``asked_engine`` which was asked for.
        metadata: of the file.
        device, dtype: where and in what it computes.
        name: that of the model, or of the file where the model has none.
        path, sha256: of the file.
    """

    metadata: Any
    asked_engine: Engine

    def __init__(
        self, container: Container, metadata: Metadata, test: SelfTest, device: torch.device, dtype: torch.dtype
    ) -> None:
        kind = kinds.find(metadata.kind).model_kind
        reader = READERS[metadata.payload]
        self.module: Any = reader.load(container, device, dtype, kind.methods, operators_of(kind))
        self.engine, self.engine_note, self.asked_engine = "torchscript", "asked for", "torchscript"
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
        return reopen, (*where, False, self.trust, self.asked_engine)

    def native(self) -> tuple[Program | None, str]:
        """A faster program and what to say of it, or None and the reason; kinds that have one override this."""
        return None, f"there is none for models of kind {self.metadata.kind}"

    def use(self, engine: Engine) -> None:
        """Let an engine compute, the native one only if it passes the self-test of the file.

        Raises:
            ArtifactError: ``native``, and it cannot.
            ValueError: no such engine.
        """
        if engine not in get_args(Engine):
            raise ValueError(unknown("engine", engine, get_args(Engine)))
        self.asked_engine = engine
        if engine == "torchscript":
            return
        program, self.engine_note = self.native()
        try:
            if program is None:
                raise ArtifactError(self.engine_note)
            where = self.dtype, self.device, f"{self.path} (native engine)"
            run_self_test(self._test, program, self.metadata, *where)
            self.module, self.engine = program, "native"
        except (ArtifactError, ValueError, MemoryError) as error:
            if engine == "native":
                raise ArtifactError(f"{self.path}: engine 'native' cannot run this model: {error}") from error
            self.engine_note = str(error)
            if program is not None:
                _log.warning("TorchScript computes instead of the native engine: %s", error)

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
    container: Container,
    *,
    device: torch.device,
    dtype: torch.dtype | str | None = None,
    verify: bool = True,
    engine: Engine = "torchscript",
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
        model.use(engine)
    except ArtifactError:
        raise
    except Exception as error:  # whatever parsers and torch raise for crafted bytes
        raise ArtifactError(f"{container.path}: not a usable model file ({first_line(error)})") from error
    return model


def reopen(
    path: str, sha256: str, device: str, dtype: str, verify: bool = False, trust: bool = False, engine: Engine = "auto"
) -> Any:
    """A loaded model again, from its file; ArtifactError if that is gone or has changed.

    A process keeps the last few, so that whoever gets many pickled copies, as the workers of a pool do, compiles one.
    """
    container = Container(Path(path), trust=trust)
    container.check_same(sha256)
    key = (path, sha256, device, dtype, str(verify), str(trust), engine)
    model = _reopened.get(key)
    if model is None:
        where = find_device(device)
        model = open_container(container, device=where, dtype=dtype, verify=verify, engine=engine)
        _reopened[key] = model
        for oldest in list(_reopened)[:-_KEPT]:
            _reopened.pop(oldest, None)
    return model
