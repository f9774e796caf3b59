"""Transforms on S3: paged listings, fewest requests, faults and kills; no half store opens."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.recordings.sample_transform import SampleTransform
from tests.s3.stores import FAST, below, client_at, keys_of
from tests.servers.client import Proxy
from tests.servers.nursery import get_nursery
from tests.servers.rules import Fault
from zarrmill.errors import PublishError
from zarrmill.recordings.save import save_dataset
from zarrmill.recordings.transform_options import TransformOptions
from zarrmill.store import open_store


def dataset(number: int) -> xr.Dataset:
    """Return a dataset whose every value is the number given."""
    texts = np.array([str(number)] * 5, dtype=object)
    return xr.Dataset({"a": ("x", np.full(5, number)), "t": ("x", texts)}, attrs={"number": number})


def numbers(url: str, options: dict[str, Any]) -> set[int] | None:
    """Return every number of a store as readers see it, None where nothing opens."""
    try:
        store = open_store(url, storage_options=options).store
        read = xr.open_zarr(store, consolidated=True, chunks=None).load()
    except (FileNotFoundError, KeyError):
        return None
    return {int(v) for name in read.data_vars for v in np.ravel(read[name].values)} | {int(read.attrs["number"])}


def put_inputs(bucket: str, options: dict[str, Any], **texts: str) -> None:
    """Write inputs of the sample transform."""
    client = client_at(bucket, options)
    for name, text in texts.items():
        client.put(f"curated-h5/{name}.h5", text.encode())


def sample(bucket: str, options: dict[str, Any]) -> SampleTransform:
    return SampleTransform(bucket, options=TransformOptions(storage_options=options))


def test_a_store_is_written_with_the_fewest_requests(s3_bucket: str, proxy: Proxy) -> None:
    """One PUT per array and per document; beside them one claim with its removal, one listing and two readings."""
    saved = save_dataset(dataset(1), f"{s3_bucket}/a.zarr", storage_options=proxy.storage_options)

    counts = proxy.get_counts(bucket=s3_bucket.removeprefix("s3://"))
    assert counts["PUT"] == 2 + 3 + 1
    assert counts.total <= 2 + 3 + 1 + 6
    assert (saved.requests.puts, saved.requests.lists) == (6, 1)
    kinds = [(request.kind, request.key) for request in below(proxy, f"{s3_bucket}/a.zarr") if request.kind == "PUT"]
    assert kinds[-1] == ("PUT", "a.zarr/zarr.json")


def test_a_replaced_store_leaves_nothing_of_the_old_one(s3_bucket: str, storage_options: dict[str, Any]) -> None:
    """However often it is replaced."""
    url = f"{s3_bucket}/a.zarr"
    for number in range(1, 5):
        save_dataset(dataset(number), url, overwrite=True, storage_options=storage_options)
        assert numbers(url, storage_options) == {number}
        assert len(keys_of(url, storage_options)) == 5


def test_more_than_a_page_of_sessions_is_found(s3_bucket: str, storage_options: dict[str, Any]) -> None:
    """And a name that ends in the suffix keeps what stands before."""
    client = client_at(s3_bucket, storage_options)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: client.put(f"curated-h5/s{i:04}.h5", b"ok"), range(1005)))

    plan = sample(s3_bucket, storage_options).plan()

    assert (plan.found, len(plan.sessions)) == (1005, 1005)
    assert plan.sessions[-1].session_id == "s1004"


def test_sessions_are_done_on_s3(s3_bucket: str, storage_options: dict[str, Any]) -> None:
    """Inputs, stores and records in one bucket; a failure leaves no store, and a second run does what is missing."""
    put_inputs(s3_bucket, storage_options, **{"Ada L": "ok 3", "bad": "fail", "empty": "skip"})
    made = sample(s3_bucket, storage_options)

    report = made.run()

    assert {r.session_id: r.status for r in report.records} == {"Ada L": "success", "bad": "failed", "empty": "skipped"}
    stores = {key.split("/")[2] for key in keys_of(s3_bucket, storage_options) if ".zarr/" in key}
    assert stores == {"Ada L_sample.zarr"}
    put_inputs(s3_bucket, storage_options, bad="ok 1")
    assert {r.session_id: r.status for r in made.run().records} == {"bad": "success"}
    assert made.reset(outputs=True).outputs == 2
    assert not any("processed" in key for key in keys_of(s3_bucket, storage_options))


@pytest.mark.parametrize("fault", ["reset", "unavailable", "lose_answer", "deny_answer"])
@pytest.mark.parametrize("key", ["claim.json", "a/c.0", "a/zarr.json", "a.zarr/zarr.json"])
def test_faults_that_pass_cost_nothing(s3_bucket: str, proxy: Proxy, fault: Fault, key: str) -> None:
    """Writes are made again, and one whose answer was lost is known to be ours."""
    options = {**proxy.storage_options, **FAST}
    rule = proxy.add(fault, kinds=("PUT",), pattern=f"{key}$")

    save_dataset(dataset(3), f"{s3_bucket}/a.zarr", storage_options=options)

    assert proxy.get_hits(rule) == 1
    assert numbers(f"{s3_bucket}/a.zarr", proxy.server.storage_options) == {3}
    assert len(keys_of(f"{s3_bucket}/a.zarr", proxy.server.storage_options)) == 5


@pytest.mark.parametrize("key", ["a/c.0", "a/zarr.json", "a.zarr/zarr.json"])
@pytest.mark.parametrize("old", [False, True], ids=["new", "replaced"])
def test_what_is_damaged_on_its_way_is_put_again(s3_bucket: str, proxy: Proxy, key: str, old: bool) -> None:
    """A chunk as well as metadata."""
    url, plain = f"{s3_bucket}/a.zarr", proxy.server.storage_options
    if old:
        save_dataset(dataset(1), url, storage_options=plain)
        key = key.replace("c.0", "c/0")
    rule = proxy.add("corrupt_request", kinds=("PUT",), pattern=f"{key}$", at=3)

    save_dataset(dataset(2), url, overwrite=True, storage_options={**proxy.storage_options, **FAST})

    assert proxy.get_hits(rule) == 1
    assert numbers(url, plain) == {2}


@pytest.mark.parametrize("old", [False, True], ids=["new", "replaced"])
def test_what_is_damaged_every_time_is_never_shown(s3_bucket: str, proxy: Proxy, old: bool) -> None:
    """The old store stays, and the next run makes the new one."""
    url, plain = f"{s3_bucket}/a.zarr", proxy.server.storage_options
    if old:
        save_dataset(dataset(1), url, storage_options=plain)
    proxy.add("corrupt_request", kinds=("PUT",), pattern="a/c[./]0$", at=3, times=None)

    with pytest.raises(PublishError, match="damaged twice"):
        save_dataset(dataset(2), url, overwrite=True, storage_options={**proxy.storage_options, **FAST})

    assert numbers(url, plain) == ({1} if old else None)
    save_dataset(dataset(3), url, overwrite=True, storage_options=plain)
    assert numbers(url, plain) == {3}


CHILD = """
import json, sys
from tests.recordings.sample_transform import SampleTransform
from zarrmill.recordings import Selection, TransformOptions

