"""One row of JSON text, whatever is wrong with it."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.recordings import json_rows
from zarrmill.recordings.json_rows import parse_row
from zarrmill.recordings.problems import INPUT_CODES

ROWS = {
    "object": (b'{"a": 1}', {"a": 1}, []),
    "empty object": (b"{}", {}, []),
    "space around": (b' {"a": 1}\n', {"a": 1}, []),
    "two objects": (b'{"a": 1} {"a": 2}', None, ["bad_json"]),
    "mark of order": (b'\xef\xbb\xbf{"a": 1}', None, ["bad_json"]),
    "non-BMP": (b'{"a": "\\ud834\\udd1e"}', {"a": "𝄞"}, []),
    "NaN": (b'{"a": "NaN"}', {"a": "NaN"}, []),
    "null": (b"null", None, ["null_payload"]),
    "empty": (b"", None, ["bad_json"]),
    "cut": (b'{"a": ', None, ["bad_json"]),
    "brackets alone": (b"[" * 100_000, None, ["bad_json"]),
    "digits alone": (b"9" * 5000, None, ["bad_json"]),
    "array": (b"[1]", None, ["not_an_object"]),
    "text": (b'"a"', None, ["not_an_object"]),
    "number": (b"5", None, ["not_an_object"]),
    "boolean": (b"true", None, ["not_an_object"]),
    "Latin-1": (b'{"a": "caf\xe9"}', {"a": "caf\\xe9"}, ["not_utf8"]),
    "Latin-1 and cut": (b'{"a": "caf\xe9', None, ["not_utf8", "bad_json"]),
    "lone surrogate": (b'{"a": "\\ud800"}', {"a": "\\ud800"}, ["lone_surrogate"]),
    "low surrogate": (b'{"a": "\\udc80"}', {"a": "\\x80"}, ["lone_surrogate"]),
    "NUL": (b'{"a": "b\\u0000"}', {"a": "b\0"}, ["nul_in_text"]),
    "all at once": (
        b'{"\xe9": "\\ud800\\u0000"}', {"\\xe9": "\\ud800\0"}, ["lone_surrogate", "not_utf8", "nul_in_text"]
    ),
}  # fmt: skip


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(json_rows).failed == 0


@pytest.mark.parametrize(("raw", "data", "codes"), ROWS.values(), ids=ROWS)
def test_what_is_readable_is_kept(raw, data, codes):
    """Each kind of text gives its object and the names of its faults."""
    row = parse_row(raw)

    assert row.data == data
    assert sorted(code for code, _ in row.faults) == sorted(codes)


@given(st.binary(max_size=60))
def test_nothing_raises(raw):
    """Any bytes give a row; its faults have known names, and its text can be stored."""
    row = parse_row(raw)

    row.payload.encode("utf-8")
    assert {code for code, _ in row.faults} <= set(INPUT_CODES)


def test_messages_tell_nothing_of_the_text():
    """A message has no word of what was read."""
    row = parse_row(b'{"title": "Secret", \\Secret')

    assert row.faults
    assert all("Secret" not in message for _, message in row.faults)
