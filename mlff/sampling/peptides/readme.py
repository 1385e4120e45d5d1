"""The text that goes with a data set."""

from __future__ import annotations

from typing import Any

from mlff.sampling.peptides.config import PeptideDataConfig

_LICENCE = """## Licence and citation

The data are own work, dedicated to the public domain: CC0 1.0. Methods to cite: GFN2-xTB, Bannwarth, Ehlert, Grimme,
J. Chem. Theory Comput. 15, 1652 (2019), as implemented in tblite; OpenMM, Eastman et al., J. Phys. Chem. B 128, 109
(2024); ff14SB, Maier et al., J. Chem. Theory Comput. 11, 3696 (2015); GBn2, Nguyen, Roe, Simmerling, J. Chem. Theory
Comput. 9, 2020 (2013); PeptideBuilder, Tien et al., PeerJ 1, e80 (2013).
"""


def readme(config: PeptideDataConfig, provenance: dict[str, Any]) -> str:
    """Markdown: what the files hold, how they were made, licence."""
    frames, dynamics, labels = provenance["frames"], config.dynamics, config.labels
    held_out = [name for name, record in provenance["peptides"].items() if record["part"] == "test"]
    left_out = provenance["left_out"]
    low, high = config.noise_std
    lines = [
        f"# Capped peptides with {provenance['method']} energies, forces and dipole moments",
        "",
        "| file | frames | content |",
        "|---|---|---|",
        f"| `train.extxyz.gz` | {frames['train']} | training peptides |",
        f"| `val.extxyz.gz` | {frames['val']} | random frames of the same trajectories |",
        f"| `test.extxyz.gz` | {frames['test']} | peptides that the other files do not hold |",
        f"| `isolated_atoms.extxyz` | {len(provenance['isolated_atoms'])} | free atoms in their ground state |",
        "| `provenance.json` | | settings, versions, counts for each peptide, frames left out |",
        "| `summary.png` | | dihedrals, energies and forces of each part |",
        "",
        "Energies in eV, forces in eV/Å, positions in Å, no cell; dipole moments in e·Å about the origin of the",
        "coordinates, on which those of ions depend. Each frame carries `sequence`, `charge` (e), `temperature` (K)",
        "and `solvent` of its trajectory `run`, `step`, and `noise` (Å). `shards/` serves to go on after an",
        "interruption and may be deleted.",
        "",
        f"Held out: {', '.join(held_out) or 'none'}.",
        "",
        "## How they were made",
        "",
        "Every peptide has caps (ACE, NME), is protonated as at pH 7 (Asp⁻, Glu⁻, Lys⁺, Arg⁺, His neutral as HIE), and",
        "begins with trans peptide bonds and L residues. Each trajectory starts from random φ and ψ, minimised;",
        f"AMBER14, Langevin dynamics with {dynamics.time_step:g} fs and {dynamics.friction:g}/ps, hydrogens of "
        f"{dynamics.hydrogen_mass:g} amu, constraints: {dynamics.constraints}.",
        "",
        *(
            f"- {run.starts} × {config.frames_per_trajectory} frames at {run.temperature:g} K in "
            f"{'vacuum' if run.solvent == 'none' else 'implicit water (GBn2)'}, one every {run.interval:g} ps after "
            f"{run.equilibration:g} ps"
            for run in config.runs
        ),
        "",
        f"In {config.noise_fraction:.0%} of the frames all atoms are displaced: Gaussian noise, {low:g} to {high:g} Å",
        "per component, so that compressed and stretched bonds occur. Labels are for the molecule in vacuum with its",
        f"total charge (accuracy {labels.accuracy:g}, {labels.electronic_temperature:g} K electronic temperature; the",
        "energy is the free energy of the smeared electrons).",
        "",
        f"Left out: {left_out['not_converged']} frames whose label did not converge, "
        f"{left_out['above_max_force']} with a force above {config.max_force:g} eV/Å.",
        "",
        "Frames of a trajectory are correlated, and `val` shares trajectories with `train`: quote errors on `test`.",
        "",
    ]
    return "\n".join(lines) + "\n" + _LICENCE
