"""Measured memory of fresh processes that make windows: it does not grow with a recording, and a full one fits.

The child measures by its own means (``/proc/self/status`` after a reset of the peak). All fNIRS is of full width:
248,832 channels, 2 MB a frame.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import zarrmill
from zarrmill.recordings import open_windows
from zarrmill.recordings.windows.channels import DEFAULT_MODULES, describe_channels
from zarrmill.testing import SignalSpec, SignalTruth, write_signals
from zarrmill.testing.signal_files import LARGE_MODULES

MIB = 2**20
SRC = Path(zarrmill.__file__).parents[1]
LENGTHS = (3_000, 6_000)
"""fNIRS frames: 15 and 30 minutes. Shorter ones do not fill every buffer."""
LONG = (3_000, 6_000, 12_000)
"""15, 30 and 60 minutes."""
FULL = 26_980
PERIOD, PER_FNIRS = 292.8, 9.76
MOST_GROWTH = 24 * MIB
"""What four times the length may add: times and places of frames, 100 bytes a window, and the noise of measuring."""
MOST = 512 * MIB
"""Peak of any length, of this data; a full recording with all of its channels may take 1 GB."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through Linux's /proc"),
]

CHILD = """
import json, sys
from zarrmill.recordings import open_recording, write_windows


def status(field):
    with open("/proc/self/status") as file:
        return int(file.read().split(field, 1)[1].split(None, 1)[0]) * 1024


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    with open_recording(order["source"]) as recording:
        report = write_windows(recording, order["target"], layout=order["layout"])
    print(json.dumps({"peak": status("VmHWM:"), **report.to_json()}))
"""


@dataclass(frozen=True)
class Made:
    """A curated file and what is in it."""

    path: Path
    eeg: SignalTruth
    fnirs: SignalTruth


