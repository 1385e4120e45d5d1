"""Expressions of OpenMM's custom forces mean what they say; `test_engine.py` compares them with OpenMM."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlff.sampling.engine.expressions import Expression, ExpressionError

numbers = st.floats(0.1, 4.0)


@given(a=numbers, b=numbers)
@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("-a^2+b", lambda a, b: -(a**2) + b),
        ("2*or/c; or=a+b; c=b^3", lambda a, b: 2 * (a + b) / b**3),
        ("x; x=y*y; y=z-1; z=a", lambda a, b: (a - 1) ** 2),
        ("select(step(a-b), a, 1/b)", lambda a, b: a if a >= b else 1 / b),
        ("max(a, 2)+max(a, b)", lambda a, b: max(a, 2) + max(a, b)),
        ("exp(-abs(a-b))*log(a)*sqrt(b)", lambda a, b: math.exp(-abs(a - b)) * math.log(a) * math.sqrt(b)),
        ("tanh(a)^6+1.5e-1*b^0.5", lambda a, b: math.tanh(a) ** 6 + 0.15 * b**0.5),
        ("f(a, 1)", lambda a, b: a + 10),
    ],
)
def test_values_are_those_of_the_formula(text: str, meaning: object, a: float, b: float) -> None:
    functions = {"f": lambda x, y: x + 10 * y}
    wanted = meaning(a, b)  # type: ignore[operator]
    x, y = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    # Whether a name is given with the call or before makes no difference.
    assert Expression(text, ["a", "b"], {}, functions)(a=x, b=y) == pytest.approx(wanted, rel=1e-12)
    assert Expression(text, ["b"], {"a": x}, functions)(b=y) == pytest.approx(wanted, rel=1e-12)
    assert Expression(text, [], {"a": a, "b": b}, functions)() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a+b", "'b' is not defined"),
        ("erfc(a)", "the function 'erfc' is not known"),
        ("x; x=y; y=x", "the definition of 'x' needs itself"),
        ("a+", "not understood"),
        ("a; b", "expected a definition"),
        ("[a][0]", "not understood"),
        ("a.shape", "not understood"),
        ("a if a else a", "not understood"),
    ],
)
def test_other_expressions_are_refused(text: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        Expression(text, ["a"], {})
