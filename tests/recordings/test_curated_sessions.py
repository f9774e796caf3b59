"""From curated files to tables: what is known of a file is in its tables, and each damage costs what it must."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import isfinite
from time import process_time

import numpy as np
import pytest

from tests.recordings.scenes import codes, column
from zarrmill.recordings.dataset import create_dataset
from zarrmill.recordings.processing import extract, process
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.schema import all_columns
from zarrmill.recordings.settings import DEFAULT_SETTINGS

pytest.importorskip("xarray")
pytest.importorskip("h5py")

from zarrmill.testing import DAMAGES, EEG, write_curated

READABLE = [name for name, damage in DAMAGES.items() if not damage.fatal]


def tables_of(path):
    """Return the tables of a curated file, and the events that they are made from."""
    with open_recording(path) as recording:
        found = extract(recording)
    processed = process(found.events, session_id=found.session_id, start_time=found.start_time, problems=found.problems)
    return processed, found.events


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole file and the truth about it."""
    return write_curated(tmp_path_factory.mktemp("whole") / "session-01.h5", seed=5, signals=[replace(EEG, frames=200)])


def raw(processed, table, name):
    """Return a column as it is stored."""
    return processed.tables[table][name].tolist()


def test_a_whole_file_has_no_problems(whole):
    """And nothing is missing that is there."""
    processed, _ = tables_of(whole.path)

    assert processed.problems == ()
    assert (processed.start_time, processed.end_time) == (whole.start_time, whole.end_time)


def test_tasks_are_the_truth(whole):
    """Every attribute of every task."""
    processed, _ = tables_of(whole.path)

    for name in ("task_id", "task_type", "start_time", "end_time", "element_count"):
        assert raw(processed, "task", name) == [getattr(task, name) for task in whole.tasks]
    for name in ("count", "allow_repeats", "with_interruptions", "audio_mode", "input_modality"):
        assert raw(processed, "task", name) == [task.config[name] for task in whole.tasks]


def test_elements_are_the_truth(whole):
    """Every attribute of every element."""
    processed, _ = tables_of(whole.path)
    content = {name: name for name in ("element_type", "title", "is_instruction", "audio_mode", "with_interruptions")}
    metadata = {"sequence_idx": "current_count", "max_count": "max_count", "task_type": "task_type"}

    for name in ("element_id", "task_id", "start_time", "end_time", "input_modality"):
        assert raw(processed, "element", name) == [getattr(element, name) for element in whole.elements]
    for name, field in {**content, "response_time_seconds": "response_time_seconds"}.items():
        assert raw(processed, "element", name) == [element.content[field] for element in whole.elements]
    for name, field in {**metadata, "session_fraction": "fraction_session_completed"}.items():
        assert raw(processed, "element", name) == [e.content["task_metadata"][field] for e in whole.elements]


def test_segments_are_the_truth(whole):
    """With the element of each."""
    processed, _ = tables_of(whole.path)

    for name in ("segment_type", "start_time", "end_time"):
        assert raw(processed, "segment", name) == [getattr(segment, name) for segment in whole.segments]
    assert column(processed, "segment", "containing_element_id") == [s.element_id for s in whole.segments]


@pytest.fixture
def damaged(whole, tmp_path):
    """Return a function that damages the whole file and gives its tables and events."""

    def damage(name):
        path = tmp_path / "session-01.h5"
        path.write_bytes(whole.path.read_bytes())
        DAMAGES[name](path)
        return tables_of(path)

    return damage


@pytest.mark.parametrize("name", READABLE)
def test_no_damage_changes_the_schema_or_loses_a_row(damaged, name):
    """Every start is a row and every event a raw row; types are those of the schema, and no time is 1970."""
    processed, events = damaged(name)
    dataset = create_dataset(processed)
    counts = Counter(event.event_type for event in events)

    for table, found in all_columns():
        assert dataset[found.flat_name].dtype == found.numpy_dtype
        assert dataset[found.flat_name].dims == (table.dim,)
    assert processed.rows("event") == len(events)
    assert processed.rows("task") == counts[DEFAULT_SETTINGS.task.start]
    assert processed.rows("element") == counts[DEFAULT_SETTINGS.element.start]
    assert processed.rows("segment") == sum(counts[pair.start] for pair in DEFAULT_SETTINGS.segments)
    starts = np.concatenate([processed.tables[table]["start_time"] for table in ("task", "element", "segment")])
    assert not (starts <= 0).any()
    assert {problem.code for problem in processed.problems} >= {code for code, *_ in DAMAGES[name].problems}


