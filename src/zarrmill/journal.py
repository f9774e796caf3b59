"""The blocks that a run has finished, on disk: what a killed run leaves for the next one.

One JSON line per block, appended when the block's keys are written. A line that was cut short by a kill is ignored.
Between two marks of ``synced`` the lines hold against a killed process but not against a lost machine: after a
restart only what stands before the last mark counts.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zarrmill.plan.model import BlockResult

FORMAT = 1
SYNC_SECONDS = 30.0
"""Seconds between two marks: as much work as a lost machine may cost."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return what changes when the machine restarts, "" where the system has no such thing."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Journal:
    """Finished blocks; those of an earlier run are there when it is opened.

    With ``sync`` the file system is brought up to date every SYNC_SECONDS, so that a restart of the machine costs
    no more than that. Runs that share a draft write a ``part`` each, which the next run that has it alone takes over.
    """

    def __init__(self, path: Path, *, sync: bool = True, part: bool = False) -> None:
        self._sync = sync
        self._results = {result.block: result for result in read_results(path)}
        if part:
            path = path.with_name(f"{path.stem}-{uuid.uuid4().hex}{path.suffix}")
        else:
            _take_over_parts(path, self._results.values())
        self._path = path
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (it stays open as long as the journal)
        if path.stat().st_size:
            # A line that was cut short must not swallow the next one.
            self._file.write("\n")
        self._append({"format": FORMAT, "boot": boot_id()})
        self._synced = time.monotonic()

    def __len__(self) -> int:
        return len(self._results)

    def __contains__(self, block: str) -> bool:
        return block in self._results

    def __iter__(self) -> Iterator[BlockResult]:
        return iter(self._results.values())

    def get(self, block: str) -> BlockResult | None:
        """Return the result of a block, None when it is not finished."""
        return self._results.get(block)

    def add(self, result: BlockResult) -> None:
        """Note a finished block."""
        self._results[result.block] = result
        self._append(result.to_json())
        if self._sync and time.monotonic() - self._synced > SYNC_SECONDS:
            self.mark_synced()

    def forget(self, blocks: Iterable[str]) -> None:
        """Take back blocks whose keys are no longer there."""
        gone = [block for block in blocks if self._results.pop(block, None) is not None]
        if gone:
            self._append({"forget": gone})

    def mark_synced(self) -> None:
        """Bring everything written so far to the disk and note that it is there."""
        sync_file_system(self._path)
        self._append({"synced": True})
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


def _parts(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))


def _take_over_parts(path: Path, results: Iterable[BlockResult]) -> None:
    """Write all results to one file and remove the parts."""
    parts = _parts(path)
    if not parts:
        return
    lines = [{"format": FORMAT, "boot": boot_id()}, *(result.to_json() for result in results)]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines), encoding="utf-8")
    os.replace(temporary, path)
    for part in parts:
        part.unlink()


def read_results(path: Path) -> list[BlockResult]:
    """Return the results that still count, those in parts of the journal too."""
    results = {result.block: result for file in (path, *_parts(path)) for result in _read_file(file)}
    return list(results.values())


def _read_file(path: Path) -> list[BlockResult]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    results: dict[str, BlockResult] = {}
    kept: dict[str, BlockResult] = {}
    boot = boot_id()
    written_boot = boot
    for line in text.splitlines():
        data = _parse(line)
        if "boot" in data:
            if data["boot"] != written_boot:
                results = dict(kept)
            written_boot = data["boot"]
        elif "synced" in data:
            kept = dict(results)
        elif "forget" in data:
            for block in data["forget"]:
                results.pop(block, None)
                kept.pop(block, None)
        elif "block" in data:
            result = BlockResult.from_json(data)
            results[result.block] = result
    return list((results if written_boot == boot else kept).values())


def _parse(line: str) -> dict[str, Any]:
    """Return the JSON object of a line, an empty one for what a kill or a lost machine made of it."""
    try:
        data = json.loads(line)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def sync_file_system(path: Path) -> None:
    """Bring everything written to the file system of ``path`` to the disk: one call instead of one per key."""
    import ctypes

    fd = os.open(path if path.is_dir() else path.parent, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "syncfs") or libc.syncfs(fd) != 0:
            os.sync()
    finally:
        os.close(fd)
