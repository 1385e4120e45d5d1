"""OpenMM: forces of exported potentials, and the plug-in for openmm-ml. Importing this package imports nothing else."""
