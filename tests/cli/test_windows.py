"""``zarrmill recordings windows`` and ``window-plan``."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import make_frames, with_hole
from zarrmill import publish
from zarrmill.cli import app
from zarrmill.recordings import open_windows
from zarrmill.recordings.windows.conversion import Conversion
from zarrmill.testing import EEG, write_curated

SIGNAL = replace(EEG, frames=500)


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
    assert [(s["device"], s["reason"], s["windows"]) for s in data["stretches"] if s["device"] == "eeg"] == [
        ("eeg", "valid", 100), ("eeg", "gap", 50), ("eeg", "valid", 100),
    ]  # fmt: skip
    assert "21.00" in shown.output
    assert "31.50" in shown.output
    assert not (place / "processed").exists()


def test_a_dry_run_writes_nothing(place: Path) -> None:
    """Only what would be done is shown."""
    run = CliRunner().invoke(app, ["recordings", "windows", str(place), "--dry-run"])

    assert run.exit_code == 0, run.output
    assert not (place / "processed").exists()


def test_a_wrong_setting_is_told(place: Path) -> None:
    """One line that names the right one, exit code 2, and nothing written."""
    run = CliRunner().invoke(app, ["recordings", "windows", str(place), "--set", "window_msec=1"])

    assert run.exit_code == 2
    assert "Did you mean window_ms?" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (place / "processed").exists()


def test_settings_come_from_a_file_and_single_ones_change_them(place: Path) -> None:
    """What is said on the command line counts more than the file, and all of it is stored."""
    (place / "windows.toml").write_text("window_ms = 420\nmodules = [1, 2]\n[filter]\nlow_hz = 1.0\n")

    run = CliRunner().invoke(
        app,
        ["recordings", "windows", str(place), "--settings", str(place / "windows.toml"), "--set", "filter.high_hz=30"],
    )

    assert run.exit_code == 0, run.output
    windows = open_windows(place / "processed/windows/s-01_windowed.zarr")
    stored = json.loads(windows.attrs["settings"])
    assert (stored["window_ms"], stored["modules"]) == (420, [1, 2])
    assert "1-30 Hz" in windows.attrs["eeg_filter"]


@pytest.mark.parametrize(("option", "syncs"), [([], True), (["--no-sync"], False)], ids=["sync", "no-sync"])
def test_the_disk_is_asked_unless_told_not_to(
    place: Path, monkeypatch: pytest.MonkeyPatch, option: list[str], syncs: bool
) -> None:
    """With --no-sync nothing waits for the disk: neither the journal nor the store."""
    asked: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: asked.append("fsync"))
    monkeypatch.setattr(os, "fdatasync", lambda fd: asked.append("fdatasync"))
    monkeypatch.setattr(publish, "sync_file_system", lambda path: asked.append("file system"))

    run = CliRunner().invoke(app, ["recordings", "windows", str(place), *option])

    assert run.exit_code == 0, run.output
    assert bool(asked) == syncs
    assert open_windows(place / "processed/windows/s-01_windowed.zarr").sizes["time"] == 250


def test_a_draft_of_other_settings_goes_when_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stopped run has left is not mixed with other settings: the message names the remedy, which works."""
    command = ["recordings", "windows", str(place), "--json"]
    with monkeypatch.context() as patch:
        patch.setattr(Conversion, "_check_complete", lambda self, journal: 1 / 0)
        assert CliRunner().invoke(app, command).exit_code == 1

    refused = CliRunner().invoke(app, [*command, "--set", "window_ms=420"])
    done = CliRunner().invoke(app, [*command, "--set", "window_ms=420", "--no-resume"])

    assert refused.exit_code == 1
    assert "--no-resume" in refused.stdout
    assert done.exit_code == 0, done.output
    assert open_windows(place / "processed/windows/s-01_windowed.zarr").attrs["frames_per_window"] == 14


def test_window_validity_is_drawn(place: Path) -> None:
    """Of a curated file the windows that it would give, or those of a store that is named; an event store needs one."""
    pytest.importorskip("matplotlib")
    write_curated(place / "curated-h5/s-02.h5", tasks=2, elements=4, segments=3, signals=[SIGNAL])
    assert CliRunner().invoke(app, ["recordings", "windows", str(place)]).exit_code == 0
    assert CliRunner().invoke(app, ["recordings", "events", str(place)]).exit_code == 0
    file, events = place / "curated-h5/s-02.h5", place / "processed/event/s-02_events.zarr"
    store = str(place / "processed/windows/s-02_windowed.zarr")

    pictures = {}
    for name, words in {
        "file": [str(file)],
        "file and store": [str(file), "--windows", store],
        "events": [str(events)],
        "events and store": [str(events), "--windows", store],
    }.items():
        run = CliRunner().invoke(app, ["recordings", "plot", words[0], str(place / f"{name}.png"), *words[1:]])
        assert run.exit_code == 0, run.output
        pictures[name] = (place / f"{name}.png").read_bytes()

    assert pictures["file"] == pictures["file and store"]
    assert len(pictures["events and store"]) > len(pictures["events"])


def test_windows_that_are_none_are_told(place: Path) -> None:
    """Another store in the place of one of windows is named, and nothing is drawn."""
    pytest.importorskip("matplotlib")
    write_curated(place / "curated-h5/s-02.h5", tasks=2, elements=4, segments=3, signals=[SIGNAL])
    assert CliRunner().invoke(app, ["recordings", "events", str(place), "--session", "s-02"]).exit_code == 0
    words = ["plot", str(place / "curated-h5/s-02.h5"), str(place / "a.png"), "--windows"]

    run = CliRunner().invoke(app, ["recordings", *words, str(place / "processed/event/s-02_events.zarr")])

    assert run.exit_code == 1
    assert "no store of windows" in run.stderr
    assert not (place / "a.png").exists()
