"""Labelled structures of capped peptides with open tools: building, sampling, GFN2-xTB labels.

OpenMM, PeptideBuilder and tblite come with the extra ``peptides`` and are imported only when they are used.
"""

from mlff.peptides.building import Peptide, capped_peptide
from mlff.peptides.config import PeptideDataConfig, RunConfig, load_config, quick_config
from mlff.peptides.errors import GenerationStopped, NotConvergedError, PeptideError
from mlff.peptides.generate import generate
from mlff.peptides.geometry import Backbone, dihedral
from mlff.peptides.labels import Label, LabelConfig, isolated_atom_energies, label
from mlff.peptides.packages import require_packages
from mlff.peptides.residues import capped_name, total_charge
from mlff.peptides.sampling import DynamicsConfig, minimise, sample

__all__ = [
    "Backbone",
    "DynamicsConfig",
    "GenerationStopped",
    "Label",
    "LabelConfig",
    "NotConvergedError",
    "Peptide",
    "PeptideDataConfig",
    "PeptideError",
    "RunConfig",
    "capped_name",
    "capped_peptide",
    "dihedral",
    "generate",
    "isolated_atom_energies",
    "label",
    "load_config",
    "minimise",
    "quick_config",
    "require_packages",
    "sample",
    "total_charge",
]
