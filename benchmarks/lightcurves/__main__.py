"""Measure, print the table, write JSON; the exit code is 0 whatever the figures are."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.lightcurves import measure
from benchmarks.lightcurves.figures import Figure, as_table
from benchmarks.machine import describe_machine, load_average


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lightcurves", description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("build") / "bench", help="where the stores go")
    parser.add_argument("--scale", type=float, default=1.0, help="fewer objects and epochs by this, for a try-out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts (all)")
    parser.add_argument("--json", type=Path, help="every figure (lightcurves.json in the work directory)")
    return parser.parse_args(arguments)


def _count(full: int, scale: float) -> int:
    return max(50, round(full * scale))


PARTS = {
    "open": lambda folder, s: measure.measure_open(folder, _count(400_000, s)),
    "adding": lambda folder, s: measure.measure_adding(folder, _count(20_000, s), _count(500, s), 2),
    "reading": lambda folder, s: measure.measure_reading(folder, _count(10_000, s), _count(500, s)),
    "pending": lambda folder, s: measure.measure_pending(folder, _count(20_000, s)),
    "increments": lambda folder, s: measure.measure_increments(folder, _count(5000, s)),
    "requests": lambda folder, s: measure.measure_requests(_count(5000, s)),
}
"""What is measured, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    options.work_dir.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for part in options.only:
        folder = Path(tempfile.mkdtemp(dir=options.work_dir, prefix="lightcurves-"))
        try:
            for figure in PARTS[part](folder, options.scale):
                figures.append(figure)
                print("  ".join(cell for cell in figure.row() if cell), file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(folder)
    machine = describe_machine(options.work_dir) | {"load": f"{load_average():.1f}"}
    document = {"machine": machine, "scale": options.scale, "figures": [dataclasses.asdict(f) for f in figures]}
    (options.json or options.work_dir / "lightcurves.json").write_text(json.dumps(document, indent=1))
    print(", ".join(f"{key}: {value}" for key, value in machine.items()), as_table(figures), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
