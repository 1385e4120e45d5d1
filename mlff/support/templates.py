"""Texts for people from templates, which lie next to the modules that fill them in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template (Jinja); characters with a meaning in HTML are escaped in HTML only.

    Args:
        template: path below ``mlff``, such as ``training/model_card.md.j2``.
        values: what the template names. The filter ``format`` is Python's function: ``{{ length | format(".2f") }}``.

    Raises:
        jinja2.UndefinedError: the template names something that is not there.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mlff", ""),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["format"] = format
    return environment
