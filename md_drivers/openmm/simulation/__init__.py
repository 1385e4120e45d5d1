"""``simulate``: molecular dynamics of a structure file. Importing this package imports nothing else."""
