"""Devices of a recording."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from zarrmill.recordings.device import read_devices
from zarrmill.recordings.hdf5 import Hdf5File
from zarrmill.recordings.problems import Findings
from zarrmill.testing import EEG, write_signals


def _read(path):
    findings = Findings()
    with Hdf5File(path) as file:
        return read_devices(file, findings), [(found.code, found.row) for found in findings.sorted()]


@pytest.fixture
def path(tmp_path):
    """A file with 50 frames of EEG in chunks of 20."""
    write_signals(tmp_path / "a.h5", [replace(EEG, frames=50, chunks=(20, 28, 15))])
    return tmp_path / "a.h5"


def test_a_device_is_described_before_it_is_read(path):
    """Shape, type, chunks and the time of every frame by the second clock."""
    devices, problems = _read(path)

    assert (devices["eeg"].shape, devices["eeg"].dtype, devices["eeg"].chunks) == (
        (50, 28, 15),
        "float32",
        (20, 28, 15),
    )
    assert devices["eeg"].times.shape == (50,)
    assert devices["eeg"].path == "devices/eeg/frames_data"
    assert problems == []


def test_frames_in_one_piece_have_no_chunks(tmp_path):
    """There is nothing to align to."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["eeg/data"] = np.zeros((3, 28, 15), dtype="f4")
    devices, problems = _read(tmp_path / "a.h5")

    assert devices["eeg"].chunks is None
    assert problems == [("no_timestamps", -1)]
    assert np.isnan(devices["eeg"].times).tolist() == [True] * 3


def test_times_for_fewer_frames_leave_the_others_missing(path):
    """There is a time for every frame, NaN where the file has none."""
    with h5py.File(path, "r+") as file:
        times = file["devices/eeg/timestamps"][:40]
        del file["devices/eeg/timestamps"]
        file["devices/eeg/timestamps"] = times
    devices, problems = _read(path)

    assert np.isnan(devices["eeg"].times).nonzero()[0].tolist() == list(range(40, 50))
    assert problems == [("too_short", 40)]


def test_other_clocks_are_not_looked_at(path):
    """What is wrong in the first and third column is no problem."""
    with h5py.File(path, "r+") as file:
        file["devices/eeg/timestamps"][:, ::2] = np.nan

    assert _read(path)[1] == []


def test_times_that_do_not_increase_are_counted(path):
    """Equal times and steps back are one problem, with the first of them; missing ones do not hide them."""
    with h5py.File(path, "r+") as file:
        times = file["devices/eeg/timestamps"][:]
        times[10, 1] = np.nan
        times[11, 1] = times[9, 1]
        times[30, 1] = times[20, 1]
        file["devices/eeg/timestamps"][...] = times

    assert _read(path)[1] == [("missing_time", 10), ("time_order", 11)]
