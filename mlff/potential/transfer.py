"""From direct forces or further outputs to conservative forces alone, such as fine-tuning after pre-training."""

from collections.abc import Mapping

from torch import Tensor

from mlff.potential.potential import Potential


def scalar_part(potential: Potential, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut the weights of a model with direct forces or vectorial outputs to what one of energies alone keeps.

    A conservative potential without others computes only l = 0 in its last block, and those rows come first in every
    tensor. With the published norm and feed-forward network, whose scalars read scalars only, the energies stay the
    same; otherwise the last feed-forward network and the final norm miss what the last attention added to l > 0.

    Args:
        potential: the model to be initialised.
        tensors: weights by the names of ``Potential.state_dict()``.

    Returns:
        the same weights, those of the last block and of the final norm cut where only their first axis is longer.
    """
    own = potential.state_dict()
    cut_names = (f"backbone.blocks.{potential.config.backbone.num_layers - 1}.", "backbone.norm.")
    whole = any(name.startswith(("force_head.", "properties.")) for name in tensors)
    cuts = potential.backbone.scalars_only and whole

    def cut(name: str, value: Tensor) -> Tensor:
        if not (cuts and name.startswith(cut_names) and name in own):
            return value
        shape = own[name].shape
        return value[: shape[0]] if value.shape[1:] == shape[1:] else value

    return {name: cut(name, value) for name, value in tensors.items()}
