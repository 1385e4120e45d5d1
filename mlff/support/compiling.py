"""Functions of tensors as compiled code: for training steps and for dynamics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from mlff.support.errors import first_line

logger = logging.getLogger(__name__)


class CompilerError(RuntimeError):
    """What tracing, code generation or the C++ compiler said, on one line."""


def compile_function(function: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
    """A function traced at these inputs, gradients that it takes included, compiled and run once.

    Compiled code takes inputs of the same shapes that need no gradient. What was compiled before on a machine is taken
    from PyTorch's cache on disk (``TORCHINDUCTOR_CACHE_DIR``), whichever process compiled it.

    Raises:
        CompilerError: no C++ compiler (on a GPU Triton), or an operation that cannot be compiled.
    """
    plain = [x.detach() for x in inputs]
    try:
        traced = make_fx(function)(*inputs)
        if inputs[0].device.type != "cpu":
            return _generated(traced, plain, cpp_wrapper=False)
        # What starts the kernels is C++ on a CPU, since Python would take as long as they; a GPU does not wait for it.
        try:
            return _generated(traced, plain, cpp_wrapper=True)
        except Exception as error:  # of C++ that starts kernels, not every version of torch can make all
            logger.info("Python starts the kernels, C++ cannot: %s", first_line(error))
            return _generated(traced, plain, cpp_wrapper=False)
    except Exception as error:  # whatever they raise
        raise CompilerError(first_line(error)) from error


def _generated(traced: GraphModule, inputs: Sequence[Tensor], cpp_wrapper: bool) -> Any:
    # Reading the compiler takes seconds.
    import torch._inductor
    from torch._guards import TracingContext, tracing
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # The cache on disk asks for a record of what was assumed about shapes, though these are fixed.
    with tracing(TracingContext(FakeTensorMode(shape_env=ShapeEnv()))):
        # straight to the code generator: there is no Python left in the graph that Dynamo would have to read
        compiled: Any = torch._inductor.compile(traced, [*inputs], {"cpp_wrapper": cpp_wrapper})
    compiled(*inputs)
    return compiled
