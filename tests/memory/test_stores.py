"""Measured memory of a fresh process that compares or digests stores at URLs: requests under way count as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill

MIB = 2**20
SRC = Path(zarrmill.__file__).parents[1]
LAYOUTS: dict[str, dict[str, Any]] = {
    "middling chunks": {"chunks": (256, 256), "shards": None},
    "small chunks": {"chunks": (128, 128), "shards": None},
    "smaller chunks": {"chunks": (64, 64), "shards": None},
    "large chunks": {"chunks": (1024, 1024), "shards": None},
    "shards": {"chunks": (32, 512), "shards": (1024, 1024)},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"),
]

CHILD = """
import json, sys
import zarrmill, zarrmill.digests, zarrmill.verify

def status(field):
    with open("/proc/self/status") as file:
        return int(file.read().split(field, 1)[1].split(None, 1)[0]) * 1024

case = json.loads(sys.argv[1])
starts = []

def progress(message):
    if isinstance(message, zarrmill.progress.RunStarted):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        starts.append(status("VmRSS:"))

options = {"storage_options": case["storage_options"], "progress": progress}
if case["max_mem"]:
    done = zarrmill.verify(case["a"], case["b"], max_mem=case["max_mem"], **options).equal
else:
    done = zarrmill.digest(case["b"], **options)
print(json.dumps({"peak": status("VmHWM:") - starts[0], "done": done}))
"""


def measure(**case: Any) -> dict[str, Any]:
    """Return what a process of its own found and how much memory that took."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(case)],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(SRC), "PATH": ""},
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "layout",
    [pytest.param(name, marks=[pytest.mark.soak] * name.startswith(("small", "middling"))) for name in LAYOUTS],
)
def test_verify_and_digest_keep_within_their_memory(
    tmp_path: Path, s3_bucket: str, storage_options: dict[str, Any], layout: str
) -> None:
    """128 MiB in a store are compared within the limit, and digested in a part of what they are."""
    values = np.random.default_rng(1).integers(0, 2**63, (4096, 4096), dtype="u8")
    array = zarr.create_array(tmp_path / "a", shape=values.shape, chunks=(512, 512), dtype="u8", compressors=None)
    array[:] = values
    asked, target = LAYOUTS[layout], f"{s3_bucket}/b"
    options = {"storage_options": storage_options}
    zarrmill.rechunk(array, target, codecs="keep", verify="none", **asked, **options)

    compared = measure(a=str(tmp_path / "a"), b=target, max_mem="128MiB", **options)
    digested = measure(b=target, max_mem=None, **options)

    assert compared["done"] is True
    assert compared["peak"] <= 128 * MIB
    assert digested["done"] == zarrmill.digest(array)
    assert digested["peak"] <= 100 * MIB
