"""Each fault of the specification's table from file to store: what is valid is what was recorded at its time.

Nothing of the plan is asked here. Of a curated file the true time of every frame and all of its values are known; a
valid window must hold the very values of the frames whose true times are within half an EEG frame of its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.recordings.windows.files import finite_channels, write_recording
from tests.recordings.windows.signals import FRAME, START, Frames, make_frames, with_hole, without
from zarrmill.recordings import WindowSettings, open_recording, open_windows, write_windows
from zarrmill.recordings.windows.reasons import Reason
from zarrmill.testing import SignalSpec, SignalTruth, write_signals

HALF = FRAME / 2
CHANNELS = 5_000
FINITE = finite_channels(CHANNELS)
JITTER = 2.0
PLAIN = WindowSettings(filter=None)
USUAL = SignalSpec("eeg", 4_000, FRAME, jitter_ms=3.0)


def convert(path: Path, settings: WindowSettings = PLAIN) -> Any:
    """Write the windows of a file beside it and return them with times in milliseconds."""
    with open_recording(path) as recording:
        write_windows(recording, path.with_suffix(".zarr"), settings=settings, executor="serial")
    return open_windows(path.with_suffix(".zarr"), times="milliseconds").load()


def nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the positions of the nearest of some rising times."""
    after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    return np.where(wanted - times[after - 1] < times[after] - wanted, after - 1, after)


def check_eeg(windows: Any, truth: SignalTruth) -> NDArray[np.bool_]:
    """Assert that valid windows hold what was recorded at their places, and nothing stands for what was not."""
    valid = np.asarray(windows.eeg_valid.values)
    width = int(windows.attrs["frames_per_window"])
    places = windows.time.values[valid, None] + windows.attrs["window_ms"] / width * np.arange(width)
    rows = nearest(truth.times, places)
    assert np.abs(truth.times[rows] - places).max() < HALF
    assert (np.diff(truth.frames[rows], axis=1) == 1).all()
    recorded = truth.values(0, len(truth.times), channels=np.arange(21)).astype(np.float32)[rows]
    expected = recorded.transpose(0, 2, 1, 3).reshape(len(rows), 21, -1)
    np.testing.assert_array_equal(windows.eeg.values[valid], expected)
    assert not (windows.eeg.values == 0).any()
    assert np.isnan(windows.eeg.values[np.isin(windows.eeg_reason.values, (Reason.GAP, Reason.OUTSIDE))]).all()
    return valid


def in_gap(windows: Any, truth: SignalTruth) -> NDArray[np.bool_]:
    """Return which windows have a place in one of the gaps."""
    length = float(windows.attrs["window_ms"])
    frame = length / windows.attrs["frames_per_window"]
    begin, last = windows.time.values, windows.time.values + length - frame
    found = [(last > low + frame / 2) & (begin < high - frame / 2) for low, high in truth.gaps]
    return np.any(found, axis=0) if found else np.zeros(len(begin), dtype=bool)


@pytest.mark.parametrize(
    ("spec", "lost"),
    [
        (USUAL, 0),
        (replace(USUAL, gaps=((2_000, 10_500.0),)), 0),
        (replace(USUAL, gaps=((2_000, 10_511.0), (3_000, 4_007.0))), 2),
        (replace(USUAL, frames=8_000, period_ms=210.6 / 7), 0),
        (replace(USUAL, gaps=((20, 48 * FRAME),)), 0),
        (replace(USUAL, frames=8_000, drift_ppm=200.0), 0),
        (replace(USUAL, jitter_ms=0.0, duplicates=(703, 1_500)), 2),
        (replace(USUAL, jitter_ms=0.0, backward=(703,)), 2),
        (replace(USUAL, missing=(10, 900)), 2),
        (replace(USUAL, old_layout=True), 0),
    ],
    ids=[
        "no fault", "a hole of 10.5 s", "clocks that began anew", "a period of 210.6 ms", "48 frames lost at the start",
        "drift", "a time twice", "a time backwards", "no time", "the old layout",
    ],
)  # fmt: skip
def test_valid_eeg_is_what_was_recorded_then(tmp_path: Path, spec: SignalSpec, lost: int) -> None:
    """Values of valid windows are those of their times; outside of gaps no more are lost than have a bad frame."""
    truth = write_signals(tmp_path / "s.h5", [spec])["eeg"]

    windows = convert(tmp_path / "s.h5")

    valid, gap = check_eeg(windows, truth), in_gap(windows, truth)
    assert not valid[gap].any()
    # Of the last window some frames may never have been recorded.
    assert (~valid[:-1] & ~gap[:-1]).sum() <= lost
    assert (windows.eeg_reason.values[~valid] != Reason.VALID).all()
    assert windows.time.values[0] == pytest.approx(truth.start, abs=HALF)


def test_the_measured_period_is_stored(tmp_path: Path) -> None:
    """210.6 ms to a ten-thousandth of a frame, as attribute and from window to window."""
    write_signals(tmp_path / "s.h5", [replace(USUAL, frames=20_000, period_ms=210.6 / 7)])

    windows = convert(tmp_path / "s.h5")

    assert windows.attrs["window_ms"] == pytest.approx(210.6, abs=3e-3)
    steps = np.diff(windows.time.values)
    assert np.abs(steps - 210.6).max() < 1.0
    assert windows.time.values[-1] - START == pytest.approx(210.6 * (len(steps)), abs=HALF)


