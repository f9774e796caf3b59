"""Names, types and missing values are those of the specification, for every session."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from tests.recordings.scenes import full_scene
from zarrmill.errors import InvalidInputError
from zarrmill.recordings import schema
from zarrmill.recordings.processing import process
from zarrmill.recordings.schema import TABLES, TIME_UNITS

SPANS = ("task", "element", "segment")
NAN = float("nan")
ROWS = {
    "times": (
        {**dict.fromkeys(SPANS, ("start_time", "end_time")), "event": ("server_time", "client_time")},
        "float64", NAN, TIME_UNITS,
    ),
    "skip time": ({"task": ("skip_time",)}, "float64", NAN, TIME_UNITS),
    "durations": (dict.fromkeys(SPANS, ("duration",)), "float64", NAN, "ms"),
    "relative time": ({"element": ("session_relative_time",)}, "float64", NAN, "ms"),
    "response time": ({"element": ("response_time_seconds",)}, "float64", NAN, "s"),
    "relative start": ({"segment": ("element_relative_start",)}, "float64", NAN, "ms"),
    "fractions": (
        {"task": ("session_fraction_start", "session_fraction_end"), "element": ("session_fraction",)},
        "float64", NAN, "1",
    ),
    "counts": (
        {
            **dict.fromkeys(SPANS, ("occurrence",)), "task": ("occurrence", "count", "element_count"),
            "element": ("occurrence", "sequence_idx", "max_count"), "event": ("sequence",), "issue": ("row",),
        },
        "int32", -1, None,
    ),
    "flags": (
        {
            "task": ("allow_repeats", "with_interruptions", "skipped"),
            "element": ("is_instruction", "with_interruptions"), "segment": ("spans_elements",),
        },
        "int8", -1, None,
    ),
    "texts": (
        {
            "task": ("task_type", "completion_status", "input_modality", "audio_mode"),
            "element": ("element_type", "title", "task_id", "task_type", "input_modality", "audio_mode"),
            "segment": ("segment_type", "containing_element_id", "start_event_id", "end_event_id", "type_index"),
            "event": ("event_type", "event_id", "payload"),
            "issue": ("code", "severity", "path", "message"),
        },
        "string", "", None,
    ),
    "rows": (
        {
            "task": ("start_event_row", "end_event_row", "skip_event_row"),
            "element": ("start_event_row", "end_event_row", "task_row"),
            "segment": ("start_event_row", "end_event_row", "element_row"),
        },
        "int32", -1, None,
    ),
    "keys": ({name: (f"{name}_id",) for name in SPANS}, "string", "", None),
}  # fmt: skip
"""Per row of the specification's table: attributes by table, type on disk, what is missing, and units."""


@pytest.mark.parametrize(("names", "dtype", "missing", "units"), ROWS.values(), ids=ROWS)
def test_columns_are_what_the_specification_says(names, dtype, missing, units):
    """Each attribute has its type, the value of what is missing, and its units."""
    for table, attributes in names.items():
        for name in attributes:
            # The key of elements and an attribute of theirs may share a name with that of tasks.
            found = TABLES[table][name]
            assert found.dtype == dtype
            assert found.missing == missing or (missing != missing and found.missing != found.missing)
            assert found.attributes.get("units") == units


def test_there_are_no_other_columns():
    """The specification's table is the whole schema, but for what says which texts there are."""
    listed = {table: set() for table in TABLES}
    for names, *_ in ROWS.values():
        for table, attributes in names.items():
            listed[table].update(attributes)

    assert {name: {c.name for c in table.columns if c.kind != "valid"} for name, table in TABLES.items()} == listed


def test_every_text_has_a_column_that_tells_which_are_there():
    """``<name>_valid``, of type bool."""
    for table in TABLES.values():
        texts = {column.name for column in table.columns if column.kind == "text"}
        valid = {column.name: column.dtype for column in table.columns if column.kind == "valid"}
        assert valid == {f"{name}_valid": "bool" for name in texts}


def test_names_without_groups_are_the_prefix_plus_the_attribute():
    """They are unique, have no slash, and those of the proposal are among them."""
    names = [column.flat_name for _, column in schema.all_columns()]

    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)
    assert {
        "task_id", "element_id", "segment_id", "task_task_type", "element_task_id", "segment_segment_type",
        "segment_type_index", "element_task_row", "segment_element_row", "task_element_count", "task_occurrence",
        "element_task_type_valid", "event_payload", "issue_code",
    } <= set(names)  # fmt: skip


def test_flags_say_what_their_values_mean():
    """In the words of CF."""
    assert TABLES["task"]["skipped"].attributes["flag_values"] == [0, 1]
    assert TABLES["task"]["skipped"].attributes["flag_meanings"] == "false true"


def types_of(processed):
    """Return the type of every array."""
    return {(table, name): a.dtype for table, columns in processed.tables.items() for name, a in columns.items()}


def test_types_are_the_same_with_rows_and_without():
    """Also where every value of a column is missing."""
    full, empty = full_scene().process(), process([], session_id="s")

    assert types_of(full) == types_of(empty)
    assert list(types_of(full)) == [(table.name, column.name) for table, column in schema.all_columns()]
    assert types_of(full) == {(t.name, c.name): c.numpy_dtype for t, c in schema.all_columns()}


def test_columns_of_other_names_are_refused():
    """The message names them."""
    with pytest.raises(InvalidInputError, match="columns missing or unknown: code, message, path, row, severity, x"):
        TABLES["issue"].make(x=[1])


def test_columns_of_other_lengths_are_refused():
    """The message tells both."""
    with pytest.raises(InvalidInputError, match=r"columns of \[0, 1\] rows"):
        TABLES["issue"].make(code=["a"], severity=[], path=[], row=[], message=[])


def test_an_unknown_column_is_named_with_those_there_are():
    """So that a misprint is seen."""
    with pytest.raises(InvalidInputError, match=r"no column 'cod'\. It has code, code_valid"):
        TABLES["issue"]["cod"]


def test_missing_is_told_from_values():
    """None becomes what the column has for it."""
    made = TABLES["issue"].make(code=[None, ""], severity=["a", "b"], path=["", ""], row=[None, 0], message=["", ""])

    assert made["code"].tolist() == ["", ""]
    assert made["code_valid"].tolist() == [False, True]
    assert made["row"].tolist() == [-1, 0]
    assert made["code"].dtype == np.dtypes.StringDType()


@pytest.mark.parametrize(
    "name",
    ["schema", "optional", "pairs", "occurrences", "containment", "session_times", "skips", "settings", "relations",
     "restore", "event_verify"],
)  # fmt: skip
def test_examples_run(name):
    """What docstrings of the tables' modules show is so."""
    result = doctest.testmod(__import__(f"zarrmill.recordings.{name}", fromlist=[name]))

    assert result.attempted > 0
    assert result.failed == 0


def test_an_optional_library_that_is_missing_is_named():
    """With what to install."""
    from zarrmill.recordings.optional import load

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'zarrmill\[recordings\]'"):
        load("no_such_library")
