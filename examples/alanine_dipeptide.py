"""Alanine dipeptide in vacuum, all 22 atoms driven by a model: Langevin dynamics at 300 K.

    python examples/alanine_dipeptide.py
    python examples/alanine_dipeptide.py --steps 2000000 -o ala2    # 1 ns, enough for a Ramachandran plot
    python examples/alanine_dipeptide.py --steps 4000000 -o ala2 --resume

The folder holds the trajectory (DCD), its topology, energies and temperature (``state.csv``), a Ramachandran plot and a
checkpoint. The same from the command line: ``md-drivers simulate examples/alanine_dipeptide.pdb --model peptides ...``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from md_drivers import SimulationSettings, simulate
from md_drivers.openmm.simulation.progress import SimulationReporter

STRUCTURE = Path(__file__).with_name("alanine_dipeptide.pdb")


def main() -> None:
    parser = argparse.ArgumentParser(description="Langevin dynamics of alanine dipeptide in vacuum.")
    parser.add_argument("--model", default="peptides", help="pretrained model or exported file")
    parser.add_argument("--steps", type=int, default=4000, help="of 0.5 fs")
    parser.add_argument("--temperature", type=float, default=300.0, help="K")
    parser.add_argument("-o", "--output", type=Path, default=Path("alanine_dipeptide"))
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    settings = SimulationSettings(ensemble="nvt", temperature=options.temperature, time_step=0.5, report_interval=20)
    with SimulationReporter(steps=options.steps) as reporter:
        result = simulate(
            STRUCTURE,
            options.model,
            options.output,
            steps=options.steps,
            settings=settings,
            resume=options.resume,
            on_progress=reporter,
        )
    average = "no frame yet" if result.temperature is None else f"{result.temperature:.0f} K on average"
    print(f"{result.time:g} ps, {average}, {result.speed:.3g} ns/day")
    print(f"wrote {result.folder / 'ramachandran.png'} and what it was made from")


if __name__ == "__main__":
    main()
