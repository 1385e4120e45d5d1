"""The algebraic expressions of OpenMM's custom forces, on tensors.

An expression is what is wanted, followed by definitions of what it names: ``"a/r; a=2*b; b=x^2"``
(http://docs.openmm.org/latest/userguide/theory/03_custom_forces.html, "Writing Custom Expressions"). The part of the
language that OpenMM's own models of implicit water use is known here; anything else is refused by name.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Value = Tensor | float

_IDENTIFIER = re.compile(r"\b([A-Za-z_]\w*)")


class ExpressionError(ValueError):
    """An expression that is not understood."""


@dataclass(frozen=True, eq=False)
class _Node:
    function: Callable[..., Value]
    arguments: Sequence[Value | _Node]


class _Variable(_Node):
    """A value that comes with each call."""


class Expression:
    """A function of named values.

    Args:
        text: the expression with its definitions.
        variables: names of the values given at each call.
        constants: values of other names; what depends on nothing else is computed once.
        functions: tabulated functions by name.

    Raises:
        ExpressionError: unknown names or functions, definitions in a circle, or other syntax.
    """

    def __init__(
        self,
        text: str,
        variables: Sequence[str],
        constants: Mapping[str, Value],
        functions: Mapping[str, Callable[..., Value]] | None = None,
    ) -> None:
        first, *definitions = [part for part in text.split(";") if part.strip()]
        self._text = text
        self._definitions = dict(self._definition(part) for part in definitions)
        self._functions = {**_FUNCTIONS, **(functions or {})}
        self._known: dict[str, Value | _Node | None] = dict(constants)
        self._known.update({name: _Variable(_itself, (name,)) for name in variables})  # type: ignore[arg-type]
        self._root = self._fold(_parse(first, text))

    def __call__(self, **variables: Tensor) -> Tensor:
        """The value; arguments broadcast."""
        return torch.as_tensor(_evaluate(self._root, variables, {}))

    def _definition(self, part: str) -> tuple[str, ast.expr]:
        name, found, body = part.partition("=")
        if not found:
            raise ExpressionError(f"{self._text!r}: expected a definition, not {part!r}")
        return name.strip(), _parse(body, self._text)

    def _fold(self, node: ast.expr) -> Value | _Node:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node, ast.Name):
            return self._named(node.id.removesuffix("_"))
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _apply(_OPERATORS[type(node.op)], [self._fold(node.left), self._fold(node.right)])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self._fold(node.operand)
            return _apply(operator.neg, [inner]) if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            name = node.func.id.removesuffix("_")
            if name in self._functions:
                return _apply(self._functions[name], [self._fold(argument) for argument in node.args])
            raise ExpressionError(f"{self._text!r}: the function {name!r} is not known here")
        raise ExpressionError(f"{self._text!r}: {ast.unparse(node)!r} is not understood")

    def _named(self, name: str) -> Value | _Node:
        if name not in self._known:
            if name not in self._definitions:
                raise ExpressionError(f"{self._text!r}: {name!r} is not defined")
            self._known[name] = None
            self._known[name] = self._fold(self._definitions[name])
        found = self._known[name]
        if found is None:
            raise ExpressionError(f"{self._text!r}: the definition of {name!r} needs itself")
        return found


def _parse(text: str, whole: str) -> ast.expr:
    # Names such as `or` are words of Python, so every name gets a tail.
    try:
        return ast.parse(_IDENTIFIER.sub(r"\1_", text.strip()).replace("^", "**"), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"{whole!r}: {text.strip()!r} is not understood") from error


def _apply(function: Callable[..., Value], arguments: list[Value | _Node]) -> Value | _Node:
    if any(isinstance(argument, _Node) for argument in arguments):
        return _Node(function, arguments)
    return function(*arguments)


def _evaluate(node: Value | _Node, variables: Mapping[str, Tensor], known: dict[_Node, Value]) -> Value:
    if not isinstance(node, _Node):
        return node
    if node not in known:
        if isinstance(node, _Variable):
            known[node] = variables[node.arguments[0]]  # type: ignore[index]
        else:
            known[node] = node.function(*(_evaluate(argument, variables, known) for argument in node.arguments))
    return known[node]


def _itself(value: Any) -> Any:
    return value


def _power(base: Value, exponent: Value) -> Value:
    """Whole exponents as products: faster, and right for negative bases."""
    if isinstance(exponent, float) and exponent == int(exponent) and 1 <= exponent <= 16:
        half = _power(base, float(exponent // 2)) if exponent >= 2 else 1.0
        return half * half * base if exponent % 2 else half * half
    return base**exponent


def _unary(name: str) -> Callable[[Value], Value]:
    function = getattr(torch, name)
    return lambda x: function(x) if isinstance(x, Tensor) else float(function(torch.tensor(x, dtype=torch.float64)))


def _largest(a: Value, b: Value) -> Value:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.maximum(a, b)
    if isinstance(a, Tensor):
        return a.clamp(min=float(b))
    return b.clamp(min=a) if isinstance(b, Tensor) else max(a, b)


def _step(x: Value) -> Value:
    return (x >= 0).to(x.dtype) if isinstance(x, Tensor) else float(x >= 0)


def _select(condition: Value, yes: Value, no: Value) -> Value:
    if isinstance(condition, Tensor):
        return torch.where(condition != 0, yes, no)
    return yes if condition else no


_OPERATORS: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Value]] = {
    **{name: _unary(name) for name in ("sqrt", "exp", "log", "tanh", "abs")},
    "max": _largest,
    "step": _step,
    "select": _select,
}
