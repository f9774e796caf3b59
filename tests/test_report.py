"""report.py: the requests of a report are those that were made, and those that the plan had said."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest
import zarr

from zarrmill.estimate import estimate
from zarrmill.keyspace.model import Requests
from zarrmill.progress import BlockFinished
from zarrmill.rechunk import rechunk

NAMES = itertools.count()
KINDS = ("gets", "puts", "lists", "heads", "deletes")
VALUES = np.random.default_rng(3).normal(size=(1200, 40)).round(3)
CASES = {
    "chunks to shards": ({"chunks": (100, 1)}, {"chunks": (1, -1), "shards": (400, -1)}),
    "shards to chunks": ({"chunks": (10, 40), "shards": (300, 40)}, {"chunks": (100, 4), "shards": None}),
    "chunks to chunks": ({"chunks": (100, 4)}, {"chunks": (40, 40), "shards": None}),
    "as they are": ({"chunks": (100, 4)}, {"chunks": None, "shards": (400, 40)}),
}


@pytest.fixture
def place():
    """URL of a folder of nobody else's in memory."""
    return f"memory://report-{next(NAMES)}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder and the stores that have been made in it, which nobody writes to."""
    return tmp_path_factory.mktemp("sources"), {}


@pytest.fixture
def write(made):
    """Return the path of a store of a layout, which is made once."""
    folder, known = made

    def get(**layout):
        name = str(sorted(layout.items()))
        if name not in known:
            known[name] = folder / str(len(known))
            group = zarr.create_group(known[name])
            group.create_array("flux", shape=VALUES.shape, dtype="f8", **layout)[:] = VALUES
        return known[name]

    return get


def figures(requests):
    return {kind: getattr(requests, kind) for kind in KINDS}


@pytest.mark.parametrize("verify", ["full", "written", "none"])
@pytest.mark.parametrize("case", CASES)
def test_what_was_planned_is_what_was_asked(write, tmp_path, place, case, verify):
    """There and back: every request is as planned, and no more bytes come and go than the values have."""
    layout, asked = CASES[case]
    first = write(**layout)
    for source, target in (
        (first, f"{place}/b"),
        (f"{place}/b", tmp_path / "c"),
        (f"{place}/b", f"{place}/d"),
    ):
        planned = estimate(source, target, **asked, verify=verify, calibrate=False).requests
        report = rechunk(source, target, **asked, verify=verify)

        for end in ("source", "target"):
            plan, made = getattr(planned, end), getattr(report.requests, end)
            assert (
                (plan is None) == (made is None) == (not str({"source": source, "target": target}[end]).startswith("m"))
            )
            if plan is not None and made is not None:
                assert figures(made) == figures(plan)
        assert report.requests.earlier is None


def test_a_local_run_has_no_requests(write, tmp_path):
    """There is nothing to tell."""
    source = write(chunks=(100, 1))
    report = rechunk(source, tmp_path / "b", chunks=(1, -1))

    assert report.requests is None
    assert report.to_json()["requests"] is None


def test_through_s3_the_report_is_what_the_server_saw(write, tmp_path, s3_bucket, proxy):
    """Each kind of request, to the last one, and one PUT for each shard; the source too."""
    source = write(chunks=(100, 1))
    options = proxy.storage_options
    asked = {"chunks": (1, -1), "shards": (400, -1), "storage_options": options}
    planned = estimate(source, f"{s3_bucket}/b", **asked, calibrate=False).requests
    proxy.reset_counts()
    report = rechunk(source, f"{s3_bucket}/b", **asked)
    seen = proxy.get_counts()
    made = report.requests.target

    assert (made.puts, made.gets, made.lists, made.heads) == (
        seen["PUT"],
        seen["GET"] + seen["RANGE"],
        seen["LIST"],
        seen["HEAD"],
    )
    assert made.deletes == seen["DELETE"] + seen["POST"]
    assert figures(made) == figures(planned.target)
    assert proxy.get_counts("b/flux/c/")["PUT"] == report.keys_written == 3

    proxy.reset_counts()
    back = rechunk(f"{s3_bucket}/b", tmp_path / "c", chunks=(100, 1), shards=None, storage_options=options)
    seen = proxy.get_counts()
    made = back.requests.source

    assert (made.gets, made.lists, made.heads) == (seen["GET"] + seen["RANGE"], seen["LIST"], seen["HEAD"])
    assert made.bytes_read <= seen.bytes_out
    assert back.digest == report.digest


@pytest.mark.parametrize("executor", ["processes", "pool"])
def test_requests_of_other_processes_count_once(write, s3_bucket, proxy, executor):
    """Blocks bring theirs along where they do not run here; threads of a given pool share our own counters."""
    source = write(chunks=(100, 4))
    options, target = proxy.storage_options, f"{s3_bucket}/b"
    proxy.reset_counts()
    with ThreadPoolExecutor(2) as pool:
        given = pool if executor == "pool" else executor
        report = rechunk(
            source, target, chunks=(40, 40), shards=None, executor=given, workers=2, storage_options=options
        )
    seen = proxy.get_counts()

    assert (report.requests.target.puts, report.requests.target.gets) == (seen["PUT"], seen["GET"] + seen["RANGE"])


def test_requests_of_an_earlier_run_are_told_apart(tmp_path, place):
    """A resumed run has its own requests, and those of the blocks that were done before beside them."""
    group = zarr.create_group(tmp_path / "a")
    for name in ("one", "two"):
        group.create_array(name, shape=VALUES.shape, chunks=(100, 4), dtype="f8")[:] = VALUES
    asked = {"chunks": (40, 40), "shards": None, "verify": "none"}

    class Killed(BaseException):
        pass

    def kill(message):
        if isinstance(message, BlockFinished):
            raise Killed

    with pytest.raises(Killed):
        rechunk(tmp_path / "a", f"{place}/b", **asked, progress=kill)
    report = rechunk(tmp_path / "a", f"{place}/b", **asked)

    assert report.resumed_blocks == 1
    assert report.requests.earlier.puts == 30
    # The other array, three documents, two records, and the claim that was there already.
    assert report.requests.target.puts == 30 + 3 + 2 + 1


def test_a_report_with_requests_is_json(write, place):
    """Figures by end."""
    source = write(chunks=(100, 1))
    report = rechunk(source, f"{place}/b", chunks=(1, -1), shards=None)
    data = report.to_json()["requests"]

    assert data["target"] == asdict(report.requests.target)
    assert (data["source"], data["earlier"]) == (None, None)
    assert Requests(**data["total"]) == report.requests.total
