"""`python -m benchmarks`: choose sizes and contenders, run, print the tables, write JSON and markdown."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.checklist import check_targets
from benchmarks.contenders import CONTENDERS, Contender, chosen
from benchmarks.data import Source, prepare_source
from benchmarks.environments import REPOSITORY, Environment, main_environment, rechunker_environment
from benchmarks.machine import describe_machine
from benchmarks.records import Run, summarise
from benchmarks.runner import Runner, as_plain, to_stderr
from benchmarks.sizes import SIZES, Size
from benchmarks.tables import report


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", "--size", nargs="+", choices=SIZES, default=list(SIZES), help="workloads (all)")
    parser.add_argument("--only", metavar="NAMES", help="contenders, separated by commas (all but the optional ones)")
    parser.add_argument("--floor-only", action="store_true", help="the floor alone")
    parser.add_argument(
        "--repeats", type=int, help="runs of every contender (5 for S and M, 3 for larger ones; peers fewer)"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="shorten axis 0 of every array by this factor, for a try-out"
    )
    parser.add_argument("--time-limit", type=int, metavar="SECONDS", help="when a contender is stopped (180 to 600)")
    parser.add_argument(
        "--work-dir", type=Path, default=REPOSITORY / "build" / "bench", help="sources, results, environments"
    )
    parser.add_argument("--json", type=Path, help="every run and figure (bench.json in the work directory)")
    parser.add_argument("--markdown", type=Path, help="the printed report (bench.md in the work directory)")
    parser.add_argument("--no-install", action="store_true", help="make no environment; who lacks one is left out")
    parser.add_argument("--list", action="store_true", help="show the contenders and stop")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 when every result that there is equals its source, else 1."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if options.list:
        for contender in CONTENDERS:
            print(f"{contender.name:20} {contender.describes}{' (optional)' if contender.optional else ''}")
        return 0
    try:
        contenders = chosen(options.only.split(",") if options.only else None, options.floor_only)
    except KeyError as unknown:
        print(f"no contender is called {unknown}; --list shows them", file=sys.stderr)
        return 2
    work: Path = options.work_dir.resolve()
    work.mkdir(parents=True, exist_ok=True)
    runner = Runner(work, _environments(options, contenders, work), options.repeats, to_stderr)
    runs: list[Run] = []
    sizes: dict[str, tuple[Size, Source]] = {}
    for name in options.sizes:
        size = SIZES[name] if options.scale == 1 else SIZES[name].scaled(options.scale)
        size = dataclasses.replace(size, time_limit=options.time_limit or size.time_limit)
        to_stderr(f"{name}: preparing the source")
        sizes[name] = (size, prepare_source(size, work / "data"))
        for run in runner.run_size(size, contenders):
            runs.append(run)
            # Written after every run: a benchmark that is ended half-way keeps what it has.
            text = _write(options, work, sizes, runs)
    print(text)
    return int(any(run.equal is False for run in runs))


def _environments(options: argparse.Namespace, contenders: list[Contender], work: Path) -> dict[str, Environment]:
    install, folder = not options.no_install, work / "venvs"
    needs = frozenset(module for contender in contenders for module in contender.needs)
    found = {"main": main_environment(folder, needs, install=install)}
    if any(contender.environment == "rechunker" for contender in contenders):
        found["rechunker"] = rechunker_environment(folder, install=install)
    return found


def _write(options: argparse.Namespace, work: Path, sizes: dict[str, tuple[Size, Source]], runs: list[Run]) -> str:
    """Write both files; return the report."""
    rows, machine = summarise(runs), describe_machine(work)
    checks = check_targets(rows)
    versions: dict[str, dict[str, str]] = {"main": {}, "rechunker": {}}
    for run in runs:
        if run.measurement:
            versions["rechunker" if run.contender == "rechunker" else "main"].update(run.measurement.versions)
    text = report(sizes, rows, checks=checks, machine=machine, versions=versions, shortened=options.scale != 1)
    document = {
        "machine": machine,
        "versions": versions,
        "sizes": {name: size.to_json() for name, (size, _) in sizes.items()},
        "sources": {name: {"chunks": source.chunks, "encoded": source.encoded} for name, (_, source) in sizes.items()},
        "rows": [dataclasses.asdict(row) for row in rows],
        "checks": [dataclasses.asdict(check) for check in checks],
        "runs": as_plain(runs),
    }
    (options.json or work / "bench.json").write_text(json.dumps(document, indent=1))
    (options.markdown or work / "bench.md").write_text(text)
    return text


if __name__ == "__main__":
    # Asked to end, end the worker too: it lives in a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
