"""Settings: from TOML and assignments, both ways as JSON, and refused where they make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.recordings.windows.settings import FilterSettings, WindowSettings


def test_a_file_and_assignments_together(tmp_path: Path) -> None:
    """Assignments change what the file says, tables of it too."""
    path = tmp_path / "windows.toml"
    path.write_text("window_ms = 420\nmodules = [1, 2]\n[filter]\nlow_hz = 1.0\n")

    made = WindowSettings.load(path, ["filter.order=2", "scale=log", "modules=1-3,9"])

    assert made.window_ms == 420
    assert made.filter == FilterSettings(low_hz=1.0, order=2)
    assert made.scale == "log"
    assert made.modules == (1, 2, 3, 9)


@pytest.mark.parametrize("off", ["filter=false", "filter.order=3"], ids=str)
def test_json_gives_the_same_settings(off: str) -> None:
    """What is stored with windows makes the same settings again."""
    made = WindowSettings.load(None, [off, "frames_per_window=5"])

    assert WindowSettings.from_mapping(made.to_json()) == made


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("window_msec=1", r"Did you mean window_ms\?"),
        ("filter.low=1", r"Did you mean filter\.low_hz\?"),
        ("window_ms=0", "a length above 0"),
        ("tolerance=4", r"up to 3\.0"),
        ("scale=db", "linear or log"),
        ("modules=a-b", "1-8,13"),
        ("eeg_channels=[1,1]", "each once"),
        ("filter=7", "a table of its figures"),
        ("filter.low_hz=50", "is no band"),
        ("window_ms", "Write name=value"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(assignment: str, message: str) -> None:
    """The message names the setting and what to write."""
    with pytest.raises(InvalidInputError, match=message):
        WindowSettings.load(None, [assignment])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing, or no TOML, is told by its name."""
    (tmp_path / "bad.toml").write_text("a = = 1")

    with pytest.raises(NotFoundError, match=r"none\.toml"):
        WindowSettings.load(tmp_path / "none.toml")
    with pytest.raises(InvalidInputError, match=r"bad\.toml are not TOML"):
        WindowSettings.load(tmp_path / "bad.toml")


@pytest.mark.parametrize("value", ["wide", [1], None], ids=str)
def test_values_of_another_type_are_refused(value: Any) -> None:
    """A length that is no number is an error of zarrmill's."""
    with pytest.raises(InvalidInputError, match="window_ms"):
        WindowSettings.from_mapping({"window_ms": value})
