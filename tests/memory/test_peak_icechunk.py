"""Measured memory of fresh processes that read an icechunk repository or write one: its own copies count too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import zarrmill
from tests.memory.test_peak import CHILD, MIB, SRC, Case, Figures, smallest_limit, write_source

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"),
]

CASES = [
    Case("small-chunks-128", (10_000, 300), "f8", ((1000, 20), None), ((100, 300), None), 128),
    Case("many-keys-128", (10_000, 300), "f8", ((1000, 20), None), ((1, 300), None), 128),
    Case("large-chunks-least", (6, 2048, 1024), "f8", ((1, 2048, 1024), None), ((6, 32, 32), (6, 256, 1024)), None, "none"),  # noqa: E501
    Case("large-shards-least", (6, 2048, 1024), "f8", ((6, 64, 64), (6, 1024, 1024)), ((1, 256, 256), (3, 1024, 1024)), None, "none"),  # noqa: E501
    Case("shards-least", (4, 1024, 512), "f8", ((4, 64, 64), (4, 512, 512)), ((1, 128, 128), (2, 1024, 512)), None, "none"),  # noqa: E501
    Case("bytes-moved-128", (20_000, 300), "f8", ((100, 60), None), ((100, 60), (5000, 300)), 128, "none"),
    Case("two-passes-96", (4000, 3000), "f8", ((4000, 10), None), ((10, 3000), (100, 3000)), 96),
]  # fmt: skip


LONG_TO = {"large-chunks-least", "small-chunks-128", "many-keys-128", "two-passes-96", "shards-least"}
LONG_FROM = {"large-chunks-least", "many-keys-128", "two-passes-96", "large-shards-least", "bytes-moved-128"}
"""Cases of many seconds, for the soak; moved bytes are read from a repository as chunks of any kind are."""
WAYS = [
    pytest.param(way, case, id=f"{way}-{case.name}", marks=[pytest.mark.soak] * (case.name in long))
    for way, long in {"to": LONG_TO, "from": LONG_FROM}.items()
    for case in CASES
]


@pytest.mark.parametrize(("way", "case"), WAYS)
def test_peak_within_projection(way: str, case: Case, tmp_path: Path) -> None:
    """A fresh process uses at most what the plan projects, which is at most the limit."""
    figures = measure(case, tmp_path, way=way)
    assert figures.projected <= figures.limit
    assert figures.peak <= figures.limit, f"peak {figures.peak / MIB:.1f} MiB"
    assert figures.peak <= figures.projected, f"peak {figures.peak / MIB:.1f} MiB"


def measure(case: Case, folder: Path, *, way: str) -> Figures:
    """Write the source of a case, rechunk it in a fresh process, and return what that took."""
    source, target = str(folder / "source"), str(folder / "target")
    write_source(case, source)
    if way == "to":
        target = f"icechunk://{target}"
    else:
        zarrmill.rechunk(source, f"icechunk://{folder}/repo", chunks=case.source[0], shards=case.source[1])
        source = f"icechunk://{folder}/repo"
    options = {"chunks": case.target[0], "shards": case.target[1], **case.options}
    limit = case.limit * MIB if case.limit else smallest_limit(source, options | {"target": target})
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
