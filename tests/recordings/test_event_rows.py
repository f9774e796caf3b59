"""The rows of one group of events."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from zarrmill.recordings.event_rows import read_event_groups
from zarrmill.recordings.hdf5 import Hdf5File
from zarrmill.recordings.problems import Findings
from zarrmill.testing import START

TEXT = h5py.string_dtype()


@pytest.fixture
def read(tmp_path):
    """Writes the datasets of one group, and reads its rows and the codes of what is wrong."""

    def read(**datasets):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            group = file.create_group(b"events/t\xffpe" if datasets.pop("odd_name", False) else "events/type")
            for name, values in datasets.items():
                text = isinstance(values, list)
                group.create_dataset(name, data=values, dtype=TEXT if text else None)
        findings = Findings()
        with Hdf5File(tmp_path / "a.h5") as file:
            (group,) = read_event_groups(file, findings)
        return group, [(problem.code, problem.path, problem.row) for problem in findings.sorted()]

    return read


def _times(rows):
    return np.full((rows, 2), START)


def test_sequence_numbers_and_times_alone_are_rows(read):
    """A group without JSON and ids has the rows that it has numbers for."""
    group, problems = read(sequence_numbers=np.array([4, 5], dtype="i4"), timestamps=_times(2))

    assert [(row.sequence, row.event_id, row.payload, row.client_time) for row in group.rows] == [
        (4, None, None, START), (5, None, None, START),
    ]  # fmt: skip
    assert [code for code, *_ in problems] == ["no_payloads", "no_event_ids"]
    assert (group.has_ids, group.has_sequence) == (False, True)


def test_times_alone_are_rows(read):
    """With nothing else, every time is a row."""
    assert len(read(timestamps=_times(3))[0].rows) == 3


def test_ids_beyond_the_json_are_rows(read):
    """What has an id happened, even when its JSON was lost."""
    group, problems = read(data=["{}"], event_ids=["a", "b", "c"], timestamps=_times(3))

    assert [(row.event_id, row.data) for row in group.rows] == [("a", {}), ("b", None), ("c", None)]
    assert problems == [("too_short", "events/type/data", 1)]


def test_times_beyond_the_rows_are_none(read):
    """Recorders reserve times ahead: those without JSON and id are no events."""
    group, problems = read(data=["{}"], event_ids=["a"], timestamps=_times(9))

    assert len(group.rows) == 1
    assert problems == [("too_long", "events/type/timestamps", 1)]


def test_zero_rows_are_no_fault(read):
    """A group may be empty."""
    group, problems = read(data=[], event_ids=[], timestamps=np.zeros((0, 2)))

    assert group.rows == ()
    assert problems == []


def test_text_of_fixed_length_is_read(read):
    """Fixed length is text as well, one column of it too."""
    group, problems = read(data=np.array([[b"{}"], [b"null"]]), event_ids=np.array([b"a", b"b"]), timestamps=_times(2))

    assert [(row.event_id, row.data) for row in group.rows] == [("a", {}), ("b", None)]
    assert [code for code, *_ in problems] == ["null_payload"]


def test_repeated_ids_are_two_rows(read):
    """Both rows are kept, and the later one is named."""
    group, problems = read(data=["{}"] * 3, event_ids=["a", "b", "a"], timestamps=_times(3))

    assert [row.event_id for row in group.rows] == ["a", "b", "a"]
    assert problems == [("repeated_event_id", "events/type/event_ids", 2)]


def test_a_group_whose_name_is_not_utf8_is_read(read):
    """Its type is escaped."""
    group, problems = read(odd_name=True, data=["{"], event_ids=["a"], timestamps=_times(1))

    assert group.event_type == "t\\xffpe"
    assert group.rows[0].payload == "{"
    assert problems == [("bad_json", "events/t\\xffpe/data", 0)]


@pytest.mark.parametrize("values", [np.zeros(2), np.zeros((2, 2), dtype="i4")], ids=["floats", "square"])
def test_sequence_numbers_are_whole(read, values):
    """Other numbers are missing and reported."""
    group, problems = read(data=["{}"] * 2, event_ids=["a", "b"], sequence_numbers=values, timestamps=_times(2))

    assert [row.sequence for row in group.rows] == [None, None]
    assert problems == [("wrong_type", "events/type/sequence_numbers", -1)]
