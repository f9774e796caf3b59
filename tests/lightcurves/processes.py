"""Starts processes that work on a survey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.lightcurves.survey import Survey

ROOT = Path(__file__).parents[2]


def start(survey: Survey, action: str, *, seed: int = 0, epochs: range | list[int]) -> subprocess.Popen[str]:
    """Start a worker and return it when it has the store open."""
    words = [sys.executable, "-W", "error", "-m", "tests.lightcurves.worker", survey.path, action, str(seed)]
    environment = os.environ | {"STORAGE_OPTIONS": json.dumps(survey.storage_options)}
    process = subprocess.Popen(
        [*words, *map(str, epochs)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def finish(process: subprocess.Popen[str]) -> list[list[str]]:
    """Return the lines of a worker when it has ended, each as words."""
    out, _ = process.communicate(timeout=240)
    return [line.split() for line in out.splitlines()]
