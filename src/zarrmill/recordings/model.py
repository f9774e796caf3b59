"""What the rooms of this package hand each other: raw events, and which file they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


# A session has tens of thousands of them, and a frozen dataclass takes five times as long to make.
class EventRow(NamedTuple):
    """One row of one event group, as it stands in the file; nothing is filled in that is missing there."""

    event_type: str
    """Name of the group."""
    row: int
    """Row within the group, from 0."""
    event_id: str | None
    """Id as stored, escaped where it was not UTF-8; None where there is none."""
    sequence: int | None
    """Sequence number, where the group has them; None elsewhere."""
    server_time: float
    """Clock of the server, epoch milliseconds; NaN where it is missing."""
    client_time: float
    """Clock of the client, epoch milliseconds, by which events and signals are joined; NaN where it is missing."""
    payload: str | None
    """JSON text as stored, escaped where it was not UTF-8; None where the group has no row of it."""
    data: Mapping[str, Any] | None
    """The JSON object; None where the text is not one (a problem then says so) or is ``null``."""


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Which file it was."""

    name: str
    """File name without its folders."""
    nbytes: int
    """Size in bytes."""
    sha256: str
    """Checksum of the file in hexadecimal digits."""
