"""ASE: the calculator, and relaxations of structure files. Importing this package imports nothing else."""
