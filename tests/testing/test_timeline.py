"""What happens in an invented session."""

from __future__ import annotations

import doctest
from collections import Counter

import pytest

from zarrmill.testing import timeline
from zarrmill.testing.timeline import START, plan_session

SIZES = {"small": (6, 24, 20), "usual": (33, 288, 120), "few": (3, 2, 1), "many segments": (2, 3, 50)}


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(timeline).failed == 0


@pytest.mark.parametrize(("tasks", "elements", "segments"), SIZES.values(), ids=SIZES)
def test_a_session_has_what_was_asked_for(tasks, elements, segments):
    """So many tasks, elements and segments, with a start and an end each."""
    line = plan_session(seed=1, tasks=tasks, elements=elements, segments=segments, others=0)
    rows = {name: len(events) for name, events in line.events.items()}

    assert (len(line.tasks), len(line.elements), len(line.segments)) == (tasks, elements, segments)
    assert sum(rows.values()) == 2 * (tasks + elements + segments)
    assert sum(task.element_count for task in line.tasks) == elements


def test_everything_is_where_it_should_be():
    """Elements lie in their task and never overlap; segments lie in their element, pauses in none."""
    line = plan_session(seed=2, tasks=5, elements=30, segments=40, others=0)
    tasks = {task.task_id: task for task in line.tasks}
    elements = {element.element_id: element for element in line.elements}

    for element in line.elements:
        assert tasks[element.task_id].start_time < element.start_time
        assert element.end_time < tasks[element.task_id].end_time
    assert all(a.end_time < b.start_time for a, b in zip(line.elements, line.elements[1:], strict=False))
    for segment in line.segments:
        assert START < segment.start_time < segment.end_time
        inside = [
            name for name, element in elements.items()
            if element.start_time < segment.start_time and segment.end_time < element.end_time
        ]  # fmt: skip
        assert inside == ([] if segment.element_id is None else [segment.element_id])
    assert Counter(segment.segment_type for segment in line.segments).keys() == {"recording", "thinking", "pause"}


def test_ids_are_unique_and_rows_in_time():
    """No two events share an id, and each group is in time."""
    line = plan_session(seed=3, tasks=4, elements=12, segments=12, others=50)
    ids = [event.event_id for events in line.events.values() for event in events]

    assert len(set(ids)) == len(ids)
    for events in line.events.values():
        assert [event.time for event in events] == sorted(event.time for event in events)
        assert all(event.server_time > event.time for event in events)


def test_the_same_seed_gives_the_same_session():
    """And another seed another one."""
    first, again, other = (
        plan_session(seed=seed, tasks=3, elements=9, segments=5, others=4).events for seed in (7, 7, 8)
    )

    assert first == again
    assert first != other
