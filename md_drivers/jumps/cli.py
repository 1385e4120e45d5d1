"""Command line ``equijump``; its commands import heavy libraries themselves."""

from __future__ import annotations

from md_drivers.jumps.rollout_cli import rollout_command
from md_drivers.jumps.training_cli import export, train
from mlff.commands.analyze import analyze
from mlff.commands.generate import generate_data
from mlff.support.console import new_app

app = new_app("Learn jumps of protein dynamics: trajectories, training, rollouts, analysis.", "equijump")
app.command("generate-data", no_args_is_help=True)(generate_data)
app.command("train", no_args_is_help=True)(train)
app.command("export", no_args_is_help=True)(export)
app.command("rollout", no_args_is_help=True)(rollout_command)
app.command("analyze", no_args_is_help=True)(analyze)


if __name__ == "__main__":
    app()
