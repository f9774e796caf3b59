"""ingest_report.py: what became of rows, in few words."""

from __future__ import annotations

import json

import numpy as np

from zarrmill.lightcurves.ingest_report import FATES, NAMED, IngestReport, name_rows


def test_many_rows_are_counted_and_the_first_named():
    """A million lost rows must not fill the report."""
    named = name_rows(np.arange(100)[::-1], np.arange(1000, 1100))

    assert (named.count, named.rows[:2], named.names[:2]) == (100, (0, 1), ("1000", "1001"))
    assert len(named.rows) == len(named.names) == NAMED


def test_rows_without_names_have_numbers():
    """Tables without keys or positions."""
    assert name_rows(np.array([4, 2]), None).rows == (2, 4)
    assert name_rows(np.array([4, 2]), None).names == ()


def test_the_report_is_json():
    """As the command line prints it."""
    fates = {"unmatched": name_rows(np.array([1]), np.array(["a", "b"]))}
    report = IngestReport("t", rows=2, matched=1, fates=fates, columns={"key": "id"})

    assert json.loads(json.dumps(report.to_json()))["fates"] == {
        "unmatched": {"count": 1, "rows": [1], "names": ["b"]}
    }  # fmt: skip
    assert set(fates) <= set(FATES)
