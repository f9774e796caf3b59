"""Virtual environments: the interpreter that runs the benchmark, or one of our own where something is missing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

PEERS = ("dask[distributed]>=2025.1", "tensorstore>=0.1.70", "zarrs>=0.2", "zarr>=3.1", "google-crc32c>=1.5")
"""What the main environment needs beside this project, when the interpreter at hand has not all of it."""
PEER_MODULES = frozenset({"dask", "distributed", "tensorstore", "zarrs"})
"""Modules whose absence asks for an environment of our own."""
RECHUNKER = ("rechunker==0.5.4", "zarr==2.18.*", "numcodecs==0.15.*", "dask>=2025.1,<=2026.8.0", "numpy<2.5")
"""The newest of each that still works together: rechunker stops at Zarr v2, zarr 2.18 at numcodecs 0.15."""
INSTALL_SECONDS = 1800
"""Patience with the installer."""

_PROBE = "import importlib.util as u, json, sys; print(json.dumps([m for m in sys.argv[1:] if not u.find_spec(m)]))"


@dataclass(frozen=True)
class Environment:
    """An interpreter and what is missing in it."""

    python: str
    """Its path."""
    problem: str = ""
    """Why it could not be made; empty when it is there."""

    def missing(self, modules: Iterable[str]) -> list[str]:
        """Those of the modules that it cannot import."""
        wanted = sorted(modules)
        done = subprocess.run(
            [self.python, "-c", _PROBE, *wanted], capture_output=True, text=True, check=True, env=variables()
        )
        return list(json.loads(done.stdout))


def variables() -> dict[str, str]:
    """Environment variables under which workers import the suite and, when it is not installed, the project."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")])}


def main_environment(folder: Path, modules: frozenset[str], *, install: bool) -> Environment:
    """The interpreter at hand when it has the peers, else one made for them, else the one at hand all the same."""
    here = Environment(sys.executable)
    if not install or not here.missing(modules & PEER_MODULES):
        return here
    editable = ["--editable", str(REPOSITORY)] if (REPOSITORY / "pyproject.toml").exists() else []
    made = _make(folder / "peers", PEERS, editable)
    return here if made.problem else made


def rechunker_environment(folder: Path, *, install: bool) -> Environment:
    """The environment with Zarr v2 and rechunker."""
    if not install and not (folder / "rechunker" / "complete").exists():
        return Environment(sys.executable, "its environment is not made")
    return _make(folder / "rechunker", RECHUNKER, [])


def _make(folder: Path, requirements: tuple[str, ...], extra: list[str]) -> Environment:
    """Make an environment, or take the one that an earlier run made from the same requirements."""
    python, complete = folder / "bin" / "python", folder / "complete"
    stamp = hashlib.sha256(repr((requirements, sys.version_info[:2])).encode()).hexdigest()
    if complete.exists() and complete.read_text() == stamp:
        return Environment(str(python))
    print(f"making the environment {folder.name}: {', '.join(requirements)}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _call([sys.executable, "-m", "venv", str(folder)])
        _call([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements, *extra])
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return Environment(str(python), f"its environment could not be made: {said[-1] if said else error}")
    complete.write_text(stamp)
    return Environment(str(python))


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
