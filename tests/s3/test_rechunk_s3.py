"""Rechunking to, from and between buckets: the values, the requests, and that nothing opens before the end."""

from __future__ import annotations

import http.server
import json
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import zarrmill
from tests.s3.stores import (
    FAST,
    LAYOUTS,
    SHARDED,
    UNSHARDED,
    VALUES,
    below,
    check_array,
    check_no_leftovers,
    check_nothing_opens,
    client_at,
    digest_at,
    each_format,
    each_layout,
    is_chunk,
    keys_of,
    open_at,
    stop_after,
    write_array,
    write_group,
    writes,
)
from tests.servers.client import Proxy
from zarrmill.progress import BlockFinished, Message

Options = dict[str, Any]


@pytest.fixture
def options(proxy: Proxy) -> Options:
    """Storage options through the proxy."""
    return {**proxy.storage_options, **FAST}


@pytest.fixture
def disk(tmp_path: Path) -> str:
    """An array on the disk."""
    write_array(tmp_path / "source.zarr")
    return str(tmp_path / "source.zarr")


@pytest.fixture
def target(s3_bucket: str) -> str:
    return f"{s3_bucket}/below/target.zarr"


def rechunk(source: Any, target: Any, options: Options, **request: Any) -> zarrmill.RechunkReport:
    return zarrmill.rechunk(source, target, storage_options=options, sync=False, **request)


# --- the values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharded", [False, True], ids=["from-chunks", "from-shards"])
@each_layout
@each_format
def test_between_buckets(
    s3_bucket: str, target: str, options: Options, layout: Options, zarr_format: int, sharded: bool
) -> None:
    """From S3 to S3 in every layout: the same values, digest, and attributes."""
    if sharded and zarr_format == 2:
        pytest.skip("v2 has no shards")
    source = f"{s3_bucket}/source.zarr"
    write_array(open_at(source, options), zarr_format=zarr_format, sharded=sharded)
    report = rechunk(source, target, options, **layout)
    check_array(target, options)
    check_no_leftovers(target, options)
    assert report.digest == digest_at(source, options) == digest_at(target, options)
    assert zarr.open_array(open_at(target, options), mode="r").attrs["unit"] == "mag"


@each_layout
@each_format
def test_from_a_bucket_to_the_disk(
    s3_bucket: str, tmp_path: Path, options: Options, layout: Options, zarr_format: int
) -> None:
    """From S3 to the disk and back: the same digest everywhere."""
    source, back = f"{s3_bucket}/source.zarr", f"{s3_bucket}/back.zarr"
    write_array(open_at(source, options), zarr_format=zarr_format)
    there = rechunk(source, tmp_path / "target.zarr", options, **layout)
    again = rechunk(tmp_path / "target.zarr", back, options, chunks=(24, 2), shards=None)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "target.zarr", mode="r")[:], VALUES)
    check_array(back, options)
    assert there.digest == again.digest == zarrmill.digest(tmp_path / "target.zarr")


@each_layout
def test_missing_chunks_stay_missing(s3_bucket: str, tmp_path: Path, options: Options, layout: Options) -> None:
    """What no source chunk holds has no key in the target, and the fill value."""
    values = np.zeros((24, 20))
    values[:4] = VALUES[:4]
    source, target = f"{s3_bucket}/source.zarr", f"{s3_bucket}/target.zarr"
    write_array(open_at(source, options), missing=True)
    assert len(keys_of(source, options)) == 1 + 9
    rechunk(source, target, options, chunks=(12, 2), shards=None)
    assert len(keys_of(target, options)) == 1 + 18
    write_array(tmp_path / "rows.zarr", values=values)
    report = rechunk(tmp_path / "rows.zarr", f"{s3_bucket}/rows.zarr", options, **layout)
    assert (report.keys_written, len(keys_of(f"{s3_bucket}/rows.zarr", options))) == (1, 2)
    check_array(f"{s3_bucket}/rows.zarr", options, values)


def test_empty_array(tmp_path: Path, target: str, options: Options) -> None:
    """An array of which no chunk is stored has metadata alone, and opens."""
    zarr.create_array(tmp_path / "empty.zarr", shape=(24, 20), chunks=(24, 2), dtype="f8", fill_value=7)
    report = rechunk(tmp_path / "empty.zarr", target, options, **SHARDED)
    assert (report.keys_written, keys_of(target, options)) == (0, ["zarr.json"])
    check_array(target, options, np.full((24, 20), 7.0))


