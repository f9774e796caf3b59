"""lightcurves/prune.py: nothing is removed before its copy is proved."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.lightcurves.survey import Survey, make_epoch, time_of
from zarrmill.errors import LockedError, SourceFormatError, VerifyError
from zarrmill.lightcurves import ingest
from zarrmill.lightcurves import prune as module
from zarrmill.lightcurves.lock import Lock


def names_of(survey: Survey) -> set[str]:
    """Epochs that are there as they came in."""
    return set(survey.storage._view.keys.list_dir("by_epoch")[0])


def test_only_folded_epochs_go(survey: Survey) -> None:
    """Those that are not folded stay, and every value is still there."""
    survey.add(0, 1)
    survey.storage.relayout()
    survey.add(3)
    report = survey.storage.prune()

    assert report.epochs == 2
    assert names_of(survey) == {"000003"}
    survey.check()
    assert survey.storage.prune().keys == 0


def test_a_damaged_copy_keeps_the_epochs(make_survey) -> None:
    """Where a block is not what was folded, nothing is removed."""
    survey = make_survey()
    survey.add(0, 1)
    survey.storage.relayout()
    shard = Path(survey.path) / "by_object/flux_err/c.1.0.0"
    whole = shard.read_bytes()
    shard.write_bytes((Path(survey.path) / "by_object/flux_err/c.0.0.0").read_bytes())
    with pytest.raises(VerifyError, match=r"block 0 of flux_err .* Nothing was removed"):
        survey.storage.prune()
    shard.unlink()
    with pytest.raises(SourceFormatError, match="is lost"):
        survey.storage.prune()
    assert names_of(survey) == {"000000", "000001"}
    shard.write_bytes(whole)
    assert survey.storage.prune().epochs == 2


def test_what_killed_writers_left_goes_when_it_is_old(make_survey, monkeypatch) -> None:
    """Arrays that no epoch tells of may be those of a writer at work; an hour later they are not."""
    survey = make_survey()
    survey.add(0)
    with monkeypatch.context() as patch:
        patch.setattr("zarrmill.lightcurves.ingest.commit_epoch", _end)
        with pytest.raises(KeyboardInterrupt):
            survey.add(1)
    survey.storage.populate_epoch(0, make_epoch(50), time=time_of(0), replace=True)
    survey.epochs[0] = make_epoch(50)
    survey.added = {0}
    assert survey.storage.prune().keys == 0
    long_ago = time.time() - 2 * module.ABANDONED_SECONDS
    for path in (Path(survey.path) / "by_epoch").rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert survey.storage.prune().abandoned == 2
    assert names_of(survey) == {"000000"}
    survey.check()


def _end(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_prune_that_ends_half_way(survey: Survey, monkeypatch) -> None:
    """An epoch that is half removed does not look whole, and the next prune removes the rest."""
    survey.add(0, 1)
    survey.storage.relayout()
    keys = survey.storage._view.keys
    real = type(keys).delete
    with monkeypatch.context() as patch:
        patch.setattr(type(keys), "delete", lambda self, names: real(self, list(names)[:3]))
        survey.storage.prune()
    survey.check()
    survey.check(storage=survey.reopened())
    assert survey.storage.verify().sound
    survey.storage.prune()
    assert names_of(survey) == set()


def test_one_at_a_time(survey: Survey) -> None:
    """While a relayout runs, a prune is refused."""
    survey.add(0)
    with Lock(survey.storage._view.keys), pytest.raises(LockedError):
        survey.storage.prune()


def test_what_a_writer_is_about_to_commit_stays(survey: Survey, monkeypatch) -> None:
    """A prune between the arrays of a replacement and its commit removes the folded content alone."""
    survey.add(0, 1)
    survey.storage.relayout()
    other, real = survey.reopened(), ingest._Writing._replace

    def replace(self):
        other.prune()
        real(self)

    monkeypatch.setattr(ingest._Writing, "_replace", replace)
    survey.epochs[0] = survey.epochs[5]
    survey.add(0, replace=True)
    survey.check(storage=survey.reopened())
    # A relayout waits until no reader relies on what was taken back: in an object store that is seconds.
    survey.storage._view.fresh = 0.0
    survey.storage.relayout()
    survey.check(storage=survey.reopened())
    assert survey.reopened().verify().sound
