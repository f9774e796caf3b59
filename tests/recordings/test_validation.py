"""Whether a file is sound."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from zarrmill.errors import SourceFormatError
from zarrmill.recordings import validate, validate_files
from zarrmill.testing import DAMAGES, EEG, write_curated


@pytest.fixture
def path(tmp_path):
    """A whole file."""
    return write_curated(tmp_path / "a.h5", signals=[replace(EEG, frames=200)]).path


def test_a_whole_file_is_sound(path):
    """Nothing is found, and every row is counted."""
    report = validate(path)

    assert report.sound
    assert report.problems == ()
    assert report.counts == {"info": 0, "warning": 0, "error": 0}
    assert report.rows["element_sent"] == 24


def test_form_and_meaning_are_checked_at_once(path):
    """One report has what is wrong with the file, and what its events lack."""
    for name in ("bad_json_unused", "task_without_end"):
        DAMAGES[name](path)
    report = validate(path)

    assert not report.sound
    assert [problem.code for problem in report.problems] == ["start_without_end", "bad_json"]
    assert report.counts == {"info": 0, "warning": 1, "error": 1}


def test_what_changes_nothing_is_sound(path):
    """A repeated id of an event is worth a line, and no fault."""
    DAMAGES["repeated_event_id"](path)
    report = validate(path)

    assert report.sound
    assert report.counts["info"] == 1


def test_the_report_is_json(path):
    """Every problem is in it with its five fields."""
    DAMAGES["id_not_utf8"](path)
    told = json.loads(json.dumps(validate(path).to_json()))

    assert told["session_id"] == "a"
    assert set(told["problems"][0]) == {"code", "severity", "path", "row", "message"}


def test_a_file_that_cannot_be_opened_has_no_report(path):
    """There is nothing to report on."""
    DAMAGES["truncated"](path)

    with pytest.raises(SourceFormatError, match="truncated"):
        validate(path)


def test_one_file_that_cannot_be_opened_stops_no_other(path, tmp_path):
    """Its report has one problem, of the file as a whole; so has that of one that is not there."""
    broken = tmp_path / "b.h5"
    broken.write_bytes(path.read_bytes()[:-5000])

    reports = validate_files([broken, tmp_path / "c.h5", path])

    assert [(report.session_id, report.sound) for report in reports] == [("b", False), ("c", False), ("a", True)]
    (problem,) = reports[0].problems
    assert (problem.code, problem.severity, problem.path, problem.row) == ("unreadable_file", "error", "", -1)
    assert "truncated" in problem.message
    assert "there is nothing at" in reports[1].problems[0].message
