"""Starts processes that work on a survey."""

from __future__ import annotations

import json

from tests.lightcurves.survey import Survey
from tests.servers.nursery import Child, get_nursery


def start(survey: Survey, action: str, *, seed: int = 0, epochs: range | list[int]) -> Child:
    """Start a worker and return it when it has the store open."""
    words = ["-m", "tests.lightcurves.worker", survey.path, action, str(seed), *map(str, epochs)]
    options = json.dumps(survey.storage_options)
    process = get_nursery().start(words, preload=["zarrmill.lightcurves.storage"], strict=True, STORAGE_OPTIONS=options)
    assert process.stdout.readline() == "started\n"
    return process


def finish(process: Child) -> list[list[str]]:
    """Return the lines of a worker when it has ended, each as words."""
    out, _ = process.communicate()
    return [line.split() for line in out.splitlines()]