def one(table, name, row):
    """Return a function that reads one value."""
    return lambda processed: column(processed, table, name)[row]


PARTIALLY = "partially_completed_then_skipped"
MEANINGS = {
    "task_without_end": (one("task", "completion_status", 1), "open", {"start_without_end": 1}),
    "last_task_without_end": (one("task", "completion_status", -1), "open", {"start_without_end": 1}),
    "task_without_start": (
        lambda processed: processed.rows("task"), 5, {"end_without_start": 1, "unknown_task": 1},
    ),
    "element_without_reply": (one("element", "end_time", 1), None, {"start_without_end": 1}),
    "element_without_send": (lambda processed: processed.rows("element"), 23, {"end_without_start": 1}),
    "segment_without_start": (
        lambda processed: all(value is not None for value in column(processed, "segment", "duration")), True,
        {"extra_end": 1},
    ),
    "several_replies": (one("element", "duration", 1), "as it was", {"end_before_start": 1, "extra_end": 1}),
    "repeated_task_id": (one("task", "task_id", 1), "task-001#2", {"repeated_id": 1, "unknown_task": 1}),
    "repeated_element_id": (one("element", "element_id", 2), "el-00002#2", {"repeated_id": 1}),
    "repeated_event_id": (lambda processed: processed.rows("element"), 24, {"repeated_event_id": 1}),
    "null_config": (one("task", "count", 1), None, {}),
    "null_element_content": (one("element", "title", 1), None, {}),
    "null_task_metadata": (one("element", "task_id", 1), None, {}),
    "null_inner_config": (one("element", "title", 1), "as it was", {}),
    "missing_values": (one("element", "is_instruction", 1), None, {}),
    "missing_column": (lambda processed: set(column(processed, "element", "audio_mode")), {None}, {}),
    "zero_and_empty": (
        lambda processed: [column(processed, "element", name)[1] for name in ("response_time_seconds", "audio_mode")],
        [0.0, ""], {},
    ),
    "wrong_types": (one("element", "is_instruction", 1), None, {"wrong_json_type": 2}),
    "spanning_segment": (one("segment", "spans_elements", 0), 1, {}),
    "segment_outside": (one("segment", "containing_element_id", 0), None, {}),
    "nested_elements": (one("segment", "containing_element_id", 0), "el-00002", {}),
    "skip_by_id": (one("task", "completion_status", 2), "skipped_before_start", {}),
    "skip_running": (one("task", "completion_status", 1), PARTIALLY, {}),
    "skip_next": (one("task", "completion_status", 1), "skipped_before_start", {}),
    "skip_open": (one("task", "completion_status", 1), PARTIALLY, {"start_without_end": 1}),
    "skip_unstarted": (one("task", "completion_status", 1), "skipped_before_start", {}),
}  # fmt: skip
"""By damage of what events mean: a value, what it must be, and how often each problem is found."""


@pytest.mark.parametrize("name", MEANINGS)
def test_odd_events_become_what_the_specification_says(whole, damaged, name):
    """The value, and exactly these problems."""
    read, expected, found = MEANINGS[name]
    processed, _ = damaged(name)

    if expected == "as it was":
        expected = read(tables_of(whole.path)[0])
    assert read(processed) == expected
    assert codes(processed) == found


def test_recordings_that_never_stop_stay_open(damaged):
    """The one that does keeps its own end."""
    processed, _ = damaged("segment_without_end")
    kinds = zip(column(processed, "segment", "segment_type"), column(processed, "segment", "duration"), strict=True)
    durations = [duration for kind, duration in kinds if kind == "recording"]

    assert durations[0] is not None
    assert set(durations[1:]) == {None}
    assert codes(processed) == {"start_without_end": len(durations) - 1}


def test_five_thousand_elements_and_segments_of_a_file(tmp_path):
    """Reading included, a session of that size takes less than 2 seconds of one core."""
    path = write_curated(tmp_path / "big.h5", tasks=50, elements=5000, segments=5000).path
    begun = process_time()

    processed, _ = tables_of(path)
    dataset = create_dataset(processed)

    assert process_time() - begun < 2
    assert dataset.sizes["element_id"] == dataset.sizes["segment_id"] == 5000
    assert all(isfinite(value) for value in dataset.element_duration.values)
