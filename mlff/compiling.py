"""Functions of tensors as compiled code: for training steps and for dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx


class CompilerError(RuntimeError):
    """What tracing, code generation or the C++ compiler said, on one line."""


def compile_function(function: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
    """A function traced at these inputs, gradients that it takes included, compiled and run once.

    Compiled code takes inputs of the same shapes that need no gradient. What was compiled before on a machine is taken
    from PyTorch's cache on disk (``TORCHINDUCTOR_CACHE_DIR``), whichever process compiled it.

    Raises:
        CompilerError: no C++ compiler (on a GPU Triton), or an operation that cannot be compiled.
    """
    # Reading the compiler takes seconds.
    import torch._inductor
    from torch._guards import TracingContext, tracing
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # what starts the kernels: on a CPU C++, since Python would take as long as they; a GPU does not wait for it
    options = {"cpp_wrapper": inputs[0].device.type == "cpu"}
    try:
        traced = make_fx(function)(*inputs)
        plain = [x.detach() for x in inputs]
        # The cache on disk asks for a record of what was assumed about shapes, though these are fixed.
        with tracing(TracingContext(FakeTensorMode(shape_env=ShapeEnv()))):
            # straight to the code generator: there is no Python left in the graph that Dynamo would have to read
            compiled: Any = torch._inductor.compile(traced, [*plain], options)
        compiled(*plain)
    except Exception as error:  # whatever they raise
        raise CompilerError((str(error).strip().splitlines() or [type(error).__name__])[0]) from error
    return compiled
