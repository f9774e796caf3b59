"""Windows in the picture of a session: a lane per device, where its windows are, in the colour of their reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recordings.windows.signals import START, make_frames, with_hole
from zarrmill.recordings import WindowSettings, open_recording, open_windows, plan_windows, write_windows
from zarrmill.recordings.timeline import plot_timeline
from zarrmill.recordings.windows.reasons import Reason
from zarrmill.recordings.windows.validity_lanes import SHOWN, find_validity_lanes, open_stretches
from zarrmill.testing import EEG, CuratedTruth, write_curated

pytest.importorskip("matplotlib")


@pytest.fixture
def session(tmp_path: Path) -> CuratedTruth:
    """A session whose EEG has a hole of 8.4 s after 15 s."""
    eeg = replace(EEG, gaps=((500, 8_400.0),))
    return write_curated(tmp_path / "s.h5", tasks=3, elements=9, segments=9, signals=[eeg])


def labels(figure: Any) -> list[str]:
    """Return what stands beside the lanes."""
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def bars(figure: Any, color: str) -> list[tuple[float, float]]:
    """Return starts and ends of the bars of a colour in the lowest lane."""
    from matplotlib.colors import to_rgba

    axes = figure.axes[0]
    lowest = len(axes.get_yticks()) - 1
    drawn = [one for one in axes.collections if tuple(one.get_facecolor()[0]) == to_rgba(color)]
    found = [path.get_extents() for one in drawn for path in one.get_paths()]
    return [(box.x0, box.x1) for box in found if abs((box.y0 + box.y1) / 2 - lowest) < 0.1]


def test_every_reason_has_a_colour_of_its_own() -> None:
    """None is missing, and no two look alike."""
    assert set(SHOWN) == set(Reason)
    assert len({color for _, color in SHOWN.values()}) == len({text for text, _ in SHOWN.values()}) == len(Reason)


def test_a_device_that_is_absent_has_no_lane() -> None:
    """EEG alone makes one lane."""
    plan = plan_windows(eeg=make_frames(700).stored, fnirs=None)

    (lane,) = find_validity_lanes(open_stretches(plan), origin_ms=START)

    assert lane.label == "EEG windows\n100 of 100 valid"


def test_windows_are_drawn_where_they_are(session: CuratedTruth) -> None:
    """In seconds from the start of the session; a hole has the colour of gaps, and the legend names what occurs."""
    figure = plot_timeline(session.path, windows=open_stretches(session.path))

    assert labels(figure)[-2:] == ["EEG\n1 gap", labels(figure)[-1]]
    assert labels(figure)[-1].startswith("EEG windows\n")
    (before, after) = bars(figure, SHOWN[Reason.VALID][1])
    assert before[0] == pytest.approx(0.0, abs=0.02)
    assert before[1] == pytest.approx(15.0, abs=0.22)
    assert after[0] == pytest.approx(23.4, abs=0.22)
    ((begin, end),) = bars(figure, SHOWN[Reason.GAP][1])
    assert end - begin == pytest.approx(8.4, abs=0.45)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"valid", "gap"} <= set(texts) < {text for text, _ in SHOWN.values()}


def test_a_store_and_its_file_look_the_same(session: CuratedTruth, tmp_path: Path) -> None:
    """Windows that are written and those that a file would give; an open Dataset does as well as its place."""
    with open_recording(session.path) as recording:
        write_windows(recording, tmp_path / "w.zarr")

    stored, opened, planned = (
        find_validity_lanes(open_stretches(source), origin_ms=START)[0]
        for source in (tmp_path / "w.zarr", open_windows(tmp_path / "w.zarr"), session.path)
    )

    assert stored.label == opened.label == planned.label
    for reason, spans in planned.parts.items():
        np.testing.assert_allclose(stored.parts[reason], spans, atol=1e-5)


def test_a_window_too_short_to_see_is_seen(tmp_path: Path) -> None:
    """One window of 12 minutes that is not valid has a bar above those that are."""
    eeg = make_frames(7 * 3_428)
    eeg.stored[10_000] = np.nan

    (lane,) = find_validity_lanes(open_stretches(plan_windows(eeg=eeg.stored, fnirs=None)), origin_ms=START)

    assert list(lane.parts) == [Reason.VALID, Reason.MISSING_FRAMES]
    assert lane.parts[Reason.MISSING_FRAMES].tolist() == [pytest.approx([10_000 // 7 * 0.21, 0.21])]


def test_windows_not_finite_are_known_of_a_store_alone(tmp_path: Path) -> None:
    """What only the values tell is drawn from the store."""
    from tests.recordings.windows.files import write_recording
    from zarrmill.recordings.hdf5 import load_h5py

    made = write_recording(tmp_path / "s.h5", eeg=with_hole(make_frames(700), at=350, milliseconds=2_100.0))
    with load_h5py().File(made.path, "a") as file:
        file["devices/eeg/frames_data"][100] = np.nan
    with open_recording(made.path) as recording:
        write_windows(recording, tmp_path / "w.zarr", settings=WindowSettings(filter=None))

    (stored,) = find_validity_lanes(open_stretches(tmp_path / "w.zarr"), origin_ms=START)
    (planned,) = find_validity_lanes(open_stretches(made.path), origin_ms=START)

    assert set(stored.parts) - set(planned.parts) == {Reason.NOT_FINITE}
