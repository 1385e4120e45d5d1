"""Labelled structures of capped peptides with open tools: building, sampling, GFN2-xTB labels.

OpenMM, PeptideBuilder and tblite come with the extra ``peptides`` and are imported only when they are used.
"""

from mlff.sampling.building import Peptide, capped_peptide
from mlff.sampling.dynamics import DynamicsConfig, minimise, sample
from mlff.sampling.geometry import Backbone, dihedral
from mlff.sampling.packages import require_packages
from mlff.sampling.peptides.config import PeptideDataConfig, RunConfig, load_config, quick_config
from mlff.sampling.peptides.generate import generate
from mlff.sampling.peptides.labels import Label, LabelConfig, isolated_atom_energies, label
from mlff.sampling.residues import capped_name, total_charge
from mlff.support.errors import InputError, Interrupted, NotConvergedError

# Their names in earlier versions.
PeptideError, GenerationStopped = InputError, Interrupted

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
