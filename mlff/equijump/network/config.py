"""Typed configuration of the network."""

from pydantic import Field

from mlff.support.settings import Section


class JumpNetworkConfig(Section):
    """Size of the network; the defaults run on a CPU.

    Large networks of the paper have 128 or 256 channels (arXiv:2410.09667, section 5).
    """

    lmax: int = Field(default=1, ge=1, le=4, description="highest degree of the features")
    channels: int = Field(default=64, ge=1, description="of node features, in each degree")
    message_channels: int = Field(default=32, ge=1, description="of edge features, in each degree")
    conditioner_layers: int = Field(default=2, ge=0, description="layers on the source, which run once in a jump")
    layers: int = Field(default=4, ge=1, description="layers on the latent state, which run in every latent step")
    num_neighbors: int = Field(
        default=24, ge=1, description="nearest residues that are connected; all, in short chains"
    )
    sequence_range: int = Field(
        default=4, ge=0, description="residues up to this far in the chain are told apart and connected"
    )
    cutoff: float = Field(default=20.0, gt=0, description="Å, last centre of the radial basis; no edge is cut by it")
    num_radial: int = Field(default=32, ge=2, description="Gaussians of the distance of two anchors")
    edge_channels: int = Field(default=64, ge=1, description="hidden units of the radial functions")
    time_channels: int = Field(default=64, ge=2, description="of the embedding of latent time and lag time")
    atom_channels: int = Field(
        default=0,
        ge=0,
        description="of pairs of atoms, whose distances reach the layers and whose directions the output; 0: no pairs",
    )
    atom_radial: int = Field(default=16, ge=2, description="Gaussians of the distance of two atoms")
    atom_cutoff: float = Field(default=6.0, gt=0, description="Å, last centre of these; no pair is cut by it")
