"""What a model file says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlff.artifacts.errors import ArtifactError
from mlff.support import kinds
from mlff.support.errors import ConfigError, printable
from mlff.support.settings import describe
from mlff.support.versions import installed_versions

SCHEMA_VERSION = 1
AUTHOR_FIELDS = ("name", "description", "licence", "training_data", "training_config", "extra")
_PACKAGES = ("mlff-equijump", "torch", "ase", "vesin", "numpy")


class DatasetProvenance(BaseModel):
    """A data set that a model was trained on. Further keys are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    source: str | None = None  # DOI or address
    licence: str | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None  # of the file that was read
    frames: Annotated[int, Field(ge=0)] | None = None
    level_of_theory: str | None = None
    citation: str | None = None


class Metadata(BaseModel):
    """What files of every kind say; kinds add fields.

    Attributes:
        schema_version: version of this schema; readers refuse files that are newer than themselves.
        kind: of model, see :mod:`mlff.support.kinds`.
        units: unit of each quantity.
        payload: how the network is stored, see :mod:`mlff.artifacts.payloads`.
        dtype: of the stored parameters.
        architecture: the config that the network was built from.
        num_parameters: number of trained parameters.
        name, description, licence: by the author of the model.
        training_data: the data sets, with licence and hash.
        training_config: config of the training.
        extra: what else the author wants to record.
        versions: of the libraries that wrote the file.
        created: in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    kind: str
    units: dict[str, str]
    payload: str = "torchscript"
    dtype: Literal["float32", "float64"]
    architecture: dict[str, Any] = Field(default_factory=dict)
    num_parameters: Annotated[int, Field(ge=0)] | None = None
    name: str | None = None
    description: str | None = None
    licence: str | None = None
    training_data: tuple[DatasetProvenance, ...] = ()
    training_config: dict[str, Any] | None = None
    extra: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    created: AwareDatetime

    @model_validator(mode="after")
    def _check_units(self) -> Metadata:
        units = type(self).model_fields["units"].get_default(call_default_factory=True)
        known = {name: unit for name, unit in self.units.items() if name in units}
        if known != units:
            raise ValueError(f"units must be {units}, got {self.units}")
        return self

    def facts(self) -> dict[str, str]:
        """What only this kind says, as lines for people."""
        return {}

    @property
    def scope(self) -> str:
        """What the model knows, in a few words: elements, residues."""
        return ""

    @property
    def accuracy(self) -> str:
        """One error on held-out data, with its unit; empty where none is recorded."""
        return ""


M = TypeVar("M", bound=Metadata)


def build_metadata(
    schema: type[M], author: Mapping[str, Any] | None, facts: Mapping[str, Any], of_data: Sequence[str] = ()
) -> M:
    """Metadata of a model that is being exported, from what its author says and from the facts of the model.

    Args:
        schema: of the kind of model.
        author: any of ``AUTHOR_FIELDS`` and of ``of_data``; ``training_data`` is one data set or a list of them, each a
            mapping with the fields of :class:`DatasetProvenance`.
        facts: the other fields of the schema. Versions and date are filled in.
        of_data: fields on the training data, which only whoever exports can know.

    Raises:
        ArtifactError: a field that is unknown, wrong or cannot be written as JSON.
    """
    given = dict(author or {})
    allowed = (*AUTHOR_FIELDS, *of_data)
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise ArtifactError(
            f"unknown metadata fields {unknown}; there are {list(allowed)}; 'extra' takes a mapping of anything"
        )
    if isinstance(given.get("training_data"), Mapping):
        given["training_data"] = (given["training_data"],)
    try:
        # Through JSON at once, so that what the caller sees is what a reader will see.
        text = json.dumps({**given, **facts}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"the metadata cannot be written as JSON: {error}") from error
    written = {"versions": installed_versions(_PACKAGES), "created": datetime.now(UTC).replace(microsecond=0)}
    try:
        return schema.model_validate({**_printable(json.loads(text)), **written})
    except ValidationError as error:
        raise ArtifactError(f"wrong metadata: {describe(error)}") from error


def parse_metadata(text: str, where: str) -> Metadata:
    """Metadata from the JSON of a model file of any kind.

    Raises:
        ArtifactError: not JSON, a newer schema, missing or wrong fields; ``where`` names the file in the message.
    """
    try:
        fields = _printable(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where}: metadata.json is not valid JSON ({error}); the file is damaged") from error
    version = fields.get("schema_version") if isinstance(fields, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ArtifactError(
            f"{where}: metadata.json has no valid schema_version; the file was not written by mlff.export"
        )
    if version > SCHEMA_VERSION:
        raise ArtifactError(
            f"{where}: metadata schema {version} is newer than {SCHEMA_VERSION}, the newest known here; update mlff"
        )
    try:
        schema: type[Metadata] = kinds.find(str(fields.get("kind", kinds.DEFAULT))).model_kind.metadata
        return schema.model_validate_json(json.dumps(fields))
    except ConfigError as error:
        raise ArtifactError(f"{where}: wrong metadata: {error}; update mlff") from error
    except ValidationError as error:
        raise ArtifactError(f"{where}: wrong metadata: {describe(error)}") from error


def _printable(value: Any) -> Any:
    """The same without control characters in any text: it is shown in terminals."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {printable(name): _printable(item) for name, item in value.items()}
    return value