def test_filtered_windows_are_the_wave_that_was_recorded(tmp_path: Path) -> None:
    """2 to 12 Hz pass the filter as they are, the offset of 50 does not; a hole touches only what is within seconds."""
    truth = write_signals(tmp_path / "s.h5", [replace(USUAL, frames=8_000, gaps=((4_000, 10_500.0),))])["eeg"]

    windows = convert(tmp_path / "s.h5", WindowSettings())

    valid = windows.eeg_valid.values
    rows = nearest(truth.times, windows.time.values[valid, None] + FRAME * np.arange(7))
    recorded = truth.values(0, len(truth.times), channels=np.arange(21))[rows] - 50
    expected = recorded.transpose(0, 2, 1, 3).reshape(len(rows), 21, -1)
    ends = np.concatenate([[truth.times[0], truth.times[-1]], *map(np.array, truth.gaps)])
    away = np.abs(windows.time.values[valid, None] - ends).min(axis=1) > 8_000
    assert away.sum() > 800
    assert np.abs(windows.eeg.values[valid] - expected)[away].max() < 0.05
    assert np.isfinite(windows.eeg.values[valid]).all()


def check_fnirs(windows: Any, frames: Frames, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Assert that valid windows hold a frame of their own time, and return which are valid."""
    valid = np.asarray(windows.fnirs_valid.values)
    recorded = values[:, FINITE, 0].astype(np.float32)
    first = recorded[:, 0]
    order = np.argsort(first)
    # Noise: the value of one channel tells which frame it is of.
    rows = order[np.searchsorted(first[order], windows.fnirs.values[valid, 0])]
    np.testing.assert_array_equal(windows.fnirs.values[valid], recorded[rows])
    phase = float(np.median((frames.truth[rows] - windows.time.values[valid]) / windows.attrs["window_ms"]))
    off = frames.truth[rows] - (windows.time.values[valid] + phase * windows.attrs["window_ms"])
    period = float(np.median(np.diff(frames.truth)))
    # The median that stands for their usual place is some milliseconds off it.
    assert np.abs(off).max() < max(period, windows.attrs["window_ms"]) / 2 + HALF + 5
    assert np.isnan(windows.fnirs.values[~valid & (windows.fnirs_reason.values == Reason.GAP)]).all()
    return valid


@pytest.mark.parametrize("period", [210.6, 292.8], ids=str)
def test_after_a_hole_in_both_devices_fnirs_is_of_its_time(tmp_path: Path, period: float) -> None:
    """Both were silent for 10.5 s: no window in it is valid, and those after it have the frames of their times."""
    frame = 210.6 / 7
    eeg = with_hole(make_frames(5_000, period=frame, jitter=JITTER), at=2_500, milliseconds=10_500.0)
    count = round(5_000 * frame / period)
    fnirs = with_hole(make_frames(count, period=period, jitter=JITTER), at=count // 2, milliseconds=10_500.0)
    written = write_recording(tmp_path / "s.h5", eeg=eeg, fnirs=fnirs, channels=CHANNELS)
    assert written.fnirs is not None

    windows = convert(written.path)

    valid = check_fnirs(windows, fnirs, written.fnirs)
    low, high = fnirs.truth[count // 2 - 1] + period, fnirs.truth[count // 2] - period
    silent = (windows.time.values > low) & (windows.time.values + 210.6 < high)
    assert silent.sum() >= 45
    assert not valid[silent].any()
    assert valid[~silent].mean() > 0.98


def test_frames_lost_at_the_start_of_fnirs_shift_nothing(tmp_path: Path) -> None:
    """48 of the first frames are missing: their windows have none, and all later frames are in those of their times."""
    eeg = make_frames(4_200, period=210.6 / 7, jitter=JITTER)
    fnirs = without(make_frames(600, period=210.6, start=START + 60.0, jitter=JITTER), slice(5, 53))
    written = write_recording(tmp_path / "s.h5", eeg=eeg, fnirs=fnirs, channels=CHANNELS)
    assert written.fnirs is not None

    windows = convert(written.path)

    valid = check_fnirs(windows, fnirs, written.fnirs)
    assert np.flatnonzero(~valid[:600]).tolist() == list(range(5, 53))
    assert (windows.fnirs_reason.values[5:53] == Reason.GAP).all()
    assert np.abs(windows.real_fnirs_ts.values[valid] - windows.time.values[valid] - 60.0).max() < HALF


def test_a_fnirs_time_that_comes_twice_makes_its_window_invalid_alone(tmp_path: Path) -> None:
    """Which of the two frames is right is not known; all others are valid."""
    fnirs = make_frames(300, period=210.0, start=START + 60.0)
    twice = np.sort(np.concatenate([np.arange(300), [100]]))
    doubled = Frames(fnirs.truth[twice], fnirs.stored[twice])
    written = write_recording(tmp_path / "s.h5", eeg=make_frames(2_100), fnirs=doubled, channels=CHANNELS)
    assert written.fnirs is not None

    windows = convert(written.path)

    valid = check_fnirs(windows, doubled, written.fnirs)
    assert np.flatnonzero(~valid).tolist() == [100]
    assert windows.fnirs_reason.values[100] == Reason.DUPLICATE_TIMES


def test_a_channel_that_is_there_late_is_valid(tmp_path: Path) -> None:
    """Validity is over all frames: a channel whose first value is in frame 1,100 is kept, valid, and not complete."""
    from zarrmill.recordings.hdf5 import load_h5py

    written = write_recording(tmp_path / "s.h5", fnirs=make_frames(1_101, period=210.0), channels=2_000)
    with load_h5py().File(written.path, "a") as file:
        file["devices/fnirs/frames_data"][1_100, 1_500] = 2.0

    windows = convert(written.path)

    at = windows.global_index.values.tolist().index(1_500)
    assert (windows.valid.values[at], windows.complete.values[at]) == (True, False)
    assert windows.valid.values.all()
    assert windows.complete.values.sum() == windows.sizes["fnirs_channel"] - 1
    assert windows.fnirs.values[-1, at] == 2.0
    assert np.isnan(windows.fnirs.values[:-1, at]).all()
