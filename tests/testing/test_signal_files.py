"""Signals in files."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from zarrmill.testing import EEG, FNIRS, plan_signal, write_large_fnirs, write_signals


def test_signals_are_added_to_a_file_that_is_there(tmp_path):
    """One device after the other, each with the truth of its own plan."""
    path = tmp_path / "a.h5"
    write_signals(path, [replace(EEG, frames=10)])
    write_signals(path, [replace(FNIRS, frames=10)])

    with h5py.File(path) as file:
        assert file["devices/eeg/frames_data"].shape == (10, 28, 15)
        assert file["devices/fnirs/frames_data"].shape == (10, 248832, 1)
        times = file["devices/eeg/timestamps"][:]
    np.testing.assert_array_equal(times[:, 1], plan_signal(replace(EEG, frames=10)).stored_times)
    assert (times[:, 0] > times[:, 1]).all()
    assert (times[:, 2] < times[:, 1]).all()


@pytest.mark.parametrize("chunks", [None, (7, 864, 1), (4, 248832, 1), (1, 5000, 1)])
def test_every_value_of_fnirs_is_true(tmp_path, chunks):
    """Whatever the chunks, channels with values have them, and all others are -inf."""
    truth = write_signals(tmp_path / "a.h5", [replace(FNIRS, frames=9, modules=(2, 40), chunks=chunks)])["fnirs"]

    with h5py.File(tmp_path / "a.h5") as file:
        values = file["devices/fnirs/frames_data"][..., 0]
    np.testing.assert_array_equal(values[:, truth.channels], truth.values(0, 9, channels=truth.channels))
    values[:, truth.channels] = -np.inf
    assert np.isneginf(values).all()


@pytest.mark.parametrize("spec", [EEG, FNIRS], ids=["EEG", "fNIRS"])
def test_a_device_may_have_no_frames(tmp_path, spec):
    """Zero frames are a device all the same."""
    write_signals(tmp_path / "a.h5", [replace(spec, frames=0)])

    with h5py.File(tmp_path / "a.h5") as file:
        assert file[f"devices/{spec.device}/frames_data"].shape[0] == 0
        assert file[f"devices/{spec.device}/timestamps"].shape == (0, 3)


@pytest.mark.slow
def test_large_fnirs_is_small_on_the_disk(tmp_path):
    """Two chunks of frames of 20 modules: a hundredth of its values, so that the whole is about 650 MB."""
    truth = write_large_fnirs(tmp_path / "a.h5", frames=106)

    assert len(truth.channels) == 2160
    assert (tmp_path / "a.h5").stat().st_size < 106 * 25_000
