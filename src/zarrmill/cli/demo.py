"""The command that demonstrates the main job on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zarrmill.cli import options
from zarrmill.cli.output import draw, emit, emit_json, open_progress


def demo(
    *,
    out: options.DemoOut = "zarrmill-demo",
    objects: options.DemoObjects = None,
    epochs: options.DemoEpochs = None,
    seed: options.DemoSeed = None,
    max_mem: options.DemoMaxMem = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Rechunk a survey made of real light curves, verify it, and show what that cost."""
    from zarrmill.demo import run_demo

    asked: dict[str, Any] = {"objects": objects, "epochs": epochs, "seed": seed, "max_mem": max_mem}
    given = {name: value for name, value in asked.items() if value is not None}
    with open_progress(progress) as client:
        report = run_demo(Path(out), **given, progress=client)
    if json:
        emit_json(report)
    else:
        emit(draw([report.to_table()]))