@pytest.mark.parametrize("shards", [(6,), None], ids=["shards", "chunks"])
def test_strings(s3_bucket: str, target: str, options: Options, shards: Any) -> None:
    """Strings go through zarr-python, in both directions, and are the same."""
    words = np.array([f"object {n} é" for n in range(12)], dtype=np.dtypes.StringDType())
    source = f"{s3_bucket}/words.zarr"
    made = zarr.create_array(open_at(source, options), shape=12, chunks=4, dtype="string")
    made[:] = words
    report = rechunk(source, target, options, chunks=(3,), shards=shards)
    assert report.arrays[0].route == "zarr"
    assert zarr.open_array(open_at(target, options), mode="r")[:].tolist() == words.tolist()
    assert report.digest == digest_at(source, options)
    check_no_leftovers(target, options)


@pytest.mark.parametrize("sharded", [False, True], ids=["from-chunks", "from-shards"])
@pytest.mark.parametrize("shards", [(24, 10), None], ids=["to-shards", "to-chunks"])
def test_bytes_route(s3_bucket: str, target: str, options: Options, sharded: bool, shards: Any) -> None:
    """Chunks that stay the same are moved as they are."""
    source = f"{s3_bucket}/source.zarr"
    write_array(open_at(source, options), sharded=sharded)
    report = rechunk(source, target, options, chunks=None, shards=shards)
    assert report.arrays[0].route == "bytes"
    check_array(target, options)
    assert report.digest == digest_at(source, options)


def test_big_endian_and_times(tmp_path: Path, s3_bucket: str, options: Options) -> None:
    """Types other than plain floats arrive as they were."""
    for name, values in (
        ("big", VALUES.astype(">i4")),
        ("times", VALUES.astype("i8").view("M8[s]")),
        ("flags", VALUES > 2000),
    ):
        zarr.create_array(tmp_path / f"{name}.zarr", data=values, chunks=(24, 2))
        rechunk(tmp_path / f"{name}.zarr", f"{s3_bucket}/{name}.zarr", options, **SHARDED)
        check_array(f"{s3_bucket}/{name}.zarr", options, values)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """URL at which a plain web server has the folder of the test."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("sharded", [False, True], ids=["from-chunks", "from-shards"])
def test_from_a_web_server(web: str, tmp_path: Path, target: str, proxy: Proxy, sharded: bool) -> None:
    """A plain web server is a source: one that cannot list, and reads no ranges."""
    write_array(tmp_path / "source.zarr", sharded=sharded)
    options = {"source": {"allow_http": True}, "target": proxy.storage_options}
    report = rechunk(f"{web}/source.zarr", target, options, **SHARDED)
    check_array(target, proxy.storage_options)
    assert report.digest == zarrmill.digest(tmp_path / "source.zarr")


def test_web_server_is_no_target(web: str, disk: str) -> None:
    """Nothing can be written to a web server, which the error says."""
    with pytest.raises(zarrmill.InvalidInputError, match="can only be read"):
        rechunk(disk, f"{web}/target.zarr", {"allow_http": True}, **SHARDED)


def test_a_zarr_store_as_target(disk: str, target: str, options: Options) -> None:
    """A store of zarr's over a client of obstore's is written in the same way as a URL."""
    report = zarrmill.rechunk(disk, open_at(target, options), **SHARDED)
    check_array(target, options)
    check_no_leftovers(target, options)
    assert report.digest == digest_at(target, options)


# --- groups -----------------------------------------------------------------------------------------------------------


def test_group_with_consolidated_metadata(tmp_path: Path, target: str, options: Options) -> None:
    """A consolidated group stays one: xarray opens it, and finds what it finds in the source."""
    write_group(tmp_path / "group.zarr")
    report = rechunk(tmp_path / "group.zarr", target, options, chunks={"object": 4, "epoch": -1}, shards=None)
    made = xr.open_zarr(open_at(target, options), consolidated=True, zarr_format=3).load()
    xr.testing.assert_identical(made, xr.open_zarr(tmp_path / "group.zarr").load())
    flag = zarr.open_array(open_at(target, options), path="more/flag", mode="r")
    np.testing.assert_array_equal(flag[:], VALUES.astype("u1"))
    assert report.digest == zarrmill.digest(tmp_path / "group.zarr")
    assert len([key for key in keys_of(target, options) if key.endswith("zarr.json")]) == 5


def listed_in(url: str, options: Options) -> dict[str, Any]:
    """Return the members that the consolidated metadata of a group lists."""
    data = bytes(client_at(url, options).get("zarr.json").bytes())
    metadata: dict[str, Any] = json.loads(data)["consolidated_metadata"]["metadata"]
    return metadata


@pytest.fixture
def group(s3_bucket: str, options: Options) -> str:
    """A consolidated group on S3."""
    write_group(open_at(f"{s3_bucket}/group.zarr", options))
    return f"{s3_bucket}/group.zarr"


@pytest.mark.parametrize("path", ["added", "more/added"], ids=["member", "member-of-a-member"])
def test_new_member_of_a_group(disk: str, group: str, options: Options, path: str) -> None:
    """A target in a consolidated group is listed there, and found through it."""
    rechunk(disk, f"{group}/{path}", options, **SHARDED)
    assert set(listed_in(group, options)) == {"flux", "error", "more", "more/flag", path}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = zarr.open_consolidated(open_at(group, options), mode="r")[path]
    np.testing.assert_array_equal(found[:], VALUES)


def test_member_that_is_replaced_is_not_listed_meanwhile(disk: str, group: str, options: Options) -> None:
    """While a member is made anew, nobody opens it through the metadata of its group and reads half of it."""
    seen: list[bool] = []

    def progress(message: Message) -> None:
        seen.append("flux" in listed_in(group, options))

    rechunk(disk, f"{group}/flux", options, overwrite=True, progress=progress, **SHARDED)
    assert seen.count(True) == 1
    assert seen[-1]
    assert listed_in(group, options)["flux"]["chunk_grid"]["configuration"]["chunk_shape"] == [8, 20]
    check_array(f"{group}/flux", options)


# --- requests ---------------------------------------------------------------------------------------------------------


@each_layout
@pytest.mark.usefixtures("many_blocks")
def test_writes_are_as_few_as_can_be(disk: str, target: str, proxy: Proxy, options: Options, layout: Options) -> None:
    """The claim is first, each chunk or shard is written once, the root's metadata last."""
    report = rechunk(disk, target, options, **layout)
    puts = writes(proxy, target)
    assert puts[0].key.endswith("/.zarrmill/claim.json")
    assert puts[0].conditional
    assert puts[-1].key.endswith("target.zarr/zarr.json")
    assert puts[-1].conditional
    chunks = Counter(request.key for request in puts if is_chunk(request))
    assert set(chunks.values()) == {1}
    assert len(chunks) == report.keys_written == (3 if layout is SHARDED else 6)
    assert not [request for request in puts if "partNumber" in request.query or "uploads" in request.query]


