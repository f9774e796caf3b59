"""What the verbs return: frozen values that the command line prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.grid import Shape
from zarrmill.keyspace.model import Requests


@dataclass(frozen=True, slots=True)
class ArrayReport:
    """One rechunked array."""

    path: str
    """Path below the root, "" for the root itself."""
    shape: Shape
    """Length per axis."""
    dtype: str
    """Logical data type."""
    chunks_before: Shape
    """Inner chunks of the source."""
    shards_before: Shape | None
    """Shards of the source."""
    chunks: Shape
    """Inner chunks of the target."""
    shards: Shape | None
    """Shards of the target."""
    route: str
    """"driver", "bytes" (encoded chunks moved as they were) or "zarr" (through zarr-python)."""
    passes: int
    """Passes over the data; more than one means an intermediate."""
    digest: str | None
    """Digest of the values, with ``verify="full"``; None where an update kept some of them."""


@dataclass(frozen=True, slots=True)
class RunRequests:
    """What a run asked of stores, from opening them to publishing; what the client repeats by itself is not seen."""

    total: Requests
    """At both ends."""
    source: Requests | None
    """At the source; None where it is on the local disk."""
    target: Requests | None
    """At the target, reading back included; None where it is on the local disk."""
    earlier: Requests | None
    """Of the blocks that an earlier run had finished, which are in none of the others; None without such."""


@dataclass(frozen=True, slots=True)
class RechunkReport:
    """What a rechunk did. Figures in bytes count encoded bytes; those of resumed blocks are in them."""

    source: str
    """Location that was read."""
    target: str
    """Location that was written."""
    arrays: tuple[ArrayReport, ...]
    """The arrays in the order of their paths."""
    seconds: float
    """Wall time of this run."""
    max_mem: int
    """Limit in bytes for each process that ran blocks."""
    processes: int
    """Processes that ran blocks."""
    peak_mem: int
    """Largest memory above start of any of them, in bytes, in this run or one it continues."""
    source_bytes: int
    """Decoded bytes of the arrays."""
    source_chunks: int
    """Chunks of the source."""
    source_chunks_read: int
    """Chunks read, repeats counted."""
    bytes_read: int
    """Bytes read."""
    bytes_written: int
    """Bytes written, intermediates too."""
    target_bytes: int
    """Bytes of the target's keys."""
    keys_written: int
    """Keys of the target."""
    keys_empty: int
    """Keys left out because all of their values are the fill value."""
    blocks: int
    """Blocks of all stages."""
    resumed_blocks: int
    """Blocks that an earlier run had finished."""
    verify: str
    """"full", "written" or "none"."""
    digest: str | None
    """Digest of the whole store, with ``verify="full"``; None where an update kept some of it."""
    notes: tuple[str, ...]
    """What people should know."""
    kept_blocks: int = 0
    """Blocks that an update kept, because nothing that they read has changed; no other figure counts them."""
    requests: RunRequests | None = None
    """What this run asked of stores; None where both ends are on the local disk."""

    @property
    def verified(self) -> bool:
        """Whether what was written was compared with what was read or encoded."""
        return self.verify != "none"

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "verified": self.verified}