if __name__ == "__main__":
    bucket, options = sys.argv[1], json.loads(sys.argv[2])
    SampleTransform(bucket, options=TransformOptions(storage_options=options)).run(Selection(only=("all",)))
"""


@pytest.mark.soak
def test_a_kill_at_any_moment_leaves_the_old_store_or_the_new_one(
    s3_bucket: str, storage_options: dict[str, Any], tmp_path: Path
) -> None:
    """Killed five times while stores are replaced, each is one run's alone; then the rest is done."""
    names, rng = [f"s{i}" for i in range(8)], random.Random(5)
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    command = [str(script), s3_bucket, json.dumps(storage_options)]
    for attempt in range(1, 6):
        put_inputs(s3_bucket, storage_options, **dict.fromkeys(names, f"ok {attempt * 10}"))
        seen = len(keys_of(f"{s3_bucket}/processed/sample/records", storage_options))
        child = get_nursery().start(command, preload=["tests.recordings.sample_transform"])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            records = len(keys_of(f"{s3_bucket}/processed/sample/records", storage_options))
            if records >= seen + 1 + attempt % 3:
                time.sleep(rng.random() * 0.05)
                break
        child.kill()
        child.communicate()
        for name in names:
            url = f"{s3_bucket}/processed/sample/{name}_sample.zarr"
            found = rows_at(url, storage_options)
            assert found is None or found % 10 == 0
    report = sample(s3_bucket, storage_options).run()
    done = {r.session_id for r in report.records}
    assert report.exit_code == 0
    for name in names:
        found = rows_at(f"{s3_bucket}/processed/sample/{name}_sample.zarr", storage_options)
        assert found == 50 if name in done else found is not None


def rows_at(url: str, options: dict[str, Any]) -> int | None:
    """Return the rows of a store of the sample transform after all its values were read, None where nothing opens."""
    try:
        store = open_store(url, storage_options=options).store
        read = xr.open_zarr(store, consolidated=True, chunks=None).load()
    except (FileNotFoundError, KeyError):
        return None
    count = read.sizes["row"]
    assert read["value"].values.tolist() == list(range(count))
    assert all(f'"n": {i}' in text for i, text in enumerate(read["text"].values.tolist()))
    return count
