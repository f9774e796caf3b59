"""What was stored comes back from either layout: types, missing values and relations."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings

from tests.recordings.scenes import FEW, START, Scene, full_scene, scenes
from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.recordings.dataset import create_dataset, create_tree
from zarrmill.recordings.event_reader import Events, open_events
from zarrmill.recordings.processing import process
from zarrmill.recordings.save import save_dataset
from zarrmill.recordings.schema import TABLES
from zarrmill.recordings.settings import DEFAULT_SETTINGS

pd = pytest.importorskip("pandas")
xr = pytest.importorskip("xarray")

LAYOUTS = {"flat": create_dataset, "tree": create_tree}


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request):
    """Both layouts."""
    return LAYOUTS[request.param]


@pytest.fixture(scope="module")
def full(layout, tmp_path_factory):
    """The store of a session with something in every column; never written to."""
    path = tmp_path_factory.mktemp("full") / "s.zarr"
    stored(full_scene(), layout, path)
    return path


def stored(scene, layout, path):
    """Return the events of a scene after they were saved and opened."""
    save_dataset(layout(scene.process()), path, sync=False)
    return open_events(path)


def check_saved(tmp_path_factory, scene):
    """Compare what comes back with what was saved, in both layouts."""
    processed = scene.process()
    for layout in LAYOUTS.values():
        events = stored(scene, layout, tmp_path_factory.mktemp("events") / "s_events.zarr")
        for name in TABLES:
            for key, values in events.columns(name).items():
                expected = processed.tables[name][key]
                assert values.dtype == expected.dtype
                np.testing.assert_array_equal(values, expected)


@settings(max_examples=5)
@given(scene=scenes(8))
def test_what_was_saved_comes_back(tmp_path_factory, scene):
    """Every column of every table, from both layouts, with its type."""
    check_saved(tmp_path_factory, scene)


@pytest.mark.soak
@given(scene=scenes(8))
def test_whatever_was_saved_comes_back(tmp_path_factory, scene):
    """The same of many more sessions: each writes and reads two stores of a hundred arrays."""
    check_saved(tmp_path_factory, scene)


def test_an_empty_session_comes_back(tmp_path, layout):
    """Every table with its columns and no rows."""
    events = stored(Scene(), layout, tmp_path / "s.zarr")

    assert {name: len(events.to_pandas(name)) for name in TABLES} == dict.fromkeys(TABLES, 0)
    assert events.tasks.sizes == {"task_id": 0}


def test_xarray_has_dates_booleans_and_whole_numbers(full):
    """What is missing is NaT, or told by the variable beside it."""
    tasks = open_events(full).tasks

    assert tasks.end_time.dtype == "datetime64[ns]"
    assert np.isnat(tasks.end_time.values).tolist() == [False, True]
    assert tasks.start_time.values[0] == np.datetime64(int(START) + 100, "ms")
    assert tasks["count"].dtype == "int32"
    assert tasks["count"].values.tolist() == [2, -1]
    assert tasks.count_valid.values.tolist() == [True, False]
    assert tasks.allow_repeats.dtype == bool
    assert tasks.allow_repeats.values.tolist() == [False, False]
    assert tasks.allow_repeats_valid.values.tolist() == [True, False]
    assert tasks.audio_mode.values.tolist() == ["", ""]
    assert tasks.audio_mode_valid.values.tolist() == [True, False]


def test_xarray_selects_by_key(full):
    """Keys are an index."""
    elements = open_events(full).elements

    assert elements.sel(element_id="e1").title.item() == "Größe 𝄞"
    assert elements.sel(element_id="e1#2").occurrence.item() == 2


def test_pandas_has_types_that_know_what_is_missing(full):
    """Dates in UTC, Int32, boolean and string, and NA is neither '' nor 0 nor False."""
    tasks = open_events(full).to_pandas("task")

    assert tasks.index.tolist() == ["t1", "t2"]
    assert tasks.index.name == "task_id"
    assert tasks["count"].dtype == "Int32"
    assert tasks["allow_repeats"].dtype == "boolean"
    assert tasks["audio_mode"].dtype == "string"
    assert str(tasks["end_time"].dtype) == "datetime64[ns, UTC]"
    assert tasks["duration"].dtype == "float64"
    assert tasks.loc["t1", "audio_mode"] == ""
    assert tasks.loc["t1", "allow_repeats"] is np.False_ or tasks.loc["t1", "allow_repeats"] is False
    for name in ("count", "allow_repeats", "audio_mode", "end_time", "duration", "task_type"):
        assert pd.isna(tasks.loc["t2", name])
    assert tasks.loc["t1", "start_time"] == pd.Timestamp(START + 100, unit="ms", tz="UTC")
    assert not any(name.endswith("_valid") for name in tasks)


def test_times_are_milliseconds_on_request(full):
    """As they are stored, NaN included."""
    events = open_events(full, times="milliseconds")

    assert events.tasks.skip_time.values[1] == START + 1500
    assert events.to_pandas("task")["end_time"].tolist()[0] == START + 900
    assert np.isnan(events.tasks.end_time.values[1])
    assert events.tasks.end_time.attrs["units"].startswith("milliseconds since")


def test_relations_are_resolved(full):
    """Elements tell their task, segments the task of their element, by row and by unique name."""
    events = open_events(full)

    assert events.elements.task_key.values.tolist() == ["t1", "t1", ""]
    assert events.elements.task_key_valid.values.tolist() == [True, True, False]
    assert events.segments.task_row.values.tolist() == [0, 0, 0]
    elements = events.to_pandas("element")
    assert elements["task_key"].tolist() == ["t1", "t1", pd.NA]


def test_a_join_brings_the_columns_of_what_rows_belong_to(full):
    """NA where a row belongs to nothing, types as they were."""
    events = open_events(full)

    elements = events.to_pandas("element", join=True)
    segments = events.to_pandas("segment", join=True)

    assert elements["task_count"].tolist() == [2, 2, pd.NA]
    assert elements["task_count"].dtype == "Int32"
    assert elements["task_task_type"].tolist() == ["n_back", "n_back", pd.NA]
    assert str(elements["task_start_time"].dtype) == "datetime64[ns, UTC]"
    assert segments["element_title"].tolist()[0] == "Größe 𝄞"
    assert segments["task_with_interruptions"].tolist() == [True, True, True]
    assert list(segments.index) == list(events.to_pandas("segment").index)


def test_raw_events_and_issues_are_tables_too(full):
    """The text is the very text, and what is missing is NA."""
    events = open_events(full)

    assert events.raw.payload.values.tolist()[-1] == "{broken"
    assert events.raw.sequence_valid.values.tolist()[-1]
    assert pd.isna(events.to_pandas("event")["event_id"].iloc[-1])
    assert set(events.issues.code.values.tolist()) == {problem.code for problem in full_scene().process().problems}


def test_attributes_and_settings_are_read(full):
    """With which types of events it was made."""
    events = open_events(full)

    assert events.attributes["session_id"] == "session-01"
    assert events.settings == DEFAULT_SETTINGS


def test_tables_that_are_not_stored_read_alike():
    """For plots and exports of what was just made."""
    events = Events.of(full_scene().process())

    assert events.to_pandas("task").index.tolist() == ["t1", "t2"]
    assert events.elements.task_key.values.tolist() == ["t1", "t1", ""]


@FEW
@given(scenes())
def test_any_events_become_frames(scene):
    """Whatever is missing."""
    events = Events.of(scene.process())

    for name in TABLES:
        assert len(events.to_pandas(name, join=True)) == scene.process().rows(name)
        assert set(events.to_xarray(name).sizes.values()) == {scene.process().rows(name)}


def test_an_odd_time_that_no_date_can_hold_is_none():
    """Milliseconds still tell it."""
    processed = Scene().add("display", 1e15, {}).process()

    assert np.isnat(Events.of(processed).raw.client_time.values[0])
    assert Events.of(processed, times="milliseconds").raw.client_time.values[0] == START + 1e15


def test_a_store_is_plain_zarr(full, layout):
    """Without this project, xarray sees dates and masked numbers, and zarr the types of the specification."""
    prefix, group = ("task_", None) if layout is create_dataset else ("", "tasks")

    tasks = xr.open_zarr(full, group=group, consolidated=True)
    array = zarr.open_group(full, mode="r")[f"{group}/count" if group else "task_count"]

    assert tasks[f"{prefix}end_time"].dtype == "datetime64[ns]"
    assert np.isnan(tasks[f"{prefix}count"].values[1])
    assert tasks[f"{prefix}duration"].dtype == "float64"
    assert tasks["task_id"].values.tolist() == ["t1", "t2"]
    assert array.dtype == "int32"
    assert array.fill_value == -1


def test_nothing_there_is_told(tmp_path):
    """And other stores are told from event stores."""
    with pytest.raises(NotFoundError):
        open_events(tmp_path / "none.zarr")
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(SourceFormatError, match="no event store"):
        open_events(tmp_path / "other.zarr")
    zarr.create_array(tmp_path / "array.zarr", shape=(1,), dtype="i4")
    with pytest.raises(SourceFormatError, match="no Zarr group"):
        open_events(tmp_path / "array.zarr")


def test_a_later_format_is_refused(tmp_path):
    """The message says to upgrade."""
    dataset = create_dataset(process([], session_id="s")).assign_attrs(format=2)
    save_dataset(dataset, tmp_path / "s.zarr", sync=False)

    with pytest.raises(SourceFormatError, match="Upgrade zarrmill"):
        open_events(tmp_path / "s.zarr")


DAMAGED = {
    "missing": (lambda d: d.drop_vars("task_count"), "no array task_count"),
    "other type": (lambda d: d.assign(task_count=d.task_count.astype("i8")), "task_count is int64, not int32"),
    "other length": (lambda d: d.assign(task_count=("x", np.zeros(3, "i4"))), "columns of .* rows"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_table_is_told(tmp_path, damage, message):
    """Where it is and what is wrong with it."""
    save_dataset(damage(create_dataset(full_scene().process())), tmp_path / "s.zarr", sync=False)

    with pytest.raises(SourceFormatError, match=message):
        open_events(tmp_path / "s.zarr").columns("task")


def test_unknown_names_are_refused(tmp_path):
    """With those there are."""
    with pytest.raises(InvalidInputError, match="Known are task, element"):
        Events.of(full_scene().process()).to_pandas("tasks")
    with pytest.raises(InvalidInputError, match="'datetime' or 'milliseconds'"):
        open_events(tmp_path, times="seconds")
