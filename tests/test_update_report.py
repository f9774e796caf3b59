"""plan_update: what an update would do again is what it then does, and nothing is written to tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zarrmill
from tests.test_update import add_epoch, keys, place, run, write_source
from zarrmill.errors import InvalidInputError

ASKED: dict[str, Any] = {"chunks": {"flux": (1, 8)}, "shards": {"flux": (20, 8)}, "max_mem": "64MiB"}
__all__ = ["place"]


def test_one_more_epoch(place: Callable[[str], str]) -> None:
    """The key that is new, where it lies, and the blocks that the run then does again and keeps."""
    source, target = place("s"), place("t")
    root = write_source(source, epochs=9)
    run(source, target)
    add_epoch(root["flux"], 9)
    before = keys(target)
    report = zarrmill.plan_update(source, target, **ASKED)
    assert keys(target) == before
    done = run(source, target, update=True)

    assert (report.blocks, report.kept_blocks) == (done.blocks, done.kept_blocks) == (1, 3)
    flux = next(array for array in report.arrays if array.path == "flux")
    assert (flux.changed_keys, flux.source_keys) == (1, 24)
    assert flux.changed == ("object 0:60", "epoch 9:10")
    assert flux.blocks == report.blocks
    assert 0 < flux.nbytes == report.nbytes <= 60 * 24 * 4
    assert (report.published, report.current) == (True, False)
    assert 0 < report.projected_mem <= report.max_mem == 64 * 2**20


def test_nothing_new(place: Callable[[str], str]) -> None:
    """A target that is up to date is called so."""
    source, target = place("s"), place("t")
    write_source(source)
    run(source, target)
    report = zarrmill.plan_update(source, target, **ASKED)

    assert (report.current, report.blocks, report.nbytes) == (True, 0, 0)
    assert {array.changed for array in report.arrays} == {()}
    assert report.to_json()["arrays"][0]["changed"] == []


def test_without_a_target_all_is_done(place: Callable[[str], str]) -> None:
    """Every key counts as new, as in the first run of a nightly command."""
    source, target = place("s"), place("t")
    write_source(source)
    report = zarrmill.plan_update(source, target, **ASKED)
    done = run(source, target, update=True)

    assert (report.published, report.current, report.kept_blocks) == (False, False, 0)
    assert report.blocks == done.blocks
    assert all(array.changed_keys == array.source_keys for array in report.arrays)


def test_what_would_be_refused_is_told(tmp_path: Path) -> None:
    """Another layout, and a target whose keys were changed since: the errors of the run."""
    source, target = str(tmp_path / "s"), str(tmp_path / "t")
    write_source(source)
    run(source, target)
    with pytest.raises(InvalidInputError, match="An update keeps the layout"):
        zarrmill.plan_update(source, target, **ASKED | {"chunks": {"flux": (2, 8)}})
    next(path for path in Path(target, "flux", "c").rglob("*") if path.is_file()).unlink()
    with pytest.raises(InvalidInputError, match="changed, added or lost"):
        zarrmill.plan_update(source, target, **ASKED)
