"""`python -m benchmarks.remote`: the same rechunk on disk, to S3 and from S3, with latency, requests counted.

A real S3 protocol server and a proxy that adds latency run on loopback, and take their share of the cores: so wall time
to S3 is compared with the local run, and for reading from S3 the CPU seconds of the client, of which the row of the
requests alone tells what the client of the store itself takes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

import zarrmill
from benchmarks.data import prepare_source
from benchmarks.environments import REPOSITORY
from benchmarks.machine import describe_machine
from benchmarks.sizes import SIZES, Size
from tests.servers.client import Proxy
from tests.servers.s3 import S3Server
from zarrmill.plan.memory import MOST_REQUESTS
from zarrmill.store import open_keys

LATENCY = 0.05
"""Seconds that each request takes longer than on loopback."""
REQUESTS = "requests alone"
"""The source read from S3 key by key, nothing decoded, by the client that zarrmill uses as well."""


@dataclass(frozen=True)
class Figures:
    """One kind of run, the medians of its repeats."""

    size: str
    """Letter of the workload."""
    way: str
    """From where to where."""
    verify: str
    """How it is verified."""
    seconds: float
    """Wall time."""
    cpu_seconds: float
    """Processor time of this process, the client."""
    peak_mem: int
    """Bytes above start."""
    requests: dict[str, int]
    """Requests by kind, as the proxy saw them."""
    equal: bool
    """Whether the digest is that of the local run."""


class Bench:
    """The runs of one size."""

    def __init__(self, size: Size, work: Path, *, server: S3Server, proxy: Proxy, repeats: int) -> None:
        self._size = size
        self._work = work
        self._server = server
        self._proxy = proxy
        self._repeats = repeats
        self._bucket = f"s3://{server.create_bucket()}"
        self._digest = ""

    def run(self, source: Path) -> list[Figures]:
        """Local, to S3 and from S3, first unverified and then verified."""
        by_epoch = f"{self._bucket}/{self._size.name}/by_epoch"
        self._rechunk(source, by_epoch, verify="none", back=True)
        self._digest = zarrmill.digest(source)
        found = []
        found.append(self._measure_requests(by_epoch))
        for verify in ("none", "full"):
            found += [
                self._measure("disk to disk", source, str(self._work / "out"), verify),
                self._measure("disk to S3", source, f"{self._bucket}/{self._size.name}/out", verify),
                self._measure("S3 to disk", by_epoch, str(self._work / "out"), verify),
            ]
        return found

    def _measure(self, way: str, source: Any, target: str, verify: str) -> Figures:
        runs = []
        for _ in range(self._repeats):
            self._remove(target)
            self._proxy.reset_counts()
            begun, cpu = time.perf_counter(), time.process_time()
            report = self._rechunk(source, target, verify=verify)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            counts = self._proxy.get_counts()
            kinds = ("GET", "RANGE", "PUT", "LIST", "HEAD", "POST", "DELETE")
            runs.append((seconds, cpu, report.peak_mem, {kind: counts[kind] for kind in kinds if counts[kind]}))
            print(f"{self._size.name} {way} verify={verify}: {seconds:.2f} s", file=sys.stderr, flush=True)
        written = zarrmill.open_store(target, storage_options=self._server.storage_options)
        equal = zarrmill.digest(written) == self._digest
        median = [statistics.median(run[i] for run in runs) for i in range(3)]
        return Figures(self._size.name, way, verify, median[0], median[1], int(median[2]), runs[-1][3], equal)

    def _measure_requests(self, source: str) -> Figures:
        """Get every key of a source by the bare client, as many at once as a rechunk does: what no reader can save."""
        keys = [info.key for info in open_keys(source, storage_options=self._server.storage_options).list()]
        options: Any = self._proxy.storage_options
        store = S3Store(self._bucket.removeprefix("s3://"), prefix=f"{self._size.name}/by_epoch", **options)
        runs = []
        for _ in range(self._repeats):
            begun, cpu = time.perf_counter(), time.process_time()
            with ThreadPoolExecutor(MOST_REQUESTS) as pool:
                nbytes = sum(pool.map(lambda key: len(obstore.get(store, key).bytes()), keys))
            runs.append((time.perf_counter() - begun, time.process_time() - cpu))
            print(f"{self._size.name} {REQUESTS}: {runs[-1][0]:.2f} s, {nbytes:,} bytes", file=sys.stderr, flush=True)
        seconds, cpu = (statistics.median(run[i] for run in runs) for i in (0, 1))
        return Figures(self._size.name, REQUESTS, "none", seconds, cpu, 0, {"GET": len(keys)}, True)

    def _rechunk(self, source: Any, target: str, *, verify: str, back: bool = False) -> zarrmill.RechunkReport:
        case = self._size.arrays[0]
        chunks, shards = (case.source_chunks, None) if back else (case.chunks, case.shards)
        return zarrmill.rechunk(
            source,
            target,
            chunks=dict(zip(case.dims, chunks, strict=True)),
            shards=None if shards is None else dict(zip(case.dims, shards, strict=True)),
            max_mem=self._size.max_mem,
            verify=verify,
            sync=False,
            storage_options=self._proxy.storage_options,
        )

    def _remove(self, target: str) -> None:
        if "://" not in target:
            shutil.rmtree(target, ignore_errors=True)
            return
        keys = open_keys(target, storage_options=self._server.storage_options)
        keys.delete(info.key for info in keys.list())


def table(figures: list[Figures]) -> str:
    """Markdown, one row per kind of run, with the ratios that are asked for."""
    local = {(f.size, f.verify): f for f in figures if f.way == "disk to disk"}
    lines = [
        "| size | way | verify | seconds | of local | CPU s | of local | peak MiB | requests | equal |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for f in figures:
        base = local[f.size, f.verify]
        requests = ", ".join(f"{n} {kind}" for kind, n in f.requests.items()) or "none"
        lines.append(
            f"| {f.size} | {f.way} | {f.verify} | {f.seconds:.2f} | {f.seconds / base.seconds:.2f} | "
            f"{f.cpu_seconds:.2f} | {f.cpu_seconds / base.cpu_seconds:.2f} | {f.peak_mem / 2**20:.0f} | {requests} | "
            f"{'yes' if f.equal else 'NO'} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run what was asked for; 0 when every result equals its source."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.remote", description=__doc__)
    parser.add_argument("--sizes", "--size", nargs="+", choices=SIZES, default=["M", "M4"], help="workloads")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds added to each request")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind")
    parser.add_argument("--work-dir", type=Path, default=REPOSITORY / "build" / "bench", help="sources and results")
    options = parser.parse_args()
    work = options.work_dir.resolve()
    (work / "remote").mkdir(parents=True, exist_ok=True)
    figures: list[Figures] = []
    with S3Server() as server, Proxy(server, latency=options.latency) as proxy:
        for name in options.sizes:
            source = prepare_source(SIZES[name], work / "data").v3
            bench = Bench(SIZES[name], work / "remote", server=server, proxy=proxy, repeats=options.repeats)
            figures += bench.run(source)
    shutil.rmtree(work / "remote")
    text = f"{describe_machine(work)}\n\n{table(figures)}\n"
    (work / "remote.json").write_text(json.dumps([asdict(f) for f in figures], indent=1))
    (work / "remote.md").write_text(text)
    print(text)
    return int(not all(f.equal for f in figures))


if __name__ == "__main__":
    sys.exit(main())
