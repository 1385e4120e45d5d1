"""``mlff inspect`` and ``mlff models``."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, fields
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from mlff.artifacts import ArtifactError, PretrainedModel, load, models
from mlff.artifacts.container import Container
from mlff.support.console import FAILED
from mlff.support.errors import printable
from mlff.support.limited import run_limited


def run_inspect(name: str, as_json: bool, seconds: float) -> int:
    """Print metadata, number of parameters and the outcome of the self-test; returns the exit status.

    The program of the file runs in a process of its own.

    Raises:
        ArtifactError: no readable model, or one whose program crashes or takes longer than ``seconds``.
    """
    try:
        text = run_limited(_content, name, seconds=seconds)
    except (RuntimeError, TimeoutError) as error:
        raise ArtifactError(f"{name}: {error}") from error
    answer = json.loads(text)
    if "error" in answer:
        raise ArtifactError(answer["error"])
    content = answer["content"]
    if as_json:
        print(json.dumps(content, indent=2))
    else:
        _show(content, answer["facts"])
    return 0 if content["self_test"]["passed"] else FAILED


def _content(name: str) -> str:
    """What there is to show of a model, or the error, as JSON."""
    torch.set_num_threads(1)  # threads of the process that this one was split from are not there
    try:
        return json.dumps(_read(name))
    except Exception as error:
        return json.dumps({"error": str(error)})


def _read(name: str) -> dict[str, Any]:
    model = load(name, verify=False)
    content: dict[str, Any] = {
        "path": str(model.path),
        "sha256": model.sha256,
        "size_bytes": model.path.stat().st_size,
        "engine": model.engine,
        "engine_note": model.engine_note,
        "metadata": model.metadata.model_dump(mode="json"),
    }
    try:
        report = model.self_test()
        container = Container(model.path)
        container.check_same(model.sha256)
        container.check_digests()
        content["self_test"] = {
            "passed": True,
            "frames": report.frames,
            "deviations": report.deviations,
            "tolerance": report.tolerance,
        }
    except ArtifactError as error:
        content["self_test"] = {"passed": False, "reason": str(error)}
    return {"content": content, "facts": model.metadata.facts()}


def _show(content: dict[str, Any], facts: dict[str, str]) -> None:
    metadata, parameters = content["metadata"], content["metadata"]["num_parameters"]
    rows = {
        "file": content["path"],
        "SHA-256": content["sha256"],
        "size": f"{content['size_bytes'] / 1e6:.2f} MB",
        "name": metadata["name"],
        "description": metadata["description"],
        "licence": metadata["licence"],
        "kind": f"{metadata['kind']}, {metadata['payload']}, schema {metadata['schema_version']}",
        "parameters": None if parameters is None else f"{parameters:,}",
        "dtype": metadata["dtype"],
        **facts,
        "units": ", ".join(f"{key} {unit}" for key, unit in metadata["units"].items()),
        "training data": "; ".join(_dataset(data) for data in metadata["training_data"]),
        "created": metadata["created"],
        "versions": ", ".join(f"{key} {value}" for key, value in metadata["versions"].items()),
        "engine": content["engine"] + (f" ({content['engine_note']})" if content["engine_note"] else ""),
        "self-test": _self_test(content["self_test"]),
    }
    width = max(map(len, rows))
    for name, value in rows.items():
        if value:
            print(f"{name:{width}}  {printable(str(value))}")  # one line, however long: a digest is there to be copied


def run_models(as_json: bool) -> None:
    """Print a row for each pretrained model."""
    rows = models()
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in fields(PretrainedModel):
        table.add_column(column.name, overflow="fold", no_wrap=column.name in ("name", "kind", "accuracy"))
    for row in rows:
        table.add_row(*astuple(row))
    Console(highlight=False, markup=False).print(table)


def _dataset(data: dict[str, Any]) -> str:
    frames = None if data.get("frames") is None else f"{data['frames']} frames"
    sha256 = data.get("sha256") and f"sha256 {data['sha256'][:12]}…"
    return ", ".join(part for part in (data["name"], frames, data.get("licence"), sha256) if part)


def _self_test(result: dict[str, Any]) -> str:
    if not result["passed"]:
        return f"FAILED: {result['reason']}"
    worst = max(result["deviations"].values(), default=0.0)
    return f"passed, {result['frames']} frames, largest deviation {worst:.1e}, limit {result['tolerance']:.0e}"
