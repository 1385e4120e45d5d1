"""Jump alanine dipeptide by 10 ps at a time, and compare with molecular dynamics.

    python examples/tutorials/jump_a_peptide.py

Writes into the current folder. TUTORIAL_LENGTH=0.1 takes a tenth of the steps.
"""

import os
from pathlib import Path

import mdtraj

from md_drivers.jumps import RolloutSettings, rollout
from mlff.analysis import AnalysisSettings, analyse, read_trajectories, write_report

LENGTH = float(os.environ.get("TUTORIAL_LENGTH", "1"))
REFERENCE = Path(__file__).with_name("ala2_md")  # topology.pdb and trajectories, a frame every 10 ps

# The starts: the first frame of each of the 32 trajectories, as models of one PDB file.
files = sorted(REFERENCE.glob("*.xtc"))
starts = mdtraj.join([mdtraj.load_frame(str(file), 0, top=str(REFERENCE / "topology.pdb")) for file in files])
starts.save_pdb("starts.pdb")

# A replica from each, as long as the reference.
settings = RolloutSettings(lag=10.0, replicas=len(files), seed=0)
result = rollout("starts.pdb", "equijump-ala2", "rollout", steps=max(8, int(50 * LENGTH)), settings=settings)
print(f"{result.frames} jumps, {100 * result.valid:.1f} % valid frames, {result.speed:.2g} ns/s")

# What differs, and what dynamics differ from themselves.
reference = read_trajectories(REFERENCE, None, "MD")
generated = read_trajectories(Path("rollout"), None, "jumps")
analysis = analyse(reference, generated, AnalysisSettings(clusters=20, lags=(10.0, 20.0, 30.0)))
write_report(analysis, Path("report"))
print("metric                          value   noise floor")
for name in ("phi ALA 2", "psi ALA 2", "TIC1", "width of bond lengths"):
    metric = analysis.metric(name)
    print(f"{f'{name} ({metric.unit})':30}  {metric.value:.3f}   {metric.floor.median:.3f}")
print("report: report/index.html")
