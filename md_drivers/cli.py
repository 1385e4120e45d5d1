"""Command line ``md-drivers``: each command is in the package of its driver."""

from __future__ import annotations

from md_drivers.ase.cli import relax_command
from md_drivers.ase.table import print_summary
from md_drivers.openmm.simulation.cli import simulate_command
from mlff.support.console import NOT_CONVERGED as EXIT_NOT_CONVERGED
from mlff.support.console import new_app

__all__ = ["EXIT_NOT_CONVERGED", "app", "print_summary"]

app = new_app("Run dynamics and relaxations with exported potentials.")
app.command("relax", no_args_is_help=True)(relax_command)
app.command("simulate", no_args_is_help=True)(simulate_command)

if __name__ == "__main__":
    app()
