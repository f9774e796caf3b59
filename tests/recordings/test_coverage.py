"""What a device covers, by the times of its frames."""

import numpy as np
import pytest

from zarrmill.recordings.coverage import find_coverage
from zarrmill.testing import SignalSpec
from zarrmill.testing.signals import plan_signal


def test_gaps_are_those_of_the_truth():
    """Each begins a period after the frame before it and ends with the frame behind it."""
    truth = plan_signal(SignalSpec("eeg", 500, 30.0, jitter_ms=2.0, gaps=((100, 300.0), (400, 9000.0)), missing=(50,)))
    found = find_coverage("eeg", truth.stored_times)

    # The frame without a time is a gap as well.
    assert len(found.gaps) == 3
    expected = [(before + truth.period_ms, after) for before, after in truth.gaps]
    np.testing.assert_allclose(found.gaps[1:], expected, atol=5.0)


@pytest.mark.parametrize("times", [[], [np.nan, np.nan]])
def test_without_times_nothing_is_covered(times):
    """And there are no gaps."""
    found = find_coverage("eeg", np.array(times))
    assert (found.spans.shape, found.gaps.shape) == ((0, 2), (0, 2))


def test_duplicates_and_backward_steps_are_no_gaps():
    """Times are taken in their order."""
    assert len(find_coverage("eeg", np.array([0.0, 30, 30, 90, 60, 120])).gaps) == 0


def test_one_frame_covers_an_instant():
    """As there is no period."""
    assert find_coverage("eeg", np.array([5.0])).spans.tolist() == [[5.0, 5.0]]
