"""The pickles in archives of torch, read as lists of instructions: nothing in them is executed or imported.

torch takes the sizes that a pickle states as they are, so that a tensor may say to be larger than the bytes behind it.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

#: Bytes of an element of each storage.
SIZES = MappingProxyType(
    {"ComplexDouble": 16, "Double": 8, "Long": 8, "ComplexFloat": 8, "Float": 4, "Int": 4, "Half": 2, "BFloat16": 2}
    | {"Short": 2, "Char": 1, "Byte": 1, "Bool": 1}
)
#: What torch writes into the pickles of a TorchScript archive; further names are classes of the program.
SCRIPT_GLOBALS = frozenset(
    {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {name}Storage" for name in SIZES)}
    | {f"torch.jit._pickle build_{kind}list" for kind in ("int", "double", "bool", "tensor")}
    | {"torch.jit._pickle restore_type_tag"}
)
# Dtypes without a storage of their own, which are written as bytes.
_UNTYPED = MappingProxyType({"uint16": 2, "uint32": 4, "uint64": 8, "float8_e4m3fn": 1, "float8_e5m2": 1})
_DEEPEST, _MOST = 100, 2_000_000  # levels; instructions: large checkpoints with optimisers have a tenth
_MARK = object()
_PLAIN = frozenset(("BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"))
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Global(str):
    """Module and name."""


class _Box:
    """Anything that holds other values; ``placed``: in another one, after which it no longer grows."""

    def __init__(self, kind: str, items: Sequence[Any]) -> None:
        self.kind, self.depth, self.placed = kind, 0, False
        self.items: list[Any] = []
        self.grow(items)

    def grow(self, items: Sequence[Any]) -> None:
        self.items.extend(items)
        for item in items:
            if isinstance(item, _Box):
                item.placed, self.depth = True, max(self.depth, 1 + item.depth)
        if self.placed:
            raise ValueError("a value holds itself")
        if self.depth > _DEEPEST:
            raise ValueError("values are nested too deeply")


def check_objects(objects: Sequence[_Box], classes: Mapping[str, Mapping[str, str]]) -> None:
    """Make sure that attributes of objects have the types that their classes declare, which torch takes for granted.

    Args:
        objects: from :func:`check_tensors`.
        classes: type of each attribute, where it is a single word, by ``module name`` of the class.

    Raises:
        ValueError: naming the attribute.
    """
    for box in objects:
        state = box.items[0].items if box.items else []
        given = dict(zip(state[::2], state[1::2], strict=True))
        for name, kind in classes[box.kind].items():
            value = given.get(name)
            found = value.kind if isinstance(value, _Box) else type(value).__name__
            if found != kind:
                raise ValueError(f"{box.kind} has a {found} as {name!r}, and its program says {kind}")


def check_tensors(
    pickle: bytes,
    folder: str,
    sizes: Mapping[str, int],
    known: Callable[[str], bool] = lambda name: True,
    device: str | None = None,
) -> list[_Box]:
    """Make sure that all tensors of a pickle lie within their bytes, and that it makes nothing else but plain values.

    Args:
        pickle: the bytes.
        folder: of the records of its storages.
        sizes: of the members of the archive in bytes.
        known: whether a global, ``module name``, may be named.
        device: of all storages; None: any.

    Returns:
        The objects of classes in it.

    Raises:
        ValueError: saying what is wrong.
    """
    records = {name.removeprefix(f"{folder}/"): size for name, size in sizes.items() if name.startswith(f"{folder}/")}
    stack: list[Any] = []
    memo: list[Any] = []
    objects: list[_Box] = []
    value: Any
    for count, (code, value, _) in enumerate(pickletools.genops(pickle)):
        name = code.name
        if count > _MOST:
            raise ValueError("the pickle is implausibly long")
        if name in _PLAIN:
            stack.append(value)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[value])
        elif name in ("BINPUT", "LONG_BINPUT"):
            _remember(memo, value, stack[-1])
        elif name == "GLOBAL":
            if not known(value):
                raise ValueError(f"the pickle names {value!r}")
            stack.append(_Global(value))
        else:
            _combine(name, stack, records, device)
        if name == "NEWOBJ":
            objects.append(stack[-1])
    if len(stack) != 1:
        raise ValueError("the pickle leaves more than one value")
    return objects


def check_saved(path: Path) -> None:
    """The same of a file of ``torch.save``; raises KeyError, zipfile.BadZipFile and others where it is none."""
    with zipfile.ZipFile(path) as archive:
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        sizes = {name: member.file_size for name, member in members.items()}
        check_tensors(archive.read(members["data.pkl"]), "data", sizes)


def _remember(memo: list[Any], place: int, value: Any) -> None:
    if place > len(memo) or value is _MARK:
        raise ValueError("the pickle skips places of its memory")
    memo[place : place + 1] = [value]


def _combine(name: str, stack: list[Any], sizes: Mapping[str, int], device: str | None) -> None:
    """Carry out an instruction that takes values from the stack."""
    if name in ("MARK", "EMPTY_LIST", "EMPTY_DICT"):
        stack.append(_MARK if name == "MARK" else _Box("other", ()))
    elif name in _TUPLES:
        number = _TUPLES[name]
        stack[len(stack) - number :] = [_Box("tuple", _taken(stack, number))]
    elif name == "TUPLE":
        stack.append(_Box("tuple", _to_mark(stack)))
    elif name in ("APPENDS", "SETITEMS"):
        items = _to_mark(stack)
        stack[-1].grow(items)
    elif name in ("APPEND", "SETITEM", "BUILD"):
        number = 2 if name == "SETITEM" else 1
        items = _taken(stack, number)
        del stack[-number:]
        stack[-1].grow(items)
    elif name == "BINPERSID":
        stack[-1] = _storage(stack[-1], sizes, device)
    elif name in ("REDUCE", "NEWOBJ"):
        made, given = _taken(stack, 2)
        if not isinstance(made, _Global) or not isinstance(given, _Box):
            raise ValueError("the pickle calls what is no function")
        del stack[-2:]
        if name == "NEWOBJ" and given.items:
            raise ValueError(f"an object of {made} is made of values")
        stack.append(_tensor(made, given.items) if "_rebuild_" in made else _Box(made, given.items))
    elif name not in ("PROTO", "STOP"):
        raise ValueError(f"the pickle holds the instruction {name}")


def _taken(stack: list[Any], number: int) -> list[Any]:
    values = stack[len(stack) - number :] if number else []
    if len(values) < number or any(value is _MARK for value in values):
        raise ValueError("the pickle takes values that are not there")
    return values


def _to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (value := stack.pop()) is not _MARK:
        items.append(value)
    return items[::-1]


def _storage(given: Any, sizes: Mapping[str, int], device: str | None) -> _Box:
    word, kind, key, place, number = given.items
    name = str(kind).rpartition(" ")[2].removesuffix("Storage")
    size = 1 if name == "Untyped" else SIZES.get(name)
    if word != "storage" or not isinstance(kind, _Global) or size is None or not _natural(number):
        raise ValueError(f"a storage is described as {word!r}, {kind!r}")
    if device is not None and place != device:
        raise ValueError(f"storage {key!r} is on {place!r}")
    if sizes.get(str(key)) != number * size:
        found = sizes.get(str(key), "none")
        raise ValueError(f"storage {key!r} says {number * size:,} bytes, and its record has {found}")
    return _Box("storage", (number, key))


def _tensor(made: str, given: list[Any]) -> _Box:
    untyped = made.endswith("_rebuild_tensor_v3")
    if untyped or made.endswith(("_rebuild_tensor", "_rebuild_tensor_v2")):
        storage, offset, shape, stride = given[:4]
        if not isinstance(storage, _Box) or storage.kind != "storage":
            raise ValueError("a tensor has no storage")
        lengths, steps, (elements, key) = shape.items, stride.items, storage.items
        if len(lengths) != len(steps) or not all(map(_natural, (offset, *lengths, *steps))):
            raise ValueError(f"a tensor on storage {key!r} has the shape {lengths} and the strides {steps}")
        last = offset + sum((n - 1) * step for n, step in zip(lengths, steps, strict=True))
        size = _UNTYPED[str(given[6]).rpartition(" ")[2]] if untyped else 1
        if 0 not in lengths and (last + 1) * size > elements:
            raise ValueError(f"a tensor of shape {list(lengths)} reaches beyond the end of storage {key!r}")
        given = given[4:]
    if any(isinstance(item, _Box) and item.kind == "storage" for item in given):
        raise ValueError(f"a storage is given to {made}")
    return _Box("Tensor", given)


def _natural(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**62
