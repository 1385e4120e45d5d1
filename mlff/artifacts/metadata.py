"""What a model file says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

import ase.data
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlff.artifacts.errors import ArtifactError
from mlff.proteins.geometry import GeometryReference
from mlff.proteins.residues import RESIDUE_NAMES
from mlff.support.versions import installed_versions

SCHEMA_VERSION = 1
#: Of potentials.
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
#: Of jump models.
JUMP_UNITS: Mapping[str, str] = MappingProxyType({"length": "angstrom", "time": "ps"})
AUTHOR_FIELDS = ("name", "description", "licence", "training_data", "training_config", "extra")
_PACKAGES = ("mlff-equijump", "torch", "ase", "vesin", "numpy")


def _check_species(species: tuple[int, ...]) -> tuple[int, ...]:
    if not species:
        raise ValueError("a model must know at least one element")
    if len(set(species)) != len(species):
        raise ValueError("an element is listed twice")
    wrong = [z for z in species if not 1 <= z < len(ase.data.chemical_symbols)]
    if wrong:
        raise ValueError(f"not atomic numbers: {wrong}")
    return species


def _check_lag_times(lags: tuple[float, ...]) -> tuple[float, ...]:
    if not lags or not all(0.0 < lag < float("inf") for lag in lags) or list(lags) != sorted(set(lags)):
        raise ValueError(f"lag times must be positive, different and in ascending order, got {list(lags)}")
    return lags


def _check_residues(residues: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in residues if not name or name not in RESIDUE_NAMES]
    if unknown:
        raise ValueError(f"unknown residues {unknown}; there are {', '.join(RESIDUE_NAMES[1:])}")
    return residues


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


class _Metadata(BaseModel):
    """What files of all kinds say.

    Attributes:
        schema_version: version of this schema; readers refuse files that are newer than themselves.
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


class ArtifactMetadata(_Metadata):
    """Metadata of a potential, schema version 1; further fields are those of every file.

    Attributes:
        kind: ``potential``.
        units: unit of each quantity, always ``UNITS``.
        cutoff: in A; the graphs given to the model must hold all pairs closer than this.
        max_neighbors: nearest neighbours that are kept of each atom, or None for all.
        max_neighbors_strict: not one more; False: see :func:`mlff.graph.neighbor_list`.
        species: atomic numbers that the model knows.
        conservative: forces are the exact derivative of the energy.
        outputs: what the model can compute: energy, energies, forces, stress.
    """

    kind: Literal["potential"] = "potential"
    units: dict[str, str] = Field(default_factory=lambda: dict(UNITS))
    cutoff: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    max_neighbors: Annotated[int, Field(ge=1)] | None = None
    max_neighbors_strict: bool = True
    species: Annotated[tuple[int, ...], AfterValidator(_check_species)]
    conservative: bool
    outputs: tuple[Literal["energy", "energies", "forces", "stress"], ...]

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_lag_time(cls, fields: Any) -> Any:
        # Files written before there were jump models have this field, which is null in all of them.
        if isinstance(fields, dict) and fields.get("lag_time", 0.0) is None:
            return {name: value for name, value in fields.items() if name != "lag_time"}
        return fields

    @model_validator(mode="after")
    def _check_units(self) -> ArtifactMetadata:
        if self.units != UNITS:
            raise ValueError(f"units must be {dict(UNITS)}, got {self.units}")
        return self

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbols of ``species``."""
        return tuple(ase.data.chemical_symbols[z] for z in self.species)


class JumpMetadata(_Metadata):
    """Metadata of a jump model, schema version 1; further fields are those of every file.

    Attributes:
        kind: ``jump``.
        units: unit of each quantity, always ``JUMP_UNITS``.
        lag_times: ps, that the model was trained for, in ascending order.
        steps: latent steps of a jump unless the caller asks for others.
        transport: name of the transport.
        residues: three-letter names of the residues in the training data; empty where this is not known.
        sequences: molecules in the training data, residues joined by ``-`` and chains by ``/``.
        conditions: of the simulations that it imitates, one mapping for each different set of them: force field,
            solvent, temperature (K), friction (1/ps), time step (fs) ..., as far as they are known.
        geometry: mean bond lengths and angles of the training data, by which frames are judged.
    """

    kind: Literal["jump"] = "jump"
    units: dict[str, str] = Field(default_factory=lambda: dict(JUMP_UNITS))
    lag_times: Annotated[tuple[float, ...], AfterValidator(_check_lag_times)]
    steps: Annotated[int, Field(ge=1)]
    transport: str
    residues: Annotated[tuple[str, ...], AfterValidator(_check_residues)] = ()
    sequences: tuple[str, ...] = ()
    conditions: tuple[dict[str, str | float], ...] = ()
    geometry: GeometryReference | None = None

    @model_validator(mode="after")
    def _check_units(self) -> JumpMetadata:
        if self.units != JUMP_UNITS:
            raise ValueError(f"units must be {dict(JUMP_UNITS)}, got {self.units}")
        return self


Metadata = ArtifactMetadata | JumpMetadata
_Schema = TypeVar("_Schema", ArtifactMetadata, JumpMetadata)
_BY_KIND: Mapping[str, type[ArtifactMetadata] | type[JumpMetadata]] = MappingProxyType(
    {"potential": ArtifactMetadata, "jump": JumpMetadata}
)


def describe(problem: ValidationError) -> str:
    """A validation error on one line, every fault with the name of its field."""
    faults = []
    for error in problem.errors():
        field = ".".join(str(part) for part in error["loc"])
        faults.append(f"{field}: {error['msg']}" if field else error["msg"])
    return "; ".join(faults)


def build_metadata(author: Mapping[str, Any] | None, **facts: Any) -> ArtifactMetadata:
    """Metadata of a potential that is being exported, from what its author says and from the facts of the model.

    Args:
        author: any of ``AUTHOR_FIELDS``; ``training_data`` is one data set or a list of them, each a mapping with the
            fields of :class:`DatasetProvenance`.
        facts: the other fields of :class:`ArtifactMetadata`. Versions and date are filled in.

    Raises:
        ArtifactError: a field that is unknown, wrong or cannot be written as JSON.
    """
    return _build(ArtifactMetadata, author, facts)


def build_jump_metadata(author: Mapping[str, Any] | None, **facts: Any) -> JumpMetadata:
    """Metadata of a jump model that is being exported, see :func:`build_metadata`."""
    return _build(JumpMetadata, author, facts)


def _build(schema: type[_Schema], author: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> _Schema:
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
        return schema.model_validate(complete)
    except ValidationError as error:
        raise ArtifactError(f"wrong metadata: {describe(error)}") from error


def parse_metadata(text: str, where: str) -> Metadata:
    """Metadata from the JSON of a model file of any kind.

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
    kind = str(fields.get("kind", "potential"))
    if kind not in _BY_KIND:
        raise ArtifactError(f"{where}: wrong metadata: kind: there are {list(_BY_KIND)}, got {kind!r}; update mlff")
    try:
        return _BY_KIND[kind].model_validate_json(text)
    except ValidationError as error:
        raise ArtifactError(f"{where}: wrong metadata: {describe(error)}") from error


def library_versions() -> dict[str, str]:
    """Versions of Python, of this package and of the libraries that a model file depends on, where installed."""
    return installed_versions(_PACKAGES)
