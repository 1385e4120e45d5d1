"""The TorchScript payload.

A TorchScript archive holds tensors and programs in TorchScript's own language; opening it runs no Python and no Python
pickles. torch reads its ``data.pkl`` with an interpreter of its own that knows tensors, containers and the classes in
``code/`` only. The programs run inside of libtorch, so a file from a stranger still deserves a look at its SHA-256.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from mlff.artifacts.container import Container
from mlff.artifacts.errors import ArtifactError
from mlff.support.errors import first_line


@contextmanager
def _deprecation_silenced() -> Iterator[None]:
    # torch >= 2.10 announces the end of TorchScript at every call; users cannot act on it, payloads.py is the answer.
    # Its other warning, that Python 3.14 may break TorchScript, is theirs to see.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.\w+` is deprecated", category=DeprecationWarning)
        yield


def plain_execution(device: torch.device | str) -> AbstractContextManager[object]:
    """In this context programs run as they are written, where they are on a CPU.

    TorchScript would otherwise watch its first calls and rewrite its graphs, which takes seconds and makes later calls
    on a CPU no faster. To be entered for calls, not for loading.
    """
    if torch.device(device).type == "cpu":
        context: AbstractContextManager[object] = torch.jit.optimized_execution(False)
        return context
    return nullcontext()


def convert_parameters(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert the parameters of a module in place. Buffers keep their dtype: they hold tables that stay float64."""
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)


def _without_source_locations(archive: io.BytesIO) -> bytes:
    """The archive without the optional records that name the source files on the author's machine."""
    shortened = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(shortened, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            if not name.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(name), source.read(name))
    return shortened.getvalue()


class TorchScriptPayload:
    """Reads and writes networks as TorchScript."""

    name = "torchscript"

    def script(self, module: nn.Module) -> torch.jit.ScriptModule:
        """Compile a module.

        Raises:
            ArtifactError: TorchScript cannot express the module.
        """
        try:
            with _deprecation_silenced():
                return torch.jit.script(module)
        except Exception as error:
            raise ArtifactError(
                f"{type(module).__name__} cannot be exported, TorchScript refuses it: {error}"
            ) from error

    def dump(self, module: torch.jit.ScriptModule, extra: Mapping[str, str]) -> bytes:
        """The archive of a scripted module with extra text files."""
        buffer = io.BytesIO()
        with _deprecation_silenced():
            torch.jit.save(module, buffer, _extra_files=dict(extra))
        return _without_source_locations(buffer)

    def recognizes(self, container: Container) -> bool:
        """Whether the archive is TorchScript; archives of ``torch.save`` have neither code nor constants."""
        return "constants.pkl" in container.members and any(name.startswith("code/") for name in container.members)

    def load(
        self, container: Container, device: torch.device, dtype: torch.dtype, methods: Sequence[str] = ()
    ) -> torch.jit.ScriptModule:
        """The network on ``device`` with parameters in ``dtype``, in eval mode, frozen: weights are constants.

        Raises:
            ArtifactError: torch cannot read the archive.
        """
        try:
            with _deprecation_silenced():
                module = torch.jit.load(io.BytesIO(container.data), map_location=device)
        except Exception as error:
            which = f"{container.path}: torch {torch.__version__}"
            raise ArtifactError(f"{which} cannot read the TorchScript: {first_line(error)}") from error
        module.eval()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        convert_parameters(module, dtype)
        with _deprecation_silenced():
            # Freezing leaves out methods that are not named; optimize_numerics would change the order of operations.
            return torch.jit.freeze(module, preserved_attrs=list(methods), optimize_numerics=False)
