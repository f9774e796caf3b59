"""The command line: every command calls one public function and prints its report."""

from __future__ import annotations

from typing import Annotated

import typer

import zarrmill
from zarrmill.cli.demo import demo
from zarrmill.cli.drafts import discard
from zarrmill.cli.failures import CommandGroup
from zarrmill.cli.inspect import digest, info, verify
from zarrmill.cli.jobs import publish, run
from zarrmill.cli.lightcurves import app as lightcurves
from zarrmill.cli.rechunk import plan, rechunk
from zarrmill.cli.recording_exports import export, plot
from zarrmill.cli.recordings import app as recordings
from zarrmill.cli.windows import window_plan, windows

app = typer.Typer(
    name="zarrmill",
    cls=CommandGroup,
    help="Rechunk Zarr within a memory limit that holds.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
recordings.command()(windows)
recordings.command("window-plan")(window_plan)
recordings.command()(plot)
recordings.command()(export)
app.add_typer(recordings, name="recordings")
app.add_typer(lightcurves, name="lightcurves")
for command in (info, plan, rechunk, run, publish, verify, digest, discard, demo):
    app.command()(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"zarrmill {zarrmill.__version__}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Rechunk Zarr within a memory limit that holds."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong use, 3 problems found, 130 interrupted."""
    app(prog_name="zarrmill")
