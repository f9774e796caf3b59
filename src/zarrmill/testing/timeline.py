"""What happens in an invented session, and when: pure, so that tests know the truth of what they read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

START = 1_750_000_000_000.0
"""Epoch milliseconds at which every invented session starts."""
SERVER_LAG = 37.5
"""Milliseconds by which the server's clock is ahead of the client's, at least."""
_TASK_TYPES = ("describe_picture", "read_aloud", "free_recall", "mental_arithmetic")
_MODALITIES = ("voice", "keyboard", "touch")
_TITLES = ("Seven lamps", "Größe und Maß", "山と川", "A clef: 𝄞", "Привет, мир", "Plain text")
"""Invented texts, some of them outside of ASCII and of the basic plane."""
_LEAD, _MARGIN = 1000.0, 200.0


@dataclass(frozen=True, slots=True)
class TaskTruth:
    """A task that was played."""

    task_id: str
    """Its id."""
    task_type: str
    """Its type."""
    start_time: float
    """Epoch milliseconds by the client's clock, as all times here."""
    end_time: float
    """End."""
    element_count: int
    """Elements that were sent in it."""
    config: dict[str, Any]
    """What ``task_started`` says: count, allow_repeats, with_interruptions, audio_mode, input_modality."""


@dataclass(frozen=True, slots=True)
class ElementTruth:
    """An element that was sent and replied to."""

    element_id: str
    """Its id."""
    task_id: str
    """The task in which it was sent."""
    start_time: float
    """When it was sent."""
    end_time: float
    """When the reply came."""
    content: dict[str, Any]
    """What ``element_sent`` says of it."""
    input_modality: str
    """How the reply came."""


@dataclass(frozen=True, slots=True)
class SegmentTruth:
    """A recording, a time to think, or a pause."""

    segment_type: str
    """"recording", "thinking" or "pause"."""
    start_time: float
    """Start."""
    end_time: float
    """End."""
    element_id: str | None
    """Element in which it lies as a whole; None for pauses, which lie between tasks."""


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """One row to write."""

    time: float
    """By the client's clock."""
    server_time: float
    """By the server's clock."""
    event_id: str
    """Unique in the session."""
    payload: dict[str, Any]
    """What its JSON holds."""


@dataclass(slots=True)
class Timeline:
    """A session that is being planned."""

    random: random.Random
    """Where chance comes from."""
    now: float = START + _LEAD
    """When the next thing happens."""
    events: dict[str, list[PlannedEvent]] = field(default_factory=dict)
    """Rows by event type, in time."""
    tasks: list[TaskTruth] = field(default_factory=list)
    """Tasks up to now."""
    elements: list[ElementTruth] = field(default_factory=list)
    """Elements up to now."""
    segments: list[SegmentTruth] = field(default_factory=list)
    """Segments up to now."""

    def pass_time(self, least: float, most: float) -> float:
        """Let some milliseconds pass and return what time it is then."""
        self.now = round(self.now + self.random.uniform(least, most), 2)
        return self.now

    def add(self, event_type: str, time: float, payload: dict[str, Any]) -> None:
        """Write an event down."""
        number = sum(map(len, self.events.values()))
        server = round(time + SERVER_LAG + self.random.uniform(0, 20), 2)
        event = PlannedEvent(time, server, f"ev-{number:06d}", payload)
        self.events.setdefault(event_type, []).append(event)


def plan_session(*, seed: int, tasks: int, elements: int, segments: int, others: int) -> Timeline:
    """Return a session of so many tasks, elements, segments and other events, the same for the same seed.

    Of 60 segments one is a pause between two tasks, of the others 44 in 118 are times to think, as in real sessions.
    Elements are spread evenly over the tasks, and segments over the elements.
    """
    line = Timeline(random.Random(seed))
    pauses = _count_pauses(segments, elements)
    kinds = _spread(segments - pauses, max(1, elements))
    shares = _spread(elements, max(1, tasks))
    number = 0
    for task in range(tasks):
        _play_task(line, task, [list(_kinds_of(kinds, number + k, segments - pauses)) for k in range(shares[task])])
        number += shares[task]
        for _ in range(_spread(pauses, tasks)[task]):
            _pause(line)
    _add_others(line, others)
    return line


