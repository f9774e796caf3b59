"""Sessions to export."""

from math import isnan

import pytest

from tests.recordings.scenes import START, full_scene
from zarrmill.recordings.coverage import find_coverage
from zarrmill.recordings.event_reader import Events
from zarrmill.recordings.session_timeline import SessionTimeline


@pytest.fixture
def make_timeline():
    """Return a function that makes a timeline of events, with devices by the times of their frames in ms."""

    def make(scene=None, *, start=START, **devices):
        processed = (scene or full_scene()).process(start_time=start)
        assert isnan(start) or processed.start_time == start
        coverage = {name: find_coverage(name, START + times) for name, times in devices.items()}
        return SessionTimeline("Ada L", start, Events.of(processed, times="milliseconds"), coverage)

    return make
