"""Jump alanine dipeptide by 10 ps at a time, and compare with molecular dynamics.

    python examples/tutorials/jump_a_peptide.py

Writes into the current folder. TUTORIAL_LENGTH=0.1 takes a tenth of the steps.
"""

import os
from pathlib import Path

from md_drivers.jumps import RolloutSettings, rollout
from mlff.analysis import AnalysisSettings, analyse, read_reference, read_trajectories, write_report
from mlff.sampling.trajectories import GenerationConfig, generate

LENGTH = float(os.environ.get("TUTORIAL_LENGTH", "1"))


def main() -> None:
    # The reference: AMBER14 in implicit water. Many copies in compiled PyTorch; compiling only pays for a long run.
    compiled = LENGTH >= 1
    config = GenerationConfig(
        trajectories=64 if compiled else 4,
        copies=64 if compiled else 4,
        platform="torch" if compiled else "CPU",
        length=max(0.08, 0.4 * LENGTH),  # ns
        equilibration=20.0 * LENGTH,  # ps
        chunk=20.0,
    )
    generate(config, Path("md"))
    reference = read_reference(Path("md"), None)
    print(reference)

    # The same time in jumps: 64 replicas, each from the start of the reference.
    settings = RolloutSettings(lag=10.0, replicas=config.trajectories, seed=0)
    result = rollout(
        "md/ala2/start.pdb", "equijump-ala2", "rollout", steps=max(8, int(40 * LENGTH)), settings=settings
    )
    print(f"{result.frames} jumps, {100 * result.valid:.1f} % valid frames, {result.speed:.2g} ns/s")

    # What differs, in units of what dynamics differ from themselves.
    generated = read_trajectories(Path("rollout"), None, "equijump-ala2")
    analysis = analyse(reference, generated, AnalysisSettings(compare="all", clusters=20, lags=(10.0, 20.0, 30.0)))
    write_report(analysis, Path("report"))
    for metric in analysis.metrics:
        if metric.name.startswith(("phi", "psi", "φ", "ψ", "TIC")):
            print(f"{metric.name}: {metric.value:.4f}, noise floor {metric.floor:.4f}")
    print("report/index.html")


if __name__ == "__main__":  # the dynamics run in processes of their own, which import this file
    main()
