"""estimate.py and calibrate.py: a plan with seconds that were measured, and nothing left behind."""

from __future__ import annotations

import math
import os
import tempfile
import time

import numpy as np
import pytest
import zarr

from zarrmill.calibrate import measure_busy
from zarrmill.errors import InvalidInputError, MemoryLimitError
from zarrmill.estimate import estimate
from zarrmill.rechunk import rechunk
from zarrmill.store import open_keys

NAMED = [("object", "f8"), ("band", "S2")]


@pytest.fixture
def night(tmp_path):
    """Return a small array, written epoch by epoch."""
    array = zarr.create_array(tmp_path / "night.zarr", shape=(400, 60), chunks=(400, 1), dtype="f8")
    array[:] = np.random.default_rng(0).normal(size=(400, 60)).round(2)
    return array


def listing(folder):
    return sorted(path for path in folder.rglob("*"))


def test_an_estimate_is_the_plan_with_seconds(night, tmp_path):
    """The report has the figures of the plan, and a time above zero."""
    report = estimate(night, tmp_path / "objects.zarr", chunks=(1, -1), shards=None)

    assert (report.blocks, report.keys_written, report.bytes_read) == (1, 400, 400 * 60 * 8)
    assert report.target == str(tmp_path / "objects.zarr")
    assert 0 < report.estimated_seconds < 60


def test_nothing_is_left_behind(night, tmp_path):
    """What was written to try the disk is removed, and there is no target and no draft."""
    before = listing(tmp_path)

    estimate(night, tmp_path / "objects.zarr", chunks=(1, -1), max_mem="64MiB")

    assert listing(tmp_path) == before


