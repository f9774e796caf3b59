"""The events of one session as the tables are made from them: by type and position, with what is found on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zarrmill.recordings.event_codes import severity_of
from zarrmill.recordings.model import EventRow
from zarrmill.recordings.payloads import Payload
from zarrmill.recordings.problems import InputProblem
from zarrmill.recordings.schema import TABLES


@dataclass(frozen=True, slots=True)
class RawEvents:
    """Events in the order of the raw table; a position is a row of it."""

    rows: Sequence[EventRow]
    """All events."""
    positions: Mapping[str, list[int]]
    """Positions by event type."""
    problems: list[InputProblem] = field(default_factory=list)
    """What is found while the tables are made."""

    @classmethod
    def of(cls, rows: Sequence[EventRow]) -> RawEvents:
        """Return the events of a session."""
        positions: dict[str, list[int]] = defaultdict(list)
        for position, row in enumerate(rows):
            positions[row.event_type].append(position)
        return cls(rows, dict(positions))

    def of_type(self, event_type: str) -> list[int]:
        """Return the positions of the events of a type; none where there are none."""
        return self.positions.get(event_type, [])

    def payload(self, position: int) -> Payload:
        """Return the typed view of the JSON of an event."""
        return Payload(self.rows[position], self.problems)

    def time(self, position: int) -> float:
        """Return the time of an event by the client's clock, NaN where it is missing."""
        return self.rows[position].client_time

    def report(self, code: str, position: int, message: str) -> None:
        """Add a problem of one event."""
        row = self.rows[position]
        self.problems.append(InputProblem(f"events/{row.event_type}", row.row, code, severity_of(code), message))

    def table(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return the arrays of the raw table: every event as it was."""
        return TABLES["event"].make(
            event_type=[row.event_type for row in self.rows],
            event_id=[row.event_id for row in self.rows],
            sequence=self._sequence(),
            server_time=[row.server_time for row in self.rows],
            client_time=[row.client_time for row in self.rows],
            payload=[row.payload for row in self.rows],
        )

    def _sequence(self) -> list[int | None]:
        """Return the sequence numbers; one that an int32 cannot hold apart from "missing" is reported."""
        numbers = [row.sequence for row in self.rows]
        for position, number in enumerate(numbers):
            if number is not None and not 0 <= number < 2**31:
                said = f"sequence number {number} is not from 0 to {2**31 - 1}: missing"
                self.report("out_of_range", position, said)
                numbers[position] = None
        return numbers
