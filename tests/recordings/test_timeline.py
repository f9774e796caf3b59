"""The picture of a session."""

from dataclasses import replace

import numpy as np
import pytest

from tests.recordings.scenes import START, Scene, full_scene
from zarrmill.errors import InvalidInputError
from zarrmill.recordings.coverage import find_coverage
from zarrmill.recordings.event_reader import Events
from zarrmill.recordings.session_timeline import SessionTimeline, open_timeline
from zarrmill.recordings.timeline import plot_timeline
from zarrmill.testing import EEG, FNIRS, write_curated

pytest.importorskip("matplotlib")
PNG = b"\x89PNG\r\n\x1a\n"


def timeline_of(scene, *, start=START, **devices):
    """Return a timeline of invented events and times of frames."""
    events = Events.of(scene.process(start_time=start), times="milliseconds")
    return SessionTimeline("Ada L", start, events, {name: find_coverage(name, t) for name, t in devices.items()})


def labels(figure):
    """Return what stands beside the lanes."""
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_a_curated_file_has_lanes_for_all_that_it_holds(tmp_path):
    """Devices with the number of their gaps."""
    signals = [replace(EEG, gaps=((500, 8000.0),)), replace(FNIRS, frames=50)]
    truth = write_curated(tmp_path / "s.h5", tasks=3, elements=9, segments=9, signals=signals)
    figure = plot_timeline(truth.path, tmp_path / "s.png")

    kinds = sorted({segment.segment_type for segment in truth.segments} - {"pause"})
    assert labels(figure) == ["tasks", "elements", *kinds, "pause", "EEG\n1 gap", "fNIRS"]
    assert (tmp_path / "s.png").read_bytes().startswith(PNG)


def test_bars_are_where_their_rows_are():
    """In seconds from the start; a gap is drawn in the lane of its device."""
    figure = plot_timeline(timeline_of(full_scene(), eeg=START + np.array([0.0, 30, 60, 600, 630])))
    bars = [
        [(path.get_extents().x0, path.get_extents().x1) for path in drawn.get_paths()]
        for drawn in figure.axes[0].collections
    ]

    assert bars[0] == [pytest.approx((0.1, 0.9))]
    assert bars[-1] == [pytest.approx((0.09, 0.6))]
    assert labels(figure)[:2] == ["tasks\n1 without end", "elements\n1 without end"]
    assert figure.axes[0].get_xlabel() == "seconds since the start of the session"


def test_nothing_personal_is_shown():
    """No id, no title; a text above it only where one is given."""
    scene = full_scene()
    texts = [text.get_text() for text in plot_timeline(timeline_of(scene)).findobj(lambda a: hasattr(a, "get_text"))]
    assert not any("Ada" in text or "Größe" in text for text in texts)
    assert plot_timeline(timeline_of(scene), title="Pilot").axes[0].get_title(loc="left") == "Pilot"


def test_without_a_start_time_counts_from_the_first_event():
    """And the axis says so."""
    figure = plot_timeline(timeline_of(full_scene(), start=float("nan")))
    assert figure.axes[0].get_xlabel() == "seconds since the first event"


def test_a_store_is_drawn_without_devices(tmp_path):
    """It has the same tables as the file."""
    from zarrmill.recordings import EventTransform

    write_curated(tmp_path / "s.h5", tasks=2, elements=4, segments=3, signals=[EEG])
    EventTransform(tmp_path, tmp_path / "out").run()
    stored = open_timeline(tmp_path / "out" / "s_events.zarr")
    file = open_timeline(tmp_path / "s.h5")

    assert (stored.coverage, stored.start_time) == ({}, file.start_time)
    assert labels(plot_timeline(stored)) == labels(plot_timeline(file))[:-1]


@pytest.mark.parametrize("start", [START, float("nan")], ids=["start", "first event"])
def test_one_odd_time_does_not_hide_the_others(start):
    """A row in seconds among milliseconds is counted and left out; where all of them are odd, all are drawn."""
    scene = Scene().task("a", 0, 1000).task("b", 2000, 3000)
    scene.task("odd", START / 1000 - START, START / 1000 - START + 10)
    figure = plot_timeline(timeline_of(scene, start=start, eeg=START + np.array([0.0, 30, 60])))

    low, high = figure.axes[0].get_xlim()
    assert -1 < low < high < 4
    assert labels(figure)[0] == "tasks\n1 at an odd time"
    early = Scene().task("x", 500 - START, 1500 - START).task("y", 2500 - START, 3500 - START)
    assert labels(plot_timeline(timeline_of(early, start=float("nan"))))[0] == "tasks"


def test_a_picture_of_another_kind_is_refused(tmp_path):
    """A PNG would lie behind a name that says otherwise."""
    with pytest.raises(InvalidInputError, match=r"a\.jpg is no name of a PNG\. Let it end in \.png\."):
        plot_timeline(timeline_of(full_scene()), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_session_without_times_is_refused():
    """In one line; nothing is drawn."""
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        plot_timeline(timeline_of(Scene()))
