"""Unknown fields and choices of configurations, with the known name that is nearest."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from mlff.potential.training import TrainingConfig
from mlff.support.errors import ConfigError
from mlff.support.settings import Section, read_mapping, validated


class Leaf(Section):
    kind: Literal["leaf"] = "leaf"
    colour: str = "green"


class Twig(Section):
    kind: Literal["twig"] = "twig"
    length: float = 1.0
    leaves: tuple[Leaf, ...] = ()


class Tree(Section):
    height: float = 1.0
    first: Leaf | None = None
    shape: Literal["round", "tall"] = "tall"
    rings: int | Literal["off"] = 1
    grown: Annotated[Leaf | Twig, Field(discriminator="kind")] = Leaf()
    either: Leaf | Twig = Leaf()
    all: list[Annotated[Leaf | Twig, Field(discriminator="kind")]] = Field(default_factory=list)
    named: dict[str, Leaf] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _stands(self) -> "Tree":
        if self.height > 200:
            raise ValueError("too high to be a tree")
        return self


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"hight": 2}, "unknown field `hight`, did you mean `height`?"),
        ({"qqq": 2}, "unknown field `qqq`"),
        ({"first": {"color": 1}}, "first: unknown field `color`, did you mean `colour`?"),
        ({"grown": {"kind": "twig", "lenght": 1}}, "grown.twig: unknown field `lenght`, did you mean `length`?"),
        # `length` is no field of a leaf.
        ({"grown": {"kind": "leaf", "lenght": 1}}, "grown.leaf: unknown field `lenght`"),
        (
            {"grown": {"kind": "twig", "leaves": [{}, {"color": 1}]}},
            "grown.twig.leaves.1: unknown field `color`, did you mean `colour`?",
        ),
        ({"all": [{"kind": "leaf", "color": 1}]}, "all.0.leaf: unknown field `color`, did you mean `colour`?"),
        ({"either": {"color": 1}}, "either.Leaf: unknown field `color`, did you mean `colour`?"),
        ({"named": {"oak": {"color": 1}}}, "named.oak: unknown field `color`, did you mean `colour`?"),
        (
            {"all": [{"kind": "twigg"}]},
            "all.0.kind: unknown kind `twigg`: choose from leaf, twig; did you mean `twig`?",
        ),
        ({"shape": "Rounds"}, "shape: unknown shape `Rounds`: choose from round, tall; did you mean `round`?"),
        ({"rings": "of"}, "rings: unknown rings `of`: choose from off, a whole number; did you mean `off`?"),
        ({"rings": 0.5}, "rings: unknown rings `0.5`: choose from off, a whole number"),
        ({"height": 1000}, "too high to be a tree"),
    ],
)
def test_the_nearest_field_of_the_same_section(content: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validated(Tree, content, "tree.yaml")
    lines = str(caught.value).splitlines()
    assert f"tree.yaml: {line}" in lines
    assert len(lines) == 1 or "either" in content


@pytest.mark.parametrize(
    ("section", "wrong", "right"),
    [
        ("optimizer", {"lrr": 1e-3}, "lr"),
        ("model", {"specie": ["H"]}, "species"),
        ("loss", {"huber_dleta": 1.0}, "huber_delta"),
        ("dens", {"noise_sdt": 1.0}, "noise_std"),
        ("model.backbone", {"num_layer": 1}, "num_layers"),
        ("data.split.random", {"kind": "random", "sed": 1}, "seed"),
    ],
)
def test_sections_of_a_training(section: str, wrong: dict[str, object], right: str) -> None:
    content: dict[str, object] = {"data": {"paths": "a.extxyz"}}
    inner = content
    for name in section.removesuffix(".random").split("."):
        inner = inner.setdefault(name, {})  # type: ignore[assignment]
    inner |= wrong
    with pytest.raises(ConfigError, match=rf"c: {section}: unknown field `\w+`, did you mean `{right}`\?"):
        validated(TrainingConfig, content, "c")


@pytest.mark.parametrize("content", ["a: " + "x" * (1 << 20), "[" * (1 << 20), "\n" * ((1 << 20) + 1)])
def test_files_too_large_for_settings_are_refused_unread(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.yaml").write_text(content + " ")
    with pytest.raises(ConfigError, match=r"x\.yaml: 1024 KiB are too much for settings, at most 1024 are read"):
        read_mapping(tmp_path / "x.yaml")
