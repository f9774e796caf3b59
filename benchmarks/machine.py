"""What the figures were measured on; no host name, no path."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe_machine(work: Path) -> dict[str, str]:
    """Processor, cores, memory, disk, kernel and interpreter."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "disk": _disk(work),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def load_average() -> float:
    """Load of the last minute."""
    return os.getloadavg()[0]


def _field(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"


def _disk(work: Path) -> str:
    """File system and kind of device below the work directory: `ext4 on a disk without moving parts`."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [fields for fields in mounts if work.resolve().is_relative_to(fields[1])]
    kind = max(inside, key=lambda fields: len(fields[1]))[2]
    number = os.stat(work).st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    for folder in (device, device.parent):
        rotational = folder / "queue" / "rotational"
        if rotational.exists():
            virtual = folder.name.startswith("vd")
            spins = rotational.read_text().strip() == "1"
            return f"{kind} on {'a virtual disk' if virtual else 'a spinning disk' if spins else 'a solid-state disk'}"
    return kind
