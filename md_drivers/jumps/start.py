"""Where rollouts begin: a structure file as tensor clouds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from md_drivers.common.checks import check_file
from md_drivers.common.engine import import_mdtraj
from md_drivers.common.errors import StructureError
from md_drivers.jumps.settings import STRUCTURE
from mlff.proteins import CloudLayout, TensorCloud
from mlff.proteins import StructureError as CloudError
from mlff.structures import located_format, read_located
from mlff.support.errors import first_line
from mlff.support.files import sha256_of
from mlff.support.units import ANGSTROM_PER_NM


@dataclass(frozen=True, eq=False)
class Start:
    """S models of one molecule.

    Attributes:
        path, sha256: the file.
        layout: of the molecule.
        clouds: [S,N], float64.
    """

    path: Path
    sha256: str
    layout: CloudLayout
    clouds: TensorCloud

    @property
    def atoms(self) -> np.ndarray:
        """[S,M,3] in Å, heavy atoms."""
        return self.layout.atoms(self.clouds).numpy()


def read_start(path: Path) -> Start:
    """All models of a structure file that MDTraj reads (PDB, mmCIF), not judged yet; hydrogens are left out.

    Of alternate locations the one of highest occupancy is kept, which the log says.

    Raises:
        ImportError: MDTraj is not installed.
        FileNotFoundError: there is no such file.
        StructureError: it cannot be read, or is no complete protein or peptide of known residues.
    """
    mdtraj = import_mdtraj()
    check_file(path, STRUCTURE)
    try:
        with TemporaryDirectory() as folder:
            source = path
            if (suffix := located_format(path)) is not None:
                source = Path(folder, f"start{suffix.replace('.ent', '.pdb')}")
                source.write_text(read_located(path))
            trajectory = mdtraj.load(str(source))
    except Exception as error:  # readers of many formats raise many kinds
        raise StructureError(f"{path}: cannot be read as a structure: {first_line(error)}") from error
    try:
        layout = CloudLayout.of(trajectory.topology)
    except CloudError as error:
        raise StructureError(f"{path}: {error}") from error
    atoms = torch.from_numpy(ANGSTROM_PER_NM * trajectory.xyz[:, layout.heavy_atoms.numpy()].astype(np.float64))
    return Start(path, sha256_of(path), layout, layout.cloud(atoms))
