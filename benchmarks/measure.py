"""Wall time, processor time, peak memory and bytes moved of one call, from /proc. Standard library only."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """The figures of one call."""

    seconds: float
    """Wall time."""
    cpu_seconds: float
    """Processor time of the process and its children."""
    peak: int
    """Bytes above the resident size at the start, of the process and its children together or of the largest."""
    read_bytes: int
    """Bytes asked of files by read calls."""
    written_bytes: int
    """Bytes given to files by write calls."""
    stolen_seconds: float
    """Processor time that the host of a virtual machine gave to others meanwhile, over all cores."""


def measured(call: Callable[[], Any], *, per_process: bool = False) -> tuple[Any, Cost]:
    """Make the call; return what it returned and what it cost. `per_process` is for a limit that each process has.

    The high-water mark is reset first: `ru_maxrss` cannot be, and a child inherits it from its parent.
    """
    gc.collect()
    for pid in _family():
        _reset_high_water(pid)
    resident = {pid: _status(pid, "VmRSS") for pid in _family()}
    io, stolen, ticks = _io(), _stolen_ticks(), _children_ticks()
    cpu, start = time.process_time(), time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    cpu_seconds = time.process_time() - cpu + (_children_ticks() - ticks) / _TICKS
    stolen_seconds = (_stolen_ticks() - stolen) / _TICKS
    read, written = (after - before for after, before in zip(_io(), io, strict=True))
    peaks = [max(0, _status(pid, "VmHWM") - resident.get(pid, 0)) for pid in _family()]
    peak = max(peaks) if per_process else sum(peaks)
    return result, Cost(seconds, cpu_seconds, peak, read, written, stolen_seconds)


def _family() -> list[int]:
    """This process and all its living descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                parents[int(entry.name)] = int(fields[1])
    family = [os.getpid()]
    for pid in family:
        family.extend(child for child, parent in parents.items() if parent == pid)
    return family


def _stat(pid: int) -> list[str]:
    """Fields of /proc/pid/stat from the state on; empty when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _children_ticks() -> int:
    """Clock ticks of the children: those that ended and were waited for, and those that live."""
    own = _stat(os.getpid())
    living = (_stat(pid) for pid in _family()[1:])
    return sum(map(int, own[13:15])) + sum(sum(map(int, fields[11:15])) for fields in living if fields)


def _stolen_ticks() -> int:
    """Clock ticks that the cores were ready to work and got none from the host."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8])


def _status(pid: int, key: str) -> int:
    """A `kB` line of /proc/pid/status in bytes; 0 when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)


def _reset_high_water(pid: int) -> None:
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        if pid == os.getpid():
            raise


def _io() -> tuple[int, int]:
    """Bytes read and written by system calls so far, of the whole family."""
    read = written = 0
    for pid in _family():
        try:
            lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        except OSError:
            continue
        fields = dict(line.split(": ") for line in lines)
        read, written = read + int(fields["rchar"]), written + int(fields["wchar"])
    return read, written
