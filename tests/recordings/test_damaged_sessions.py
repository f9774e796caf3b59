"""Every damaged form of a curated file among good ones: what can be read becomes a store, and nothing else does."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from zarrmill.recordings.event_reader import open_events
from zarrmill.recordings.event_transform import EventTransform
from zarrmill.recordings.event_verify import verify_events
from zarrmill.recordings.schema import all_columns
from zarrmill.recordings.transform_options import TransformOptions
from zarrmill.recordings.transform_report import TransformReport
from zarrmill.testing import DAMAGES, EEG, write_curated

FATAL = sorted(name for name, damage in DAMAGES.items() if damage.fatal)
READABLE = sorted(set(DAMAGES) - set(FATAL))
COLUMNS = {column.flat_name for _, column in all_columns()}


def make_lab(folder: Path, readable: list[str]) -> Path:
    """Make a place with sessions of damaged forms, two whole ones, a folder, and a link to nothing."""
    inputs = folder / "curated-h5"
    inputs.mkdir()
    whole = write_curated(inputs / "0-whole.h5", signals=[replace(EEG, frames=200)]).path.read_bytes()
    for name in (*FATAL, *readable, "zz-whole"):
        (inputs / f"{name}.h5").write_bytes(whole)
        if name in DAMAGES:
            DAMAGES[name](inputs / f"{name}.h5")
    (inputs / "folder.h5").mkdir()
    (inputs / "nowhere.h5").symlink_to("gone.h5")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "readable", [READABLE[::5], pytest.param(READABLE, marks=pytest.mark.soak)], ids=["every fifth", "all"]
)
def test_a_damaged_session_is_saved_as_far_as_it_can_be_read(tmp_path: Path, readable: list[str]):
    """One run makes all of them: each that cannot be read fails alone and says why, each other has its problems."""
    lab = make_lab(tmp_path, readable)

    report = EventTransform(lab, options=TransformOptions(sync=False)).run()

    assert report.exit_code == 1
    check_failed(lab, report, readable)
    for name in readable:
        (record,) = (record for record in report.records if record.session_id == name)
        check_saved(lab, name, record.issue_counts)


def check_failed(lab: Path, report: TransformReport, readable: list[str]) -> None:
    """Assert that what cannot be read leaves no store, and that each says why."""
    failed = {record.session_id: record for record in report.records if record.status == "failed"}
    assert sorted(failed) == sorted([*FATAL, "nowhere"])
    assert {name: record.error for name, record in failed.items() if record.error != "source_format"} == {
        "nowhere": "not_found"
    }
    assert all(record.zarr_stores == () for record in failed.values())
    assert len({record.message for record in failed.values()}) == len(failed)
    stores = {path.name.removesuffix("_events.zarr") for path in (lab / "processed" / "event").glob("*.zarr")}
    assert stores == {"0-whole", "zz-whole", *readable}


def check_saved(lab: Path, name: str, counts: Mapping[str, int]) -> None:
    """Assert that a store is what its source says, has every column, and tells code, path and row of what is wrong."""
    store = lab / "processed" / "event" / f"{name}_events.zarr"
    issues = open_events(store).to_pandas("issue")
    assert verify_events(lab / "curated-h5" / f"{name}.h5", store).ok, name
    assert set(json.loads((store / "zarr.json").read_text())["consolidated_metadata"]["metadata"]) >= COLUMNS, name
    found = set(zip(issues.code, issues.path, issues.row.fillna(-1), strict=True))
    assert found >= set(DAMAGES[name].problems), name
    assert counts == dict(Counter(issues.code)), name


def test_what_may_not_be_read_fails_its_session_alone(tmp_path: Path):
    """The message says so."""
    folder = tmp_path / "curated-h5"
    folder.mkdir()
    for name in ("a", "b"):
        write_curated(folder / f"{name}.h5", tasks=1, elements=2)
    (folder / "a.h5").chmod(0)
    if os.access(folder / "a.h5", os.R_OK):
        pytest.skip("whoever may read everything is refused nothing")

    report = EventTransform(tmp_path).run()

    assert {record.session_id: record.status for record in report.records} == {"a": "failed", "b": "success"}
    assert report.records[0].message.endswith("a.h5 may not be read. Check its permissions.")
