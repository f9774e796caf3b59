"""A curated file as it stands: events, start, devices, and everything that is wrong with it, found at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np

from zarrmill.errors import SourceFormatError
from zarrmill.recordings.device import Device, DeviceName, read_devices
from zarrmill.recordings.event_rows import ROOT, EventGroup, read_event_groups
from zarrmill.recordings.hdf5 import Hdf5File, UnreadableError
from zarrmill.recordings.local_copy import LocalCopy, fetch
from zarrmill.recordings.model import EventRow, SourceFacts
from zarrmill.recordings.problems import Findings, InputProblem
from zarrmill.recordings.start_time import PATH as METADATA
from zarrmill.recordings.start_time import check_start_time
from zarrmill.recordings.texts import escape
from zarrmill.recordings.timestamps import drop_odd

KNOWN_GROUPS = {ROOT, "devices", "eeg", "fnirs", METADATA, "audio", "language"}
"""Groups of a curated file; one that has others and none of these is something else."""
_DERIVED_GROUPS = {"tasks", "elements", "segments"}
"""Groups of the event files that the HDF5 version wrote."""


class Recording:
    """An open curated file; events and times are read, frames are read when they are asked for."""

    def __init__(self, copy: LocalCopy) -> None:
        findings = Findings()
        self._copy = copy
        self.file = Hdf5File(copy.path, shown=copy.location)
        """The open file, for what else is in it."""
        try:
            _check_curated(self.file)
            self.event_groups: tuple[EventGroup, ...] = read_event_groups(self.file, findings)
            """Events by type in the file's order."""
            self.events: tuple[EventRow, ...] = tuple(chain.from_iterable(group.rows for group in self.event_groups))
            """Every row of every group, type by type in the file's order."""
            self.devices: Mapping[DeviceName, Device] = MappingProxyType(read_devices(self.file, findings))
            """The devices whose frames can be read."""
            value, first = _read_attribute(self.file, findings), self.first_event
            self.start_time, self.start_unit = check_start_time(value, first_event=first, findings=findings)
        except BaseException:
            self.file.close()
            raise
        self.problems: tuple[InputProblem, ...] = findings.sorted()
        """Everything that is wrong, by path and row."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and remove the copy of a remote one; what was read already stays."""
        self.file.close()
        self._copy.remove()

    @property
    def path(self) -> Path:
        """The file on the local disk, while the recording is open."""
        return self._copy.path

    @property
    def location(self) -> str:
        """Where it is: an absolute path or a URL."""
        return self._copy.location

    @property
    def session_id(self) -> str:
        """Name of the file without its ending."""
        return escape(PurePosixPath(self._copy.name).name.removesuffix(".h5"))

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self._copy.path.stat().st_size

    @property
    def first_event(self) -> float:
        """Earliest time of an event by the client's clock, else by the server's; NaN without any.

        A time that is decades from the others, as one in seconds, is none of them.
        """
        for clock in (attrgetter("client_time"), attrgetter("server_time")):
            times = np.array(list(map(clock, self.events)), dtype=np.float64)
            known = times[~np.isnan(times)]
            if len(known):
                return float(drop_odd(known).min())
        return float("nan")

    @property
    def source(self) -> SourceFacts:
        """Name, size and checksum of the file; the checksum is computed when it is first asked for."""
        return self._copy.facts


def open_recording(
    location: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None, scratch: str | None = None
) -> Recording:
    """Open and check a curated file, to be used in a ``with`` statement.

    A file at a URL is copied into the folder ``scratch``, or that for temporary files, until the recording is closed.
    What is wrong in the file is in ``problems``, and what is readable is kept. Raises NotFoundError where there is
    nothing, and SourceFormatError for a file that is truncated, damaged as a whole, or not a curated one.
    """
    copy = fetch(location, storage_options=storage_options, scratch=scratch)
    try:
        return Recording(copy)
    except BaseException:
        copy.remove()
        raise


def _read_attribute(file: Hdf5File, findings: Findings) -> Any:
    try:
        return file.attributes(METADATA).get("start_time")
    except UnreadableError as error:
        findings.add("unreadable", METADATA, error.fault)
        return None


def _check_curated(file: Hdf5File) -> None:
    """Raise SourceFormatError for HDF5 of another kind."""
    names = set(file.names())
    if not names or names & KNOWN_GROUPS:
        return
    if names & _DERIVED_GROUPS:
        hint = "it has the tables of an event file. Use zarrmill recordings import-hdf5"
    else:
        hint = f"its groups are {', '.join(sorted(map(escape, names))[:5])}, and none of events, devices, metadata"
    raise SourceFormatError(f"{file.where} is no curated recording: {hint}.")
