"""``mlff inspect``."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from mlff.artifacts import ArtifactError, load_any
from mlff.graph import describe_neighbors
from mlff.support.console import FAILED, WRONG_INPUT, report_error, set_up_logging


def run_inspect(name: str, as_json: bool) -> int:
    """Print metadata, number of parameters and the outcome of the self-test; returns the exit status."""
    set_up_logging()
    try:
        model = load_any(name, verify=False)
    except ArtifactError as error:
        report_error(error)
        return WRONG_INPUT
    content: dict[str, Any] = {
        "path": str(model.path),
        "sha256": model.sha256,
        "size_bytes": model.path.stat().st_size,
        "metadata": model.metadata.model_dump(mode="json"),
    }
    try:
        report = model.self_test()
        content["self_test"] = {
            "passed": True,
            "frames": report.frames,
            "deviations": report.deviations,
            "tolerance": report.tolerance,
        }
    except ArtifactError as error:
        content["self_test"] = {"passed": False, "reason": str(error)}
    if as_json:
        print(json.dumps(content, indent=2))
    else:
        _show(content)
    return 0 if content["self_test"]["passed"] else FAILED


def _show(content: dict[str, Any]) -> None:
    metadata = content["metadata"]
    rows = {
        "file": content["path"],
        "SHA-256": content["sha256"],
        "size": f"{content['size_bytes'] / 1e6:.2f} MB",
        "name": metadata["name"],
        "description": metadata["description"],
        "licence": metadata["licence"],
        "kind": f"{metadata['kind']}, {metadata['payload']}, schema {metadata['schema_version']}",
        "parameters": _thousands(metadata["num_parameters"]),
        "dtype": metadata["dtype"],
        **(_jump_rows(metadata) if metadata["kind"] == "jump" else _potential_rows(metadata)),
        "units": ", ".join(f"{key} {unit}" for key, unit in metadata["units"].items()),
        "training data": "; ".join(_dataset(data) for data in metadata["training_data"]),
        "test errors": _errors(metadata["extra"]),
        "created": metadata["created"],
        "versions": ", ".join(f"{key} {value}" for key, value in metadata["versions"].items()),
        "self-test": _self_test(content["self_test"]),
    }
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, str(value))
    Console(highlight=False, markup=False).print(table)


def _potential_rows(metadata: dict[str, Any]) -> dict[str, str | None]:
    neighbors = describe_neighbors(metadata["max_neighbors"], metadata["max_neighbors_strict"])
    return {
        "elements": _symbols(metadata["species"]),
        "cutoff": f"{metadata['cutoff']:g} Å, {neighbors}",
        "forces": "conservative (gradient of the energy)" if metadata["conservative"] else "direct",
        "outputs": ", ".join(metadata["outputs"]),
    }


def _jump_rows(metadata: dict[str, Any]) -> dict[str, str | None]:
    return {
        "lag times": ", ".join(f"{lag:g}" for lag in metadata["lag_times"]) + " ps",
        "jump": f"{metadata['transport']}, {metadata['steps']} latent steps",
        "residues": ", ".join(metadata["residues"]) or "not known",
        "sequences": _first_ones(metadata["sequences"]),
        "imitates": "; ".join(
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in entry.items())
            for entry in metadata["conditions"]
        ),
        "geometry": _geometry(metadata["geometry"]),
    }


def _first_ones(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _geometry(reference: dict[str, Any] | None) -> str:
    if reference is None:
        return "no reference for bonds and angles"
    return f"reference for {len(reference['bonds'])} bonds and {len(reference['angles'])} angles"


def _symbols(species: list[int]) -> str:
    from ase.data import chemical_symbols

    return " ".join(chemical_symbols[number] for number in species)


def _thousands(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _dataset(data: dict[str, Any]) -> str:
    parts = [data["name"]]
    if data.get("frames") is not None:
        parts.append(f"{data['frames']} frames")
    if data.get("licence"):
        parts.append(data["licence"])
    if data.get("sha256"):
        parts.append(f"sha256 {data['sha256'][:12]}…")
    return ", ".join(parts)


def _errors(extra: dict[str, Any]) -> str | None:
    errors = (extra.get("test") or {}).get("errors") or {}
    parts = []
    if "energy_per_atom_mae" in errors:
        parts.append(f"energy MAE {1e3 * errors['energy_per_atom_mae']:.2f} meV/atom")
    if "forces_mae" in errors:
        parts.append(f"force MAE {1e3 * errors['forces_mae']:.1f} meV/Å")
    return ", ".join(parts) or None


def _self_test(result: dict[str, Any]) -> str:
    if not result["passed"]:
        return f"FAILED: {result['reason']}"
    worst = max(result["deviations"].values(), default=0.0)
    return f"passed, {result['frames']} frames, largest deviation {worst:.1e}, limit {result['tolerance']:.0e}"