@pytest.mark.parametrize("sharded", [False, True], ids=["from-chunks", "from-shards"])
@pytest.mark.parametrize("asked", [SHARDED, {"chunks": None, "shards": None}], ids=["decoded", "bytes-moved"])
def test_reads_are_as_few_as_can_be(
    s3_bucket: str, tmp_path: Path, proxy: Proxy, options: Options, asked: Options, sharded: bool
) -> None:
    """A source chunk takes two requests at the most; a shard one more for its index each time that it is read."""
    source = f"{s3_bucket}/source.zarr"
    write_array(open_at(source, options), sharded=sharded)
    proxy.reset_counts()
    rechunk(source, tmp_path / "target.zarr", options, **asked)
    reads = Counter(request.key for request in below(proxy, source) if is_chunk(request))
    moved = asked is not SHARDED
    assert len(reads) == (2 if sharded else 10)
    assert max(reads.values()) <= (2 * 5 + 2 if moved else 2) if sharded else (2 if moved else 1)


@pytest.mark.usefixtures("many_blocks")
def test_large_values_take_one_request(tmp_path: Path, target: str, proxy: Proxy, options: Options) -> None:
    """A shard beyond the 5 MiB from which clients send parts is still one request."""
    values = np.random.default_rng(1).random((1200, 1000))
    zarr.create_array(tmp_path / "large.zarr", data=values, chunks=(1200, 100), compressors=None)
    rechunk(tmp_path / "large.zarr", target, options, chunks=(100, 1000), shards=(1200, 1000))
    sent = [request for request in writes(proxy, target) if is_chunk(request)]
    assert len(sent) == 1
    assert sent[0].bytes_in > 9 * 2**20
    check_array(target, options, values)


