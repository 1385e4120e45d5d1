"""The native library computes what the eager model and its TorchScript compute, and refuses what it cannot read."""

from functools import lru_cache
from unittest.mock import patch

import numpy as np
import pytest
import torch
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.physics_models import SMALL, make_potential, rattled_crystal, rattled_molecule

from mlff.graph import AtomicGraph, GraphInput, graph_from_atoms
from mlff.native import shared_library
from mlff.native.tables import ERROR, radial_tables
from mlff.potential import Potential, PotentialConfig
from mlff.potential.artifact.evaluation import run_model
from mlff.potential.artifact.native import NativeProgram
from mlff.testing import DerivativeLaws, LocalityLaws, with_random_weights

pytestmark = pytest.mark.skipif(
    shared_library() is None, reason="the native library is not built here, see docs/native.md"
)
SPECIES = (1, 6, 8, 29)
TINY = {
    **SMALL, "num_layers": 1, "channels": 6, "message_channels": 5, "hidden_channels": 4, "ffn_channels": 7,
    "edge_channels": 5, "num_radial": 4, "alpha_channels": 3, "value_channels": 4, "cutoff": 3.0,
}  # fmt: skip


@lru_cache(maxsize=4)
def native(model: Potential) -> NativeProgram:
    """A model as a native program in the dtype of its parameters."""
    return NativeProgram(model, model, model.backbone.embedding.weight.dtype)


def graph_of(model: Potential, *structures: Atoms) -> AtomicGraph:
    graphs = [graph_from_atoms(atoms, model.config.cutoff, dtype=torch.float64) for atoms in structures]
    return AtomicGraph.collate(graphs)


def scattered(atoms: int, size: float, seed: int, periodic: bool) -> Atoms:
    """Atoms at random, no two closer than 0.6 Å where that can be."""
    generator = np.random.default_rng(seed)
    made = Atoms(generator.choice(SPECIES, atoms), generator.uniform(0.0, size, (atoms, 3)))
    if periodic:
        made.set_cell(size * (np.eye(3) + 0.1 * generator.normal(size=(3, 3))))
        made.pbc = [True, bool(seed % 2), True]
    kept = [i for i in range(atoms) if all(made.get_distance(i, j, mic=periodic) > 0.6 for j in range(i))]
    return made[kept]


