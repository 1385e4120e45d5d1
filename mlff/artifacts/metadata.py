"""What a model file says about itself."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata as distributions
from types import MappingProxyType
from typing import Annotated, Any, Literal

import ase.data
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlff.artifacts.errors import ArtifactError

SCHEMA_VERSION = 1
UNITS: Mapping[str, str] = MappingProxyType(
    {
        "length": "angstrom",
        "energy": "eV",
        "forces": "eV/angstrom",
        "stress": "eV/angstrom^3",
        "mass": "amu",
        "time": "fs",
    }
)
AUTHOR_FIELDS = ("name", "description", "licence", "training_data", "training_config", "extra")
_PACKAGES = ("mlff-equijump", "torch", "e3nn", "ase", "vesin", "numpy")


def _check_species(species: tuple[int, ...]) -> tuple[int, ...]:
    if not species:
        raise ValueError("a model must know at least one element")
    if len(set(species)) != len(species):
        raise ValueError("an element is listed twice")
    wrong = [z for z in species if not 1 <= z < len(ase.data.chemical_symbols)]
    if wrong:
        raise ValueError(f"not atomic numbers: {wrong}")
    return species


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


class ArtifactMetadata(BaseModel):
    """Metadata of a model file, schema version 1.

    Attributes:
        schema_version: version of this schema; readers refuse files that are newer than themselves.
        kind: ``potential`` (energy and forces) or ``jump`` (moves atoms by ``lag_time``).
        payload: how the network is stored, see :mod:`mlff.artifacts.payloads`.
        units: unit of each quantity, always ``UNITS``.
        cutoff: in A; the graphs given to the model must hold all pairs closer than this.
        max_neighbors: nearest neighbours that are kept of each atom, or None for all.
        species: atomic numbers that the model knows.
        dtype: of the stored parameters.
        conservative: forces are the exact derivative of the energy.
        outputs: what the model can compute: energy, energies, forces, stress.
        lag_time: in fs, only for ``jump``.
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
    kind: Literal["potential", "jump"] = "potential"
    payload: str = "torchscript"
    units: dict[str, str] = Field(default_factory=lambda: dict(UNITS))
    cutoff: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    max_neighbors: Annotated[int, Field(ge=1)] | None = None
    species: Annotated[tuple[int, ...], AfterValidator(_check_species)]
    dtype: Literal["float32", "float64"]
    conservative: bool
    outputs: tuple[Literal["energy", "energies", "forces", "stress"], ...]
    lag_time: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
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
    def _check_consistency(self) -> ArtifactMetadata:
        if self.units != UNITS:
            raise ValueError(f"units must be {dict(UNITS)}, got {self.units}")
        if (self.kind == "jump") != (self.lag_time is not None):
            raise ValueError(
                f"lag_time is given exactly for jump models; kind is {self.kind!r}, lag_time {self.lag_time}"
            )
        return self

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbols of ``species``."""
        return tuple(ase.data.chemical_symbols[z] for z in self.species)


def describe(problem: ValidationError) -> str:
    """A validation error on one line, every fault with the name of its field."""
    faults = []
    for error in problem.errors():
        field = ".".join(str(part) for part in error["loc"])
        faults.append(f"{field}: {error['msg']}" if field else error["msg"])
    return "; ".join(faults)


def build_metadata(author: Mapping[str, Any] | None, **facts: Any) -> ArtifactMetadata:
    """Metadata of a model that is being exported, from what its author says and from the facts of the model.

    Args:
        author: any of ``AUTHOR_FIELDS``; ``training_data`` is one data set or a list of them, each a mapping with the
            fields of :class:`DatasetProvenance`.
        facts: the other fields of :class:`ArtifactMetadata`. Versions and date are filled in.

    Raises:
        ArtifactError: a field that is unknown, wrong or cannot be written as JSON.
    """
    given = dict(author or {})
    unknown = sorted(set(given) - set(AUTHOR_FIELDS))
    if unknown:
        raise ArtifactError(
            f"unknown metadata fields {unknown}; there are {list(AUTHOR_FIELDS)}; 'extra' takes a mapping of anything"
        )
    if isinstance(given.get("training_data"), Mapping):
        given["training_data"] = (given["training_data"],)
    try:
        # Through JSON at once, so that what the caller sees is what a reader will see.
        text = json.dumps({**given, **facts}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"the metadata cannot be written as JSON: {error}") from error
    complete = {**json.loads(text), "versions": library_versions(), "created": datetime.now(UTC).replace(microsecond=0)}
    try:
        return ArtifactMetadata.model_validate(complete)
    except ValidationError as error:
        raise ArtifactError(f"wrong metadata: {describe(error)}") from error


def parse_metadata(text: str, where: str) -> ArtifactMetadata:
    """Metadata from the JSON of a model file.

    Raises:
        ArtifactError: not JSON, a newer schema, missing or wrong fields; ``where`` names the file in the message.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
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
        return ArtifactMetadata.model_validate_json(text)
    except ValidationError as error:
        raise ArtifactError(f"{where}: wrong metadata: {describe(error)}") from error


def library_versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that a model file depends on, where installed."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = distributions.version(package)
        except distributions.PackageNotFoundError:
            continue
    return versions
