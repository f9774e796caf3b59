"""Curated files of invented sessions."""

from __future__ import annotations

import doctest
import json

import h5py
import pytest

import zarrmill.testing
from zarrmill.testing import START, write_curated


def test_examples_run():
    """What the docstring of the package shows is so."""
    assert doctest.testmod(zarrmill.testing).failed == 0


def test_a_file_has_the_shapes_of_the_format(tmp_path):
    """Text of variable length, two clocks, ids, and the start of the session."""
    truth = write_curated(tmp_path / "a.h5")

    with h5py.File(truth.path) as file:
        assert file["metadata"].attrs["start_time"] == START
        for name, rows in truth.rows.items():
            group = file[f"events/{name}"]
            assert group["data"].shape == group["event_ids"].shape == (rows,)
            assert h5py.check_string_dtype(group["data"].dtype).length is None
            assert group["timestamps"].shape == (rows, 2)
            assert all(isinstance(json.loads(text), dict) for text in group["data"])


def test_the_truth_is_what_was_written(tmp_path):
    """Times and ids of every element by hand."""
    truth = write_curated(tmp_path / "a.h5", tasks=3, elements=7)

    with h5py.File(truth.path) as file:
        sent = [json.loads(text) for text in file["events/element_sent/data"]]
        starts = file["events/element_sent/timestamps"][:, 1]
    assert [data["element_id"] for data in sent] == [element.element_id for element in truth.elements]
    assert starts.tolist() == [element.start_time for element in truth.elements]
    assert truth.end_time >= max(task.end_time for task in truth.tasks)
    assert truth.session_id == "a"


@pytest.mark.parametrize("seed", [0, 5])
def test_the_same_seed_gives_the_same_values(tmp_path, seed):
    """Every row, id and time."""
    found = []
    for name in ("a.h5", "b.h5"):
        write_curated(tmp_path / name, seed=seed, others=9)
        with h5py.File(tmp_path / name) as file:
            found.append({f"{group}/{part}": file["events"][group][part][:].tolist()
                          for group in file["events"] for part in file["events"][group]})  # fmt: skip

    assert found[0] == found[1]
