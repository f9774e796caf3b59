"""Values of JSON get the types of their columns, or are missing and reported."""

from __future__ import annotations

import pytest

from tests.recordings.scenes import Scene
from zarrmill.recordings.payloads import Payload


def view(data):
    """Return the typed view of one event, and the list that its problems go to."""
    found = []
    return Payload(Scene().add("task_started", 0, data).events[0], found), found


@pytest.mark.parametrize("data", [None, {}, {"config": None}, {"config": {}}, {"config": {"count": None}}])
def test_null_and_absent_are_missing_at_every_level(data):
    """Neither fails, neither is reported, and neither becomes 0 or ''."""
    payload, found = view(data)

    read = (payload.text, payload.integer, payload.number, payload.flag)
    assert [ask("config", "count") for ask in read] == [None] * 4
    assert found == []


def test_none_empty_and_zero_are_three_things():
    """'' and 0 are values."""
    payload, found = view({"none": None, "empty": "", "zero": 0, "false": False})

    assert [payload.text(name) for name in ("none", "empty")] == [None, ""]
    assert [payload.integer(name) for name in ("none", "zero")] == [None, 0]
    assert [payload.number(name) for name in ("none", "zero")] == [None, 0.0]
    assert [payload.flag(name) for name in ("none", "false", "zero")] == [None, False, False]
    assert found == []


ACCEPTED = {
    "whole number as text": ("text", 5, "5"),
    "whole float": ("integer", 3.0, 3),
    "NaN number": ("number", float("nan"), None),
    "NaN integer": ("integer", float("nan"), None),
    "1 for true": ("flag", 1, True),
    "text with NUL": ("text", "a\0", "a\0"),
    "text beyond the basic plane": ("text", "𝄞", "𝄞"),
}


@pytest.mark.parametrize(("kind", "value", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_can_be_read_is_read(kind, value, expected):
    """No problem is reported."""
    payload, found = view({"x": value})

    assert getattr(payload, kind)("x") == expected
    assert found == []


REFUSED = {
    "text as number": ("number", "3", "wrong_json_type"),
    "text as integer": ("integer", "3", "wrong_json_type"),
    "boolean as number": ("number", True, "wrong_json_type"),
    "boolean as integer": ("integer", True, "wrong_json_type"),
    "boolean as text": ("text", True, "wrong_json_type"),
    "list as text": ("text", [], "wrong_json_type"),
    "object as flag": ("flag", {}, "wrong_json_type"),
    "2 as flag": ("flag", 2, "wrong_json_type"),
    "half": ("integer", 0.5, "out_of_range"),
    "the sentinel": ("integer", -1, "out_of_range"),
    "too large": ("integer", 2**31, "out_of_range"),
    "infinite integer": ("integer", float("inf"), "out_of_range"),
    "infinite": ("number", float("-inf"), "out_of_range"),
    "beyond float64": ("number", 10**400, "out_of_range"),
}


@pytest.mark.parametrize(("kind", "value", "code"), REFUSED.values(), ids=REFUSED)
def test_what_a_column_cannot_hold_is_missing_and_reported(kind, value, code):
    """Nothing is converted in silence, and the message does not tell the value."""
    payload, found = view({"x": {"y": value}})

    assert getattr(payload, kind)("x", "y") is None
    assert [(problem.code, problem.path, problem.row) for problem in found] == [(code, "events/task_started/data", 0)]
    assert found[0].message.startswith("x.y is ")


def test_a_level_that_is_no_object_is_reported():
    """A list in place of an object has no values."""
    payload, found = view({"config": [1]})

    assert payload.integer("config", "count") is None
    assert [problem.message for problem in found] == ["config is a list, not an object: missing"]


def test_a_lone_surrogate_is_kept_as_an_escape():
    """The text can be stored, and the problem says that it is escaped."""
    payload, found = view({"title": "a\ud800"})

    assert payload.text("title") == "a\\ud800"
    assert [problem.code for problem in found] == ["lone_surrogate"]
