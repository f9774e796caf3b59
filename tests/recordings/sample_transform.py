"""A transform for tests: inputs are small texts that say what is to become of them.

``ok 3`` writes a store with three values, ``fail`` raises, ``skip`` skips, ``exit`` calls ``sys.exit``, ``die`` ends
the process, ``die once`` ends it the first time, ``huge`` takes 40 MiB, ``saved fail`` fails after its store is saved.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from zarrmill.recordings.problems import InputProblem
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_result import SessionFailedError, SessionResult
from zarrmill.recordings.transform import BaseTransform

if TYPE_CHECKING:
    # Not for the processes that import this file to run sessions.
    import pytest

PROBLEM = InputProblem("events", 3, "odd", "warning", "a row that is odd")


class SampleTransform(BaseTransform):
    """Writes as many values as the input says."""

    name = "sample"

    def parameters(self) -> dict[str, Any]:
        return {"factor": 2}

    def process_session(self, session: Session) -> SessionResult:
        with self.open_input(session) as path:
            words = path.read_text().split()
        if words[0] == "fail":
            raise ValueError(f"{session.source_id}: cannot be read in {path}")
        if words[0] == "problems":
            raise SessionFailedError("nothing can be read", problems=(PROBLEM,))
        if words[0] == "skip":
            return SessionResult("skipped", message="there is nothing in it")
        if words[0] == "exit":
            sys.exit(3)
        if words[0] == "die":
            die(path, once="once" in words)
        if words[0] == "huge":
            np.ones(5 * 2**20).sum()
        if words[0] == "files":
            return SessionResult(
                files_to_copy=((session.key, f"copies/{session.key}"),),
                files_to_upload=((__file__, f"uploads/{session.source_id}.py"),),
            )
        count = int(words[-1]) if words[-1].isdecimal() else 1
        self.save_dataset_to_s3_zarr(sample_dataset(session, count), f"{session.session_id}_sample.zarr")
        if words[0] == "saved":
            raise ValueError("failed late")
        return SessionResult(metadata={"value_count": count}, problems=(PROBLEM,) * ("odd" in words))


def die(path: Path, *, once: bool) -> None:
    """End this process as a lack of memory would."""
    mark = path.with_suffix(".died")
    if once and mark.exists():
        return
    mark.touch()
    os._exit(9)


def sample_dataset(session: Session, count: int) -> xr.Dataset:
    """Return a dataset whose texts tell the id of the input."""
    texts = np.array([f'{{"who": "{session.source_id}", "n": {i}}}' for i in range(count)], dtype=object)
    return xr.Dataset(
        {"value": ("row", np.arange(count, dtype="f8")), "text": ("row", texts)},
        attrs={"session_id": session.session_id, "file": session.key},
    )


def write_inputs(folder: Path, **texts: str) -> Path:
    """Write inputs by id, and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.h5").write_text(text)
    return folder


def plain(request: pytest.FixtureRequest) -> str:
    """Return the name of a test as a part of a URL."""
    return re.sub(r"\W+", "-", request.node.name)


def all_bytes(folder: Path) -> bytes:
    """Return names and contents of everything below a folder."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(os.fsencode(path.relative_to(folder)))
        parts.append(path.read_bytes() if path.is_file() else b"")
    return b"\n".join(parts)
