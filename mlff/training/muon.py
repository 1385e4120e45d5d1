"""The optimiser Muon: steps of equal size in all directions of a weight matrix."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Quintic Newton-Schulz iteration of Jordan et al.: singular values anywhere in (0, 1] end within about 1 ± 0.3.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# Root mean square of an AdamW step in units of the learning rate, which Muon's steps are scaled to.
_RMS = 0.2


class Muon(torch.optim.AdamW):
    """AdamW, but groups with ``momentum`` hold matrices [...,out,in], whose momentum is orthogonalised.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with Nesterov momentum, for the
    gradient G of a matrix W [n,m] at every step::

        M ← μ M + (1-μ) G
        A = μ M + (1-μ) G
        W ← (1 - η λ) W - η 0.2 √max(n, m) O(A)        O(U S Vᵀ) ≈ U Vᵀ

    The factor 0.2 √max(n, m) makes learning rate and weight decay mean what they mean for AdamW (Liu et al.,
    arXiv:2502.16982). Leading axes, as of the degrees of an equivariant map, are matrices of their own.

    ======  ============================  =======================================
    symbol  variable                      meaning
    ======  ============================  =======================================
    μ, η    ``momentum``, ``lr``          of the group
    λ       ``weight_decay``              of the group
    M       ``state["momentum"]``         average of gradients
    A       ``ahead``                     the average one step ahead (Nesterov)
    O       :func:`orthogonalised`        all singular values near 1
    ======  ============================  =======================================
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step; returns what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients: dict[Tensor, Tensor] = {}
        for group in self.param_groups:
            if group.get("momentum") is not None:
                own = {parameter: parameter.grad for parameter in group["params"] if parameter.grad is not None}
                self._step_matrices(group, own)
                gradients |= own
        # AdamW passes over parameters without gradient
        for parameter in gradients:
            parameter.grad = None
        super().step()
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        return loss

    def _step_matrices(self, group: dict[str, Any], gradients: dict[Tensor, Tensor]) -> None:
        alike: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter, gradient in gradients.items():
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
                state["step"] = torch.zeros(())  # AdamW looks for it in what it loads
            state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
            ahead = gradient.lerp(state["momentum"], group["momentum"])
            alike[tuple(parameter.shape[-2:])].append((parameter, ahead))
        decay = 1.0 - group["lr"] * group["weight_decay"]
        for (rows, columns), pairs in alike.items():
            # all matrices of one shape at once
            directions = orthogonalised(torch.cat([ahead.reshape(-1, rows, columns) for _, ahead in pairs]))
            directions *= -group["lr"] * _RMS * math.sqrt(max(rows, columns))
            parts = directions.split([parameter.numel() // (rows * columns) for parameter, _ in pairs])
            for (parameter, _), part in zip(pairs, parts, strict=True):
                parameter.mul_(decay).add_(part.view_as(parameter))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices [B,n,m] with the same singular vectors and singular values near 1.

    Newton-Schulz iteration X ← a X + (b X Xᵀ + c (X Xᵀ)²) X from X = A / ‖A‖ (Frobenius), which acts on every singular
    value s alike: s ← a s + b s³ + c s⁵. Of the wider side, so that X Xᵀ is small.

    >>> orthogonalised(torch.tensor([[[3.0, 0.0], [0.0, 0.5]]])).round(decimals=1)
    tensor([[[0.7000, 0.0000],
             [0.0000, 1.0000]]])
    """
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.transpose(1, 2)
    x = wide / (torch.linalg.matrix_norm(wide, keepdim=True) + 1e-20)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.transpose(1, 2)
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, factor, x, beta=a)  # products that add take two thirds of the time of both apart
    return x if matrices.shape[1] <= matrices.shape[2] else x.transpose(1, 2)
