"""The tables as xarray: the types that are stored, in one Dataset or in groups."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from time import process_time

import numpy as np
import pytest
from hypothesis import given

from tests.recordings.scenes import FEW, START, Scene, full_scene, scenes
from zarrmill.recordings.dataset import create_dataset, create_tree
from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.processing import process
from zarrmill.recordings.schema import TABLES, all_columns
from zarrmill.recordings.settings import DEFAULT_SETTINGS

pytest.importorskip("xarray")


def described(dataset):
    """Return everything about a Dataset but its values, lengths and attributes."""
    return {
        name: (variable.dims, variable.dtype, variable.attrs, variable.encoding, name in dataset.coords)
        for name, variable in dataset.variables.items()
    }


def test_a_dataset_has_the_columns_of_the_schema():
    """Dimensions and coordinates are the keys, and every variable has its dimension."""
    dataset = create_dataset(full_scene().process())

    assert set(dataset.variables) == {column.flat_name for _, column in all_columns()}
    assert set(dataset.coords) == {"task_id", "element_id", "segment_id"}
    assert set(dataset.dims) == {"task_id", "element_id", "segment_id", "event", "issue"}
    for table, column in all_columns():
        assert dataset[column.flat_name].dims == (table.dim,)
        assert dataset[column.flat_name].dtype == column.numpy_dtype


@FEW
@given(scenes())
def test_the_schema_is_the_same_whatever_the_input(scene):
    """Names, types, dimensions, attributes and fill values are those of an empty session."""
    empty = process([], session_id="s")
    processed = scene.process()

    assert described(create_dataset(processed)) == described(create_dataset(empty))
    tree, bare = create_tree(processed), create_tree(empty)
    assert [node.path for node in tree.subtree] == [node.path for node in bare.subtree]
    for table in TABLES.values():
        assert described(tree[table.group].to_dataset()) == described(bare[table.group].to_dataset())


@FEW
@given(scenes())
def test_both_layouts_hold_the_same(scene):
    """A variable of a group is that of the prefix, value by value."""
    processed = scene.process()
    flat, tree = create_dataset(processed), create_tree(processed)

    for table, column in all_columns():
        first, second = flat.variables[column.flat_name], tree[table.group].to_dataset().variables[column.name]
        assert first.identical(second)
        np.testing.assert_array_equal(first.values, processed.tables[table.name][column.name])


def test_nothing_is_an_object_or_an_extension_array():
    """xarray would change their types without a word."""
    for variable in create_dataset(full_scene().process()).variables.values():
        assert type(variable.data) is np.ndarray
        assert variable.dtype.kind in "fibT"


def test_whole_numbers_and_flags_tell_readers_which_value_is_missing():
    """Times and numbers are NaN and need not."""
    dataset = create_dataset(full_scene().process())

    for table, column in all_columns():
        expected = -1 if column.kind in ("count", "flag", "row") else None
        assert dataset[column.flat_name].encoding.get("_FillValue") == expected, table.name


def test_groups_are_named_as_readers_expect():
    """And their variables have no prefix."""
    tree = create_tree(full_scene().process())

    assert set(tree.children) == {"tasks", "elements", "segments", "events", "issues"}
    assert tree["elements/start_time"].values[0] == START + 200
    assert tree["elements"].coords["element_id"].values.tolist() == ["e1", "e1#2", "e2"]
    assert set(tree["elements"].coords) == {"element_id"}


def test_attributes_say_what_it_is_and_where_it_is_from():
    """Times are in UTC, and the types of events are those that were asked for."""
    source = SourceFacts("s.h5", 123, "ab" * 32)
    at = datetime(2024, 5, 6, 7, 8, 9, 99, tzinfo=timezone(timedelta(hours=2)))

    attributes = create_dataset(full_scene().process(), source=source, created_at=at).attrs

    assert attributes.pop("version")
    assert json.loads(attributes.pop("event_types")) == DEFAULT_SETTINGS.to_json()
    assert attributes == {
        "Conventions": "CF-1.11",
        "session_id": "session-01",
        "transform": "event",
        "format": 1,
        "layout": "flat",
        "created_at": "2024-05-06T05:08:09Z",
        "session_start_time": START,
        "session_end_time": START + 1500,
        "source_name": "s.h5",
        "source_size": 123,
        "source_sha256": "ab" * 32,
    }
    json.dumps(attributes)


def test_what_is_not_known_has_no_attribute():
    """NaN would be no JSON."""
    attributes = create_tree(process([], session_id="s")).attrs

    assert attributes["layout"] == "tree"
    assert not {"session_start_time", "session_end_time", "source_name"} & set(attributes)
    assert abs(datetime.fromisoformat(attributes["created_at"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_five_thousand_elements_and_segments_become_a_dataset_in_less_than_a_second():
    """Processing included."""
    scene = Scene()
    for number in range(5000):
        scene.element(f"e{number}", number * 10, number * 10 + 9, task_id="t", title="Ein Titel")
        scene.segment(number * 10 + 1, number * 10 + 8)
    create_dataset(process([], session_id="s"))  # What is imported at the first use is not measured.
    begun = process_time()

    dataset = create_dataset(scene.process())

    assert process_time() - begun < 1
    assert dataset.sizes["element_id"] == dataset.sizes["segment_id"] == 5000
