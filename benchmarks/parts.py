"""A benchmark of several parts: run those asked for, print the table, write JSON; 0 whatever the figures are."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Figure, as_table
from benchmarks.machine import describe_machine, load_average

Part = Callable[[Path, float], Iterable[Figure]]
"""Measures something in a folder, at a scale."""


def run_parts(name: str, parts: Mapping[str, Part], arguments: Sequence[str] | None, *, scaled: str) -> int:
    """Run the command line of a benchmark; ``scaled`` says what ``--scale`` makes fewer."""
    options = _parse(name, parts, sys.argv[1:] if arguments is None else arguments, scaled=scaled)
    options.work_dir.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for part in options.only:
        folder = Path(tempfile.mkdtemp(dir=options.work_dir, prefix=f"{name}-"))
        try:
            for figure in parts[part](folder, options.scale):
                figures.append(figure)
                print("  ".join(cell for cell in figure.row() if cell), file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(folder)
    machine = describe_machine(options.work_dir) | {"load": f"{load_average():.1f}"}
    document = {"machine": machine, "scale": options.scale, "figures": [dataclasses.asdict(f) for f in figures]}
    (options.json or options.work_dir / f"{name}.json").write_text(json.dumps(document, indent=1))
    print(", ".join(f"{key}: {value}" for key, value in machine.items()), as_table(figures), sep="\n\n")
    return 0


def _parse(name: str, parts: Mapping[str, Part], arguments: Sequence[str], *, scaled: str) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description="Measure, print the table, write JSON; the exit code is 0 whatever the figures are.",
    )
    parser.add_argument("--work-dir", type=Path, default=Path("build") / "bench", help="where the stores go")
    parser.add_argument("--scale", type=float, default=1.0, help=f"fewer {scaled} by this, for a try-out")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="parts (all)")
    parser.add_argument("--json", type=Path, help=f"every figure ({name}.json in the work directory)")
    return parser.parse_args(arguments)
