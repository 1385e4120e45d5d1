"""Whether TorchForce works here, found out in a process of its own: wrong pairs of versions crash.

    python -m md_drivers.openmm.probe

evaluates a harmonic well through a TorchForce and ends with 0 where energy and forces are right.
"""

# No `from __future__ import annotations`: TorchScript reads the annotations.

import importlib.util
import signal
import subprocess
import sys
from functools import cache
from importlib import metadata
from types import ModuleType
from typing import List, Optional, Tuple

import torch
from torch import Tensor, nn

KNOWN_TO_WORK = "openmmtorch 1.5 with torch 2.9 (the build with CUDA, also where there is no GPU)"
_REMEDY = "pip install 'torch==2.9.1' 'openmmtorch==1.5' in an environment of its own, or implementation='pythonforce'"
_SECONDS = 300


class Well(nn.Module):
    """E = sum r², by the same steps as a potential: a gradient inside, energy and forces returned."""

    def forward(self, positions: Tensor) -> Tuple[Tensor, Tensor]:
        r = positions.detach()
        r.requires_grad_(True)
        energy = (r * r).sum()
        gradient: Optional[Tensor] = torch.autograd.grad([energy], [r])[0]
        assert gradient is not None  # for TorchScript
        return energy.detach(), (-gradient).contiguous()


def require_torchforce() -> None:
    """Make sure that TorchForce works with the installed versions.

    Raises:
        ImportError: it does not, or is not installed; the message says which versions do.
    """
    if importlib.util.find_spec("openmmtorch") is None:
        raise ImportError(f"TorchForce needs the package openmmtorch; known to work: {KNOWN_TO_WORK}: {_REMEDY}")
    problem = _problem()
    if problem is not None:
        raise ImportError(
            f"TorchForce does not work here: openmmtorch {_version('openmmtorch')}, torch {torch.__version__}, OpenMM "
            f"{_version('openmm')}: {problem}. Known to work: {KNOWN_TO_WORK}: {_REMEDY}"
        )


def load_plugins(openmm: ModuleType) -> None:
    """Load openmmtorch's part of OpenMM's platforms, which fails by itself where OpenMM was imported before torch."""
    for message in openmm.Platform.getPluginLoadFailures():
        library = message.removeprefix("Error loading library ").split(": ")[0]
        if "OpenMMTorch" in library:
            try:
                openmm.Platform.loadPluginLibrary(library)
            except openmm.OpenMMException:  # of a platform that is not there, such as OpenCL
                continue


@cache
def _problem() -> Optional[str]:
    """What goes wrong in a process of its own; ``None`` if nothing does."""
    command = [sys.executable, "-m", "md_drivers.openmm.probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return f"the probe did not end within {_SECONDS} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"the probe crashed ({signal.Signals(-done.returncode).name})"
    lines: List[str] = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"the probe ended with status {done.returncode}"


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # on the path, but not installed by pip
        return "of unknown version"


def main() -> int:
    """Evaluate the well on every platform that computes on the CPU."""
    import openmm  # torch comes first, see load_plugins
    import openmmtorch

    load_plugins(openmm)
    system = openmm.System()
    for _ in range(2):
        system.addParticle(1.0)
    force = openmmtorch.TorchForce(torch.jit.script(Well()))
    force.setOutputsForces(True)
    system.addForce(force)
    for name in ("Reference", "CPU"):
        integrator = openmm.VerletIntegrator(0.001)
        context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(name))
        context.setPositions([(1.0, 0.0, 0.0), (0.0, 2.0, 3.0)])
        state = context.getState(energy=True, forces=True)
        energy, forces = state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value.tolist()
        if energy != 14.0 or forces != [[-2.0, 0.0, 0.0], [0.0, -4.0, -6.0]]:
            print(f"wrong numbers on platform {name}: energy {energy}, forces {forces}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
