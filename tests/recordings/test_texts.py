"""Text that may be anything."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.recordings import texts
from zarrmill.recordings.texts import LONE_SURROGATE, NOT_UTF8, NUL, decode, escape, restore, scrub


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(texts).failed == 0


@given(st.binary(max_size=40) | st.lists(st.sampled_from([b"\\", b"x", b"ff", b"\xff", b"\\xff", b"u"])).map(b"".join))
def test_the_way_back_is_exact(data):
    """The bytes of every escaped text come back, whatever they are."""
    text, escaped = decode(data)

    assert (restore(text) if escaped else text.encode()) == data
    text.encode("utf-8")


@pytest.mark.parametrize(
    "text", ["plain", "né", "𝄞", "a\\b", "end\0", "\\xff"], ids=["ASCII", "accent", "non-BMP", "slash", "NUL", "escape"]
)
def test_sound_text_stays(text):
    """What UTF-8 can hold is not changed, backslashes included."""
    assert decode(text.encode()) == (text, False)
    assert escape(text) == text


def test_odd_texts_are_named_at_every_level():
    """Keys, lists and values are looked at."""
    value, odd = scrub({"a\ud800": [{"b": "\udcff"}, "c\0", 5, None]})

    assert value == {"a\\ud800": [{"b": "\\xff"}, "c\0", 5, None]}
    assert odd == {LONE_SURROGATE, NOT_UTF8, NUL}
