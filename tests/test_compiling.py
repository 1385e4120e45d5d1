"""Functions of tensors as compiled code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from mlff.support.compiling import CompilerError, compile_function


def force(scale: float) -> Callable[[Tensor], list[Tensor]]:
    """-dV/dx of V = Σ scale x⁴, by autograd."""

    def of(x: Tensor) -> list[Tensor]:
        x = x.detach().requires_grad_()
        return [-torch.autograd.grad((scale * x**4).sum(), x)[0]]

    return of


def test_gradients_inside_are_compiled_and_come_from_the_cache_the_second_time() -> None:
    x = torch.linspace(-1.0, 1.0, 7, dtype=torch.float64)
    for _ in range(2):
        counters.clear()
        compiled = compile_function(force(0.3), [x])
        torch.testing.assert_close(compiled(x)[0], -1.2 * x**3)
    assert counters["inductor"]["fxgraph_cache_hit"] == 1
    # another function is not mistaken for it
    torch.testing.assert_close(compile_function(force(0.4), [x])(x)[0], -1.6 * x**3)


def test_what_cannot_be_traced_is_one_line() -> None:
    with pytest.raises(CompilerError) as caught:
        compile_function(lambda x: [x[: int(x.sum())]], [torch.ones(3)])
    assert "\n" not in str(caught.value)


def test_python_starts_the_kernels_where_cpp_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor

    generate, asked = torch._inductor.compile, []

    def without_cpp(graph: torch.fx.GraphModule, inputs: list[Tensor], options: dict[str, bool]) -> object:
        asked.append(options["cpp_wrapper"])
        if options["cpp_wrapper"]:
            raise RuntimeError("no such wrapper")
        return generate(graph, inputs, options)

    monkeypatch.setattr(torch._inductor, "compile", without_cpp)
    x = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    torch.testing.assert_close(compile_function(force(0.5), [x])(x)[0], -2.0 * x**3)
    assert asked == [True, False]
