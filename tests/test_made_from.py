"""made_from.py: the record of what an array was made from, and what has changed since."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.made_from import MadeFrom, find_changes


def record(shape: tuple[int, ...], chunk: tuple[int, ...], *, seed: int = 0, source: str = "a") -> MadeFrom:
    counts = tuple(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    states = np.random.default_rng(seed).integers(1, 2**63, int(np.prod(counts)), dtype=np.uint64)
    return MadeFrom(source, shape, chunk, states, 2**64 - seed - 1)


@pytest.mark.parametrize("shape", [(6, 4), (), (0, 3)], ids=["cube", "point", "empty"])
def test_a_record_comes_back(shape: tuple[int, ...]) -> None:
    """What is read is what was written."""
    made = record(shape, (2,) * len(shape))
    found = MadeFrom.from_bytes(made.to_bytes())
    assert found is not None
    assert (found.source, found.shape, found.write_chunk, found.terms) == ("a", shape, (2,) * len(shape), made.terms)
    np.testing.assert_array_equal(found.states, made.states)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"format": 1}'])
def test_anything_else_is_no_record(data: bytes) -> None:
    """What is no record counts as none."""
    assert MadeFrom.from_bytes(data) is None


@given(st.data())
def test_a_damaged_record_is_none(data: st.DataObject) -> None:
    """No digit can be another without being noticed."""
    text = bytearray(record((6, 4), (2, 2)).to_bytes())
    place = data.draw(st.sampled_from([i for i, c in enumerate(text) if chr(c).isalnum()]))
    text[place] = ord("x") if text[place] != ord("x") else ord("y")
    assert MadeFrom.from_bytes(bytes(text)) is None


def test_another_format_is_none() -> None:
    """A later version may say other things."""
    assert MadeFrom.from_bytes(json.dumps({"format": 2, "check": ""}).encode()) is None


def test_what_is_as_it_was_has_not_changed() -> None:
    """Equal states, no changes."""
    assert not find_changes(record((6, 4), (2, 2)), record((6, 4), (2, 2))).any()


@pytest.mark.parametrize("other", [{"source": "b"}, {"write_chunk": (2, 4), "states": np.zeros(3, dtype=np.uint64)}])
def test_another_source_is_all_new(other: dict[str, object]) -> None:
    """Of another source, or one in other chunks, nothing can be kept."""
    before = record((6, 4), (2, 2))
    assert find_changes(before, replace(before, **other)).all()


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 4), st.data())
def test_changes_by_brute_force(old: int, new: int, chunk: int, data: st.DataObject) -> None:
    """A chunk that lies wholly in both shapes has changed where its state has; others at or beyond the end have."""
    numbers = st.integers(0, 3)
    states = [data.draw(st.lists(numbers, min_size=-(-n // chunk), max_size=-(-n // chunk))) for n in (old, new)]
    before, now = (
        MadeFrom("a", (n,), (chunk,), np.array(s, dtype=np.uint64), 0) for n, s in zip((old, new), states, strict=True)
    )
    found = find_changes(before, now).tolist()
    for i, changed in enumerate(found):
        if i >= len(states[0]) or states[0][i] != states[1][i]:
            assert changed
        elif old == new:
            assert not changed
        elif (i + 1) * chunk > min(old, new):
            assert changed
        elif (i + 2) * chunk <= min(old, new):
            assert not changed
