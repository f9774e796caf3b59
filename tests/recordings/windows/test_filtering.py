"""The filter: every contiguous run for itself, and blocks with overlap equal to the whole."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.windows.filtering import RunFilter
from zarrmill.recordings.windows.settings import FilterSettings

RATE = 500.0


def make_signal(seconds: float, *, channels: int = 3) -> np.ndarray:
    """Return noise around a large offset with a slow drift."""
    count = round(seconds * RATE)
    noise = np.random.default_rng(7).standard_normal((channels, count)) * 20
    return 4_000.0 + noise + np.linspace(0, 500, count)


def test_a_run_is_filtered_as_scipy_does() -> None:
    """Without holes the result is scipy's forward and backward filter."""
    from scipy import signal

    values = make_signal(20)

    made = RunFilter(FilterSettings(), rate_hz=RATE).apply(values)

    sections = signal.butter(4, (0.5, 40.0), btype="bandpass", fs=RATE, output="sos")
    np.testing.assert_allclose(made, signal.sosfiltfilt(sections, values, axis=-1), atol=1e-9)


def test_what_is_kept_and_what_is_not() -> None:
    """10 Hz passes as it is, an offset and 100 Hz do not."""
    t = np.arange(20_000) / RATE
    values = 1_000 + np.sin(2 * np.pi * 10 * t) + np.sin(2 * np.pi * 100 * t)

    made = RunFilter(FilterSettings(), rate_hz=RATE).apply(values[None])[0]

    middle = slice(5_000, 15_000)
    assert np.abs(made[middle] - np.sin(2 * np.pi * 10 * t[middle])).max() < 0.01


@pytest.mark.parametrize("cut", [12_345, 20_000], ids=str)
def test_blocks_with_twenty_seconds_of_overlap_equal_the_whole(cut: int) -> None:
    """Each side of a cut, made with 20 s from beyond it, equals the whole to less than a millionth of its size."""
    values, overlap = make_signal(80), round(20 * RATE)
    made = RunFilter(FilterSettings(), rate_hz=RATE)

    whole = made.apply(values)
    left = made.apply(values[:, : cut + overlap])[:, :cut]
    right = made.apply(values[:, cut - overlap :])[:, overlap:]

    assert np.abs(np.concatenate([left, right], axis=1) - whole).max() / np.abs(whole).max() < 1e-6


def test_runs_do_not_touch_each_other() -> None:
    """What comes after a hole changes nothing before it, and the hole stays a hole."""
    values = make_signal(30)
    values[:, 7_000:7_100] = np.nan
    other = values.copy()
    other[:, 7_100:] *= -3
    made = RunFilter(FilterSettings(), rate_hz=RATE)

    one, two = made.apply(values), made.apply(other)

    np.testing.assert_array_equal(one[:, :7_000], two[:, :7_000])
    np.testing.assert_array_equal(np.isnan(one), np.isnan(values))
    np.testing.assert_allclose(one[:, :7_000], made.apply(values[:, :7_000]), atol=1e-9)


def test_a_hole_of_one_channel_is_no_other_channels() -> None:
    """A channel that is NaN for a while, or always, leaves the others as they are."""
    values = make_signal(10)
    spoilt = values.copy()
    spoilt[0, 100:200] = np.inf
    spoilt[1] = np.nan
    made = RunFilter(FilterSettings(), rate_hz=RATE)

    out = made.apply(spoilt)

    np.testing.assert_allclose(out[2], made.apply(values)[2], atol=1e-9)
    assert np.isnan(out[0, 100:200]).all()
    assert np.isfinite(out[0, 200:]).all()
    assert np.isnan(out[1]).all()


@pytest.mark.parametrize("samples", [1, 2, 15, 26, 27, 28], ids=str)
def test_short_runs_do_not_fail(samples: int) -> None:
    """A run shorter than the mirrored ends of the filter is filtered all the same."""
    out = RunFilter(FilterSettings(), rate_hz=RATE).apply(np.ones((2, samples)))

    assert np.isfinite(out).all()


def test_a_rate_too_low_is_told() -> None:
    """A corner above half of the rate names the setting to change."""
    with pytest.raises(InvalidInputError, match=r"filter\.high_hz"):
        RunFilter(FilterSettings(), rate_hz=75.0)
