"""lightcurves/inspection.py: what a store holds, and every kind of damage to it found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lightcurves.survey import OBJECTS, Survey, time_of


def test_info_counts_what_is_there(survey: Survey) -> None:
    """Folded and pending epochs apart."""
    survey.add(0, 4)
    survey.storage.relayout()
    survey.add(2)
    info = survey.reopened().info()

    assert (info.objects, info.epochs, info.folded, info.pending) == (OBJECTS, 3, 2, 1)
    assert (info.first_time, info.last_time, info.time_scale) == (time_of(0), time_of(4), "utc")
    assert info.measurements == ("g", "r")
    assert info.to_json()["arrays"] == ("flux", "flux_err", "status")


def test_a_sound_store(survey: Survey) -> None:
    """Nothing is found, whatever state it is in."""
    for step in (lambda: survey.add(0, 1, 3), survey.storage.relayout, lambda: survey.add(2), survey.storage.prune):
        step()
        check = survey.reopened().verify()
        assert check.sound
        assert check.problems == ()
    assert (check.blocks, check.epochs) == (2, 1)


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


DAMAGE: dict[str, tuple[str, Callable[[Path], None], str, str]] = {
    "flipped bit in a shard": ("by_object/flux/c.0.0.0", flip, "unreadable", "by_object"),
    "lost shard": ("by_object/status/c.2.0.0", Path.unlink, "unreadable", "by_object"),
    "flipped bit in an epoch": ("by_epoch/000004/*/flux/c.0.0", flip, "unreadable", "by_epoch/000004"),
    "lost array of an epoch": ("by_epoch/000004/*/flux_err/c.0.0", Path.unlink, "unreadable", "by_epoch/000004"),
    "flipped bit in a column": ("objects/key/c.0", flip, "unreadable", "objects/key"),
    "lost column": ("objects/key/c.0", Path.unlink, "unreadable", "objects/key"),
}


@pytest.mark.parametrize(("key", "damage", "code", "where"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found_and_placed(make_survey, key, damage, code, where) -> None:
    """Each finding names the array, and the others are still checked."""
    survey = make_survey()
    survey.add(0, 1)
    survey.storage.relayout()
    survey.add(4)
    (path,) = Path(survey.path).glob(key)
    damage(path)
    problems = survey.reopened().verify().problems

    assert {problem.code for problem in problems} == {code}
    assert all(problem.path.startswith(where) or problem.path == "key_index" for problem in problems)


def test_an_old_shard_is_found_by_its_digest(make_survey) -> None:
    """A shard that is whole but not the one that was written last reads without an error, and is found."""
    survey = make_survey()
    survey.add(0)
    survey.storage.relayout()
    shard = Path(survey.path) / "by_object/flux/c.1.0.0"
    old = shard.read_bytes()
    survey.add(1)
    survey.storage.relayout()
    shard.write_bytes(old)

    assert [(p.code, p.path) for p in survey.reopened().verify().problems] == [("digest", "by_object/flux")]


def test_swapped_epochs_are_found(make_survey) -> None:
    """Arrays of one epoch in the place of those of another are not what was ingested."""
    survey = make_survey()
    survey.add(0, 1)
    first, second = (next((Path(survey.path) / f"by_epoch/00000{i}").glob("*/flux/c.0.0")) for i in (0, 1))
    first.write_bytes(second.read_bytes())

    assert [p.code for p in survey.reopened().verify().problems] == ["digest"]
