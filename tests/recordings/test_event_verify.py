"""A store is compared with what its source says, row by row and type by type."""

from __future__ import annotations

import json
import shutil

import pytest
import zarr

from tests.recordings.scenes import Scene, full_scene
from zarrmill.recordings.dataset import create_dataset, create_tree
from zarrmill.recordings.event_reader import Events, open_events
from zarrmill.recordings.event_verify import compare_events, verify_events
from zarrmill.recordings.identities import Cleaner
from zarrmill.recordings.processing import extract, process
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.save import save_dataset
from zarrmill.recordings.schema import TABLES, all_columns
from zarrmill.recordings.settings import EventSettings

pytest.importorskip("xarray")
pytest.importorskip("h5py")


def saved(processed, path, *, layout=create_dataset, **options):
    """Return the events of a session after they were saved."""
    save_dataset(layout(processed), path, overwrite=True, sync=False, **options)
    return open_events(path)


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The flat store of a session with something in every column; never written to."""
    path = tmp_path_factory.mktemp("full") / "s.zarr"
    save_dataset(create_dataset(full_scene().process()), path, sync=False)
    return path


def differences(report):
    """Return what differs, in short."""
    return [(found.kind, found.table, found.column, found.row) for found in report.differences]


@pytest.mark.parametrize("layout", [create_dataset, create_tree], ids=["flat", "tree"])
def test_a_sound_store_is_what_its_source_says(tmp_path, layout):
    """Every column of every table is compared."""
    processed = full_scene().process()

    report = compare_events(processed, saved(processed, tmp_path / "s.zarr", layout=layout))

    assert report.ok
    assert report.columns == len(list(all_columns()))
    assert report.rows == {name: processed.rows(name) for name in TABLES}
    json.dumps(report.to_json())


CHANGES = {
    "number": ("task_count", 5, ("values", "task", "count", 1)),
    "time": ("element_end_time", 5.0, ("values", "element", "end_time", 1)),
    "flag": ("task_skipped", 0, ("values", "task", "skipped", 1)),
    "text": ("element_title", "x", ("values", "element", "title", 1)),
    "validity": ("element_title_valid", True, ("values", "element", "title_valid", 1)),
    "relation": ("segment_element_row", 2, ("values", "segment", "element_row", 1)),
    "raw event": ("event_payload", "", ("values", "event", "payload", 1)),
}


@pytest.mark.parametrize(("name", "value", "expected"), CHANGES.values(), ids=CHANGES)
def test_one_value_that_differs_is_found(full, tmp_path, name, value, expected):
    """With its table, column and row; texts are not told, because they may be personal."""
    store = shutil.copytree(full, tmp_path / "s.zarr")
    zarr.open_group(store, mode="r+")[name][1] = value

    report = compare_events(full_scene().process(), open_events(store))

    assert differences(report) == [expected]
    assert not report.ok
    assert report.differences[0].message.startswith("1 of ")


def test_other_types_are_found(tmp_path):
    """As a table that cannot be read; the others are compared."""
    processed = full_scene().process()
    dataset = create_dataset(processed)
    save_dataset(dataset.assign(task_count=dataset.task_count.astype("f8")), tmp_path / "s.zarr", sync=False)

    report = compare_events(processed, open_events(tmp_path / "s.zarr"))

    assert differences(report) == [("table", "task", "", -1)]


def test_rows_that_are_missing_are_found(tmp_path):
    """Both numbers are told."""
    events = saved(Scene().task("a", 0, 1).process(), tmp_path / "s.zarr")

    report = compare_events(Scene().task("a", 0, 1).task("b", 2, 3).process(), events)

    assert [found.message for found in report.differences if found.table == "task"] == [
        "1 rows in the store, 2 from the source"
    ]


def test_another_session_is_found():
    """Also by its span."""
    events = Events.of(full_scene().process())

    assert compare_events(full_scene().process(), events).ok
    other = process([], session_id="other")
    assert ("attribute", "", "session_id", -1) in differences(compare_events(other, events))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A curated file, which is never written to."""
    from zarrmill.testing.curated import write_curated

    return write_curated(tmp_path_factory.mktemp("source") / "Ada L.h5", seed=3, tasks=3, elements=12, segments=8).path


@pytest.fixture(scope="module")
def store(source):
    """Its store, which is never written to."""
    make_store(source, source.with_name("s.zarr"))
    return source.with_name("s.zarr")


def make_store(source, path, *, settings=None, **options):
    """Make the store of a curated file."""
    with open_recording(source) as recording:
        found, facts = extract(recording), recording.source
    given = {} if settings is None else {"settings": settings}
    given["problems"] = found.problems
    processed = process(found.events, session_id=found.session_id, start_time=found.start_time, **given)
    save_dataset(create_dataset(processed, source=facts), path, sync=False, **options)


def test_a_store_is_proved_from_its_file(source, store):
    """Nothing but both of them is needed."""
    report = verify_events(source, store)

    assert report.ok, report.differences
    assert report.rows["element"] == 12


def test_it_is_proved_with_the_types_of_events_that_it_was_made_with(source, tmp_path):
    """Which the store tells."""
    make_store(source, tmp_path / "s.zarr", settings=EventSettings(segments=()))

    assert verify_events(source, tmp_path / "s.zarr").ok
    assert not verify_events(source, tmp_path / "s.zarr", settings=EventSettings()).ok


def test_it_is_proved_with_ids_that_were_replaced(source, tmp_path):
    """With the same replacement."""
    clean = Cleaner("Ada L", "p01")
    make_store(source, tmp_path / "s.zarr", clean=clean)

    assert verify_events(source, tmp_path / "s.zarr", clean=clean).ok
    assert ("attribute", "", "session_id", -1) in differences(verify_events(source, tmp_path / "s.zarr"))


def test_a_source_that_changed_is_told(store, tmp_path):
    """By its checksum."""
    from zarrmill.testing.curated import write_curated

    source = write_curated(tmp_path / "Ada L.h5", seed=4, tasks=3, elements=13, segments=8).path

    report = verify_events(source, store)

    assert differences(report)[0] == ("source", "", "source_sha256", -1)
    assert ("rows", "element", "", -1) in differences(report)
