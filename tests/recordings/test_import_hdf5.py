"""Event files of the HDF5 version come into the schema of event stores; what they got wrong is made again."""

from __future__ import annotations

import numpy as np
import pytest

from tests.recordings.scenes import START, codes, column, full_scene
from zarrmill.errors import NotFoundError, SourceFormatError
from zarrmill.recordings.dataset import create_dataset
from zarrmill.recordings.event_reader import open_events
from zarrmill.recordings.import_hdf5 import import_event_file
from zarrmill.recordings.save import save_dataset

h5py = pytest.importorskip("h5py")
TEXT = h5py.string_dtype()

TASK = [
    ("task_id", TEXT), ("task_type", TEXT), ("start_time", "f8"), ("end_time", "f8"), ("duration", "f8"),
    ("count", "i4"), ("allow_repeats", "?"), ("skipped", "?"), ("skip_time", "f8"), ("completion_status", TEXT),
    ("session_fraction_start", "f8"),
]  # fmt: skip
ELEMENT = [
    ("element_id", TEXT), ("task_id", "S8"), ("title", TEXT), ("start_time", "f8"), ("end_time", "f8"),
    ("sequence_index", "i4"), ("is_instruction", "?"), ("colour", "i4"),
]  # fmt: skip
SEGMENT = [
    ("start_event_id", TEXT), ("start_time", "f8"), ("end_time", "f8"), ("element_id", TEXT),
    ("element_relative_start", "f8"),
]  # fmt: skip


@pytest.fixture
def old_file(tmp_path):
    """An old file: a task without an end, a reply before its element, and segments of two types."""
    path = tmp_path / "session-07_events.h5"
    tasks = [
        ("b", "recall", START + 500, 0.0, 0.0, 0, False, False, 0.0, "", 5787.0),
        ("a", "n_back", START + 100, START + 400, 300.0, 3, True, False, 0.0, "completed", 1157.4),
    ]
    elements = [
        ("e1", b"a", "Größe", START + 150, START + 350, 1, False, 7),
        ("e2", b"", "", START + 600, START + 550, 2, True, 7),
    ]
    recording = [("r1", START + 200, START + 300, "", 0.0), ("r2", START + 50, START + 60, "e1", 0.0)]
    with h5py.File(path, "w") as file:
        file.attrs["start_time"] = START / 1000
        file["tasks"] = np.array(tasks, dtype=TASK)
        file.create_group("elements")["data"] = np.array(elements, dtype=ELEMENT)
        file.create_group("segments")["recording"] = np.array(recording, dtype=SEGMENT)
        file["segments/thinking/data"] = np.array([("t1", START + 160, 0.0, "", 0.0)], dtype=SEGMENT)
        file["index/task_id"] = np.array([0, 1])
    return path


def test_rows_come_in_time_with_their_values(old_file):
    """Texts of any kind of HDF5, whole numbers and booleans have the types of the schema."""
    processed = import_event_file(old_file).processed

    assert column(processed, "task", "task_id") == ["a", "b"]
    assert column(processed, "task", "count") == [3, 0]
    assert column(processed, "task", "allow_repeats") == [1, 0]
    assert column(processed, "element", "title") == ["Größe", None]
    assert column(processed, "element", "task_id") == ["a", None]
    assert column(processed, "element", "sequence_idx") == [1, 2]
    assert column(processed, "segment", "segment_type") == ["recording", "thinking", "recording"]
    assert column(processed, "segment", "segment_id") == ["r2", "t1", "r1"]


def test_times_of_0_are_missing(old_file):
    """They meant missing, and not 1970."""
    processed = import_event_file(old_file).processed

    assert column(processed, "task", "end_time") == [400, None]
    assert column(processed, "task", "skip_time") == [None, None]
    assert column(processed, "task", "completion_status") == ["completed", "open"]
    assert column(processed, "segment", "duration") == [10, None, 100]


def test_what_was_wrong_is_made_again(old_file):
    """Fractions, durations, and the elements of segments; a reply before its element is none."""
    processed = import_event_file(old_file).processed

    assert column(processed, "task", "session_fraction_start") == [100 / 600, 500 / 600]
    assert column(processed, "element", "duration") == [200, None]
    assert column(processed, "element", "task_row") == [0, None]
    assert column(processed, "task", "element_count") == [1, 0]
    assert column(processed, "segment", "containing_element_id") == [None, "e1", "e1"]
    assert column(processed, "segment", "element_relative_start") == [None, 10, 50]
    assert codes(processed)["end_before_start"] == 1


def test_what_cannot_be_told_is_reported(old_file):
    """Zeros that may mean missing, and fields that no column holds."""
    processed = import_event_file(old_file).processed

    messages = {problem.code: problem.message for problem in processed.problems if problem.path == "elements/data"}
    assert messages["unknown_field"] == "field colour has no column: left out"
    assert messages["ambiguous_zero"] == "0 may stand for missing in is_instruction: kept"


def test_the_session_is_named_and_its_start_recognised(old_file):
    """By the name of the file, and in whatever unit."""
    found = import_event_file(old_file)

    assert found.processed.session_id == "session-07"
    assert found.processed.start_time == START
    assert found.source.name == "session-07_events.h5"


def test_the_schema_is_that_of_a_store(old_file, tmp_path):
    """The same variables and types as those of a session that was transformed."""
    processed = import_event_file(old_file).processed
    made, expected = create_dataset(processed), create_dataset(full_scene().process())

    assert {n: v.dtype for n, v in made.variables.items()} == {n: v.dtype for n, v in expected.variables.items()}
    save_dataset(made, tmp_path / "s.zarr", sync=False)
    assert open_events(tmp_path / "s.zarr").to_pandas("task").index.tolist() == ["a", "b"]


def test_a_table_that_is_missing_has_no_rows(tmp_path):
    """And that is reported."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["tasks"] = np.array([], dtype=TASK)

    processed = import_event_file(tmp_path / "x.h5").processed

    assert [processed.rows(name) for name in ("task", "element", "segment", "event")] == [0, 0, 0, 0]
    assert codes(processed) == {"no_table": 2}


def test_another_file_is_refused(tmp_path):
    """And so is nothing."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("events")

    with pytest.raises(SourceFormatError, match="no event file: it has none of tasks, elements, segments"):
        import_event_file(tmp_path / "x.h5")
    with pytest.raises(NotFoundError):
        import_event_file(tmp_path / "y.h5")
