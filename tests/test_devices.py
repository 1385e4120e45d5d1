"""Every tensor that a model makes lies where its inputs are: torch's fake tensors know devices without a GPU.

Those of the device ``meta`` stand for those of a GPU here, as a torch build for the CPU has no other. Nothing is
computed with them.
"""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from support.physics_models import VARIANTS, make_potential, rattled_crystal, rattled_molecule
from support.toy_jump import toy_jump
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

import md_drivers.common.models
import mlff
from md_drivers.common.models import moved
from mlff.artifacts.devices import find_device
from mlff.equijump.training.lightning_module import jump_losses, with_input_noise
from mlff.graph import AtomicGraph, graph_from_atoms
from mlff.potential import CorruptedGraph, DensConfig, DensPotential
from mlff.potential.training.config import LossConfig
from mlff.potential.training.objective import Objective
from mlff.proteins import TensorCloud
from mlff.proteins.residues import NUM_CHANNELS
from mlff.trajectories import JumpBatch

META = torch.device("meta")


class Elsewhere:
    """A device that is not the CPU; mixing the two is an error, as with a real one."""

    def __init__(self) -> None:
        self.mode = FakeTensorMode()
        self.mode.allow_meta = True

    def tensor(self, x: Tensor) -> Tensor:
        return FakeTensor(self.mode, x.detach().to(META), META)

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        named = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        moved_state = {name: self.tensor(x) for name, x in named.items()}
        for name, _ in module.named_parameters():
            moved_state[name].requires_grad_(True)
        return moved_state

    def graph(self, atoms: Atoms, cutoff: float) -> AtomicGraph:
        graph = graph_from_atoms(atoms, cutoff, dtype=torch.float64)
        n = len(atoms)
        labels = {"energy": torch.zeros(1, dtype=torch.float64), "forces": torch.zeros(n, 3, dtype=torch.float64)}
        labels["stress"] = torch.zeros(1, 3, 3, dtype=torch.float64)
        tensors = graph.tensors() | labels
        return AtomicGraph.from_tensors({name: self.tensor(value) for name, value in tensors.items()})


def corrupted_in_name(graph: AtomicGraph) -> CorruptedGraph:
    none, nothing = torch.zeros_like(graph.positions), torch.zeros_like(graph.batch, dtype=torch.bool)
    return CorruptedGraph(
        graph, nothing, none, none, torch.zeros_like(graph.energy), none, torch.zeros_like(graph.cell)
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("forces", ["conservative", "direct"])
@pytest.mark.parametrize("dens", [False, True])
def test_losses_and_gradients_of_potentials(variant, forces, dens):
    potential = make_potential(variant, forces=forces).train()
    for parameter in potential.parameters():
        parameter.requires_grad_(True)
    loss = LossConfig(stress_weight=1.0 if forces == "conservative" else 0.0)
    settings = DensConfig(noise_std=0.05) if dens else None
    objective = Objective(potential, loss, DensPotential(potential).double() if dens else None, settings)
    elsewhere = Elsewhere()
    state = elsewhere.state(objective)
    graph = elsewhere.graph(rattled_crystal(), potential.config.cutoff)
    with elsewhere.mode:
        batch = corrupted_in_name(graph) if dens else graph
        terms = functional_call(objective, state, (batch, 0.1))
        parameters = [state[name] for name, _ in objective.named_parameters()]
        gradients = torch.autograd.grad(terms.total, parameters, allow_unused=True)
    assert terms.total.device == META
    assert {gradient.device for gradient in gradients if gradient is not None} == {META}


def test_a_tensor_left_on_the_cpu_is_seen():
    elsewhere = Elsewhere()
    graph = elsewhere.graph(rattled_molecule(), 4.0)
    for mistake in (
        lambda x: x + torch.zeros(x.shape, dtype=x.dtype),
        lambda x: x.index_select(0, torch.zeros(2, dtype=torch.int64)),
        lambda x: torch.cat([x, torch.zeros(1, 3, dtype=x.dtype)]),
    ):
        with elsewhere.mode, pytest.raises(RuntimeError, match="device"):
            mistake(graph.positions)


class Factories(TorchFunctionMode):
    """Calls that make a tensor without saying where. Shapes of jump models depend on data, which fake tensors lack."""

    _NAMES = ("zeros", "ones", "full", "empty", "eye", "arange", "linspace", "rand", "randn", "tensor", "from_numpy")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if function is getattr(torch, name, None) and name in self._NAMES and "device" not in (kwargs or {}):
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def test_jumps_make_tensors_where_their_inputs_are():
    model = toy_jump()
    coordinates = torch.randn(2, 4, 3, NUM_CHANNELS, dtype=torch.float64)
    labels = (torch.ones(2, 4, dtype=torch.int64), torch.ones(2, 4, NUM_CHANNELS, dtype=torch.bool))
    chains, lag = torch.zeros(2, 4, dtype=torch.int64), torch.full((2,), 10.0, dtype=torch.float64)
    noise = torch.randn(model.num_noises(2), *coordinates.shape, dtype=torch.float64)
    with Factories() as factories:
        model(coordinates, *labels, chains, lag, noise, 2)
        source = with_input_noise(model, TensorCloud(coordinates, *labels, chains), 0.1, torch.Generator())
        jump_losses(model, JumpBatch(source, (source,), lag), torch.Generator())
        assert factories.found == []
        torch.zeros(1)
    assert factories.found == ["zeros"]
    kept = {name for module in model.modules() for name, value in vars(module).items() if isinstance(value, Tensor)}
    assert kept == set(), "tensors that are no buffers stay behind when the module moves"


def test_a_gpu_is_named_with_its_index(monkeypatch):
    """The current GPU is that of a thread, and OpenMM has threads of its own."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert find_device("cuda") == torch.device("cuda", 1)
    assert find_device("cuda:0") == torch.device("cuda", 0)


def test_a_loaded_model_stays_on_its_gpu(monkeypatch):
    model = mlff.load(mlff.available()[0], verify=False)
    asked: list[tuple[str, str]] = []

    def reopen(path, sha256, device, dtype, *, verify, trust, engine):
        assert verify
        assert (trust, engine) == (model.trust, model.asked_engine)
        asked.append((device, dtype))
        return model

    monkeypatch.setattr(md_drivers.common.models, "reopen", reopen)
    model.device = torch.device("cuda", 1)
    for device in (None, "cuda", "cuda:1", torch.device("cuda")):
        assert moved(model, device, None) is model
    assert asked == []
    moved(model, "cuda:0", None)
    moved(model, "cuda", "float64")
    moved(model, "cpu", torch.float32)
    assert asked == [("cuda:0", "float32"), ("cuda:1", "float64"), ("cpu", "float32")]
