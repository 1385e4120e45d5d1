"""The project's own potential through the file, small but with all its parts."""

import pytest
import torch
from ase.build import add_adsorbate, fcc111, molecule
from support.rounding import rounding

import mlff
from mlff.artifacts.torchscript import convert_parameters
from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.potential import Potential, PotentialConfig
from mlff.potential.artifact.evaluation import run_model
from mlff.potential.artifact.self_test import scattered

REFERENCE_ENERGIES = {1: -13.6, 6: -1030.0, 8: -2041.0, 29: -45000.0}
SIZE = {"num_layers": 2, "lmax": 2, "mmax": 2, "channels": 8, "hidden_channels": 8, "num_heads": 2}
SIZE |= {"alpha_channels": 4, "value_channels": 4, "ffn_channels": 8, "edge_channels": 8, "num_radial": 8}
SMOOTH = {"preset": "smooth", **SIZE}
PUBLISHED = {"preset": "equiformer-v2-31M", **SIZE, "cutoff": 5.0}  # softmax attention, sphere grids, 20 neighbours


def slab():
    atoms = fcc111("Cu", (2, 2, 2), vacuum=5.0)
    add_adsorbate(atoms, molecule("CO"), 1.9, "fcc")
    atoms.pbc = True
    atoms.rattle(0.05, seed=0)
    return atoms


@pytest.mark.parametrize(
    ("forces", "backbone"),
    [("conservative", SMOOTH), ("direct", PUBLISHED), ("conservative", PUBLISHED)],
    ids=["smooth", "published", "published-conservative"],
)
def test_eager_and_reloaded_agree(tmp_path, forces, backbone):
    torch.manual_seed(0)
    config = {"species": ["H", "C", "O", "Cu"], "forces": forces, "backbone": backbone}
    potential = Potential(PotentialConfig.model_validate(config))
    potential.set_normalization(REFERENCE_ENERGIES, 1.0, 25.0)
    # Untrained heads give next to nothing; the scale makes forces of 1 eV/A of it, so that deviations would show.
    graph = graph_from_atoms(slab(), potential.config.cutoff, max_neighbors=potential.config.max_neighbors)
    largest = float(run_model(potential.eval(), graph)["forces"].abs().max())
    potential.set_normalization(REFERENCE_ENERGIES, 1.0 / largest, 25.0)
    path = mlff.export(potential, tmp_path / "model.pt", self_test_frames=[slab()])
    for dtype in (torch.float32, torch.float64):
        convert_parameters(potential, dtype)
        model = mlff.load(path, dtype=dtype, verify=False, engine="torchscript")
        assert model.metadata.conservative == (forces == "conservative")
        assert model.metadata.max_neighbors == potential.config.max_neighbors
        assert PotentialConfig.model_validate(model.metadata.architecture) == potential.config
        graph = AtomicGraph.collate([model.graph(slab()), model.graph(slab()[:3])])
        expected = run_model(potential, graph)
        assert float(expected["forces"].abs().max()) > 0.5
        bonding = expected["energies"] - potential.reference_energies[graph.numbers]
        sizes = {"energies": bonding.abs().max(), "energy": bonding.abs().sum()}
        for given in (graph, scattered(graph)):
            outputs = model.evaluate(given)
            assert outputs.keys() == expected.keys()
            for name, value in expected.items():
                bound = rounding(dtype, float(sizes.get(name, value.abs().max())))
                if name in sizes:  # total energies are sums in float64
                    bound += rounding(torch.float64, float(expected["energies"].abs().sum()), operations=4)
                torch.testing.assert_close(outputs[name], value, rtol=0.0, atol=bound)
