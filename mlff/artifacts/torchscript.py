"""The TorchScript payload.

A TorchScript archive holds tensors and programs in TorchScript's own language; opening it runs no Python and no Python
pickles. Its programs run inside of libtorch, where operators may read and write files, so that everything is read and
judged before torch sees any of it: the text of the programs (:mod:`mlff.artifacts.program`), the sizes of all tensors
(:mod:`mlff.support.pickles`), and before the first call the graph (:mod:`mlff.artifacts.frozen`). torch gets an archive
of exactly the bytes that were judged.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from mlff.artifacts.container import DIGESTS, Container, digests, pack
from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.frozen import check_frozen
from mlff.artifacts.operators import Effect
from mlff.artifacts.program import check_program
from mlff.support.errors import first_line
from mlff.support.pickles import SCRIPT_GLOBALS, check_objects, check_tensors

_CODE = re.compile(r"code/([\w/]+)\.py")
_OTHERS = re.compile(
    r"data\.pkl|constants\.pkl|version|byteorder|\.data/serialization_id|\.format_version|\.storage_alignment"
    r"|(data|constants)/\d+"
)
# SHA-256 of files whose programs were judged in this process, and those whose graphs were: once is enough.
_judged_programs: set[str] = set()
_judged_graphs: set[str] = set()


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


def _is_needed(name: str) -> bool:
    """Whether a member is more than one of the records that name the source files on the author's machine."""
    return not name.endswith(".debug_pkl")


def _check_contents(contents: Mapping[str, bytes], allowed: Mapping[str, Effect], trust: bool) -> None:
    """Judge the members of an archive; ValueError and other errors of parsers: it is not harmless."""
    sources = {}
    for name in contents:
        if found := _CODE.fullmatch(name):
            sources[found[1].replace("/", ".")] = contents[name]
        elif not _OTHERS.fullmatch(name):
            raise ValueError(f"torch writes no member {name!r}")
    exists = torch._C._jit_get_schemas_for_operator
    classes = {} if trust else check_program(sources, allowed, exists)

    def known(name: str) -> bool:
        return name in SCRIPT_GLOBALS or (name.partition(" ")[0] in sources if trust else name in classes)

    sizes = {name: len(content) for name, content in contents.items()}
    for folder in ("data", "constants"):
        try:
            objects = check_tensors(contents[f"{folder}.pkl"], folder, sizes, known, "cpu")
            if not trust:
                check_objects(objects, classes)
        except Exception as error:  # parsers raise many kinds for crafted bytes
            raise ValueError(f"{folder}.pkl: {first_line(error)}") from error


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
        with zipfile.ZipFile(buffer) as archive:
            members = {name.partition("/")[2]: name for name in archive.namelist() if _is_needed(name)}
            contents = {member: archive.read(name) for member, name in members.items()}
        contents[f"extra/{DIGESTS}"] = json.dumps(digests(contents)).encode()
        packed = io.BytesIO()
        pack(contents.items(), packed)
        return packed.getvalue()

    def recognizes(self, container: Container) -> bool:
        """Whether the archive is TorchScript; archives of ``torch.save`` have neither code nor constants."""
        return "constants.pkl" in container.members and any(name.startswith("code/") for name in container.members)

    def read(
        self, container: Container, device: torch.device | str, allowed: Mapping[str, Effect]
    ) -> torch.jit.ScriptModule:
        """The network on ``device`` as it was written, in eval mode; its weights take no gradients.

        Raises:
            ArtifactError: the archive may do more than compute, its tensors lie, or torch cannot read it.
        """
        names = sorted(name for name in container.members if not name.startswith("extra/") and _is_needed(name))
        contents = {name: container.read(name) for name in names}
        if container.sha256 not in _judged_programs:
            with _refusing(container):
                _check_contents(contents, allowed, container.trust)
            if not container.trust:
                _judged_programs.add(container.sha256)
        packed = io.BytesIO()
        pack(contents.items(), packed)
        try:
            with _deprecation_silenced():
                module = torch.jit.load(packed, map_location=device)
        except Exception as error:
            which = f"{container.path}: torch {torch.__version__}"
            raise ArtifactError(f"{which} cannot read the TorchScript: {first_line(error)}") from error
        module.eval()
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        return module

    def load(
        self,
        container: Container,
        device: torch.device,
        dtype: torch.dtype,
        methods: Sequence[str],
        allowed: Mapping[str, Effect],
    ) -> torch.jit.ScriptModule:
        """The network on ``device`` with parameters in ``dtype``, in eval mode, frozen: weights are constants.

        Raises:
            ArtifactError: as :meth:`read`.
        """
        module = self.read(container, device, allowed)
        convert_parameters(module, dtype)
        with _deprecation_silenced():
            # Freezing leaves out methods that are not named; optimize_numerics would change the order of operations.
            frozen = torch.jit.freeze(module, preserved_attrs=list(methods), optimize_numerics=False)
        if not container.trust and container.sha256 not in _judged_graphs:
            with _refusing(container):
                check_frozen(frozen, methods, allowed)
            _judged_graphs.add(container.sha256)
        return frozen


@contextmanager
def _refusing(container: Container) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise ArtifactError(
            f"{container.path}: cannot read the TorchScript: {first_line(error)}; models of mlff.export only compute, "
            "and nothing of this one was run. If you know who wrote it: mlff.load(..., trust=True)"
        ) from error
