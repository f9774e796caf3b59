"""Damages of curated files; what opening a damaged file finds is in tests/recordings/test_recording.py."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

from zarrmill.recordings.problems import INPUT_CODES
from zarrmill.testing import DAMAGES, EEG, damage, write_curated


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a whole file."""
    return write_curated(
        tmp_path_factory.mktemp("whole") / "a.h5", signals=[replace(EEG, frames=200)]
    ).path.read_bytes()


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(damage).failed == 0


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_changes_the_file(whole, tmp_path, name):
    """No damage is none, and every problem that it promises has a known code."""
    path = tmp_path / "a.h5"
    path.write_bytes(whole)
    DAMAGES[name](path)

    assert path.read_bytes() != whole
    assert DAMAGES[name].says
    assert {code for code, *_ in DAMAGES[name].problems} <= set(INPUT_CODES)


def test_every_input_problem_can_be_made():
    """There is a damage for every code, but for those that other tests make by hand."""
    made = {code for found in DAMAGES.values() for code, *_ in found.problems}

    assert set(INPUT_CODES) - made == {"no_device", "unreadable_file"}
