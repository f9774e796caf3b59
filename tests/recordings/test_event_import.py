"""Old event files become stores in which no id is left that was to be replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.recordings.sample_transform import all_bytes
from zarrmill.errors import InvalidInputError
from zarrmill.recordings.event_import import ImportOptions, import_store
from zarrmill.recordings.event_reader import open_events
from zarrmill.recordings.identities import Identities, hash_id

h5py = pytest.importorskip("h5py")
TASK = [("task_id", "S16"), ("task_type", "S16"), ("start_time", "f8"), ("end_time", "f8")]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An old event file that calls its session otherwise than its name does, and both in a text."""
    path = tmp_path / "Ada L_events.h5"
    with h5py.File(path, "w") as file:
        file.attrs["session_id"] = "Lovelace-7"
        file["tasks"] = np.array([(b"Ada L", b"of Lovelace-7", 1.7e12, 1.7e12 + 500)], dtype=TASK)
    return path


@pytest.mark.parametrize(
    ("identities", "public"),
    [
        (Identities(hashed=True), hash_id("Lovelace-7")),
        (Identities(names={"Lovelace-7": "p1"}), "p1"),
        (Identities(names={"Ada L": "p2"}), "p2"),
    ],
    ids=["hashed", "listed by its attribute", "listed by its name"],
)
@pytest.mark.parametrize("layout", ["flat", "tree"])
def test_both_ids_of_a_session_are_replaced(old: Path, tmp_path: Path, identities: Identities, public: str, layout):
    """That of the file's name, and the one that the file tells."""
    report = import_store(old, tmp_path / "new.zarr", options=ImportOptions(identities=identities, layout=layout))

    events = open_events(tmp_path / "new.zarr")
    assert (report.session_id, events.attributes["session_id"]) == (public, public)
    assert events.attributes["source_name"] == f"{public}_events.h5"
    assert events.columns("task")["task_id"].tolist() == [public]
    assert events.columns("task")["task_type"].tolist() == [f"of {public}"]
    written = all_bytes(tmp_path / "new.zarr")
    assert b"Ada L" not in written
    assert b"Lovelace" not in written


def test_ids_stay_where_nothing_is_said(old: Path, tmp_path: Path):
    """And a list of ids that has neither of both is refused, with nothing written."""
    with pytest.raises(InvalidInputError, match="no line for 1 of 1"):
        import_store(old, tmp_path / "no.zarr", options=ImportOptions(identities=Identities(names={"x": "y"})))
    report = import_store(old, tmp_path / "new.zarr")

    assert report.session_id == "Lovelace-7"
    assert open_events(tmp_path / "new.zarr").attributes["source_name"] == "Ada L_events.h5"
    assert not (tmp_path / "no.zarr").exists()
