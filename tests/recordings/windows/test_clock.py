"""Clocks: periods measured, times and ticks both ways, holes and drift followed."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.recordings.windows.clock import Clock, fit_clock, measure_period

START = 1_750_000_000_000.0


@pytest.mark.parametrize("count", [0, 1], ids=str)
def test_too_few_frames_have_the_nominal_period(count: int) -> None:
    """Without two frames nothing can be measured."""
    clock = fit_clock(np.full(count, START), 30.0)

    assert clock.period == 30.0
    assert clock.start == (START if count else 0.0)


@pytest.mark.parametrize("count", [2, 3, 20, 5_000], ids=str)
def test_a_period_is_measured(count: int) -> None:
    """Two frames are enough where they are right."""
    clock = fit_clock(START + 30.0857 * np.arange(count), 30.0)

    assert clock.period == pytest.approx(30.0857, abs=2e-4)
    np.testing.assert_allclose(clock.times_of(np.arange(count)), START + 30.0857 * np.arange(count), atol=0.01)


def test_bursts_do_not_move_the_period() -> None:
    """Frames that arrive three at a time have the period of the whole."""
    times = START + 90.0 * (np.arange(9_000) // 3) + 0.001 * np.arange(9_000)

    assert measure_period(times, 1.0) == pytest.approx(30.0, rel=1e-4)
    assert fit_clock(times, 30.0).period == pytest.approx(30.0, rel=1e-4)


def test_outliers_do_not_move_the_line() -> None:
    """A twentieth of frames that are late by most of a frame move period and start by next to nothing."""
    times = START + 30.0 * np.arange(20_000)
    times[::20] += 14.0

    clock = fit_clock(times, 30.0)

    assert clock.period == pytest.approx(30.0, abs=1e-6)
    assert clock.start == pytest.approx(START, abs=0.1)


def test_positions_and_times_are_inverse() -> None:
    """A time's position has that time, on a clock with drift and holes."""
    number = np.arange(50_000)
    times = START + 30.0 * number + 3e-8 * number**2 + np.where(number > 20_000, 7_777.0, 0.0)

    clock = fit_clock(times, 30.0)

    np.testing.assert_allclose(clock.times_of(clock.positions(times)), times, atol=0.01)


def test_a_hole_is_not_smoothed_over() -> None:
    """The last frame before a hole and the first after it are both on the clock."""
    times = START + 30.0 * np.arange(5_000)
    times[2_500:] += 1_013.0

    clock = fit_clock(times, 30.0)

    for frame in (2_499, 2_500):
        tick = clock.nearest(times[frame : frame + 1])
        assert clock.times_of(tick)[0] == pytest.approx(times[frame], abs=0.01)


def test_a_plain_clock_counts() -> None:
    """Nearest ticks are rounded positions."""
    assert Clock(0.0, 30.0).nearest(np.array([14.0, 16.0, -16.0])).tolist() == [0, 1, -1]