def test_without_calibration_no_chunk_is_read(night, tmp_path):
    """Only metadata is needed for a plan without seconds: chunks may be anything."""
    for path in (tmp_path / "night.zarr" / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(b"no chunk")

    assert estimate(night, chunks=(1, -1), calibrate=False).estimated_seconds is None


def test_a_plan_without_a_target_is_measured_too(night):
    """Where no target is named, the folder for temporary files stands for its disk."""
    report = estimate(night, chunks=(1, -1))

    assert report.target == ""
    assert report.estimated_seconds > 0


def test_the_errors_are_those_of_the_plan(night):
    """A request that can never work says so before anything is measured."""
    with pytest.raises(MemoryLimitError):
        estimate(night, chunks=(1, -1), max_mem="1MiB")
    with pytest.raises(InvalidInputError):
        estimate(night, chunks={"nowhere": 1})


def values(shape, dtype):
    dtype = np.dtype(dtype)
    count = math.prod(shape)
    if dtype.names is not None:
        made = np.zeros(count, dtype)
        made["object"] = np.arange(count)
        return made.reshape(shape)
    return np.arange(count).astype(dtype).reshape(shape)


CASES = {
    "0-d": {"shape": (), "chunks": (), "dtype": "f8"},
    "no length": {"shape": (0, 4), "chunks": (1, 4), "dtype": "f8"},
    "edges": {"shape": (37, 11), "chunks": (8, 4), "dtype": "i2"},
    "datetimes": {"shape": (40, 10), "chunks": (40, 1), "dtype": "M8[s]"},
    "booleans": {"shape": (40, 10), "chunks": (40, 1), "dtype": "?"},
    "not compressed": {"shape": (40, 10), "chunks": (40, 1), "dtype": "f4", "compressors": None},
    "shards": {"shape": (40, 10), "chunks": (10, 1), "shards": (40, 10), "dtype": "f4"},
    "strings": {"shape": (40, 10), "chunks": (40, 1), "dtype": "T"},
    "records": {"shape": (40, 10), "chunks": (40, 1), "dtype": NAMED},
}


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(
    ("sizes", "shards"),
    [
        (None, None),
        (-1, "auto"),
        pytest.param(None, "auto", marks=pytest.mark.soak),
        pytest.param(-1, None, marks=pytest.mark.soak),
    ],
    ids=["same chunks-files", "whole-shards", "same chunks-shards", "whole-files"],
)
def test_every_kind_of_array_can_be_measured(case, sizes, shards, tmp_path):
    """Types that only zarr-python handles, odd shapes, and chunks that move as they are have an estimate too."""
    array = zarr.create_array(tmp_path / "a.zarr", **case)
    array[...] = values(case["shape"], case["dtype"] if case["dtype"] != "T" else np.dtypes.StringDType())
    chunks = None if sizes is None else (sizes,) * len(case["shape"])

    report = estimate(array, tmp_path / "b.zarr", chunks=chunks, shards=shards)

    assert 0 <= report.estimated_seconds < 60


def test_an_array_of_missing_chunks_can_be_measured(tmp_path):
    """Where nothing is stored there is nothing to decode, and hardly anything to encode."""
    array = zarr.create_array(tmp_path / "a.zarr", shape=(400, 60), chunks=(400, 1), dtype="f8")

    assert estimate(array, chunks=(1, -1)).estimated_seconds < 60


def test_a_group_is_measured_by_its_largest_array(night, tmp_path):
    """A hierarchy has one estimate, the arrays with nothing in them included."""
    group = zarr.create_group(tmp_path / "g.zarr")
    group.create_array("flux", shape=(400, 60), chunks=(400, 1), dtype="f8")[:] = night[:]
    group.create_array("empty", shape=(0,), chunks=(1,), dtype="f8")

    report = estimate(group, chunks={"flux": (1, -1)})

    assert [array.path for array in report.arrays] == ["empty", "flux"]
    assert report.estimated_seconds > 0


def test_a_busy_machine_is_noticed():
    """Four threads for every core take at least three times as long as each would alone."""
    assert measure_busy(1) >= 1.0
    assert measure_busy(4 * (os.cpu_count() or 1)) >= 3.0


@pytest.mark.soak
def test_the_estimate_is_within_a_factor_of_two(tmp_path):
    """The median of five estimates of 80 MB lies within a factor of two of the median of five runs."""
    source = zarr.create_array(tmp_path / "a.zarr", shape=(10_000, 500, 2), chunks=(1000, 1, 2), dtype="f8")
    rng = np.random.default_rng(1)
    source[:] = np.where(rng.random(source.shape) < 0.08, np.nan, np.round(rng.normal(18, 1, source.shape), 3))
    asked = {"chunks": (1, 500, 2), "shards": (1000, 500, 2), "max_mem": "256MiB"}
    ratios = []
    for i in range(5):
        estimated = estimate(source, tmp_path / f"{i}.zarr", **asked).estimated_seconds
        begun = time.perf_counter()
        rechunk(source, tmp_path / f"{i}.zarr", **asked)
        ratios.append(estimated / (time.perf_counter() - begun))

    assert 0.5 < np.median(ratios) < 2, ratios


def test_a_store_is_read_but_never_written(night, tmp_path, monkeypatch):
    """Neither the source nor the target gets a key, and no folder that is named like a URL is touched."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "memory:" / "estimate").mkdir(parents=True)
    rechunk(night, "memory://estimate/a", chunks=None)
    keys, before = open_keys("memory://estimate"), listing(tmp_path)
    stored = {info.key: info.etag for info in keys.list()}
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()

    report = estimate("memory://estimate/a", "memory://estimate/b", chunks=(1, -1), shards=None)

    assert 0 < report.estimated_seconds < 60
    assert {info.key: info.etag for info in keys.list()} == stored
    assert [path for path in listing(tmp_path) if path.name != "elsewhere"] == before


def test_a_slow_store_is_measured_in_a_moment(tmp_path, s3_bucket, proxy):
    """Chunks are asked for many at once: two hundred of them at 50 ms do not take ten seconds."""
    array = zarr.create_array(tmp_path / "a", shape=(200, 400), chunks=(200, 1), dtype="f8")
    array[:] = np.random.default_rng(0).normal(size=(200, 400))
    options = proxy.storage_options
    rechunk(array, f"{s3_bucket}/a", chunks=None, shards=None, storage_options=options)
    proxy.set_latency(0.05)
    begun = time.perf_counter()

    report = estimate(f"{s3_bucket}/a", chunks=(1, -1), storage_options=options)

    assert report.estimated_seconds > 0.05
    assert time.perf_counter() - begun < 5


def test_prices_are_checked_before_anything_is_measured(night):
    """Where nothing costs anything too."""
    with pytest.raises(InvalidInputError, match="price 'gets' is not known"):
        estimate(night, chunks=(1, -1), prices={"gets": 1})
    assert estimate(night, chunks=(1, -1), prices={"get": 1}, calibrate=False).requests is None