def make(path: Path, frames: int, modules: tuple[int, ...]) -> Made:
    """Write a recording with a hole in either device, at different times."""
    rows = round(frames * PER_FNIRS)
    eeg = SignalSpec("eeg", rows, 30.0, jitter_ms=3.0, drift_ppm=40.0, gaps=((rows // 3, 10_500.0),))
    fnirs = SignalSpec("fnirs", frames, PERIOD, jitter_ms=3.0, modules=modules, gaps=((frames // 2, 10_500.0),))
    truth = write_signals(path, [eeg, fnirs])
    return Made(path, truth["eeg"], truth["fnirs"])


def write_layout(path: Path) -> Path:
    """Write a layout on a grid: modules 30 mm apart, sources and detectors within a centimetre of their module."""
    rows = []
    for module in range(1, 49):
        x, y = 30.0 * ((module - 1) % 8), 30.0 * ((module - 1) // 8)
        for kind, count in (("source", 3), ("detector", 6)):
            for number in range(1, count + 1):
                turn = 2 * np.pi * number / count
                place = {"x": x + 9 * np.cos(turn), "y": y + 9 * np.sin(turn), "z": 0.0}
                rows.append({"kind": kind, "module": module, "number": number, **place})
    path.write_text(json.dumps(rows))
    return path


def convert(made: Made, target: Path, *, layout: Path | None) -> dict[str, Any]:
    """Make the windows in a fresh process and return its report, with the most memory that it ever had."""
    script = target.with_suffix(".py")
    script.write_text(CHILD)
    order = {"source": str(made.path), "target": str(target), "layout": None if layout is None else str(layout)}
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(order)],
        capture_output=True, text=True, env={"PYTHONPATH": str(SRC), "PATH": "/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def recordings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Made]:
    """A recording of each length, whose channels of two modules hold values."""
    folder = tmp_path_factory.mktemp("recordings")
    return {frames: make(folder / f"s-{frames}.h5", frames, (1, 2)) for frames in request.param}


@pytest.mark.parametrize(
    ("recordings", "with_layout"),
    [
        pytest.param(LENGTHS, True, id="short-layout"),
        # All channels are looked for and read: one length is enough to see that they fit.
        pytest.param(LENGTHS[:1], False, id="shortest-no-layout"),
        pytest.param(LONG, True, id="long-layout", marks=pytest.mark.soak),
        # A quarter of an hour of all channels does not fill every buffer: it takes 20 MiB less than the half.
        pytest.param(LONG[1:], False, id="long-no-layout", marks=pytest.mark.soak),
    ],
    indirect=["recordings"],
)
def test_memory_does_not_grow_with_the_recording(
    recordings: dict[int, Made], tmp_path: Path, with_layout: bool
) -> None:
    """Longer recordings take no more memory, and 3,000 frames of 6 GB are converted in less than 512 MB."""
    layout = write_layout(tmp_path / "layout.json") if with_layout else None

    reports = {frames: convert(made, tmp_path / f"{frames}.zarr", layout=layout) for frames, made in recordings.items()}

    peaks = {frames: report["peak"] for frames, report in reports.items()}
    assert peaks[max(peaks)] - peaks[min(peaks)] < MOST_GROWTH, {frames: peak / MIB for frames, peak in peaks.items()}
    assert max(peaks.values()) < MOST
    for frames, made in recordings.items():
        check_values(made, tmp_path / f"{frames}.zarr", samples=20)


def check_values(made: Made, store: Path, *, samples: int) -> None:
    """Assert that windows taken at random hold what was recorded at their times."""
    windows = open_windows(store, times="milliseconds")
    random = np.random.default_rng(samples)
    valid = np.flatnonzero(windows.eeg_valid.values & windows.fnirs_valid.values)
    chosen = np.unique(np.concatenate([valid[[0, -1]], random.choice(valid, samples, replace=False)]))
    channels = windows.global_index.values
    holds = np.isin(channels, made.fnirs.channels)
    assert holds.any()
    for window in chosen.tolist():
        begin, length = float(windows.time.values[window]), float(windows.attrs["window_ms"])
        values = windows.fnirs[window].values
        rows = rows_near(made.fnirs.times, begin + length / 2, PERIOD / 2 + 15)
        known = [made.fnirs.values(row, row + 1, channels=channels[holds])[0].astype(np.float32) for row in rows]
        assert any(np.array_equal(values[holds], one) for one in known)
        assert np.isnan(values[~holds]).all()
        (first,) = rows_near(made.eeg.times, begin, 15)
        check_wave(made.eeg, windows.eeg[window].values, first)


def rows_near(times: NDArray[np.float64], wanted: float, within: float) -> list[int]:
    """Return the rows whose times are near one."""
    return [int(row) for row in np.flatnonzero(np.abs(times - wanted) <= within)]


def check_wave(truth: SignalTruth, values: NDArray[np.float32], row: int) -> None:
    """Assert that a filtered window is the wave that was recorded, without its offset; the ends of a run ring."""
    ends = np.concatenate([[truth.times[0], truth.times[-1]], *map(np.array, truth.gaps)])
    if np.abs(ends - truth.times[row]).min() > 10_000:
        wave = truth.values(row, row + 7, channels=np.arange(21)).transpose(1, 0, 2).reshape(21, -1) - 50
        assert np.abs(values - wave).max() < 0.05


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_full_recording_is_converted_under_a_gigabyte(tmp_path: Path) -> None:
    """26,980 frames, 53.7 GB of values: with a layout and without, and every figure of the result is right."""
    made = make(tmp_path / "full.h5", FULL, LARGE_MODULES)
    assert made.path.stat().st_size > 500 * MIB
    layout = write_layout(tmp_path / "layout.json")

    for place in (layout, None):
        target = tmp_path / ("layout.zarr" if place else "none.zarr")
        report = convert(made, target, layout=place)

        assert report["peak"] < 1_000_000_000, report["peak"] / MIB
        check_full(made, target, report, with_layout=place is not None)
        check_values(made, target, samples=100)


def check_full(made: Made, target: Path, report: dict[str, Any], *, with_layout: bool) -> None:
    """Assert that windows span the recording, that the holes alone are not valid, and which channels there are."""
    windows = open_windows(target, times="milliseconds")
    length = windows.attrs["window_ms"]
    ends = max(made.eeg.times[-1] + 30, made.fnirs.times[-1])
    assert report["windows"] == pytest.approx((ends - made.eeg.times[0]) / length, abs=3)
    hole = 10_500 / length
    assert (~windows.eeg_valid.values).sum() == pytest.approx(hole, abs=4)
    assert (~windows.fnirs_valid.values).sum() == pytest.approx(hole, abs=8)
    channels = windows.global_index.values
    there = np.isin(channels, made.fnirs.channels)
    np.testing.assert_array_equal(windows.valid.values, there)
    np.testing.assert_array_equal(windows.complete.values, there)
    if with_layout:
        table = describe_channels(channels)
        assert set(table.source_module.tolist()) <= set(DEFAULT_MODULES)
        assert (windows.distance.values <= 60).all()
        assert there.sum() == 108 * len(LARGE_MODULES)
    else:
        assert channels.tolist() == made.fnirs.channels.tolist()
