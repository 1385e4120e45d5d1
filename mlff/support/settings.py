"""Settings in YAML: one reader and one writer for every configuration, description and note of this project."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mlff.support.errors import ConfigError, InputError, unknown
from mlff.support.files import write_text

M = TypeVar("M", bound=BaseModel)
_MOST_BYTES = 1 << 20
_Place = tuple[int | str, ...]


class Section(BaseModel):
    """A part of a configuration, or a record: frozen, without unknown fields, of finite numbers.

    A field in which an infinity means something says so: ``Field(allow_inf_nan=True)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Loader(yaml.SafeLoader):
    """YAML without aliases, which can stand for more than any memory holds, and without keys that stand twice."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, f"*{event.anchor} is an alias: write out what it stands for", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _parsed(text: str) -> Any:
    """YAML as plain objects; ValueError, on one line, for whatever its reader raises."""
    try:
        return yaml.load(text, _Loader)
    except Exception as problem:  # besides its own errors those of numbers, dates and deep nesting
        raise ValueError(" ".join(str(problem).split())) from problem


def read_mapping(
    path: Path, *, error: type[InputError] = ConfigError, overrides: Sequence[str] = (), most: int = _MOST_BYTES
) -> dict[str, Any]:
    """Fields of a YAML or JSON file.

    Args:
        path: of the file; an empty one has no fields.
        error: class of what is raised.
        most: bytes that are read, since reading takes seconds for each MiB.
        overrides: ``section.field=value`` items, values in YAML; they replace what the file says.

    Raises:
        InputError: unreadable, larger than ``most``, not YAML, or no fields; the message names the file.
    """
    try:
        size = path.stat().st_size
        content = _parsed(path.read_text(encoding="utf-8")) if size <= most else None
    except OSError as problem:
        raise error(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    except ValueError as problem:
        raise error(f"{path}: not valid YAML: {problem}") from problem
    if size > most:
        raise error(f"{path}: {size >> 10} KiB are too much for settings, at most {most >> 10} are read")
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise error(f"{path}: expected fields such as 'name: value' at the top level")
    apply_changes(content, parsed_changes(overrides))
    return content


def validated(kind: type[M], content: dict[str, Any], source: str, *, error: type[InputError] = ConfigError) -> M:
    """A dictionary as a typed configuration.

    Args:
        kind: class of the configuration.
        content: fields by name.
        source: begins every line of the message.
        error: class of what is raised.

    Raises:
        InputError: one line for each field that is wrong, missing or unknown.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as problem:
        raise error(validation_message(problem, source, kind)) from problem


def validation_message(problem: ValidationError, source: str, kind: type[BaseModel] | None = None) -> str:
    """One line for each bad field; unknown ones, and values that are none of the choices, with the nearest name."""
    lines = []
    for item in (items := problem.errors()):
        place, message = item["loc"], item["msg"].removeprefix("Value error, ")
        others = [other["loc"] for other in items if other is not item]
        choices = _choices(item, others)
        if item["type"] == "extra_forbidden":
            place, message = place[:-1], f"unknown field `{place[-1]}`{_nearest(place, kind)}"
        elif choices is not None:
            place, message = choices
        elif any(_is_choice(other[-1:]) and other[:-1] == place[:-1] for other in others):
            continue  # another alternative of a field that has choices, which are listed once
        elif item["type"] == "too_short" and any(other[: len(place)] == place for other in others):
            continue  # its wrong items are named
        elif item["type"] not in ("missing", "value_error"):
            message += f" (got {item['input']!r:.80})"
        field = ".".join(str(part) for part in place if part != "[key]")
        lines.append(": ".join(filter(None, (source, field, message))))
    return "\n".join(lines)


def describe(problem: ValidationError) -> str:
    """A validation error on one line, every fault with the name of its field."""
    faults = []
    for error in problem.errors():
        field = ".".join(str(part) for part in error["loc"])
        faults.append(f"{field}: {error['msg']}" if field else error["msg"])
    return "; ".join(faults)


def with_paths(section: M, change: Callable[[Path], Path]) -> M:
    """A copy in which every path is changed, also in tuples and in the sections below."""

    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(changed, value))
        if isinstance(value, BaseModel):
            return with_paths(value, change)
        return change(value) if isinstance(value, Path) else value

    return section.model_copy(update={name: changed(value) for name, value in section})


def dump(config: BaseModel, path: Path) -> None:
    """Write all fields as YAML, defaults included; reading gives an equal object back."""
    write_text(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))


dump_config = dump  # name of earlier versions


def parsed_changes(items: Sequence[str]) -> dict[str, Any]:
    """``section.field=value`` items, values in YAML, by dotted name.

    Raises:
        ConfigError: an item of another form.
    """
    changes = {}
    for item in items:
        key, separator, text = item.partition("=")
        if not separator or not key:
            raise ConfigError(f"--set {item}: expected section.field=value")
        try:
            changes[key] = _parsed(text)
        except ValueError as problem:
            raise ConfigError(f"--set {item}: the value is not valid YAML: {problem}") from problem
    return changes


def apply_changes(content: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Replace fields of nested sections, given by dotted name.

    Raises:
        ConfigError: a section that is a field.
    """
    for key, value in changes.items():
        *sections, field = key.split(".")
        target = content
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise ConfigError(f"--set {key}: {section} is not a section")
        target[field] = value


def _choices(item: Any, others: Sequence[_Place]) -> tuple[_Place, str] | None:
    """Field and message of a value that is none of its choices; None for other errors."""
    place, context = item["loc"], item.get("ctx", {})
    if item["type"] == "union_tag_invalid":
        name = context["discriminator"].strip("'")
        return (*place, name), unknown(name, context["tag"], _quoted(context["expected_tags"]))
    if item["type"] != "literal_error":
        return None
    known = _quoted(context["expected"])
    if _is_choice(place[-1:]):  # one of several alternatives
        place = place[:-1]
        known += [{"int": "a whole number"}.get(str(o[-1]), str(o[-1])) for o in others if o[:-1] == place]
    return place, unknown(str(place[-1]), item["input"], known)


def _is_choice(label: _Place) -> bool:
    return bool(label) and str(label[0]).startswith("literal[")


def _quoted(text: str) -> list[str]:
    """The names in ``'a', 'b' or 'c'``."""
    return re.findall(r"'([^']*)'", text)


def _nearest(location: _Place, kind: type[BaseModel] | None) -> str:
    """``, did you mean `...`?`` from the fields of the innermost section of a configuration."""
    sections = _sections(kind)
    for part in location[:-1]:
        fields = [section.model_fields[part] for section in sections if part in section.model_fields]
        if fields:
            sections = [inner for field in fields for inner in _sections(field.annotation)]
        else:  # an index, or the tag of one of several alternatives
            sections = [section for section in sections if _has_tag(section, part)] or sections
    near = difflib.get_close_matches(str(location[-1]), {name for one in sections for name in one.model_fields}, n=1)
    return f", did you mean `{near[0]}`?" if near else ""


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The configurations that an annotation names, such as the alternatives of a union or the items of a list."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [section for inner in getattr(annotation, "__args__", ()) for section in _sections(inner)]


def _has_tag(section: type[BaseModel], part: int | str) -> bool:
    return section.__name__ == part or any(field.default == part for field in section.model_fields.values())
