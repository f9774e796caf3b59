"""Events of many sessions: from curated files to stores."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.recordings.sample_transform import all_bytes
from zarrmill.errors import InvalidInputError
from zarrmill.recordings.event_reader import open_events
from zarrmill.recordings.event_transform import EventTransform
from zarrmill.recordings.event_verify import verify_events
from zarrmill.recordings.identities import Cleaner, Identities
from zarrmill.recordings.schema import TABLES
from zarrmill.recordings.selection import Selection
from zarrmill.recordings.transform_options import TransformOptions
from zarrmill.recordings.transform_report import TransformReport
from zarrmill.testing import write_curated

FLAT = sorted(column.flat_name for table in TABLES.values() for column in table.columns)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with two sessions, which is never written to."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "curated-h5").mkdir()
    for seed, name in enumerate(("Ada L", "Bo M")):
        write_curated(folder / "curated-h5" / f"{name}.h5", seed=seed, tasks=3, elements=9, segments=5)
    return folder


@pytest.fixture
def lab(inputs: Path, tmp_path: Path) -> Path:
    """A place with two sessions."""
    return shutil.copytree(inputs, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def outcome(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TransformReport]:
    """The same after a run, which made flat stores, and its report; never written to."""
    folder = shutil.copytree(inputs, tmp_path_factory.mktemp("outcome"), dirs_exist_ok=True)
    return folder, EventTransform(folder).run()


@pytest.fixture
def tree_outcome(lab: Path) -> tuple[Path, TransformReport]:
    """A place after a run that made trees, and its report."""
    return lab, EventTransform(lab, layout="tree").run()


@pytest.mark.parametrize("layout", ["flat", "tree"])
def test_every_session_becomes_one_store(request: pytest.FixtureRequest, layout):
    """Below processed/event/, named for the session, with the counts in its record; both layouts hold the source."""
    lab, report = request.getfixturevalue("outcome" if layout == "flat" else "tree_outcome")
    made = EventTransform(lab, layout=layout)

    assert (report.by_status, report.exit_code) == ({"success": 2}, 0)
    store = lab / "processed" / "event" / "Ada L_events.zarr"
    events = open_events(store)
    (record, _) = made.records.read()
    assert record.zarr_stores == ("Ada L_events.zarr",)
    figures = {name: record.metadata[f"{name}_count"] for name in ("task", "element", "segment", "event")}
    assert figures == {
        name: len(events.columns(name)["start_time" if name != "event" else "client_time"]) for name in figures
    }
    assert verify_events(lab / "curated-h5" / "Ada L.h5", store).ok
    assert record.parameters["layout"] == layout


def test_a_flat_store_has_the_names_and_dimensions_of_the_specification(outcome):
    """One dataset, no groups, the same variables for every session."""
    lab, _ = outcome

    for name in ("Ada L", "Bo M"):
        read = xr.open_zarr(lab / "processed" / "event" / f"{name}_events.zarr", consolidated=True, chunks=None)
        assert sorted(map(str, read.variables)) == FLAT
        assert {"task_id", "element_id", "segment_id"} <= set(read.sizes)
        assert (read.attrs["session_id"], read.attrs["transform"]) == (name, "event")
        assert (read.attrs["source_name"], len(read.attrs["source_sha256"])) == (f"{name}.h5", 64)


def test_an_input_that_cannot_be_read_fails_its_session_alone(lab: Path):
    """It leaves no store, and the message says why."""
    (lab / "curated-h5" / "Bo M.h5").write_bytes(b"no HDF5 at all")
    (lab / "curated-h5" / "Cy N.h5").write_bytes(b"")

    report = EventTransform(lab).run()

    assert {r.session_id: r.status for r in report.records} == {"Ada L": "success", "Bo M": "failed", "Cy N": "failed"}
    assert "no HDF5 file" in report.records[1].message
    assert report.records[1].error == "source_format"
    assert sorted(p.name for p in (lab / "processed" / "event").iterdir()) == ["Ada L_events.zarr", "records"]


@pytest.mark.parametrize("layout", ["flat", "tree"])
def test_no_id_of_a_session_is_left_in_its_store(lab: Path, layout):
    """Not in raw payloads either, and the store can still be proved against its source."""
    write_with_own_name(lab / "curated-h5" / "Ada L.h5", "Ada L")
    options = TransformOptions(identities=Identities(names={"Ada L": "p1", "Bo M": "p2"}))
    made = EventTransform(lab, layout=layout, options=options)

    report = made.run()

    assert [r.session_id for r in report.records] == ["p1", "p2"]
    store = lab / "processed" / "event" / "p1_events.zarr"
    payloads = open_events(store).columns("event")["payload"].tolist()
    assert any('"p1"' in payload for payload in payloads)
    shown = json.dumps([payloads, report.to_json(), [r.to_json() for r in made.records.read()]])
    for text in (shown.encode(), all_bytes(lab / "processed")):
        assert b"Ada L" not in text
        assert b"Bo M" not in text
    assert verify_events(lab / "curated-h5" / "Ada L.h5", store, clean=Cleaner("Ada L", "p1")).ok


def write_with_own_name(path: Path, name: str) -> None:
    """Have the first payload of a file tell the name of its session."""
    import h5py

    with h5py.File(path, "r+") as file:
        data = file["events/task_started/data"]
        payload = json.loads(data[0])
        data[0] = json.dumps({**payload, "participant": name})


def test_a_single_session_can_be_done_again(outcome, tmp_path: Path):
    """The values are the same."""
    lab = shutil.copytree(outcome[0], tmp_path / "lab")
    made = EventTransform(lab)
    store = lab / "processed" / "event" / "Bo M_events.zarr"
    before = xr.open_zarr(store, chunks=None).load()
    made.run(Selection(names=["Bo M"]))

    after = xr.open_zarr(store, chunks=None).load()
    assert after.drop_attrs(deep=False).identical(before.drop_attrs(deep=False))
    np.testing.assert_array_equal(after["task_start_time"], before["task_start_time"])


def test_an_unknown_layout_is_refused(lab: Path):
    """The known ones stand in the message."""
    with pytest.raises(InvalidInputError, match="flat or tree"):
        EventTransform(lab, layout="round")  # type: ignore[arg-type]
