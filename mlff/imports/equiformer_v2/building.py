"""From a public checkpoint to a potential."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlff.artifacts.errors import ArtifactError
from mlff.equiformer import EquiformerConfig
from mlff.imports.equiformer_v2.checkpoint import PublicCheckpoint
from mlff.imports.equiformer_v2.names import public_name
from mlff.imports.equiformer_v2.sizes import check_sizes
from mlff.potential import DensPotential, Potential, PotentialConfig
from mlff.potential.potential import MAX_ATOMIC_NUMBER

_EMBEDDING = "sphere_embedding.weight"
_ENCODING_WEIGHT, _ENCODING_BIAS = "force_embedding.weight", "force_embedding.bias"


def build(checkpoint: PublicCheckpoint) -> Potential:
    """The potential with the weights, scales and reference energies of a checkpoint, in evaluation mode.

    Raises:
        ArtifactError: parameters that are missing, left over, of the wrong shape or not finite, or options of a model
            that is much larger than the file.
    """
    potential, _ = _assemble(checkpoint)
    return potential


def build_dens(checkpoint: PublicCheckpoint) -> DensPotential:
    """The same with what DeNS adds.

    Raises:
        ArtifactError: as for :func:`build`, or the checkpoint was not trained with DeNS.
    """
    _, dens = _assemble(checkpoint)
    if dens is None:
        raise ArtifactError(f"{checkpoint.path}: not trained with DeNS: it holds no {_ENCODING_WEIGHT}")
    return dens


def _assemble(checkpoint: PublicCheckpoint) -> tuple[Potential, DensPotential | None]:
    options, given = checkpoint.options, dict(checkpoint.parameters)
    check_sizes(options, given, checkpoint.path)
    species = range(1, min(options.max_num_elements, MAX_ATOMIC_NUMBER + 1))
    config = PotentialConfig(
        species=tuple(species),
        forces="direct",
        backbone=options.backbone(),
        energy_head="feed_forward",
        avg_num_atoms=options.avg_num_atoms,
    )
    wide = any(value.dtype == torch.float64 for value in given.values())
    dtype = torch.float64 if wide else torch.float32
    with torch.random.fork_rng(devices=[]):  # initial weights that are replaced at once
        potential = Potential(config)
        dens = DensPotential(potential, options.use_force_encoding) if _ENCODING_WEIGHT in given else None
    if dens is not None:
        moved = _move_encoding_bias(given, dtype)
        if moved and not options.use_force_encoding:
            given = {name: value for name, value in given.items() if name not in (_ENCODING_WEIGHT, _ENCODING_BIAS)}
    model = potential if dens is None else dens
    faults = _copy(given, model, config.backbone, dtype)
    if faults:
        raise ArtifactError(f"{checkpoint.path}: the parameters do not fit the options: {faults}")
    labels = checkpoint.labels
    known = potential.reference_energies[: len(labels.references)]
    known += labels.references[: len(known)]
    potential.scale.fill_(labels.std)
    potential.force_scale.fill_(labels.force_std)
    potential.energy_offset.fill_(labels.mean)
    model.eval()
    return potential, dens


def _move_encoding_bias(given: dict[str, Tensor], dtype: torch.dtype) -> bool:
    """Make the bias of the force encoding part of the element embedding; returns whether both can be added.

    The public code adds it to all atoms, also where no forces are encoded; here it would mark corrupted atoms.
    """
    embedding, bias = given.get(_EMBEDDING), given.get(_ENCODING_BIAS)
    if embedding is None or bias is None or embedding.shape[1:] != bias.shape:
        return False
    if not _usable(embedding, dtype) or not _usable(bias, dtype):
        return False
    given[_EMBEDDING] = embedding.to(dtype) + bias.to(dtype)
    given[_ENCODING_BIAS] = torch.zeros_like(bias)
    return True


def _copy(given: dict[str, Tensor], model: nn.Module, config: EquiformerConfig, dtype: torch.dtype) -> str:
    """Set all parameters of a model in ``dtype``; returns what does not fit, in words."""
    missing, shapes, values = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.numel() == 0:  # a part that this configuration does not use
            parameter.data = parameter.data.to(dtype)
            continue
        public = public_name(name, config)
        value = given.pop(public, None)
        if value is None:
            missing.append(public)
        elif value.shape != parameter.shape:
            shapes.append(f"{public} {tuple(value.shape)}, not {tuple(parameter.shape)}")
        elif not _usable(value, dtype):
            values.append(public)
        else:
            parameter.data = value.to(dtype, copy=True)
    faults = {"missing": missing, "left over": list(given), "of the wrong shape": shapes}
    faults["without finite real values"] = values
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in faults.items() if names)


def _usable(value: Tensor, dtype: torch.dtype) -> bool:
    """Whether a tensor holds finite real numbers, and plainly: neither sparse nor without data."""
    dense = value.layout == torch.strided and not value.is_meta and value.is_floating_point()
    return dense and bool(torch.isfinite(value.to(dtype)).all())
