"""Measured memory of fresh processes: never above ``max_mem``, and never above what the plan projected.

The child measures by its own means (``/proc/self/status`` after a reset of the peak), not by those of zarrmill.
One case is one process, because what an earlier run left allocated would hide what a later one takes.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill

MIB = 2**20
SRC = Path(zarrmill.__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"),
]

CHILD = '''
import json, multiprocessing.util, os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import zarrmill, zarrmill.execute.copy
from zarrmill.progress import RunStarted


def status(field):
    with open("/proc/self/status") as file:
        return int(file.read().split(field, 1)[1].split(None, 1)[0]) * 1024


def reset():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return status("VmRSS:")


def watch_worker(folder):
    """Have this worker leave its peak in a file when it ends."""
    start = reset()

    def leave():
        with open(os.path.join(folder, str(os.getpid())), "w") as file:
            file.write(str(status("VmHWM:") - start))

    multiprocessing.util.Finalize(None, leave, exitpriority=100)


def main():
    case = json.loads(sys.argv[1])
    starts = []

    def progress(message):
        if isinstance(message, RunStarted):
            starts.append(reset())

    options = dict(case["options"], progress=progress)
    if case["workers"]:
        os.mkdir(case["folder"])
        pool = ProcessPoolExecutor(
            case["workers"], mp_context=get_context("spawn"), initializer=watch_worker, initargs=(case["folder"],)
        )
        with pool:
            report = zarrmill.rechunk(case["source"], case["target"], executor=pool, **options)
        peaks = [int(open(os.path.join(case["folder"], name)).read()) for name in os.listdir(case["folder"])]
    else:
        report = zarrmill.rechunk(case["source"], case["target"], **options)
        peaks = [status("VmHWM:") - starts[0]]
    print(json.dumps({"peaks": peaks, "reported": report.peak_mem, "passes": report.arrays[0].passes,
                      "route": report.arrays[0].route}))


if __name__ == "__main__":
    main()
'''


@dataclass(frozen=True)
class Case:
    """One array, its two layouts, and a limit."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    source: tuple[tuple[int, ...], tuple[int, ...] | None]
    """Chunks and shards."""
    target: tuple[tuple[int, ...], tuple[int, ...] | None]
    """Chunks and shards."""
    limit: int | None
    """MiB; None for the smallest that the planner accepts."""
    codec: str = "zstd"
    options: dict[str, Any] = field(default_factory=dict)
    """More arguments of ``rechunk``."""
    passes: int | None = None
    """Passes that the case is about."""
    workers: int = 0
    """Processes; 0 for threads in the child itself."""


@dataclass(frozen=True)
class Figures:
    """What a case took, in bytes."""

    limit: int
    projected: int
    peak: int
    reported: int
    passes: int
    route: str


