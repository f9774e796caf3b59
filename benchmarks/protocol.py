"""What a run is told and what it answers: one JSON document each way. Standard library only."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sizes import Layout, Size


@dataclass(frozen=True)
class Job:
    """One call of one contender."""

    module: str
    """Module below `benchmarks.contenders` whose `run(job)` is the call."""
    options: dict[str, Any]
    """What distinguishes this contender from others of the same module."""
    size: Size
    """The workload."""
    layout: Layout
    """Layout of the target."""
    source: str
    """Path of the source store."""
    target: str
    """Path of the target store, which does not exist yet."""
    scratch: str
    """Path of an empty directory for intermediates."""
    max_mem: int
    """Bytes of memory allowed."""
    count_reads: bool = False
    """Whether to count how often source chunks are opened, where the contender can; such a run is not timed."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Inverse of `to_json`."""
        value = json.loads(text)
        return cls(**{**value, "size": Size.from_json(value["size"])})


@dataclass(frozen=True)
class Measurement:
    """What one run cost."""

    seconds: float
    """Wall time of the call alone."""
    cpu_seconds: float
    """Processor time of the call: the process, its threads and its children."""
    peak: int
    """Highest resident bytes of the call, above those just before it; child processes add theirs, or count alone."""
    read_bytes: int
    """Bytes that the call asked of files, from the page cache or not; metadata and intermediates included."""
    written_bytes: int
    """Bytes that the call gave to files, intermediates included."""
    stolen_seconds: float = 0.0
    """Processor time that the host of a virtual machine gave to others meanwhile, over all cores."""
    source_reads: int | None = None
    """How often a source chunk was opened, where that can be counted."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What the contender itself says about the run."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that the contender uses."""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Measurement:
        """Inverse of `to_json`."""
        return cls(**json.loads(text))
