"""Command line ``equijump``: each command is a function of ``mlff.commands``, which imports heavy libraries itself."""

from __future__ import annotations

import typer

from md_drivers.jumps.rollout_cli import rollout_command
from mlff.commands.equijump_analyze import analyze
from mlff.commands.equijump_export import export
from mlff.commands.equijump_generate import generate_data
from mlff.commands.equijump_train import train

app = typer.Typer(
    name="equijump",
    help="Learn jumps of protein dynamics: trajectories, training, rollouts, analysis.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Learn jumps of protein dynamics: trajectories, training, rollouts, analysis."""


app.command("generate-data", no_args_is_help=True)(generate_data)
app.command("train", no_args_is_help=True)(train)
app.command("export", no_args_is_help=True)(export)
app.command("rollout", no_args_is_help=True)(rollout_command)
app.command("analyze", no_args_is_help=True)(analyze)


if __name__ == "__main__":
    app()
