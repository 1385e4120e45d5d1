"""Small inputs of the commands: toy models, structures, data, settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mlff.support.files import write_text

ROOT = Path(__file__).resolve().parents[2]
DIPEPTIDE = ROOT / "examples" / "alanine_dipeptide.pdb"
_BACKBONE = {
    **{"preset": "smooth", "num_layers": 1, "lmax": 1, "mmax": 1, "num_heads": 2, "num_radial": 6, "cutoff": 3.2},
    **{"channels": 8, "hidden_channels": 8, "alpha_channels": 4, "value_channels": 4, "ffn_channels": 8},
    "edge_channels": 8,
}
_NETWORK = {"channels": 8, "message_channels": 4, "layers": 1, "conditioner_layers": 1, "num_radial": 4}
_COMMON = {"log_every": 2, "save_every_minutes": 1e-4}


def toy_model(path: Path) -> Path:
    """A Lennard-Jones potential of H, C, N, O and Cu, the one of the tests."""
    sys.path.append(str(ROOT / "tests"))
    from support.toy_potential import export_toy

    return export_toy(path, (1, 6, 7, 8, 29))


def toy_jumps(path: Path) -> Path:
    """A jump model with random weights for alanine dipeptide and 10 ps, the one of the tests."""
    import mdtraj

    sys.path.append(str(ROOT / "tests"))
    from support.toy_jump import DIPEPTIDE_RESIDUES, toy_jump

    import mlff
    from mlff.proteins import cloud_from_trajectory
    from mlff.proteins.geometry import GeometryReference

    cloud, layout = cloud_from_trajectory(mdtraj.load(str(DIPEPTIDE)))
    geometry = GeometryReference.of([(layout, layout.atoms(cloud).double().numpy())])
    return mlff.export_jump(toy_jump(), path, residues=DIPEPTIDE_RESIDUES, geometry=geometry)


def ethanol(path: Path) -> Path:
    """Out of shape."""
    from ase.build import molecule
    from ase.io import write

    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.15, seed=1)
    write(path, atoms)
    return path


def potential_config(folder: Path) -> Path:
    """To train a potential on alloys of copper and gold, as of ASE's EMT."""
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.io import write

    rng, frames = np.random.default_rng(0), []
    for number in range(20):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[: 1 + number % 2] = "Au"
        atoms.rattle(0.15, rng=rng)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(atoms)
    write(folder / "emt.extxyz", frames)
    model = {"species": ["Cu", "Au"], "backbone": _BACKBONE}
    training = {"batch_size": 4, "epochs": 3, "accelerator": "cpu", "optimizer": {"lr": 0.01, "warmup_steps": 2}}
    return _written(folder / "potential.yaml", {"data": {"paths": "emt.extxyz"}, "model": model, **training, **_COMMON})


def jump_config(folder: Path) -> Path:
    """To train a jump model on alanine dipeptide whose atoms tremble."""
    import mdtraj

    start = mdtraj.load(str(DIPEPTIDE))
    start = start.atom_slice(start.topology.select("element != H"))
    start.save_pdb(str(folder / "topology.pdb"))
    rng, entries = np.random.default_rng(0), []
    for number, split in enumerate(("train", "train", "val")):
        moved = start.xyz + rng.normal(scale=0.004, size=(60, *start.xyz.shape[1:]))
        mdtraj.Trajectory(moved, start.topology).save_dcd(str(folder / f"{number}.dcd"))
        entries.append({"file": f"{number}.dcd", "split": split})
    described = {"topology": "topology.pdb", "frame_interval": 1.0, "trajectories": entries}
    source = _written(folder / "data.yaml", described)
    data = {"folders": [str(source)], "lags": [2.0], "balance": None, "validation_pairs": 16}
    training = {"batch_size": 16, "steps": 12, "validate_every": 4, "optimizer": {"lr": 5e-3, "warmup_steps": 5}}
    model = {"network": _NETWORK, "steps": 2}
    return _written(folder / "jump.yaml", {"kind": "jump", "data": data, "model": model, **training, **_COMMON})


def generation_config(folder: Path) -> Path:
    """To make trajectories of one peptide: two of two chunks."""
    content = {
        "systems": [{"sequence": "A", "name": "ala2"}],
        **{"trajectories": 2, "length": 1e-3, "frame_interval": 0.1, "equilibration": 0.2, "chunk": 0.5, "copies": 1},
        **{"test_fraction": 0.0, "val_fraction": 0.5, "platform": "Reference"},
    }
    return _written(folder / "generation.yaml", content)


def peptides_config(folder: Path) -> Path:
    """To make labelled frames of two peptides."""
    run = {"temperature": 300.0, "starts": 1, "interval": 0.1, "equilibration": 0.1}
    content = {"peptides": ["G", "A"], "test_residues": ["A"], "test_peptides": [], "frames": 6, "runs": [run]}
    return _written(folder / "peptides.yaml", {**content, "val_fraction": 0.34})


def _written(path: Path, content: dict[str, Any]) -> Path:
    write_text(path, yaml.safe_dump(content))
    return path
