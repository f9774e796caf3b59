"""What is in a curated file, or in a store that was made from one; nothing personal is in the report but the id."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zarrmill.hierarchy import Node, read_hierarchy
from zarrmill.recordings.coverage import GAP_PERIODS
from zarrmill.recordings.device import Device
from zarrmill.recordings.event_rows import EventGroup
from zarrmill.recordings.recording import Recording, open_recording
from zarrmill.recordings.texts import escape
from zarrmill.recordings.timestamps import Times
from zarrmill.store import is_local, local_path, open_store

_FACTS = ("session_id", "transform", "layout", "storage_format", "version", "created_at")
"""Attributes of a store that are shown."""


@dataclass(frozen=True, slots=True)
class EventGroupInfo:
    """One group of events."""

    event_type: str
    """Its name."""
    rows: int
    """Number of rows."""
    ids: bool
    """Whether rows have ids."""
    readable: int
    """Rows whose JSON is an object."""
    first_time: float | None
    """Earliest time by the client's clock, epoch milliseconds; None where none is known."""
    last_time: float | None
    """Latest time."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device."""

    name: str
    """"eeg" or "fnirs"."""
    path: str
    """Dataset of its frames."""
    shape: tuple[int, ...]
    """Frames first."""
    dtype: str
    """Type of the values."""
    chunks: tuple[int, ...] | None
    """Chunk shape; None where the frames lie in one piece."""
    nbytes: int
    """Bytes of the values, decoded."""
    stored_bytes: int
    """Bytes in the file."""
    first_time: float | None
    """Earliest time of a frame, epoch milliseconds; None where none is known."""
    last_time: float | None
    """Latest time of a frame."""
    period_ms: float | None
    """Median time from frame to frame."""
    gaps: int
    """Times that the next frame is more than 1.5 periods away."""
    longest_gap_ms: float
    """The longest of those; 0 without any."""
    missing_times: int
    """Frames without a time."""


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """What is in a curated file."""

    location: str
    """Where it is."""
    session_id: str
    """Name of the file without its ending."""
    nbytes: int
    """Size of the file."""
    start_time: float | None
    """Start of the session, epoch milliseconds; None where it is not known."""
    start_unit: str
    """What the start was stored in: s, ms, us, ns, ISO; "" without one."""
    events: tuple[EventGroupInfo, ...]
    """Groups of events."""
    devices: tuple[DeviceInfo, ...]
    """Devices whose frames can be read."""
    other_groups: tuple[str, ...]
    """Groups of the file that are not read."""
    problems: dict[str, int]
    """Number of problems by code."""

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {"kind": "recording", **asdict(self)}


@dataclass(frozen=True, slots=True)
class StoredArrayInfo:
    """One array of a store."""

    path: str
    """Its path."""
    shape: tuple[int, ...]
    """Length per axis."""
    dtype: str
    """Type by its Zarr v3 name."""
    dims: tuple[str | None, ...]
    """Names of the dimensions; none where it has none."""


@dataclass(frozen=True, slots=True)
class SessionStoreInfo:
    """What is in a store that was made from a recording."""

    location: str
    """Where it is."""
    facts: dict[str, Any]
    """What its attributes say: session_id, transform, layout, version, created_at."""
    sizes: dict[str, int]
    """Length by dimension: rows of tables, windows, channels."""
    arrays: tuple[StoredArrayInfo, ...]
    """Its arrays."""

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {"kind": "store", **asdict(self)}


def inspect_recording(
    location: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
) -> RecordingInfo | SessionStoreInfo:
    """Return what is in a curated file, or in an event or window store, at a path or URL.

    Whatever ends in ``.h5``, and every file of the local disk, is a curated file. Raises as ``open_recording`` and
    ``open_store`` do.
    """
    text = os.fspath(location)
    if text.endswith(".h5") or (is_local(text) and local_path(text).is_file()):
        with open_recording(text, storage_options=storage_options) as recording:
            return describe(recording)
    return _describe_store(text, storage_options)


def describe(recording: Recording) -> RecordingInfo:
    """Return what is in an open recording; no frame is read."""
    start = recording.start_time
    names = [escape(name) for name in recording.file.names()]
    known = {"events", "metadata", "devices", *(device.path.split("/")[0] for device in recording.devices.values())}
    return RecordingInfo(
        location=recording.location,
        session_id=recording.session_id,
        nbytes=recording.nbytes,
        start_time=None if np.isnan(start) else start,
        start_unit=recording.start_unit,
        events=tuple(_describe_group(group) for group in recording.event_groups),
        devices=tuple(_describe_device(device) for device in recording.devices.values()),
        other_groups=tuple(name for name in names if name not in known),
        problems=dict(sorted(Counter(problem.code for problem in recording.problems).items())),
    )


def _describe_group(group: EventGroup) -> EventGroupInfo:
    first, last = _span(np.array([row.client_time for row in group.rows], dtype=np.float64))
    readable = sum(row.data is not None for row in group.rows)
    return EventGroupInfo(group.event_type, len(group.rows), group.has_ids, readable, first, last)


def _describe_device(device: Device) -> DeviceInfo:
    first, last = _span(device.times)
    steps = np.diff(np.sort(device.times[~np.isnan(device.times)]))
    period = float(np.median(steps[steps > 0])) if np.any(steps > 0) else None
    gaps = steps[steps > GAP_PERIODS * period] if period else steps[:0]
    return DeviceInfo(
        name=device.name,
        path=device.path,
        shape=device.shape,
        dtype=device.dtype.name,
        chunks=device.chunks,
        nbytes=device.dataset.nbytes,
        stored_bytes=device.dataset.nbytes_stored,
        first_time=first,
        last_time=last,
        period_ms=period,
        gaps=len(gaps),
        longest_gap_ms=float(gaps.max(initial=0.0)),
        missing_times=int(np.isnan(device.times).sum()),
    )


def _span(times: Times) -> tuple[float | None, float | None]:
    known = times[~np.isnan(times)]
    return (float(known.min()), float(known.max())) if len(known) else (None, None)


def _describe_store(location: str, storage_options: Mapping[str, Any] | None) -> SessionStoreInfo:
    opened = open_store(location, storage_options=storage_options)
    hierarchy = read_hierarchy(opened)
    attributes = hierarchy.nodes[""].metadata.get("attributes", {})
    arrays = tuple(_describe_array(node) for node in hierarchy.arrays.values())
    sizes = {name: size for array in arrays for name, size in zip(array.dims, array.shape, strict=False) if name}
    facts = {name: attributes[name] for name in _FACTS if name in attributes}
    return SessionStoreInfo(opened.location, facts, sizes, arrays)


def _describe_array(node: Node) -> StoredArrayInfo:
    metadata = node.metadata
    data_type = metadata["data_type"]
    name = data_type if isinstance(data_type, str) else data_type["name"]
    return StoredArrayInfo(node.path, tuple(metadata["shape"]), name, tuple(metadata.get("dimension_names") or ()))