models = st.fixed_dictionaries(
    {
        "lmax": st.integers(1, 4),
        "mmax": st.integers(0, 4),
        "num_layers": st.integers(1, 3),
        "attention": st.sampled_from(["envelope", "none"]),
        "attention_norm": st.booleans(),
        "norm": st.sampled_from(["merged", "none"]),
        "feed_forward": st.sampled_from(["product", "gate"]),
        "message_channels": st.sampled_from([None, 5, 16]),
        "channels": st.sampled_from([6, 16]),
        "parity": st.booleans(),
        "rescale_orders": st.booleans(),
        "radial_norm": st.booleans(),
        "edge_elements": st.sampled_from(["separate", "shared", "none"]),
        "radial_basis": st.sampled_from(["bessel", "gaussian"]),
    }
)
structures = st.lists(
    st.builds(
        scattered, st.sampled_from([1, 2, 3, 7]), st.sampled_from([1.5, 3.0, 9.0]), st.integers(0, 99), st.booleans()
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(options=models, atoms=structures, repulsion=st.sampled_from(["none", "zbl"]), threads=st.sampled_from([1, 2, 3]))
def test_native_is_eager(options, atoms, repulsion, threads):
    torch.manual_seed(0)
    backbone = {**TINY, **options, "mmax": min(options["mmax"], options["lmax"])}
    model = Potential(PotentialConfig(species=SPECIES, repulsion=repulsion, backbone=backbone))
    model = with_random_weights(model, width=0.3)
    model.set_normalization(dict.fromkeys(SPECIES, -2.0), scale=1.5, avg_degree=8.0)
    graph = graph_of(model, *atoms)
    expected = run_model(model, graph, stress=True)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with patch.dict(ERROR, {torch.float64: 1e-7}):  # quicker to make
            found = run_model(NativeProgram(model, model, torch.float64), graph, stress=True)
    finally:
        torch.set_num_threads(before)
    assert set(found) == set(expected)
    # of all outputs: forces of a lone atom and its images cancel, each as large as the energy
    size = 1.0 + max(float(value.nan_to_num().abs().max()) for value in expected.values())
    for name, value in expected.items():
        finite = torch.isfinite(value)  # structures without a volume have no stress
        np.testing.assert_allclose(found[name][finite], value[finite], rtol=0, atol=2e-6 * size, err_msg=name)


class TestLaws(LocalityLaws, DerivativeLaws):
    """The laws of potentials, on the library."""

    tolerance = 1e-8

    @pytest.fixture(params=["smooth", "lmax 3, mmax 2, no attention, plain radial functions"])
    def model(self, request) -> Potential:
        return make_potential(request.param)

    def examples(self, model: Potential) -> dict[str, Atoms]:
        return {**super().examples(model), "ethanol": rattled_molecule(), "crystal": rattled_crystal()}

    def run(self, program, graph, structures, stress):
        return run_model(native(program), graph, stress=stress)


@pytest.fixture(scope="module")
def model() -> Potential:
    return make_potential()


def test_one_number_of_threads_gives_one_result(model):
    graph = graph_of(model, rattled_molecule(), rattled_crystal()).inputs
    evaluator = native(model).evaluator
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        first, second = evaluator(graph), evaluator(graph)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(first.forces, second.forces)


def test_pairs_beyond_the_cutoff_and_their_order_do_not_matter(model):
    atoms = rattled_molecule()
    graph = graph_from_atoms(atoms, model.config.cutoff, dtype=torch.float64)
    wide = graph_from_atoms(atoms, model.config.cutoff + 1.0, dtype=torch.float64)
    assert wide.num_edges > graph.num_edges
    order = torch.randperm(wide.num_edges, generator=torch.Generator().manual_seed(0))
    wide = wide.replace(edge_index=wide.edge_index[:, order], shifts=wide.shifts[order])
    evaluator = native(model).evaluator
    torch.testing.assert_close(evaluator(wide.inputs).forces, evaluator(graph.inputs).forces, rtol=0, atol=1e-12)


def test_tables_keep_their_error_between_knots(model):
    pair, cutoff = torch.tensor([[0, 2]]), model.config.cutoff
    for layer in (0, 1):
        (table,) = radial_tables(model, layer, pair, ERROR[torch.float32])
        fine = radial_tables(model, layer, pair, 0.0)[0, :, 0]  # as many knots as there may be
        distance = np.linspace(0.0, cutoff, len(fine))
        x = distance * (len(table) - 1) / cutoff
        i = np.minimum(x.astype(int), len(table) - 2)
        t = (x - i)[:, None]
        f, g = table[i], table[i + 1]
        ends = 10 * t**3 - 15 * t**4 + 6 * t**5
        found = (1 - ends) * f[:, 0] + ends * g[:, 0]
        found += (t - 6 * t**3 + 8 * t**4 - 3 * t**5) * f[:, 1] + (-4 * t**3 + 7 * t**4 - 3 * t**5) * g[:, 1]
        found += 0.5 * ((t**2 - 3 * t**3 + 3 * t**4 - t**5) * f[:, 2] + (t**3 - 2 * t**4 + t**5) * g[:, 2])
        fading = model.backbone.envelope(torch.from_numpy(distance / cutoff)).numpy()[:, None]
        assert np.abs((found - fine) * fading).max() <= 2.0 * ERROR[torch.float32] * np.abs(fine * fading).max()


def test_damaged_graphs_are_refused(model):
    graph = graph_of(model, rattled_molecule()).inputs
    evaluator = native(model).evaluator
    numbers, edges = graph.numbers, graph.edge_index
    wrong: dict[str, GraphInput] = {
        "no atom": graph._replace(edge_index=torch.where(edges == 0, len(numbers), edges)),
        "negative": graph._replace(edge_index=torch.where(edges == 0, -1, edges)),
        "element": graph._replace(numbers=torch.where(numbers == 1, 2, numbers)),
        "huge element": graph._replace(numbers=torch.where(numbers == 1, 2**40, numbers)),
        "structure": graph._replace(batch=graph.batch + 1),
        "nan": graph._replace(positions=graph.positions * torch.nan),
        "infinite cell": graph._replace(cell=graph.cell + torch.inf),
        "one place": graph._replace(positions=graph.positions * 0.0),
        "short shifts": graph._replace(shifts=graph.shifts[:-1]),
        "short batch": graph._replace(batch=graph.batch[:-1]),
        "flat positions": graph._replace(positions=graph.positions.flatten()),
    }
    for name, given_graph in wrong.items():
        try:
            evaluator(given_graph)
        except ValueError:
            continue
        pytest.fail(f"{name} was evaluated")
    assert bool(torch.isfinite(evaluator(graph).forces).all())


def test_nothing_in_gives_nothing_out(model):
    empty = graph_of(model, Atoms())
    found = native(model).evaluator(empty.inputs, virial=True)
    assert found.energy.tolist() == [0.0]
    assert found.forces.shape == (0, 3)
