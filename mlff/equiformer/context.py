"""What every layer needs to know of the graph, computed once per structure."""

from typing import NamedTuple

from torch import Tensor


class GraphContext(NamedTuple):
    """Edges of a batch in the form the layers use (E edges, T rows of the edge layout)."""

    source: Tensor  # [E] int64
    target: Tensor  # [E] int64
    source_species: Tensor  # [E] int64
    target_species: Tensor  # [E] int64
    basis: Tensor  # [E,num_radial], followed by the element embeddings where all radial functions share them
    envelope: Tensor  # [E]
    wigner: Tensor  # [E,T,(lmax+1)²]
    batch: Tensor  # [N] int64
    num_graphs: int