TINY, ROWS = ((100, 10), (2000, 600)), ((200, 600), None)
CASES = [
    Case("tiny-chunks-40", (20_000, 600), "f8", TINY, ((1, 600), (2000, 600)), 40),
    Case("tiny-chunks-256", (20_000, 600), "f8", TINY, ((1, 600), (2000, 600)), 256),
    Case("tiny-chunks-unsharded-64", (12_000, 600), "f8", ((500, 50), None), ((100, 600), None), 64),
    Case("large-chunks-least", (6, 2048, 1024), "f8", ((1, 2048, 1024), None), ((6, 32, 32), (6, 256, 1024)), None),
    Case("large-chunks-128", (6, 2048, 1024), "f8", ((1, 2048, 1024), None), ((6, 32, 32), (6, 256, 1024)), 128),
    Case("chunks-of-64-256", (2, 8192, 1024), "f8", ((1, 8192, 1024), None), ((2, 64, 64), (2, 1024, 1024)), 256),
    Case("large-target-chunks-256", (6, 2048, 1024), "f8", ((6, 32, 1024), None), ((1, 2048, 1024), None), 256),
    Case("large-target-chunks-least", (6, 2048, 1024), "f8", ((6, 32, 1024), None), ((1, 2048, 1024), None), None),
    Case("shard-above-the-limit", (20_000, 600), "f8", ((1000, 20), None), ((10, 600), (20_000, 600)), 64),
    Case("shard-above-the-limit-of-tiny", (500_000, 30), "f8", ((5000, 30), None), ((4, 30), (500_000, 30)), 64),
    Case("bytes-moved-40", (20_000, 600), "f8", ((100, 60), None), ((100, 60), (10_000, 600)), 40),
    Case("bytes-moved-large-least", (6, 2048, 1024), "f8", ((1, 1024, 1024), None), ((1, 1024, 1024), (6, 2048, 1024)), None),  # noqa: E501
    Case("two-passes-64", (4000, 4000), "f8", ((4000, 10), None), ((10, 4000), (400, 4000)), 64, passes=2),
    Case("two-passes-unsharded-48", (4000, 3000), "f8", ((4000, 10), None), ((10, 3000), None), 48, passes=2),
    Case("three-passes-36", (8000, 6000), "f4", ((8000, 1), (8000, 500)), ((1, 6000), (500, 6000)), 36, passes=3),
    Case("four-passes-least", (8000, 6000), "f4", ((8000, 1), (8000, 500)), ((1, 6000), (500, 6000)), None, passes=4),
    Case("f4-blosc-64", (10_000, 2400), "f4", ((10_000, 20), None), ((20, 2400), (1000, 2400)), 64, "blosc"),
    Case("u1-gzip-40", (10_000, 2000), "u1", ((10_000, 20), None), ((20, 2000), (1000, 2000)), 40, "gzip"),
    Case("c16-uncompressed-64", (3000, 2000), "c16", ((3000, 10), None), ((10, 2000), (500, 2000)), 64, "none"),
    Case("f8-uncompressed-shards-40", (3000, 4000), "f8", ((100, 100), (3000, 1000)), ((10, 4000), (500, 4000)), 40, "none"),  # noqa: E501
    Case("datetimes-64", (4000, 3000), "M8[s]", ((4000, 10), None), ((10, 3000), (500, 3000)), 64),
    Case("not-verified-64", (20_000, 600), "f8", ((1000, 20), None), ((10, 600), (1000, 600)), 64, options={"verify": "none"}),  # noqa: E501
    Case("checksums-64", (12_000, 600), "f8", ((1000, 20), None), ((10, 600), None), 64, options={"verify": "written"}),
    Case("large-blosc-least", (6, 2048, 1024), "f8", ((1, 2048, 1024), None), ((6, 64, 1024), None), None, "blosc"),
    Case("large-gzip-least", (4, 2048, 512), "f8", ((1, 2048, 512), None), ((4, 64, 512), None), None, "gzip"),
    Case("large-uncompressed-least", (6, 2048, 1024), "f8", ((1, 2048, 1024), None), ((6, 64, 1024), None), None, "none"),  # noqa: E501
    Case("processes-64", (12_000, 600), "f8", ((1000, 20), None), ((10, 600), (1000, 600)), 64, workers=2),
    Case("processes-large-least", (6, 2048, 1024), "f8", ((1, 2048, 1024), None), ((6, 32, 32), (6, 256, 1024)), None, workers=2),  # noqa: E501
    Case("processes-two-passes-64", (4000, 4000), "f8", ((4000, 10), None), ((10, 4000), (400, 4000)), 64, passes=2, workers=2),  # noqa: E501
]  # fmt: skip


