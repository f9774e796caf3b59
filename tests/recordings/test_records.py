"""Records of sessions: append-only, and a success lasts."""

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.records import History, Records, SessionRecord, utc_now

RECORD = SessionRecord(
    session_id="p 1",
    status="success",
    transform="event",
    transform_version="1",
    zarrmill_version="0.1.0",
    started_at="2026-03-01T11:00:00.000000+00:00",
    ended_at="2026-03-01T11:00:01.500000+00:00",
    seconds=1.5,
    input={"path": "/data/p 1.h5", "nbytes": 3, "sha256": "ab"},
    parameters={"layout": "flat"},
    zarr_stores=("p 1_events.zarr",),
    issues=({"code": "odd"},),
)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(LocalKeys(tmp_path), "event")


def test_a_record_comes_back_as_it_was(records: Records):
    """Every field is there, times in UTC."""
    key = records.add(RECORD)

    assert list(records.read()) == [RECORD]
    assert re.fullmatch(r"p 1/20260301T110001\.500000Z-success-[0-9a-f]{8}\.json", key)
    assert json.loads(bytes(records.keys.get(key) or b""))["format"] == 1


def test_fields_of_a_later_version_are_left_out():
    """A record that knows more can still be read."""
    assert SessionRecord.from_json({**RECORD.to_json(), "later": 1}) == RECORD


def test_the_time_in_the_name_is_utc_whatever_the_zone(records: Records):
    """A time of another zone is converted."""
    key = records.add(replace(RECORD, ended_at="2026-03-01T23:30:00+05:00"))

    assert key.startswith("p 1/20260301T183000.000000Z-")
    assert datetime.fromisoformat(utc_now()).utcoffset() == timedelta(0)


def test_records_of_one_moment_do_not_replace_each_other(records: Records):
    """Two runs that end at the same time both have theirs."""
    records.add(RECORD)
    records.add(RECORD)

    assert len(list(records.read())) == 2


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ([], "new"),
        (["failed"], "failed"),
        (["success", "failed"], "success"),
        (["failed", "success", "failed", "skipped"], "success"),
        (["failed", "skipped"], "skipped"),
        (["skipped", "failed"], "failed"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_later_failure_never_hides_an_earlier_success(statuses: list, state: str):
    """Without a success the last word counts."""
    assert History(tuple((str(i), status) for i, status in enumerate(statuses))).state == state


def test_histories_come_from_names_alone(records: Records):
    """However many records there are, none is read; what is no record is left aside."""
    for minute, status in enumerate(["failed", "success", "failed"]):
        records.add(replace(RECORD, status=status, ended_at=f"2026-03-01T11:0{minute}:00+00:00"))
    records.add(replace(RECORD, session_id="p 2", status="skipped"))
    records.keys.put("p 1/notes.json", b"{}")
    gets = records.keys.counts.gets

    found = records.histories()

    assert records.keys.counts.gets == gets
    assert [status for _, status in found["p 1"].ended] == ["failed", "success", "failed"]
    assert {session: history.state for session, history in found.items()} == {"p 1": "success", "p 2": "skipped"}


def test_records_of_other_transforms_are_apart(tmp_path: Path, records: Records):
    """Two transforms may share a destination."""
    records.add(RECORD)

    assert Records(LocalKeys(tmp_path), "window").histories() == {}


def test_removing_the_records_of_a_session_makes_it_new(records: Records):
    """Those of others stay."""
    records.add(RECORD)
    records.add(replace(RECORD, session_id="p 2"))

    assert records.remove(["p 1"]) == 1
    assert list(records.histories()) == ["p 2"]


def test_records_of_some_sessions_are_read_alone(records: Records):
    """In the order of sessions and times."""
    for session in ("c", "a", "b"):
        records.add(replace(RECORD, session_id=session))

    assert [record.session_id for record in records.read(["c", "a"])] == ["a", "c"]
