"""What the records below a destination say."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recordings.test_records import RECORD
from zarrmill.errors import NotFoundError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.records import Records
from zarrmill.recordings.records_report import report_records


def test_every_transform_and_session_has_a_state(tmp_path: Path):
    """By one listing; records themselves only of sessions that are named."""
    keys = LocalKeys(tmp_path)
    Records(keys, "event").add(RECORD)
    Records(keys, "event").add(replace(RECORD, status="failed", ended_at="2026-03-02T11:00:00+00:00"))
    Records(keys, "event").add(replace(RECORD, session_id="p 2", status="skipped"))
    Records(keys, "window").add(replace(RECORD, transform="window"))

    report = report_records(tmp_path)

    rows = [(s.transform, s.session_id, s.state, s.runs, s.last_status, s.last_at) for s in report.sessions]
    assert rows == [
        ("event", "p 1", "success", 2, "failed", "2026-03-02T11:00:00Z"),
        ("event", "p 2", "skipped", 1, "skipped", "2026-03-01T11:00:01Z"),
        ("window", "p 1", "success", 1, "success", "2026-03-01T11:00:01Z"),
    ]
    assert (report.records, report.by_state) == ((), {"skipped": 1, "success": 2})


def test_records_of_named_sessions_are_read(tmp_path: Path):
    """Of one transform where that is asked for."""
    keys = LocalKeys(tmp_path)
    Records(keys, "event").add(RECORD)
    Records(keys, "window").add(replace(RECORD, transform="window"))

    report = report_records(tmp_path, names=["p 1"], transform="window")

    assert [record.transform for record in report.records] == ["window"]
    assert report.to_json()["records"][0]["session_id"] == "p 1"


def test_a_place_without_records_has_no_sessions(tmp_path: Path):
    """Nothing is made there; a folder that is not there is told."""
    assert report_records(tmp_path).sessions == ()
    with pytest.raises(NotFoundError, match=r"no folder .*/nowhere\. Give"):
        report_records(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