@pytest.mark.usefixtures("many_blocks")
def test_nothing_opens_before_the_end(tmp_path: Path, target: str, options: Options) -> None:
    """At every message of a run a reader finds nothing at the target, until the run is finished."""
    write_group(tmp_path / "group.zarr")
    seen: list[str] = []

    def progress(message: Message) -> None:
        name = type(message).__name__
        seen.append(name)
        if name != "RunFinished":
            check_nothing_opens(target, options)

    rechunk(tmp_path / "group.zarr", target, options, chunks={"object": 4, "epoch": -1}, progress=progress)
    assert seen.count("BlockFinished") >= 3
    assert seen[-1] == "RunFinished"
    assert xr.open_zarr(open_at(target, options)).sizes == {"object": 24, "epoch": 20}


def test_children_are_described_before_their_group(tmp_path: Path, target: str, proxy: Proxy, options: Options) -> None:
    """Every chunk is written before any metadata, and the root's come last."""
    write_group(tmp_path / "group.zarr")
    rechunk(tmp_path / "group.zarr", target, options, chunks={"object": 4, "epoch": -1})
    names = [request.key.partition("target.zarr/")[2] for request in writes(proxy, target)]
    described = [name for name in names if name.endswith("zarr.json")]
    first = names.index(described[0])
    assert all(name.endswith("zarr.json") for name in names[first:])
    assert set(described) == {
        "flux/zarr.json", "error/zarr.json", "more/flag/zarr.json", "more/zarr.json", "zarr.json",
    }  # fmt: skip
    assert names[-1] == "zarr.json"


# --- what is there already --------------------------------------------------------------------------------------------


def test_existing_target_is_refused(disk: str, target: str, proxy: Proxy, options: Options) -> None:
    """A store that is there is not touched, and the message says how to replace it."""
    write_array(open_at(target, options), values=VALUES + 1)
    proxy.reset_counts()
    with pytest.raises(zarrmill.AlreadyExistsError, match="--overwrite"):
        rechunk(disk, target, options, **SHARDED)
    assert not writes(proxy, target)
    check_array(target, options, VALUES + 1)


def test_foreign_keys_are_refused(disk: str, target: str, options: Options) -> None:
    """A folder of other keys is no place for a store: they are named, and stay."""
    client_at(target, options).put("notes/readme.txt", b"mine")
    with pytest.raises(zarrmill.AlreadyExistsError, match="notes"):
        rechunk(disk, target, options, **SHARDED)
    assert keys_of(target, options) == ["notes/readme.txt"]


@each_format
def test_overwrite(disk: str, target: str, options: Options, zarr_format: int) -> None:
    """With overwrite nothing of the old store is left, and at no moment a mixture opens."""
    write_array(open_at(target, options), values=VALUES + 1, zarr_format=zarr_format)
    seen = []

    def progress(message: Message) -> None:
        if isinstance(message, BlockFinished):
            check_nothing_opens(target, options)
            seen.append(message)

    report = rechunk(disk, target, options, overwrite=True, progress=progress, **SHARDED)
    assert seen
    check_array(target, options)
    assert len(keys_of(target, options)) == report.keys_written + 1


def test_target_that_comes_to_be_meanwhile(disk: str, target: str, options: Options) -> None:
    """A root that somebody else writes during the run is not replaced, and the run says so."""

    def progress(message: Message) -> None:
        if isinstance(message, BlockFinished):
            client_at(target, options).put("zarr.json", b"{}")

    with pytest.raises(zarrmill.AlreadyExistsError, match="came to be"):
        rechunk(disk, target, options, progress=progress, **SHARDED)
    assert bytes(client_at(target, options).get("zarr.json").bytes()) == b"{}"


# --- resume -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("many_blocks")
@each_layout
def test_resume_after_an_interruption(disk: str, target: str, proxy: Proxy, options: Options, layout: Options) -> None:
    """Ctrl-C keeps what is done; the same call writes only the rest."""
    with pytest.raises(KeyboardInterrupt):
        rechunk(disk, target, options, executor="serial", progress=stop_after(2), **layout)
    check_nothing_opens(target, options)
    proxy.reset_counts()
    report = rechunk(disk, target, options, executor="serial", **layout)
    assert report.resumed_blocks == 2
    assert len([r for r in writes(proxy, target) if is_chunk(r)]) == report.keys_written - 2
    check_array(target, options)
    check_no_leftovers(target, options)
    assert report.digest == zarrmill.digest(disk)


