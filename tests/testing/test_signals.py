"""Signals whose truth is known."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest

from zarrmill.testing import EEG, FNIRS, START, plan_signal, signals


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(signals).failed == 0


def test_the_truth_has_drift_offset_and_gaps():
    """True times follow the true period, and a gap moves all that comes after it."""
    truth = plan_signal(replace(EEG, frames=100, drift_ppm=1000, offset_ms=250, gaps=((40, 10_500.0),)))

    assert truth.start == START + 250
    assert truth.period_ms == pytest.approx(30.03)
    np.testing.assert_allclose(np.diff(truth.times[:40]), 30.03, atol=1e-3)
    assert truth.times[40] - truth.times[39] == pytest.approx(10_530.03, abs=1e-3)
    assert truth.gaps == ((truth.times[39], truth.times[40]),)


def test_stored_times_have_the_faults_asked_for():
    """Jitter within its bound, a step back, a duplicate, NaN; the true times have none of them."""
    truth = plan_signal(replace(EEG, frames=100, jitter_ms=4, duplicates=(9,), backward=(50,), missing=(70,)))
    off = np.abs(truth.stored_times - truth.times)

    assert len(truth.times) == 101
    assert truth.stored_times[9] == truth.stored_times[10]
    assert truth.stored_times[50] < truth.stored_times[49]
    assert np.isnan(truth.stored_times[70])
    assert 0 < np.nanmax(np.delete(off, 50)) <= 4
    assert np.all(np.diff(truth.times) >= 0)


def test_values_follow_the_true_time():
    """EEG is a sine of each channel's own frequency, at the time of every sample."""
    truth = plan_signal(replace(EEG, frames=200, gaps=((100, 777.0),)))
    values = truth.values(0, 200, channels=[4])[:, 0]
    seconds = (truth.times[:, None] - START + 2.0 * np.arange(15)) / 1000

    np.testing.assert_allclose(values, 50 + 14 * np.sin(2 * np.pi * 4.0 * seconds + 4), rtol=1e-12)


def test_only_channels_within_a_module_have_values():
    """The index arithmetic of the format gives the modules back."""
    channels = plan_signal(replace(FNIRS, modules=(3, 48))).channels
    detector_module, source_module = channels // 6 % 48 + 1, channels // (6 * 48 * 3) % 48 + 1

    assert len(channels) == 216
    assert set(source_module) == {3, 48}
    np.testing.assert_array_equal(detector_module, source_module)
    values = plan_signal(FNIRS).values(0, 205, channels=channels)
    assert values.shape == (205, 216)
    assert values.min() > 0.09
    assert values.max() < 1.16
