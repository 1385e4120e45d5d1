"""What a frozen program does, judged by its graph before it runs for the first time.

Where the text only shows which operators may run, the graph of a frozen program shows which are left: branches of
training are gone, every call is replaced by what it calls, and it can be seen what is changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from mlff.artifacts.operators import Effect

_MAKES = ("prim::ListConstruct", "prim::DictConstruct", "aten::list", "aten::dict", "aten::copy")


def check_frozen(module: Any, methods: Sequence[str], allowed: Mapping[str, Effect]) -> None:
    """Make sure that all operators of a frozen module are allowed, and that they change only what the program made.

    Args:
        module: frozen.
        methods: what it has beside ``forward``.
        allowed: effect of each operator.

    Raises:
        ValueError: naming the operator.
    """
    for method in ("forward", *methods):
        for node in _nodes(getattr(module, method).graph):
            effect = allowed.get(node.kind())
            if effect is None or effect == "dead":
                raise ValueError(f"it uses {node.kind()!r}" + (" when it is evaluated" if effect else ""))
            schema = node.schema()
            if "!" not in schema:
                continue
            arguments = torch._C.parse_schema(schema).arguments
            for argument, value in zip(arguments, node.inputs(), strict=False):
                alias = argument.alias_info
                if alias is not None and alias.is_write and not _own(value, allowed, set()):
                    raise ValueError(f"{node.kind()!r} changes what the program did not make")


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _own(value: Any, allowed: Mapping[str, Effect], seen: set[str]) -> bool:
    """Whether the memory behind a value was made by the program: by an operator that makes new, seen through views."""
    while True:
        node, type_ = value.node(), value.type().kind()
        kind, effect = node.kind(), allowed.get(node.kind())
        if kind in _MAKES or effect == "new":
            return True
        if kind == "prim::If":
            return all(_own(list(block.outputs())[value.offset()], allowed, seen) for block in node.blocks())
        if kind == "prim::Loop":
            return _carried(node, value.offset(), allowed, seen)
        if kind == "prim::Param":
            loop = node.owningBlock().owningNode()
            inside = loop is not None and loop.kind() == "prim::Loop" and value.offset() > 0
            return inside and _carried(loop, value.offset() - 1, allowed, seen)
        inputs = list(node.inputs())
        if kind == "prim::ListUnpack":  # of parts of a tensor, or of a list that is written out
            source = inputs[0].node()
            if source.kind() == "prim::ListConstruct":
                value = source.inputsAt(value.offset())
                continue
            effect, inputs = allowed.get(source.kind()), list(source.inputs())
        # What is taken out of a list or dictionary may be anybody's.
        if effect not in ("view", "writes") or inputs[0].type().kind() != type_:
            return False
        value = inputs[0]


def _carried(loop: Any, index: int, allowed: Mapping[str, Effect], seen: set[str]) -> bool:
    """The same of a value that a loop hands on: what it starts with, and what each pass makes of it."""
    key = list(loop.outputs())[index].debugName()
    if key in seen:
        return True
    seen.add(key)
    body = list(next(iter(loop.blocks())).outputs())
    return _own(list(loop.inputs())[2 + index], allowed, seen) and _own(body[1 + index], allowed, seen)