def _count_pauses(segments: int, elements: int) -> int:
    if not elements:
        return segments
    return max(1, segments // 60) if segments >= 4 else 0


def _spread(total: int, parts: int) -> list[int]:
    """Return how many of a total each part has.

    >>> _spread(5, 3)
    [1, 2, 2]
    """
    return [total * (part + 1) // parts - total * part // parts for part in range(parts)]


def _kinds_of(counts: list[int], element: int, total: int) -> Iterator[str]:
    """Yield what the segments of an element are: 44 of 118 are times to think, evenly spread."""
    first = total * element // len(counts)
    for number in range(first, first + counts[element]):
        yield "thinking" if (number + 1) * 44 // 118 > number * 44 // 118 else "recording"


def _play_task(line: Timeline, number: int, kinds: list[list[str]]) -> None:
    task_id, task_type = f"task-{number + 1:03d}", _TASK_TYPES[number % len(_TASK_TYPES)]
    config = {
        "count": len(kinds),
        "allow_repeats": number % 2 == 1,
        "with_interruptions": number % 3 == 0,
        "audio_mode": "headphones" if number % 2 else "speaker",
        "input_modality": _MODALITIES[number % len(_MODALITIES)],
    }
    start = line.pass_time(300, 900)
    line.add("task_started", start, {"task_id": task_id, "task_type": task_type, "config": config})
    for position, names in enumerate(kinds):
        _play_element(line, (task_id, task_type), (position, len(kinds)), names)
    end = line.pass_time(200, 500)
    line.add("task_completed", end, {"task_id": task_id, "task_type": task_type})
    line.tasks.append(TaskTruth(task_id, task_type, start, end, len(kinds), config))


def _play_element(line: Timeline, task: tuple[str, str], place: tuple[int, int], kinds: list[str]) -> None:
    element_id, modality = f"el-{len(line.elements) + 1:05d}", line.random.choice(_MODALITIES)
    content = _content(line, element_id, task, place)
    start = line.pass_time(100, 600)
    line.add("element_sent", start, {"element_id": element_id, "element_content": content})
    end = line.pass_time(3000, 9000)
    line.add("element_replied", end, {"element_id": element_id, "input_modality": modality})
    line.elements.append(ElementTruth(element_id, task[0], start, end, content, modality))
    width = (end - start - 2 * _MARGIN) / max(1, len(kinds))
    for number, kind in enumerate(kinds):
        first = round(start + _MARGIN + number * width, 2)
        _add_segment(line, kind, (first, round(first + 0.8 * width, 2)), element_id)


def _content(line: Timeline, element_id: str, task: tuple[str, str], place: tuple[int, int]) -> dict[str, Any]:
    position, count = place
    seconds = line.random.choice((5.0, 7.5, 10.0))
    return {
        "element_id": element_id,
        "element_type": "instruction" if position == 0 else "stimulus",
        "title": line.random.choice(_TITLES),
        "is_instruction": position == 0,
        "audio_mode": "speaker",
        "with_interruptions": False,
        "response_time_seconds": seconds,
        "task_metadata": {
            "task_id": task[0],
            "task_type": task[1],
            "current_count": position,
            "max_count": count,
            "fraction_session_completed": round(min(1.0, (line.now - START) / 3.6e6), 6),
            "config": {"response_time_seconds": seconds + 1},
        },
    }


_ENDS = {"recording": ("recording_start", "recording_stop"), "thinking": ("thinking_start", "thinking_stop")}


def _add_segment(line: Timeline, kind: str, times: tuple[float, float], element_id: str) -> None:
    for name, time in zip(_ENDS[kind], times, strict=True):
        line.add(name, time, {"source": "session"})
    line.segments.append(SegmentTruth(kind, *times, element_id))


def _pause(line: Timeline) -> None:
    start, end = line.pass_time(100, 300), line.pass_time(2000, 5000)
    line.add("pause_event", start, {"reason": "requested"})
    line.add("resume_event", end, {})
    line.segments.append(SegmentTruth("pause", start, end, None))


def _add_others(line: Timeline, count: int) -> None:
    """Add what no table is made of: 4533 pictures shown to 8345 keys pressed, spread over the session."""
    shown = count * 4533 // 12878
    end = line.now
    for number in range(shown):
        line.add("display", round(START + _LEAD + number * (end - START) / shown, 2), {"screen": number % 7})
    for number in range(count - shown):
        time = round(START + _LEAD + number * (end - START) / (count - shown), 2)
        line.add("keystroke", time, {"key": chr(97 + number % 26), "modifiers": []})
