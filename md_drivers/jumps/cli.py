"""Command line ``equijump``: each command is a function of ``mlff.commands``, which imports heavy libraries itself."""

from __future__ import annotations

from md_drivers.jumps.rollout_cli import rollout_command
from mlff.commands.equijump_analyze import analyze
from mlff.commands.equijump_export import export
from mlff.commands.equijump_generate import generate_data
from mlff.commands.equijump_train import train
from mlff.support.console import new_app

app = new_app("Learn jumps of protein dynamics: trajectories, training, rollouts, analysis.", "equijump")
app.command("generate-data", no_args_is_help=True)(generate_data)
app.command("train", no_args_is_help=True)(train)
app.command("export", no_args_is_help=True)(export)
app.command("rollout", no_args_is_help=True)(rollout_command)
app.command("analyze", no_args_is_help=True)(analyze)


if __name__ == "__main__":
    app()
