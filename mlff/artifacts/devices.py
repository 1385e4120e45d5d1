"""Where models compute, and in what."""

from __future__ import annotations

import torch

from mlff.artifacts.errors import ArtifactError
from mlff.artifacts.self_test import DTYPES


def find_device(device: torch.device | str) -> torch.device:
    """The device that is meant, GPUs with their index.

    Without it "cuda" would be another GPU in other threads, whose current device is their own, than where the model is.

    Raises:
        ArtifactError: not a CPU or CUDA device, or not there.
    """
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ArtifactError(f"{device!r} is no device; use 'cpu', 'cuda' or 'cuda:<index>'") from error
    if found.type not in ("cpu", "cuda"):
        raise ArtifactError(f"models run on 'cpu' and 'cuda', not on {found.type!r}")
    if found.type == "cuda":
        if not torch.cuda.is_available():
            raise ArtifactError(
                f"device {str(found)!r} was asked for, but torch {torch.__version__} sees no CUDA GPU; use device='cpu'"
            )
        if found.index is not None and found.index >= torch.cuda.device_count():
            raise ArtifactError(
                f"device {str(found)!r} was asked for, but there are {torch.cuda.device_count()} CUDA GPUs"
            )
        if found.index is None:
            found = torch.device("cuda", torch.cuda.current_device())
    return found


def find_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """The dtype that is meant.

    Raises:
        ValueError: neither float32 nor float64.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ValueError(f"models compute in float32 or float64, not in {name}")
    return DTYPES[name]