@pytest.mark.usefixtures("many_blocks")
def test_lost_chunk_of_a_finished_block_is_written_again(disk: str, target: str, options: Options) -> None:
    """A chunk that is gone when the run goes on costs its block."""
    with pytest.raises(KeyboardInterrupt):
        rechunk(disk, target, options, executor="serial", progress=stop_after(2), **SHARDED)
    client_at(target, options).delete(["c/0/0"])
    report = rechunk(disk, target, options, executor="serial", **SHARDED)
    assert report.resumed_blocks == 1
    check_array(target, options)


@pytest.mark.usefixtures("many_blocks")
def test_chunk_that_is_lost_before_publishing(disk: str, target: str, options: Options) -> None:
    """A chunk that somebody removes during the run keeps it from being published; the same call mends it."""

    def progress(message: Message) -> None:
        if isinstance(message, BlockFinished) and message.block.endswith(":2"):
            client_at(target, options).delete(["c/0/0"])

    with pytest.raises(zarrmill.PublishError, match="no longer"):
        rechunk(disk, target, options, executor="serial", progress=progress, **SHARDED)
    check_nothing_opens(target, options)
    assert rechunk(disk, target, options, executor="serial", **SHARDED).resumed_blocks == 2
    check_array(target, options)


@pytest.mark.usefixtures("many_blocks")
def test_another_askedis_refused(disk: str, target: str, proxy: Proxy, options: Options) -> None:
    """A run of another request hears what is different and writes nothing but its claim, which fails."""
    with pytest.raises(KeyboardInterrupt):
        rechunk(disk, target, options, executor="serial", progress=stop_after(1), **SHARDED)
    before = keys_of(target, options)
    proxy.reset_counts()
    with pytest.raises(zarrmill.ResumeError, match=r"chunks: .*->.*--no-resume"):
        rechunk(disk, target, options, executor="serial", chunks=(8, 20), shards=(8, 20))
    assert keys_of(target, options) == before
    assert [request.key.rpartition("/")[2] for request in writes(proxy, target)] == ["claim.json"]


@pytest.mark.usefixtures("many_blocks")
def test_no_resume_starts_again(disk: str, target: str, options: Options) -> None:
    """Without resume, what another request has left goes first."""
    with pytest.raises(KeyboardInterrupt):
        rechunk(disk, target, options, executor="serial", progress=stop_after(3), **UNSHARDED)
    report = rechunk(disk, target, options, executor="serial", resume=False, **SHARDED)
    assert report.resumed_blocks == 0
    check_array(target, options)
    assert len(keys_of(target, options)) == report.keys_written + 1


@pytest.mark.usefixtures("many_blocks")
def test_overwrite_resumes_without_clearing_again(disk: str, target: str, options: Options) -> None:
    """An interrupted run with overwrite goes on with what it has written."""
    write_array(open_at(target, options), values=VALUES + 1)
    with pytest.raises(KeyboardInterrupt):
        rechunk(disk, target, options, executor="serial", overwrite=True, progress=stop_after(2), **SHARDED)
    check_nothing_opens(target, options)
    report = rechunk(disk, target, options, executor="serial", overwrite=True, **SHARDED)
    assert report.resumed_blocks == 2
    check_array(target, options)
    check_no_leftovers(target, options)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.usefixtures("many_blocks")
def test_resume_from_a_bucket(s3_bucket: str, tmp_path: Path, options: Options, layout: Options) -> None:
    """The draft on the disk of a run that reads from S3 is continued as any other."""
    source, target = f"{s3_bucket}/source.zarr", tmp_path / "target.zarr"
    write_array(open_at(source, options))
    with pytest.raises(KeyboardInterrupt):
        rechunk(source, target, options, executor="serial", progress=stop_after(2), **layout)
    assert not target.exists()
    report = rechunk(source, target, options, executor="serial", **layout)
    assert report.resumed_blocks == 2
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)


def test_processes_write_to_a_bucket(disk: str, target: str, options: Options) -> None:
    """Worker processes open their own connections."""
    report = rechunk(disk, target, options, executor="processes", workers=2, **UNSHARDED)
    check_array(target, options)
    check_no_leftovers(target, options)
    assert report.digest == zarrmill.digest(disk)
