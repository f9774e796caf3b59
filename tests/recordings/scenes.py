"""Invented events, written down one by one: what the tests of tables are made from."""

from __future__ import annotations

import json
from collections import Counter
from math import nan

from hypothesis import settings
from hypothesis import strategies as st

from zarrmill.recordings.model import EventRow
from zarrmill.recordings.processing import process

FEW = settings(max_examples=settings().max_examples // 3)
"""For what takes long with each session: a third of the examples of the profile."""
START = 1_700_000_000_000.0
"""When the sessions of the tests start, epoch milliseconds. Times in scenes count from here."""


class Scene:
    """Events of one session in the order in which they are told."""

    def __init__(self):
        self.events = []
        self._rows = Counter()

    def add(self, event_type, time, data=None, *, event_id=None, sequence=None, payload=None):
        """Add a row; without ``payload`` its text is the JSON of its data."""
        text = json.dumps(data) if payload is None else payload
        at = nan if time is None else START + time
        row = EventRow(event_type, self._rows[event_type], event_id, sequence, at + 40, at, text, data)
        self._rows[event_type] += 1
        self.events.append(row)
        return self

    def task(self, task_id, start, end=None, *, task_type="n_back", **config):
        """Add a task, which is completed where there is an end."""
        data = {"task_id": task_id, "task_type": task_type, "config": config}
        self.add("task_started", start, data, event_id=f"s-{task_id}-{start}")
        return self if end is None else self.end_task(task_id, end)

    def end_task(self, task_id, time):
        """Add the end of a task."""
        return self.add("task_completed", time, {"task_id": task_id}, event_id=f"c-{task_id}-{time}")

    def element(self, element_id, start, reply=None, *, task_id=None, metadata=None, **content):
        """Add an element, with a reply where there is one."""
        metadata = {"task_id": task_id, **(metadata or {})}
        data = {"element_id": element_id, "element_content": {**content, "task_metadata": metadata}}
        self.add("element_sent", start, data, event_id=f"e-{element_id}-{start}")
        return self if reply is None else self.reply(element_id, reply)

    def reply(self, element_id, time, modality="voice"):
        """Add a reply."""
        data = {"element_id": element_id, "input_modality": modality}
        return self.add("element_replied", time, data, event_id=f"r-{element_id}-{time}")

    def segment(self, start, end=None, *, starts="recording_start", ends="recording_stop", event_id=None):
        """Add a segment, with an end where there is one."""
        self.add(starts, start, {}, event_id=event_id or f"{starts}-{start}")
        return self if end is None else self.add(ends, end, {}, event_id=f"{ends}-{end}")

    def process(self, **options):
        """Return the tables."""
        options.setdefault("start_time", START)
        return process(self.events, session_id="session-01", **options)


def column(processed, table, name):
    """Return a column as a list: None is missing, times count from the start of the session."""
    columns = processed.tables[table]
    values = columns[name].tolist()
    if f"{name}_valid" in columns:
        return [value if valid else None for value, valid in zip(values, columns[f"{name}_valid"], strict=True)]
    shift = START if name.endswith("_time") and name != "session_relative_time" else 0
    if columns[name].dtype.kind == "f":
        return [None if value != value else value - shift for value in values]
    return values if columns[name].dtype.kind == "b" else [None if value == -1 else value for value in values]


def codes(processed):
    """Return how often each problem was found."""
    return dict(Counter(problem.code for problem in processed.problems))


def full_scene():
    """Return a session with something in every column, and something missing in most."""
    scene = Scene()
    config = {
        "count": 2,
        "allow_repeats": False,
        "with_interruptions": True,
        "audio_mode": "",
        "input_modality": "voice",
    }
    scene.task("t1", 100, 900, **config)
    scene.task("t2", 1000, task_type=None)
    metadata = {"task_type": "n_back", "current_count": 1, "max_count": 2, "fraction_session_completed": 0.25}
    content = {"element_type": "image", "title": "Größe 𝄞", "is_instruction": False, "audio_mode": "speaker"}
    scene.element("e1", 200, 400, task_id="t1", metadata=metadata, response_time_seconds=0, **content)
    scene.element("e1", 500, task_id="t1", with_interruptions=True)
    scene.element("e2", 1100, 1300)
    scene.segment(250, 350).segment(260, 450, starts="thinking_start", ends="thinking_stop")
    scene.segment(950, None, starts="pause_event")
    scene.add("skip_task", 1500, {"task_id": "t2"})
    scene.add("display", 50, None, payload="{broken", sequence=7)
    return scene


TIMES = st.one_of(st.none(), st.integers(0, 30).map(float))
"""Few enough that they often coincide; None is a missing one."""
IDS = st.one_of(st.none(), st.sampled_from(["", "a", "b", "a#2"]))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.just([]), st.just({})
)
"""What JSON may hold where something else belongs."""
TYPES = (
    "task_started", "task_completed", "element_sent", "element_replied", "recording_start", "recording_stop",
    "thinking_start", "thinking_stop", "pause_event", "resume_event", "skip_task", "display",
)  # fmt: skip


@st.composite
def scenes(draw, max_events=25):
    """Return sessions of any events in any order, with values of any type at any level."""
    scene = Scene()
    for event_type in draw(st.lists(st.sampled_from(TYPES), max_size=max_events)):
        scene.add(event_type, draw(TIMES), draw(payloads(event_type)), event_id=draw(IDS), sequence=draw(st.none()))
    return scene


@st.composite
def payloads(draw, event_type):
    """Return the data of an event: its own fields or any values in their place."""
    if draw(st.integers(0, 9)) == 0:
        return None
    data = {"task_id": draw(IDS), "element_id": draw(IDS)}
    if event_type == "task_started":
        names = ("count", "allow_repeats", "with_interruptions", "audio_mode", "input_modality")
        data |= {"task_type": draw(VALUES), "config": draw(nested(names))}
    if event_type == "element_sent":
        data["element_content"] = draw(nested(("title", "is_instruction", "response_time_seconds", "task_metadata")))
    return data


def nested(names):
    """Return objects of some of these names, or any value in place of one."""
    return st.one_of(VALUES, st.dictionaries(st.sampled_from(names), VALUES))
