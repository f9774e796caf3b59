"""Which event types mean what: configuration, so that other recordings need no other code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class EventPair:
    """Two event types of which one starts something and the other ends it."""

    name: str
    """What it is called: for segments the ``segment_type``."""
    start: str
    """Event type of the start."""
    end: str
    """Event type of the end."""


@dataclass(frozen=True, slots=True)
class EventSettings:
    """The type map."""

    task: EventPair = EventPair("task", "task_started", "task_completed")
    """What starts and ends a task; a start and its end have the same ``task_id``."""
    element: EventPair = EventPair("element", "element_sent", "element_replied")
    """What sends an element and replies to it, both with the same ``element_id``."""
    segments: tuple[EventPair, ...] = (
        EventPair("recording", "recording_start", "recording_stop"),
        EventPair("thinking", "thinking_start", "thinking_stop"),
        EventPair("pause", "pause_event", "resume_event"),
    )
    """What starts and ends segments, which are matched in time; two pairs may have one name."""
    skip: str = "skip_task"
    """Event type that skips a task."""

    def __post_init__(self) -> None:
        uses = Counter([*(name for pair in self.pairs for name in (pair.start, pair.end)), self.skip])
        if twice := sorted(name for name, count in uses.items() if count > 1):
            raise InvalidInputError(f"event types with two meanings: {', '.join(twice)}. Give each one meaning.")

    @property
    def pairs(self) -> tuple[EventPair, ...]:
        """All pairs."""
        return (self.task, self.element, *self.segments)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {**asdict(self), "segments": [asdict(pair) for pair in self.segments]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EventSettings:
        """Return the settings in JSON or TOML values; what is not given keeps its default.

        Raises InvalidInputError for unknown names, for values of the wrong type and for types with two meanings.

        >>> EventSettings.from_json({"skip": "task_skipped"}).skip
        'task_skipped'
        """
        if not isinstance(data, Mapping):
            raise InvalidInputError(f"event types: a {type(data).__name__}, not a table. Give a table by role.")
        if unknown := sorted(set(data) - set(cls.__dataclass_fields__)):
            known = ", ".join(cls.__dataclass_fields__)
            raise InvalidInputError(f"event types: {', '.join(map(str, unknown))} unknown. Known are {known}.")
        given: dict[str, Any] = {role: _read_pair(data[role], role) for role in ("task", "element") if role in data}
        if "segments" in data:
            given["segments"] = _read_segments(data["segments"])
        if "skip" in data:
            given["skip"] = _read_name(data["skip"], "skip")
        return cls(**given)


DEFAULT_SETTINGS = EventSettings()
"""The event types of the recordings that this was made for."""


def _read_segments(value: Any) -> tuple[EventPair, ...]:
    if not isinstance(value, list | tuple):
        raise InvalidInputError(f"segments: a {type(value).__name__}, not a list. Give a list of name, start and end.")
    return tuple(_read_pair(pair, f"segments[{number}]") for number, pair in enumerate(value))


def _read_pair(value: Any, role: str) -> EventPair:
    """Return a pair from a table; tasks and elements need no name."""
    names = {"name": role, **value} if isinstance(value, Mapping) else {}
    if role.startswith("segments") and isinstance(value, Mapping) and "name" not in value:
        raise InvalidInputError(f"{role}: no name. Give name, start and end.")
    if set(names) != {"name", "start", "end"}:
        raise InvalidInputError(f"{role}: {value!r} is no table of name, start and end. Give those three.")
    return EventPair(**{name: _read_name(names[name], f"{role}.{name}") for name in ("name", "start", "end")})


def _read_name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"{where}: {value!r} is no name. Give a text.")
    return value
