"""Parts of a session are counted from its start to its last event."""

from __future__ import annotations

from math import isnan, nan

import numpy as np

from tests.recordings.scenes import START, Scene
from zarrmill.recordings.session_times import SessionTimes


def test_a_session_ends_with_its_last_event():
    """Whichever type that has, and whatever times are missing."""
    events = Scene().add("display", 70, {}).add("pause", None, {}).add("keystroke", 30, {}).events

    assert SessionTimes.of(events, START) == SessionTimes(START, START + 70)


def test_an_odd_time_does_not_stretch_a_session():
    """One in microseconds among milliseconds is centuries away."""
    events = Scene().add("display", 70, {}).add("pause", START * 1000, {}).events

    assert SessionTimes.of(events, START).end == START + 70


def test_without_times_the_end_is_missing():
    """And so is every part of the session."""
    times = SessionTimes.of(Scene().add("display", None, {}).events, START)

    assert isnan(times.end)
    assert np.isnan(times.fraction(np.array([START, nan]))).all()


def test_a_session_of_no_length_has_no_parts():
    """Nothing is divided by 0."""
    assert np.isnan(SessionTimes(START, START).fraction(np.array([START]))).all()


def test_no_problem_without_tasks():
    """An empty session lacks nothing."""
    assert SessionTimes(nan, nan).find_problems(np.array([])) == []