LONG = {
    "tiny-chunks-40", "tiny-chunks-256", "large-chunks-least", "shard-above-the-limit-of-tiny", "four-passes-least",
    "large-gzip-least", "processes-large-least", "three-passes-36", "large-target-chunks-least",
    "bytes-moved-large-least", "large-uncompressed-least", "processes-two-passes-64", "two-passes-64", "datetimes-64",
    "chunks-of-64-256", "large-chunks-128", "f4-blosc-64", "not-verified-64", "tiny-chunks-unsharded-64",
    "large-target-chunks-256",
}  # fmt: skip
"""Cases for the soak: others of their kind (size of chunks, passes, codec, verification) are cheaper."""


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=[pytest.mark.soak] * (case.name in LONG)) for case in CASES]
)
def test_peak_within_projection(case: Case, tmp_path: Path) -> None:
    """A fresh process uses at most what the plan projects, which is at most the limit."""
    check_peak(case, tmp_path)


def check_peak(case: Case, folder: Path) -> Figures:
    """Run one case and compare its peak with the limit and the projection."""
    figures = measure(case, folder)
    assert figures.projected <= figures.limit
    assert figures.peak <= figures.limit, f"peak {figures.peak / MIB:.1f} MiB"
    assert figures.peak <= figures.projected, f"peak {figures.peak / MIB:.1f} MiB"
    # The engine's own figure is another reading of the same memory.
    assert abs(figures.reported - figures.peak) <= 8 * MIB
    assert case.passes in (None, figures.passes)
    return figures


def measure(case: Case, folder: Path) -> Figures:
    """Write the source of a case, rechunk it in a fresh process, and return what that took."""
    source, target = str(folder / "source"), str(folder / "target")
    write_source(case, source)
    options = {"chunks": case.target[0], "shards": case.target[1], **case.options}
    placement = {"workers": case.workers, "executor": "processes"} if case.workers else {}
    limit = case.limit * MIB if case.limit else smallest_limit(source, options | placement)
    plan = zarrmill.plan_rechunk(source, **{**options, **placement}, max_mem=limit)
    order = {
        "source": source,
        "target": target,
        "options": {**options, "max_mem": limit},
        "workers": case.workers,
        "folder": str(folder / "peaks"),
    }
    child = folder / "child.py"
    child.write_text(CHILD)
    done = subprocess.run(
        [sys.executable, str(child), json.dumps(order)],
        capture_output=True, text=True, env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Figures(limit, plan.projected_mem, max(found["peaks"]), found["reported"], found["passes"], found["route"])


def smallest_limit(source: str, options: dict[str, Any]) -> int:
    """Return the smallest limit that the planner names, in bytes."""
    with pytest.raises(zarrmill.MemoryLimitError) as refused:
        zarrmill.plan_rechunk(source, **options, max_mem="1MiB")
    found = re.search(r"max_mem to (\d+)MiB", str(refused.value))
    assert found is not None
    return int(found[1]) * MIB


def write_source(case: Case, path: str) -> None:
    """Write values like measured ones: noise of few digits, so that they compress by about a half."""
    chunks, shards = case.source
    compressors = {
        "zstd": zarr.codecs.ZstdCodec(level=1),
        "gzip": zarr.codecs.GzipCodec(level=1),
        "blosc": zarr.codecs.BloscCodec(cname="lz4", clevel=3, shuffle="shuffle", typesize=4),
        "none": None,
    }[case.codec]
    array = zarr.create_array(
        path, shape=case.shape, dtype=case.dtype, chunks=chunks, shards=shards, compressors=compressors
    )
    random = np.random.default_rng(7)
    step = (shards or chunks)[0]
    for start in range(0, case.shape[0], step):
        shape = (min(step, case.shape[0] - start), *case.shape[1:])
        array[start : start + step] = values_of(np.dtype(case.dtype), shape, random)


def values_of(dtype: np.dtype[Any], shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """Return noise of about 12 bits in a type."""
    raw = random.integers(1, 4096, size=math.prod(shape), dtype=np.uint16).reshape(shape)
    if dtype.kind == "M":
        return raw.astype("i8").view("M8[s]")
    if dtype.kind == "c":
        return raw + 1j
    return (raw / 16).astype(dtype) if dtype.kind == "f" else raw.astype(dtype)
