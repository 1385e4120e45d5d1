"""One figure that shows what a data set covers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mlff.sampling.peptides.shards import Shard
from mlff.support.files import replacing


@dataclass
class Distributions:
    """Values of one part.

    Attributes:
        phi, psi: degrees, one entry per residue of every frame.
        energy: energy of formation from free atoms, eV/atom, one entry per frame.
        force: norm of the force, eV/Å, one entry per atom of every frame.
    """

    phi: list[float] = field(default_factory=list)
    psi: list[float] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)
    force: list[float] = field(default_factory=list)

    def add(self, shard: Shard, frames: np.ndarray, isolated: float) -> None:
        """Take some frames of a peptide; `isolated` is the energy of its free atoms in eV."""
        self.phi.extend(shard.phi[frames].ravel())
        self.psi.extend(shard.psi[frames].ravel())
        self.energy.extend((shard.energy[frames] - isolated) / len(shard.numbers))
        self.force.extend(np.linalg.norm(shard.forces[frames], axis=-1).ravel())


def plot_summary(parts: dict[str, Distributions], image: Path) -> None:
    """Ramachandran plots above, energies and forces below; parts without frames are left out."""
    parts = {name: part for name, part in parts.items() if part.energy}
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, 6)  # room for up to three parts above and two panels below
    for column, (name, part) in enumerate(parts.items()):
        axes = figure.add_subplot(grid[0, 2 * column : 2 * column + 2])
        axes.hexbin(part.phi, part.psi, gridsize=60, bins="log", mincnt=1, extent=(-180, 180, -180, 180))
        axes.set(title=f"{name}: {len(part.energy)} frames", xlabel="φ (°)", aspect="equal")
        axes.set(xticks=range(-180, 181, 90), yticks=range(-180, 181, 90), ylabel="ψ (°)")
    panels = (("energy", "energy of formation from free atoms (eV/atom)"), ("force", "force on an atom (eV/Å)"))
    for column, (quantity, text) in enumerate(panels):
        axes = figure.add_subplot(grid[1, 3 * column : 3 * column + 3])
        values = {name: np.asarray(getattr(part, quantity)) for name, part in parts.items()}
        everything = np.concatenate(list(values.values()))
        bins = np.linspace(everything.min(), everything.max(), 100).tolist()
        for name, value in values.items():
            axes.hist(value, bins=bins, density=True, histtype="step", label=name)
        axes.set(xlabel=text, ylabel="density", yscale="log")
        axes.legend()
    FigureCanvasAgg(figure)
    with replacing(image) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
