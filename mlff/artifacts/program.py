"""The program of a TorchScript archive, judged as text before torch reads any of it.

TorchScript is written with the grammar of Python, so Python's parser reads it, and only what torch itself writes is let
through: a few kinds of statements, strings as torch quotes them, no comments. Every name is looked up: operators among
those allowed, functions, classes, methods and attributes among those of the program. Whatever is not known is refused.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any

_LARGEST, _DEEPEST, _LONGEST_NAME = 2**22, 100, 200  # bytes, levels, letters; programs of this package have 10^5 bytes
_NAMES = frozenset(("inf", "nan", "infj", "Module", "NamedTuple"))
_TYPES = frozenset(("Tensor", "int", "float", "bool", "str", "number", "complex", "Device", "NoneType", "Dict", "List"))
_TYPES |= {"Tuple", "Optional", "Union", "Final"}
_BUILTINS = frozenset(("annotate", "unchecked_cast", "uninitialized", "getattr", "isinstance", "range"))
_BUILTINS |= {"int", "float", "bool"}
_KNOWN = _NAMES | _TYPES
_RESERVED = _KNOWN | _BUILTINS | {"torch", "ops", "__torch__", "CONSTANTS"}
_SPECIAL = frozenset(("__len__", "__contains__"))  # methods of containers of modules
_FIELDS = ("__parameters__", "__buffers__", "__annotations__")
_STATEMENTS = {ast.Assign, ast.AnnAssign, ast.Expr, ast.Return, ast.Pass, ast.If, ast.For}
_EXPRESSIONS = {ast.Attribute, ast.Call, ast.Name, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.Dict}
_PARTS = {ast.UnaryOp, ast.USub, ast.arguments, ast.arg, ast.keyword, ast.Module, ast.FunctionDef, ast.ClassDef}
_SYNTAX = _STATEMENTS | _EXPRESSIONS | _PARTS
# All that torch writes outside of strings: no comments, since TorchScript reads types from some of them, no decorators,
# no stars before arguments.
_OUTSIDE_STRINGS = re.compile(r"[\w \n.,:=()\[\]{}>+-]*", re.ASCII)
_ESCAPES = {ord(c): "\\" + e for c, e in zip("\\\"'\a\b\f\n\r\t\v", "\\\"'abfnrtv", strict=True)}
_ESCAPES |= {n: f"\\{n:03o}" for n in range(256) if n not in _ESCAPES and not 32 <= n < 127}


def check_program(
    sources: Mapping[str, bytes], allowed: Container[str], exists: Callable[[str], Any]
) -> dict[str, dict[str, str]]:
    """Make sure that a program names nothing but its own parts and operators that are allowed.

    Args:
        sources: of its modules, by dotted name such as ``__torch__.mlff.graph.radial``.
        allowed: operators, such as ``aten::add``.
        exists: whether torch has an operator.

    Returns:
        By ``module name`` of each class the type of its attributes, where that is a single word.

    Raises:
        ValueError: naming what is not known, and where it is.
    """
    if sum(map(len, sources.values())) > _LARGEST:
        raise ValueError("the program is implausibly long")
    trees = {module: _parse(module, source) for module, source in sources.items()}
    checker = _Checker(trees, allowed, exists)
    checker.check()
    return checker.classes


def _parse(module: str, source: bytes) -> ast.Module:
    try:
        text = source.decode("ascii")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{module} is not a program as torch writes it ({type(error).__name__})") from error
    lines = text.split("\n")
    strings: list[tuple[ast.Constant, str]] = []
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > _DEEPEST:
            raise ValueError(f"{module} is nested too deeply")
        if type(node) not in _SYNTAX:
            raise ValueError(f"{_where(module, node)}: holds {_words(node)}")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.append((node, node.value))
        pending += [(child, depth + 1) for child in _children(node)]
    for node, value in sorted(strings, key=lambda found: -found[0].col_offset):
        line = lines[node.lineno - 1]
        start, end = node.col_offset, node.end_col_offset or 0
        if line[start:end] != f'"{value.translate(_ESCAPES)}"':
            raise ValueError(f"{_where(module, node)}: a string is not written as torch writes it")
        lines[node.lineno - 1] = line[:start] + line[end:]
    if not _OUTSIDE_STRINGS.fullmatch("\n".join(lines)):
        raise ValueError(f"{module} holds signs that torch does not write, such as comments")
    return tree


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """As ast.iter_child_nodes, without the word whether a name is read or set, which is half of all."""
    for field in node._fields:
        value = getattr(node, field) if field != "ctx" else None
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            yield from (item for item in value if isinstance(item, ast.AST))


class _Checker:
    """Names that the program defines, and the walk over everything that uses names."""

    def __init__(self, trees: Mapping[str, ast.Module], allowed: Container[str], exists: Callable[[str], Any]) -> None:
        self.trees, self.allowed, self.exists = trees, allowed, exists
        self.module = ""
        self.defined: set[str] = set()
        self.methods: set[str] = set()
        self.attributes: set[str] = set()
        self.classes: dict[str, dict[str, str]] = {}
        for module, tree in trees.items():
            for node in tree.body:
                if not isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                    raise ValueError(f"{_where(module, node)}: {_words(node)} outside of functions and classes")
                self.defined.add(f"{module}.{node.name}")
                if isinstance(node, ast.ClassDef):
                    types = self.classes[f"{module} {node.name}"] = {}
                    for member in node.body:
                        self._collect(member, types)

    def _collect(self, member: ast.stmt, types: dict[str, str]) -> None:
        if isinstance(member, ast.FunctionDef):
            self.methods.add(member.name)
            return
        name, kind = "", None
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name, kind = member.target.id, member.annotation
        elif isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Subscript):
            place = member.targets[0].slice
            name = str(place.value) if isinstance(place, ast.Constant) else ""
            kind = member.value
        if kind is not None and name:
            self.attributes.add(name)
        if isinstance(kind, ast.Name):
            types[name] = kind.id
        elif isinstance(kind, ast.Attribute):
            types[name] = " ".join(ast.unparse(kind).rsplit(".", 1))

    def check(self) -> None:
        self.members = self.methods | self.attributes
        for module, tree in self.trees.items():
            self.module = module
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    self._class(node)
                elif isinstance(node, ast.FunctionDef):
                    self._function(node)

    def _refuse(self, node: ast.AST, reason: str) -> ValueError:
        return ValueError(f"{_where(self.module, node)}: {reason}")

    def _class(self, node: ast.ClassDef) -> None:
        bases = [base.id if isinstance(base, ast.Name) else "" for base in node.bases]
        if bases not in (["Module"], ["NamedTuple"]) or node.keywords:
            raise self._refuse(node, f"the class {node.name} is neither a Module nor a NamedTuple")
        for member in node.body:
            if isinstance(member, ast.FunctionDef):
                self._function(member)
            elif isinstance(member, ast.Assign):
                target = member.targets[0]
                field = target.value if isinstance(target, ast.Subscript) else target
                if len(member.targets) != 1 or not isinstance(field, ast.Name) or field.id not in _FIELDS:
                    raise self._refuse(member, "a class sets what torch does not write")
                self._expression(member.value, {})
            elif isinstance(member, ast.AnnAssign):
                self._expression(member.annotation, {})
                if member.value is not None:
                    self._expression(member.value, {})
            elif not isinstance(member, ast.Pass):
                raise self._refuse(member, f"{_words(member)} in a class")

    def _function(self, node: ast.FunctionDef) -> None:
        """A function or method; the names that it binds are known first, each with the values that it is set to."""
        if node.name in _RESERVED or (node.name.startswith("__") and node.name not in _SPECIAL):
            raise self._refuse(node, f"it defines {node.name!r}")
        bound: dict[str, list[ast.expr | None]] = {arg.arg: [None] for arg in node.args.args}
        for statement in _statements(node.body):
            if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.For)):
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                plain = len(targets) == 1 and isinstance(targets[0], ast.Name) and isinstance(statement, ast.Assign)
                for name in (name for target in targets for name in self._targets(target)):
                    bound.setdefault(name, []).append(statement.value if plain else None)  # type: ignore[union-attr]
        if reserved := sorted(_RESERVED & set(bound)):
            raise self._refuse(node, f"it sets {reserved[0]!r}")
        for part in (node.args, *([node.returns] if node.returns else []), *node.body):
            self._expression(part, bound)

    def _targets(self, target: ast.expr) -> Iterator[str]:
        for part in target.elts if isinstance(target, ast.Tuple) else [target]:
            if not isinstance(part, ast.Name):
                raise self._refuse(target, f"it assigns to {ast.unparse(target)!r}")
            yield part.id

    def _expression(self, node: ast.AST, bound: Mapping[str, list[ast.expr | None]]) -> None:
        """Anything inside of a function or class."""
        if isinstance(node, ast.Name):
            if node.id not in bound and node.id not in _KNOWN:
                raise self._refuse(node, f"it uses {node.id!r}")
        elif isinstance(node, ast.Constant):
            if not isinstance(node.value, (str, int, float, type(None))):
                raise self._refuse(node, f"it holds {node.value!r}")
        elif isinstance(node, ast.Attribute):
            if not self._rooted(node):
                if node.attr not in self.members:
                    raise self._refuse(node, f"it uses the attribute {node.attr!r}")
                self._expression(node.value, bound)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            raise self._refuse(node, "a function or class within a function")
        else:
            if isinstance(node, ast.Call):
                self._call(node, bound)
            for part in (*node.args, *node.keywords) if isinstance(node, ast.Call) else _children(node):
                self._expression(part, bound)

    def _call(self, node: ast.Call, bound: Mapping[str, list[ast.expr | None]]) -> None:
        function = node.func
        if isinstance(function, ast.Attribute):
            if self._rooted(function):
                return
            # On a tensor or list it would be the operator of that name.
            known = function.attr in self.methods
            operator = f"aten::{function.attr}"
            if not known or (operator not in self.allowed and self.exists(operator)):
                raise self._refuse(node, f"it calls the method {function.attr!r}")
            self._expression(function.value, bound)
        elif not isinstance(function, ast.Name):
            raise self._refuse(node, f"it calls {ast.unparse(function)!r}")
        elif function.id == "getattr":
            name = node.args[1] if len(node.args) == 2 else None
            if not isinstance(name, ast.Constant) or name.value not in self.attributes:
                raise self._refuse(node, f"it calls {ast.unparse(node)!r}")
        elif function.id not in _BUILTINS:
            values = bound.get(function.id, [None])
            if not all(isinstance(value, ast.Attribute) and self._rooted(value) for value in values):
                raise self._refuse(node, f"it calls {function.id!r}")

    def _rooted(self, node: ast.Attribute) -> bool:
        """Whether this is a name of torch or of the program; refused if it is an unknown one."""
        names = [node.attr]
        root = node.value
        while isinstance(root, ast.Attribute):
            names.append(root.attr)
            root = root.value
        if not isinstance(root, ast.Name) or root.id not in ("torch", "ops", "__torch__", "CONSTANTS"):
            return False
        name = ".".join([root.id, *names[::-1]])
        operator = "aten::grad" if name == "torch.autograd.grad" else ""
        if root.id == "torch" and len(names) == 1:
            operator = f"aten::{node.attr}"
        elif root.id == "ops" and len(names) == 2:
            operator = f"{names[1]}::{node.attr}"
        constant = root.id == "CONSTANTS" and re.fullmatch(r"c\d+", node.attr) is not None and len(names) == 1
        if not (constant or name in self.defined or operator in self.allowed):
            raise self._refuse(node, f"it uses {name[:_LONGEST_NAME]!r}")
        return True


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.For)):
            yield from _statements([*statement.body, *statement.orelse])


def _where(module: str, node: ast.AST) -> str:
    return f"{module.removeprefix('__torch__.')}, line {getattr(node, 'lineno', 0)}"


def _words(node: ast.AST) -> str:
    if isinstance(node, ast.While):
        return "a while loop, which may never end"
    return f"the construct {type(node).__name__}"
