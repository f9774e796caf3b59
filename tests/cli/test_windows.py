"""``zarrmill recordings windows`` and ``window-plan``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import make_frames, with_hole
from zarrmill.cli import app
from zarrmill.recordings import open_windows


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A place with one session that has a hole."""
    frames = with_hole(make_frames(1_400), at=700, milliseconds=10_500.0)
    write_recording(tmp_path / "curated-h5/s-01.h5", eeg=frames)
    return tmp_path


def test_windows_are_written(place: Path) -> None:
    """Settings of the command line reach the store, which lies where the format says."""
    run = CliRunner().invoke(
        app, ["recordings", "windows", str(place), "--set", "filter=false", "--set", "window_ms=420", "--json"]
    )

    assert run.exit_code == 0, run.output
    windows = open_windows(place / "processed/windows/s-01_windowed.zarr")
    assert windows.attrs["frames_per_window"] == 14
    assert windows.attrs["eeg_filter"] == "none"


def test_a_plan_is_shown_without_reading_signals(place: Path) -> None:
    """Reasons and measured periods are printed, as a table and as JSON."""
    file = str(place / "curated-h5/s-01.h5")

    shown = CliRunner().invoke(app, ["recordings", "window-plan", file])
    data = json.loads(CliRunner().invoke(app, ["recordings", "window-plan", file, "--json"]).stdout)

    assert shown.exit_code == 0, shown.output
    assert "gap" in shown.output
    assert data["eeg"] == {"valid": 200, "gap": 50}
    assert not (place / "processed").exists()


def test_a_dry_run_writes_nothing(place: Path) -> None:
    """Only what would be done is shown."""
    run = CliRunner().invoke(app, ["recordings", "windows", str(place), "--dry-run"])

    assert run.exit_code == 0, run.output
    assert not (place / "processed").exists()


def test_a_wrong_setting_is_told(place: Path) -> None:
    """One line, exit code 1 or 2, and nothing written."""
    run = CliRunner().invoke(app, ["recordings", "windows", str(place), "--set", "window_msec=1"])

    assert run.exit_code in (1, 2)
    assert not (place / "processed").exists()
