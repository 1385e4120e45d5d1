"""Units: this project counts in Å, OpenMM and MDTraj in nm."""

ANGSTROM_PER_NM = 10.0
NM_PER_ANGSTROM = 0.1
