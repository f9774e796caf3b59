"""The command line as a whole."""

import subprocess
import sys

import pytest

import zarrmill

COMMANDS = ["info", "plan", "rechunk", "verify", "digest", "discard", "demo"]


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]], ids=["nothing", "--help", "-h"])
def test_help_lists_the_commands(run, args):
    """Without a command there is help."""
    done = run(*args)
    assert done.exit_code == 0
    assert all(f" {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    """And options for JSON and tracebacks."""
    done = run(command, "--help")
    assert done.exit_code == 0
    assert "--json" in done.stdout
    assert "--verbose" in done.stdout


def test_version(run):
    """--version is that of the package."""
    assert run("--version").stdout == f"zarrmill {zarrmill.__version__}\n"


def test_start_imports_nothing_heavy():
    """The command line is there before numpy, zarr or rich are."""
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import zarrmill.cli
heavy = {{"numpy", "zarr", "numcodecs", "rich", "xarray", "dask", "asyncio"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
