"""Windows in events: whole windows in parts of rows, by a sorted search, lazily."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import START, make_frames
from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.recordings import WindowSettings, open_recording, open_windows, select_windows, write_windows
from zarrmill.recordings.windows.query import match_windows


class Tables:
    """Events with one table of tasks."""

    def columns(self, table: str) -> Mapping[str, NDArray[Any]]:
        """Return three tasks, of which one never ended."""
        assert table == "task"
        return {
            "start_time": START + np.array([2_100.0, 8_400.0, 12_600.0]),
            "end_time": START + np.array([6_300.0, 12_600.0, np.nan]),
            "task_type": np.array(["n_back", "rest", "n_back"]),
        }


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of a hundred windows of 210 ms."""
    made = write_recording(tmp_path / "s.h5", eeg=make_frames(700))
    with open_recording(made.path) as recording:
        write_windows(recording, tmp_path / "w.zarr", settings=WindowSettings(filter=None))
    return tmp_path / "w.zarr"


@pytest.mark.parametrize("times", ["datetime", "milliseconds"])
def test_windows_of_tasks_of_a_type(store: Path, times: Any) -> None:
    """Windows from 2.1 s to 6.3 s are 10 to 29; the task without an end has none."""
    picked = select_windows(open_windows(store, times=times), Tables(), where={"task_type": "n_back"}, valid=("eeg",))

    assert picked.dataset_idx.values.tolist() == list(range(10, 30))
    assert picked.task_row.values.tolist() == [0] * 20


def test_the_middle_half_of_every_task(store: Path) -> None:
    """A part of a task holds those windows alone that lie wholly within it."""
    picked = select_windows(open_windows(store), Tables(), part=(0.25, 0.75), valid=("eeg",))

    assert picked.dataset_idx.values.tolist() == [*range(15, 25), *range(45, 55)]
    assert picked.eeg.shape == (20, 21, 105)


def test_a_selection_is_lazy(store: Path) -> None:
    """Nothing of the signals is read by a query."""
    picked = select_windows(open_windows(store), Tables(), valid=("eeg",))

    assert not picked.eeg.variable._in_memory
    assert picked.sizes["time"] == 40


def test_windows_that_are_not_valid_are_left_out(store: Path) -> None:
    """Both devices are asked for unless something else is said, and there is no fNIRS."""
    assert select_windows(open_windows(store), Tables()).sizes["time"] == 0


def test_what_is_asked_must_exist(store: Path) -> None:
    """Unknown columns and parts that are none are told."""
    with pytest.raises(UnknownNameError, match="task_kind"):
        select_windows(open_windows(store), Tables(), where={"task_kind": 1})
    with pytest.raises(InvalidInputError, match=r"\(0\.25, 0\.75\)"):
        select_windows(open_windows(store), Tables(), part=(0.75, 0.25))


def test_the_search_equals_trying_all() -> None:
    """Rows in any order, overlapping, empty and without ends match the windows that lie within them."""
    random = np.random.default_rng(3)
    times = np.sort(random.uniform(0, 1_000, 200))
    begin = random.uniform(0, 1_000, 80)
    end = begin + random.uniform(-20, 100, 80)
    end[::9] = np.nan

    window, row = match_windows(times, 7.0, begin=begin, end=end)

    expected = {(w, r) for w, t in enumerate(times.tolist()) for r in range(80) if begin[r] <= t and t + 7.0 <= end[r]}
    assert set(zip(window.tolist(), row.tolist(), strict=True)) == expected
