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
from zarrmill.recordings import (
    EventTransform,
    WindowSettings,
    WindowTransform,
    open_events,
    open_recording,
    open_windows,
    select_windows,
    write_windows,
)
from zarrmill.recordings.windows.query import find_rows, match_windows
from zarrmill.recordings.windows.window_reader import times_ms
from zarrmill.testing import CuratedTruth, SignalSpec, write_curated


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


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CuratedTruth]:
    """A place with the events and windows of one session, whose EEG has a hole in the middle of its first task."""
    place = tmp_path_factory.mktemp("session")
    path = place / "curated-h5/s-01.h5"
    path.parent.mkdir()
    amounts = {"seed": 4, "tasks": 9, "elements": 27, "segments": 24}
    planned = write_curated(path, **amounts)
    path.unlink()
    middle = (planned.tasks[0].start_time + planned.tasks[0].end_time) / 2 - planned.start_time
    frames = round((planned.end_time - planned.start_time) / 30) + 40
    eeg = SignalSpec("eeg", frames, 30.0, jitter_ms=2.0, gaps=((round(middle / 30), 1_500.0),))
    truth = write_curated(path, **amounts, signals=[eeg])
    assert EventTransform(place).run().exit_code == 0
    assert WindowTransform(place, settings=WindowSettings(filter=None)).run().exit_code == 0
    return place / "processed", truth


def open_session(place: Path, times: Any = "datetime") -> tuple[Any, Any]:
    windows = open_windows(place / "windows/s-01_windowed.zarr", times=times)
    return windows, open_events(place / "event/s-01_events.zarr")


@pytest.mark.parametrize("times", ["datetime", "milliseconds"])
def test_valid_windows_in_the_middle_half_of_every_task_of_a_type(
    session: tuple[Path, CuratedTruth], times: Any
) -> None:
    """Of stores that the transforms made: those that trying all windows and tasks finds, and no window of the hole."""
    place, truth = session
    windows, events = open_session(place, times)
    kind = truth.tasks[0].task_type

    picked = select_windows(windows, events, where={"task_type": kind}, part=(0.25, 0.75), valid=("eeg",))

    begin, length = times_ms(windows), windows.attrs["window_ms"]
    valid = windows.eeg_valid.values
    tasks = [task for task in truth.tasks if task.task_type == kind]
    expected = set()
    for task in tasks:
        quarter = (task.end_time - task.start_time) / 4
        inside = (begin >= task.start_time + quarter) & (begin + length <= task.end_time - quarter)
        assert inside.any()
        expected |= {(task.task_id, int(window)) for window in np.flatnonzero(inside & valid)}
        assert task is not tasks[0] or not valid[inside].all()
    ids = events.columns("task")["task_id"][picked.task_row.values]
    assert set(zip(ids.tolist(), picked.dataset_idx.values.tolist(), strict=True)) == expected
    assert len(tasks) < len(truth.tasks)
    assert np.isfinite(picked.eeg.values).all()


def test_windows_of_segments_of_some_types(session: tuple[Path, CuratedTruth]) -> None:
    """Any table of the events will do, and several values at once."""
    place, truth = session
    windows, events = open_session(place)

    wanted = ("thinking", "pause")
    picked = select_windows(windows, events, table="segment", where={"segment_type": wanted}, valid=("eeg",))

    kinds = events.columns("segment")["segment_type"][picked.segment_row.values]
    assert set(kinds.tolist()) == {segment.segment_type for segment in truth.segments} & set(wanted)
    assert picked.sizes["time"] > 20
    begin = times_ms(picked)
    columns = {name: events.columns("segment")[name][picked.segment_row.values] for name in ("start_time", "end_time")}
    assert (begin >= columns["start_time"] - 1e-3).all()
    assert (begin + windows.attrs["window_ms"] <= columns["end_time"] + 1e-3).all()


def test_a_value_of_another_kind_is_told(session: tuple[Path, CuratedTruth]) -> None:
    """A number for a text is a mistake, and what is missing is no empty text."""
    place, _ = session
    windows, events = open_session(place)

    with pytest.raises(InvalidInputError, match="task_type holds texts"):
        select_windows(windows, events, where={"task_type": 3})
    with pytest.raises(InvalidInputError, match="count holds numbers"):
        select_windows(windows, events, where={"count": "3"})
    columns = {"kind": np.array(["", "", "a"]), "kind_valid": np.array([True, False, True])}
    assert find_rows(columns, {"kind": ""}).tolist() == [0]
