"""Channels by number: both ways, and chosen by modules and distance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.recordings.windows.channels import (
    CHANNELS,
    DEFAULT_MODULES,
    channel_index,
    choose_channels,
    describe_channels,
    make_layout,
    read_layout,
)
from zarrmill.recordings.windows.settings import WindowSettings

HEADER = "kind,module,number,x,y,z\n"


def test_numbers_and_parts_are_inverse() -> None:
    """Every channel's parts give its number by the formula of the format."""
    index = np.arange(CHANNELS)
    table = describe_channels(index)
    parts = {name: getattr(table, name).astype(np.int64) for name in table.__slots__ if name != "index"}

    assert (channel_index(parts.pop("wavelength"), parts.pop("moment"), **parts) == index).all()
    assert (table.source_module.min(), table.source_module.max(), table.detector.max()) == (1, 48, 6)


def test_without_a_layout_all_are_wanted_unless_modules_are_named() -> None:
    """Nothing is left out that nobody asked to leave out."""
    assert len(choose_channels(None, WindowSettings())) == CHANNELS
    named = describe_channels(choose_channels(None, WindowSettings(modules=(2, 5))))
    assert set(named.source_module.tolist()) == set(named.detector_module.tolist()) == {2, 5}
    assert len(named.index) == 6 * (2 * 3) * (2 * 6)


def test_a_layout_keeps_near_pairs_of_the_usual_modules(tmp_path: Path) -> None:
    """Module 9 is none of the usual ones, and 61 mm is too far."""
    path = tmp_path / "layout.csv"
    lines = ["source,1,1,0,0,0", "detector,1,1,60,0,0", "detector,1,2,61,0,0", "source,9,1,0,0,0", "detector,9,1,1,0,0"]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    layout = read_layout(path)

    table = describe_channels(choose_channels(layout, WindowSettings()))

    assert set(zip(table.source_module.tolist(), table.detector.tolist(), strict=True)) == {(1, 1)}
    assert layout.distances(table).tolist() == [60.0] * 6
    assert 9 not in DEFAULT_MODULES


def test_json_and_csv_are_the_same_layout(tmp_path: Path) -> None:
    """Either format gives the same places."""
    rows = [{"kind": "source", "module": 1, "number": 1, "x": 1, "y": 2.5, "z": 3}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.csv").write_text(HEADER + "source, 1, 1, 1, 2.5, 3\n")

    assert read_layout(tmp_path / "a.json").digest() == read_layout(tmp_path / "a.csv").digest()
    assert read_layout(tmp_path / "a.csv").digest() == make_layout(rows).digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind,module\n", "no column number"),
        (HEADER + "lamp,1,1,0,0,0\n", "row 1: lamp 1 of module 1"),
        (HEADER + "source,1,4,0,0,0\n", "row 1: source 4 of module 1"),
        (HEADER + "source,x,1,0,0,0\n", "not a table"),
    ],
    ids=["column", "kind", "number", "no number"],
)
def test_a_layout_that_is_none_is_told(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file and the row."""
    (tmp_path / "layout.csv").write_text(text)

    with pytest.raises(SourceFormatError, match=message):
        read_layout(tmp_path / "layout.csv")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    """A file or a module that does not exist is an error of its own."""
    with pytest.raises(NotFoundError, match=r"none\.csv"):
        read_layout(tmp_path / "none.csv")
    with pytest.raises(InvalidInputError, match="module 49"):
        choose_channels(None, WindowSettings(modules=(49,)))
