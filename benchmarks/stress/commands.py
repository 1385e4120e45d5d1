"""The commands that are attacked, each with a small job of a second or so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.stress import inputs, results

_EVALUATE = "mlff.potential.artifact.loaded:LoadedModel.evaluate"


@dataclass(frozen=True)
class Command:
    """A command with its job.

    Attributes:
        begin: words that begin the job, but for the folder.
        again: words that go on with it, but for the folder.
        result: what a folder holds at the end and must not depend on interruptions.
        kept: what it holds at any time, which a resumption must go on from.
        done: exit status at the end.
        computes: ``module:name`` of a function or method that computes what it is about.
        final: a NaN there is an outcome, as for molecules that explode, and no reason to compute it again.
    """

    name: str
    begin: tuple[str, ...]
    again: tuple[str, ...]
    result: Callable[[Path], Any]
    kept: Callable[[Path], list[Any]] = lambda folder: []
    done: int = 0
    computes: str = ""
    final: bool = False

    def new(self, folder: Path) -> list[str]:
        """Words that begin the job in a folder."""
        return [*self.begin, "-o", str(folder)]

    def resumed(self, folder: Path) -> list[str]:
        """Words that go on with it."""
        return [*self.again, "-o", str(folder)]


def _train(name: str, config: Path, computes: str) -> Command:
    words = ("mlff", "train", str(config))
    return Command(name, words, (*words, "--resume"), results.trained, computes=computes)


def _potential(folder: Path) -> Command:
    return _train("train potential", inputs.potential_config(folder), "mlff.potential.potential:Potential.forward")


def _jump(folder: Path) -> Command:
    return _train("train jump", inputs.jump_config(folder), "mlff.equijump.training.lightning_module:jump_losses")


def _relax(folder: Path) -> Command:
    words = ("md-drivers", "relax", str(inputs.ethanol(folder / "ethanol.xyz")))
    words += ("--model", str(inputs.toy_model(folder / "toy.pt")), "--fmax", "1e-4", "--steps", "14", "--no-figure")
    words += ("--device", "cpu")
    return Command("relax", words, (*words, "--resume"), results.relaxed, results.energies, 3, _EVALUATE)


def _simulate(folder: Path) -> Command:
    words = ("md-drivers", "simulate", str(inputs.DIPEPTIDE), "--model", str(inputs.toy_model(folder / "toy.pt")))
    words += ("--steps", "24", "--report-interval", "4", "--checkpoint-interval", "6", "--platform", "Reference")
    words += ("--time-step", "0.25", "--no-minimize", "--device", "cpu")
    compared = results.files("trajectory.*", "state.csv", "topology.pdb")
    return Command("simulate", words, (*words, "--resume"), compared, computes=_EVALUATE)


def _rollout(trajectory: str) -> Callable[[Path], Command]:
    def command(folder: Path) -> Command:
        words = ("equijump", "rollout", str(inputs.DIPEPTIDE), "--model", str(inputs.toy_jumps(folder / "jump.pt")))
        words += ("--lag", "10", "--steps", "12", "--replicas", "2", "--format", trajectory, "--device", "cpu")
        compared = results.files("replica_*", "frames.csv", "topology.pdb")
        jump = "mlff.equijump.artifact.loaded:LoadedJump.jump"
        return Command(f"rollout {trajectory}", words, (*words, "--resume"), compared, computes=jump, final=True)

    return command


def _generate(folder: Path) -> Command:
    words = ("equijump", "generate-data", str(inputs.generation_config(folder)))
    positions = "mlff.sampling.trajectories.copies:Copies.positions"
    return Command("generate-data", words, words, results.generated, computes=positions)


def _peptides(folder: Path) -> Command:
    words = ("mlff", "data", "peptides", "--config", str(inputs.peptides_config(folder)))
    compared = results.files("*.extxyz*", "shards/*.npz")
    return Command("peptides", words, words, compared, computes="mlff.sampling.dynamics:_positions")


#: Commands by name; each makes its inputs in a folder. ImportError: a package is missing.
COMMANDS: dict[str, Callable[[Path], Command]] = {
    "relax": _relax,
    "simulate": _simulate,
    "rollout-xtc": _rollout("xtc"),
    "rollout-dcd": _rollout("dcd"),
    "train-potential": _potential,
    "train-jump": _jump,
    "generate-data": _generate,
    "peptides": _peptides,
}
