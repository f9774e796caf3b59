"""Measured memory of fresh processes that read from S3 or write to it: requests under way count too."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import from_url

import zarrmill
from tests.memory.test_peak import CHILD, MIB, SRC, Case, Figures, smallest_limit, write_source
from tests.servers.s3 import S3Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"),
]

TINY, ROWS = ((100, 10), (2000, 600)), ((200, 600), None)
CASES = [
    Case("tiny-chunks-128", (20_000, 300), "f8", TINY, ((1, 300), (2000, 300)), 128),
    Case("unsharded-128", (20_000, 300), "f8", ((1000, 20), None), ((100, 300), None), 128),
    Case("large-chunks-least", (6, 1024, 1024), "f8", ((1, 1024, 1024), None), ((6, 32, 32), (6, 256, 1024)), None),
    Case("large-shards-256", (6, 2048, 1024), "f8", ((6, 64, 64), (6, 1024, 1024)), ((1, 256, 256), (3, 2048, 1024)), 320),  # noqa: E501
    Case("large-shards-least", (6, 2048, 1024), "f8", ((6, 64, 64), (6, 1024, 1024)), ((1, 256, 256), (3, 1024, 1024)), None),  # noqa: E501
    Case("bytes-moved-128", (20_000, 300), "f8", ((100, 60), None), ((100, 60), (5000, 300)), 128),
    Case("checksums-128", (20_000, 300), "f8", ((1000, 20), None), ((10, 300), (1000, 300)), 128, options={"verify": "written"}),  # noqa: E501
    Case("uncompressed-160", (20_000, 300), "f8", ((1000, 20), None), ((100, 300), (2000, 300)), 160, "none"),
    Case("two-passes-96", (4000, 3000), "f8", ((4000, 10), None), ((10, 3000), (100, 3000)), 96),
]  # fmt: skip


LONG = {"large-chunks-least", "large-shards-least", "bytes-moved-128", "checksums-128", "uncompressed-160"}
LONG_TO, LONG_FROM = LONG | {"large-shards-256"}, LONG | {"tiny-chunks-128", "two-passes-96", "unsharded-128"}
"""Cases of many seconds, for the soak; of several passes only the last one knows of S3."""
WAYS = [
    pytest.param(way, case, id=f"{way}-{case.name}", marks=[pytest.mark.soak] * (case.name in long))
    for way, long in {"to-s3": LONG_TO, "from-s3": LONG_FROM}.items()
    for case in CASES
]


@pytest.mark.parametrize(("way", "case"), WAYS)
def test_peak_within_projection(way: str, case: Case, tmp_path: Path, s3_server: S3Server, s3_bucket: str) -> None:
    """A fresh process uses at most what the plan projects, which is at most the limit."""
    figures = measure(case, tmp_path, way=way, bucket=s3_bucket, storage=s3_server.storage_options)
    assert figures.projected <= figures.limit
    assert figures.peak <= figures.limit, f"peak {figures.peak / MIB:.1f} MiB"
    assert figures.peak <= figures.projected, f"peak {figures.peak / MIB:.1f} MiB"
    assert abs(figures.reported - figures.peak) <= 8 * MIB


def measure(case: Case, folder: Path, *, way: str, bucket: str, storage: dict[str, Any]) -> Figures:
    """Write the source of a case, rechunk it in a fresh process, and return what that took."""
    source, target = str(folder / "source"), str(folder / "target")
    write_source(case, source)
    if way == "from-s3":
        source = send(Path(source), f"{bucket}/source", storage)
    else:
        target = f"{bucket}/target"
    options = {"chunks": case.target[0], "shards": case.target[1], "storage_options": storage, **case.options}
    if case.limit is None:
        # A target in a store takes more than one on the disk.
        case = replace(case, limit=smallest_limit(source, options | {"target": target}) // MIB)
    limit = (case.limit or 0) * MIB
    plan = zarrmill.plan_rechunk(source, target, **options, max_mem=limit)
    order = {"source": source, "target": target, "options": {**options, "max_mem": limit}, "workers": 0}
    child = folder / "child.py"
    child.write_text(CHILD)
    done = subprocess.run(
        [sys.executable, str(child), json.dumps(order)],
        capture_output=True, text=True, env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Figures(limit, plan.projected_mem, max(found["peaks"]), found["reported"], found["passes"], found["route"])


def send(folder: Path, url: str, storage: dict[str, Any]) -> str:
    """Copy every file of a folder to a bucket; return the URL."""
    client = from_url(url, **storage)
    for path in folder.rglob("*"):
        if path.is_file():
            obstore.put(client, str(path.relative_to(folder)), path.read_bytes(), use_multipart=False)
    return url
