"""What every rechunk leaves, for any source, request and way to verify."""

from __future__ import annotations

import re

import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import zarrmill
from tests.properties.cases import FIXED, Source, folder, quiet, requests, sources
from tests.properties.checks import (
    check_missing_stay_missing,
    check_only_what_differs_is_stored,
    check_plan,
    check_same_metadata,
    check_same_values,
    fingerprint,
    stored_keys,
)
from zarrmill.errors import MemoryLimitError


def smallest_limit(source, options):
    """Return the limit that the planner itself names."""
    with pytest.raises(MemoryLimitError) as caught:
        zarrmill.plan_rechunk(source, max_mem="1MiB", **options)
    return int(re.search(r"Raise max_mem to (\d+)MiB", str(caught.value))[1])


@given(source=sources(), data=st.data(), more=st.sampled_from([0, 0, 1, 100]), workers=st.integers(1, 3))
def test_any_request_on_any_source(source, data, more, workers):
    """Values bit for bit, metadata, missing chunks, the plan and the report, from the smallest limit upward."""
    request = data.draw(requests(source))
    with folder() as path:
        expected = source.make(path / "s")
        options = request.arguments() | {"workers": workers}
        limit = f"{smallest_limit(path / 's', options) + more}MiB"
        plan = zarrmill.plan_rechunk(path / "s", path / "t", max_mem=limit, **options)
        report = zarrmill.rechunk(path / "s", path / "t", max_mem=limit, sync=False, **options)

        check_plan(plan)
        check_same_values(path / "t", expected)
        check_same_metadata(path / "s", path / "t")
        check_missing_stay_missing(path / "s", path / "t")
        if report.arrays[0].route != "bytes":
            check_only_what_differs_is_stored(path / "t", expected)
        check_layout_is_what_the_plan_says(path / "t", plan)
        check_report_counts_the_keys(report, path / "t")
        assert sorted(p.name for p in path.iterdir()) == ["s", "t"]


def check_layout_is_what_the_plan_says(target, plan):
    """Chunks and shards of the target are those that the plan has shown."""
    with quiet():
        array = zarr.open_array(target, mode="r")
    assert (array.chunks, array.shards) == (plan.arrays[0].target.chunks, plan.arrays[0].target.shards)


def check_report_counts_the_keys(report, target):
    """Keys and bytes of the report are those on the disk, and all blocks ran."""
    keys = stored_keys(target)
    assert (report.keys_written, report.target_bytes) == (len(keys), sum(keys.values()))
    assert report.resumed_blocks == 0
    assert (report.digest is not None) == (report.verify == "full")


@given(source=sources(), data=st.data())
def test_there_and_back_again(source, data):
    """Back in the layout of before, values are still the same, and so is the digest."""
    with folder() as path:
        expected = source.make(path / "s")
        request = data.draw(requests(source))
        there = zarrmill.rechunk(path / "s", path / "t", chunks=request.chunks, shards=request.shards, sync=False)
        back = zarrmill.rechunk(path / "t", path / "u", chunks=source.chunks, shards=source.shards, sync=False)

        check_same_values(path / "u", expected)
        check_same_metadata(path / "s", path / "u")
        assert there.digest == back.digest


@given(source=sources(dtypes=FIXED), data=st.data())
def test_the_same_request_leaves_the_same_bytes(source, data):
    """Nothing of a target depends on the run: not on threads, time or order."""
    request = data.draw(requests(source))
    with folder() as path:
        source.make(path / "s")
        for name, executor in (("t", "serial"), ("u", "threads")):
            zarrmill.rechunk(path / "s", path / name, sync=False, executor=executor, **request.arguments())

        contents = [{key: (path / name / key).read_bytes() for key in stored_keys(path / name)} for name in "tu"]
        assert contents[0] == contents[1]
        assert fingerprint(path / "t") == fingerprint(path / "u")


DIMS = ("object", "epoch")


def test_hierarchy_keeps_everything(tmp_path):
    """Groups at any depth, attributes, small and 1-D arrays, scalars and empty arrays come through in one call."""
    cases = {
        "flux": Source((300, 40), (300, 1), None, "f4", "zstd", "odd", dims=False),
        "night/time": Source((40,), (7,), None, "M8[s]", "gzip", "odd"),
        "night/deep/name": Source((30,), (10,), None, "string", "zstd", "zero"),
        "night/deep/scalar": Source((), (), None, "f8", "none", "other", missing=0.0),
        "night/empty": Source((0, 5), (1, 5), None, "i2", "none", "zero"),
        "record": Source((50,), (20,), None, "record", "zstd", "other"),
    }
    with quiet():
        root = zarr.open_group(tmp_path / "s", mode="w", attributes={"survey": "A", "list": [1, 2]})
        root.create_group("night/deep", attributes={"depth": 2})
        root.create_group("nothing")
    expected = {name: case.make(tmp_path / "s" / name) for name, case in cases.items()}
    with quiet():
        zarr.consolidate_metadata(tmp_path / "s")
    report = zarrmill.rechunk(tmp_path / "s", tmp_path / "t", chunks={"a": 5}, sync=False)

    for name, values in expected.items():
        check_same_values(tmp_path / "t" / name, values)
        check_same_metadata(tmp_path / "s" / name, tmp_path / "t" / name)
    with quiet():
        before, after = (zarr.open_group(tmp_path / name, mode="r", use_consolidated=True) for name in "st")
        assert dict(after.attrs) == dict(before.attrs)
        assert dict(after["night/deep"].attrs) == {"depth": 2}
        assert "nothing" in after
        assert after.metadata.consolidated_metadata is not None
    assert [a.path for a in report.arrays] == sorted(cases, key=lambda p: p.split("/"))
