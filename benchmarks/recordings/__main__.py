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

from benchmarks.lightcurves.figures import Figure, as_table
from benchmarks.machine import describe_machine, load_average
from benchmarks.recordings import measure


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=Path("build") / "bench", help="where the stores go")
    parser.add_argument("--scale", type=float, default=1.0, help="fewer rows and sessions by this, for a try-out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts (all)")
    parser.add_argument("--json", type=Path, help="every figure (recordings.json in the work directory)")
    return parser.parse_args(arguments)


PARTS = {
    "large": measure.measure_large,
    "many": measure.measure_many,
    "beside": measure.measure_beside,
    "requests": measure.measure_requests,
}
"""What is measured, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    options.work_dir.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for part in options.only:
        folder = Path(tempfile.mkdtemp(dir=options.work_dir, prefix="recordings-"))
        try:
            for figure in PARTS[part](folder, options.scale):
                figures.append(figure)
                print("  ".join(cell for cell in figure.row() if cell), file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(folder)
    machine = describe_machine(options.work_dir) | {"load": f"{load_average():.1f}"}
    document = {"machine": machine, "scale": options.scale, "figures": [dataclasses.asdict(f) for f in figures]}
    (options.json or options.work_dir / "recordings.json").write_text(json.dumps(document, indent=1))
    print(", ".join(f"{key}: {value}" for key, value in machine.items()), as_table(figures), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
