"""Bad input: one clear line with what, where, the numbers and the remedy, the right error, and nothing written.

What can only be found while reading (damaged chunks, a full disk, a source that changes) leaves a draft that the same
call continues, and no target.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill
from zarrmill.cli.failures import explain
from zarrmill.draft import Draft
from zarrmill.progress import BlockAdvanced, BlockFinished, Message, StepStarted

SHAPE = (60, 40)
VALUES = np.arange(2400, dtype="f8").reshape(SHAPE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A cube of chunks of (60, 4)."""
    array = zarr.create_array(
        tmp_path / "source.zarr", shape=SHAPE, chunks=(60, 4), dtype="f8", dimension_names=("object", "epoch")
    )
    array[:] = VALUES
    return tmp_path / "source.zarr"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.zarr"


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_one_line(error: BaseException, *texts: str) -> None:
    """The message is one line that says all of that, and ends the command with 1 or 2."""
    message = str(error)
    assert "\n" not in message
    for text in texts:
        assert text in message
    assert isinstance(error, Exception)
    line, code = explain(error)
    assert "\n" not in line
    assert code in (1, 2)


def check_refused(
    source: Any, target: Any, error: type[BaseException], *texts: str, folder: Path, **options: Any
) -> None:
    """The request is refused, by the plan as by the run, and not a byte is written."""
    before = files_of(folder)
    with pytest.raises(error) as refused:
        zarrmill.rechunk(source, target, **{"chunks": (1, -1), **options})
    check_one_line(refused.value, *texts)
    assert type(refused.value) is error
    assert files_of(folder) == before
    assert not Draft(Path(target)).exists()


# --- requests ---------------------------------------------------------------------------------------------------------

INVALID = {
    "unknown-dimension": ({"chunks": {"objct": 1}}, ["'objct'", "Did you mean 'object'?", "['epoch', 'object']"]),
    "unknown-dimension-of-shards": ({"shards": {"band": 1}}, ["shards", "'band'", "['epoch', 'object']"]),
    "unknown-array": ({"chunks": {"flux": (1, 2)}}, ["'flux'"]),
    "chunk-0": ({"chunks": {"object": 0}}, ["chunk size 0", "axis 0", "-1 for the whole axis"]),
    "chunk-below-minus-1": ({"chunks": (1, -2)}, ["chunk size -2", "axis 1", "-1 for the whole axis"]),
    "chunk-of-a-half": ({"chunks": (1.5, 2)}, ["1.5", "axis 0"]),
    "chunk-of-text": ({"chunks": "1,-1"}, ["1,-1"]),
    "too-many-axes": ({"chunks": (1, 2, 3)}, ["3 chunk sizes for 2 axes", "one size per axis"]),
    "shard-0": ({"shards": (0, 40)}, ["shard size 0", "axis 0"]),
    "shard-not-whole-chunks": ({"chunks": (8, 40), "shards": (20, 40)}, ["shard 20", "axis 0", "chunk 8", "Use 24"]),
    "shard-below-chunk": ({"chunks": (8, 40), "shards": (4, 40)}, ["shard 4", "chunk 8", "Use 8"]),
    "no-number": ({"max_mem": "lots"}, ["'lots'", "512MiB"]),
    "no-memory": ({"max_mem": 0}, ["0", "positive"]),
    "unknown-verify": ({"verify": "maybe"}, ["'maybe'", "full, written, none"]),
    "unknown-executor": ({"executor": "cluster"}, ["'cluster'", "'processes'"]),
    "no-workers": ({"workers": 0}, ["0 workers", "1 or more"]),
    "unknown-codec": ({"codecs": "zst"}, ["'zst'", "zstd[:level]"]),
    "codec-level": ({"codecs": "zstd:99"}, ["'99'", "-131072 to 22"]),
    "no-arrays": ({"arrays": []}, ["no arrays are wanted"]),
}


@pytest.mark.parametrize(("options", "texts"), INVALID.values(), ids=list(INVALID))
def test_invalid_request(source: Path, target: Path, tmp_path: Path, options: dict[str, Any], texts: list[str]) -> None:
    """A request that can never work is refused before anything is written."""
    check_refused(source, target, zarrmill.InvalidInputError, *texts, folder=tmp_path, **options)


def test_unknown_array_is_not_found(source: Path, target: Path, tmp_path: Path) -> None:
    """An array that is not there is named beside those that are."""
    group = zarr.create_group(tmp_path / "group.zarr")
    group.create_array("flux", shape=(3,), dtype="f4")
    check_refused(
        tmp_path / "group.zarr", target, zarrmill.NotFoundError, "'flx'", "['flux']", folder=tmp_path, arrays=["flx"]
    )


def test_chunk_above_its_axis_is_clipped_and_shown(source: Path, target: Path) -> None:
    """A chunk that is longer than its axis is as long as the axis, in the plan, the report and the target."""
    request: dict[str, Any] = {"chunks": {"object": 7, "epoch": 1000}, "shards": None}
    plan = zarrmill.plan_rechunk(source, **request)
    assert plan.arrays[0].target.chunks == (7, 40)
    report = zarrmill.rechunk(source, target, **request)
    assert report.arrays[0].chunks == (7, 40)
    assert any("1000" in note and "40" in note for note in report.notes)
    assert zarr.open_array(target, mode="r").chunks == (7, 40)


# --- limits -----------------------------------------------------------------------------------------------------------

LAYOUTS = {
    "sharded": ((60, 4), None, (1, 40), (60, 40), {}),
    "unsharded": ((60, 4), None, (1, 40), None, {}),
    "from-shards": ((6, 4), (60, 40), (1, 40), None, {}),
    "many-shards": ((60, 4), None, (1, 8), (5, 8), {}),
    "bytes-moved": ((6, 4), None, (6, 4), (60, 40), {}),
    "not-verified": ((60, 4), None, (1, 40), (60, 40), {"verify": "none"}),
    "processes": ((60, 4), None, (1, 40), (60, 40), {"executor": "processes", "workers": 2}),
}
FACTOR = 100
"""The layouts above are those of an array that is longer by this on each axis: the planner reads no values."""


@pytest.mark.parametrize(("chunks", "shards", "to_chunks", "to_shards", "options"), LAYOUTS.values(), ids=list(LAYOUTS))
def test_limit_too_small_names_the_smallest_that_does(
    target: Path, tmp_path: Path, chunks: Any, shards: Any, to_chunks: Any, to_shards: Any, options: dict[str, Any]
) -> None:
    """The error has both numbers and the smallest limit, with which there is a plan and below which there is none."""

    def longer(sizes: Any) -> Any:
        return sizes and tuple(n * FACTOR for n in sizes)

    source = tmp_path / "large.zarr"
    zarr.create_array(source, shape=longer(SHAPE), chunks=longer(chunks), shards=longer(shards), dtype="f8")
    request = {"chunks": longer(to_chunks), "shards": longer(to_shards), **options}
    check_refused(
        source, target, zarrmill.MemoryLimitError, "array", "max_mem is 3.0 MiB", "smaller chunks",
        folder=tmp_path, max_mem="3MiB", **request,
    )  # fmt: skip
    with pytest.raises(zarrmill.MemoryLimitError) as refused:
        zarrmill.plan_rechunk(source, max_mem="3MiB", **request)
    found = re.search(r"Raise max_mem to (\d+)MiB", str(refused.value))
    assert found is not None
    named = int(found[1])
    assert zarrmill.plan_rechunk(source, max_mem=f"{named}MiB", **request).projected_mem <= named * 2**20
    with pytest.raises(zarrmill.MemoryLimitError, match=f"max_mem to {named}MiB"):
        zarrmill.plan_rechunk(source, max_mem=f"{named - 1}MiB", **request)


def test_limit_error_names_the_array(target: Path, tmp_path: Path) -> None:
    """In a hierarchy the array that does not fit is named."""
    group = zarr.create_group(tmp_path / "group.zarr")
    group.create_array("small", shape=(100, 100), dtype="f8", chunks=(100, 1))
    group.create_array("nested/large", shape=(8000, 8000), dtype="f8", chunks=(8000, 1000))
    check_refused(
        tmp_path / "group.zarr", target, zarrmill.MemoryLimitError, "nested/large: ", "max_mem is 50.0 MiB",
        folder=tmp_path, max_mem="50MiB", chunks=(-1, 1), shards=None,
    )  # fmt: skip


def test_smallest_limit_runs(tmp_path: Path, target: Path) -> None:
    """The limit that the error names is enough to do it."""
    source = tmp_path / "large.zarr"
    zarr.create_array(source, shape=(600, 4000), chunks=(600, 400), dtype="f8")[:] = 3.0
    with pytest.raises(zarrmill.MemoryLimitError) as refused:
        zarrmill.rechunk(source, target, chunks=(60, 4000), shards=(300, 4000), max_mem="1MiB")
    named = re.search(r"max_mem to (\d+MiB)", str(refused.value))
    assert named is not None
    report = zarrmill.rechunk(source, target, chunks=(60, 4000), shards=(300, 4000), max_mem=named[1])
    assert report.peak_mem <= report.max_mem


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("through", ["path", "link"])
def test_target_is_the_source(source: Path, tmp_path: Path, overwrite: bool, through: str) -> None:
    """Nothing is written over its own source, whatever the way to it."""
    target = source
    if through == "link":
        target = tmp_path / "link.zarr"
        target.symlink_to(source)
    check_refused(
        source, target, zarrmill.InvalidInputError, "is the source", str(target), folder=tmp_path, overwrite=overwrite
    )


@pytest.mark.parametrize("below", ["inner.zarr", "c/0", "not/there"])
@pytest.mark.parametrize("through", ["path", "link"])
def test_target_inside_the_source(source: Path, tmp_path: Path, below: str, through: str) -> None:
    """Nothing is written among the keys of the source."""
    folder = source
    if through == "link":
        folder = tmp_path / "link.zarr"
        folder.symlink_to(source)
    check_refused(
        source, folder / below, zarrmill.InvalidInputError, "lies inside the source", str(source), "beside",
        folder=tmp_path, overwrite=True,
    )  # fmt: skip


def test_target_holds_the_source(source: Path, tmp_path: Path) -> None:
    """A folder with the source in it is not replaced."""
    folder = tmp_path / "outer"
    folder.mkdir()
    inner = folder / "source.zarr"
    shutil.move(source, inner)
    check_refused(
        inner, folder, zarrmill.InvalidInputError, "holds the source", str(inner), "beside",
        folder=tmp_path, overwrite=True,
    )  # fmt: skip


def test_target_exists(source: Path, target: Path, tmp_path: Path) -> None:
    """An existing target is never touched without ``overwrite``, not even an empty folder."""
    target.mkdir()
    check_refused(source, target, zarrmill.AlreadyExistsError, str(target), "--overwrite", folder=tmp_path)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("which", ["target", "scratch"])
def test_folder_that_is_not_there(source: Path, target: Path, tmp_path: Path, which: str) -> None:
    """A folder to write into is not made up out of a misspelt path."""
    missing = tmp_path / "mispelt"
    options = {"scratch": missing} if which == "scratch" else {}
    check_refused(
        source, missing / "t.zarr" if which == "target" else target, zarrmill.NotFoundError, str(missing), "mkdir",
        folder=tmp_path, **options,
    )  # fmt: skip


def test_source_that_is_not_there(target: Path, tmp_path: Path) -> None:
    """A path that leads nowhere is named."""
    check_refused(tmp_path / "no.zarr", target, zarrmill.NotFoundError, str(tmp_path / "no.zarr"), folder=tmp_path)


@pytest.mark.parametrize("kind", ["empty-folder", "folder", "file", "draft"])
def test_source_that_is_not_zarr(source: Path, target: Path, tmp_path: Path, kind: str) -> None:
    """What is not Zarr is named, with what would be."""
    place = tmp_path / "place"
    place.mkdir()
    if kind == "folder":
        (place / "table.csv").write_text("1,2")
    elif kind == "draft":
        (place / ".flux.zarrmill").mkdir()
    elif kind == "file":
        place.rmdir()
        place.write_text("1,2")
    text = "is a file" if kind == "file" else "zarr.json"
    check_refused(place, target, zarrmill.SourceFormatError, str(place), text, folder=tmp_path)


DAMAGED = {
    "empty": "",
    "cut": '{"zarr_format": 3, "node_t',
    "list": "[]",
    "binary": "\x00\x01\x02",
    "no-node": '{"zarr_format": 3}',
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=list(DAMAGED))
def test_damaged_metadata(source: Path, target: Path, tmp_path: Path, text: str) -> None:
    """A ``zarr.json`` that is none is named."""
    (source / "zarr.json").write_text(text)
    check_refused(source, target, zarrmill.SourceFormatError, str(source / "zarr.json"), folder=tmp_path)


CHANGED: dict[str, dict[str, Any]] = {
    "type": {"data_type": "float65"},
    "codec": {"codecs": [{"name": "bytes"}, {"name": "secret"}]},
    "codec-setting": {"codecs": [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": "high"}}]},
    "no-codecs": {"codecs": []},
    "codecs-as-text": {"codecs": "zstd"},
    "grid": {"chunk_grid": {"name": "rectilinear"}},
    "chunk-0": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 4]}}},
    "chunk-of-a-half": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1.5, 4]}}},
    "chunk-of-text": {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": ["6", 4]}}},
    "fill-value": {"fill_value": "blue"},
    "shape": {"shape": [60, -40]},
    "dimensions": {"dimension_names": ["object"]},
    "attributes": {"attributes": []},
    "keys": {"chunk_key_encoding": {"name": "hashed"}},
    "no-keys": {"chunk_key_encoding": None},
    "transformers": {"storage_transformers": [{"name": "secret"}]},
}


@pytest.mark.parametrize("changes", CHANGED.values(), ids=list(CHANGED))
def test_metadata_of_nonsense(source: Path, target: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """Metadata that contradict themselves, or ask for what nobody has, are refused before anything is written."""
    document = json.loads((source / "zarr.json").read_text())
    (source / "zarr.json").write_text(json.dumps({**document, **changes}))
    check_refused(source, target, zarrmill.SourceFormatError, folder=tmp_path)


# --- chunks that cannot be read ---------------------------------------------------------------------------------------

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def blank(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[2 : len(data) // 2] = bytes(len(data) // 2 - 2)
    path.write_bytes(data)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def drain(path: Path) -> None:
    path.write_bytes(b"")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def check_block_fails(source: Path, target: Path, bad: Path, key: str, damage: Damage, **options: Any) -> None:
    """A damaged key is named with its block; once it is restored, the same call continues."""
    whole, expected = bad.read_bytes(), zarr.open_array(source, mode="r")[:]
    damage(bad)
    with pytest.raises(zarrmill.BlockFailedError) as failed:
        zarrmill.rechunk(source, target, **options)
    check_one_line(failed.value, key, "/:0:0:0", "the same command continues")
    assert (failed.value.block, failed.value.stage) == ("/:0:0:0", "copy")
    assert failed.value.__cause__ is not None
    assert not target.exists()
    if bad.is_dir():
        bad.rmdir()
    bad.write_bytes(whole)
    # The source was written to, so the draft of the failed run is not continued blindly.
    with pytest.raises(zarrmill.SourceChangedError):
        zarrmill.rechunk(source, target, **options)
    zarrmill.rechunk(source, target, **options, resume=False)
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], expected)
    assert not Draft(target).exists()


ROUTES: dict[str, dict[str, Any]] = {
    "driver": {"chunks": (1, 40), "shards": (60, 40)},
    "bytes": {"chunks": None, "shards": (60, 40)},
    "digest-alone": {"chunks": None, "shards": None},
}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once, and nothing is brought to the disk, which takes seconds on a busy machine."""
    monkeypatch.setattr("zarrmill.publish.sync_file_system", lambda path: None)
    monkeypatch.setattr("zarrmill.execute.run.RETRY_SECONDS", 0.0)


@pytest.mark.parametrize("options", ROUTES.values(), ids=list(ROUTES))
@pytest.mark.parametrize("damage", [cut, blank, drain, make_folder], ids=lambda damage: damage.__name__)
def test_damaged_chunk(source: Path, target: Path, damage: Damage, options: dict[str, Any]) -> None:
    """A chunk that was cut, changed, emptied or cannot be read is named with its block."""
    check_block_fails(source, target, source / "c" / "0" / "3", "c/0/3", damage, **options)


@pytest.mark.parametrize(
    "codec",
    [
        None,
        zarr.codecs.BloscCodec(cname="lz4"),
        zarr.codecs.BloscCodec(cname="zstd"),
        zarr.codecs.GzipCodec(),
        (zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()),
        zarr.codecs.Crc32cCodec(),
    ],
    ids=["none", "blosc-lz4", "blosc-zstd", "gzip", "zstd-crc32c", "crc32c"],
)
@pytest.mark.parametrize("damage", [shorten, cut, drain], ids=lambda damage: damage.__name__)
def test_damaged_chunk_of_each_codec(tmp_path: Path, target: Path, codec: Any, damage: Damage) -> None:
    """Whatever the codec, a chunk that was cut short or emptied is never taken for a whole one."""
    source = tmp_path / "source.zarr"
    zarr.create_array(source, shape=SHAPE, chunks=(60, 4), dtype="f8", compressors=codec)[:] = VALUES
    check_block_fails(source, target, source / "c" / "0" / "3", "c/0/3", damage, chunks=(1, 40))


@pytest.mark.parametrize("damage", [cut, blank, drain], ids=lambda damage: damage.__name__)
def test_damaged_chunk_read_through_zarr(tmp_path: Path, target: Path, damage: Damage) -> None:
    """What zarr-python reads for us is named by its region."""
    source = tmp_path / "source.zarr"
    array = zarr.create_array(source, shape=(60, 40), chunks=(60, 4), dtype="str")
    array[:] = VALUES.astype("U").astype(np.dtypes.StringDType())
    check_block_fails(source, target, source / "c" / "0" / "3", "[0:60, 12:16]", damage, chunks=(1, 40))


@pytest.mark.parametrize("location", ["end", "start"])
@pytest.mark.parametrize("options", ROUTES.values(), ids=list(ROUTES))
def test_shard_cut_short(tmp_path: Path, target: Path, location: Any, options: dict[str, Any]) -> None:
    """A shard of which the end is missing is named, whether or not that held the index."""
    source = tmp_path / "source.zarr"
    shards = zarr.codecs.ShardingCodec(chunk_shape=(6, 4), index_location=location)
    zarr.create_array(source, shape=SHAPE, chunks=(30, 40), dtype="f8", serializer=shards, compressors=None)[:] = VALUES
    check_block_fails(source, target, source / "c" / "1" / "0", "c/1/0", cut, **options)


def test_shard_with_a_damaged_index(tmp_path: Path, target: Path) -> None:
    """The index of a shard without a checksum may say anything; it leads to an error, not to other values."""
    source = tmp_path / "source.zarr"
    plain = zarr.codecs.ShardingCodec(chunk_shape=(6, 4), index_codecs=[zarr.codecs.BytesCodec()])
    zarr.create_array(source, shape=SHAPE, chunks=(30, 40), dtype="f8", serializer=plain, compressors=None)[:] = VALUES

    def mislead(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[-16:-8] = (2**63 + 5).to_bytes(8, "little")
        path.write_bytes(data)

    check_block_fails(source, target, source / "c" / "1" / "0", "c/1/0", mislead, chunks=(1, 40))


def test_failure_of_another_process_is_told(source: Path, target: Path) -> None:
    """A damaged chunk that a worker process finds is named the same way."""
    blank(source / "c" / "0" / "3")
    with pytest.raises(zarrmill.BlockFailedError) as failed:
        zarrmill.rechunk(source, target, chunks=(1, 40), executor="processes", workers=1)
    check_one_line(failed.value, "c/0/3", "/:0:0:0")
    assert isinstance(failed.value.__cause__, zarrmill.SourceFormatError)


def test_passing_fault_is_tried_again(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that fails once is repeated, and the run is none the worse for it."""
    failures = [errno.EIO, errno.ESTALE]
    readv = os.readv

    def fail_sometimes(fd: int, buffers: Any) -> int:
        if failures:
            raise OSError(failures.pop(), "the network was gone")
        return readv(fd, buffers)

    monkeypatch.setattr(os, "readv", fail_sometimes)
    report = zarrmill.rechunk(source, target, chunks=(1, 40), executor="serial")
    assert failures == []
    assert report.source_chunks_read == 10
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)


def test_lasting_fault_names_the_file(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that keeps failing is told with the file, which the system does not name."""

    def fail(fd: int, buffers: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "readv", fail)
    with pytest.raises(zarrmill.BlockFailedError) as failed:
        zarrmill.rechunk(source, target, chunks=(1, 40), executor="serial")
    check_one_line(failed.value, str(source / "c" / "0" / "0"), "3 attempts", "Input/output error")


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [None, (20, 40)], ids=["unsharded", "sharded"])
def test_full_disk(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, shards: Any) -> None:
    """A full disk is told at once, without retries; with space again, the same call continues."""
    writev, calls = os.writev, []

    def fill_up(fd: int, buffers: Any) -> int:
        calls.append(fd)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return writev(fd, buffers)

    request: dict[str, Any] = {"chunks": (1, 40), "shards": shards, "executor": "serial"}
    with monkeypatch.context() as full:
        full.setattr(os, "writev", fill_up)
        with pytest.raises(zarrmill.BlockFailedError) as failed:
            zarrmill.rechunk(source, target, **request)
    check_one_line(failed.value, "no space left", "1 attempt:", "Free some", "the same command continues")
    assert not target.exists()
    zarrmill.rechunk(source, target, **request)
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)
    assert not Draft(target).exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB, where the system lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("disks can only be mounted by root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("left", [0, 8192, 100_000, 400_000], ids=lambda n: f"{n}-bytes-left")
def test_really_full_disk(tmp_path: Path, small_disk: Path, left: int) -> None:
    """However little space there is, nothing opens; with space again, the same call continues."""
    source, target = tmp_path / "source.zarr", small_disk / "target.zarr"
    values = np.random.default_rng(3).random((250, 400))
    zarr.create_array(source, shape=values.shape, chunks=(250, 4), dtype="f8", compressors=None)[:] = values
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
    with pytest.raises((zarrmill.BlockFailedError, OSError)) as failed:
        zarrmill.rechunk(source, target, chunks=(5, 400), shards=None)
    line, code = explain(failed.value) if isinstance(failed.value, Exception) else ("", 0)
    assert "no space left" in line.lower()
    assert code == 1
    assert not target.exists()
    with pytest.raises(FileNotFoundError):
        zarr.open(str(target), mode="r")
    filler.unlink()
    zarrmill.rechunk(source, target, chunks=(5, 400), shards=None)
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], values)
    assert os.listdir(small_disk) == ["target.zarr"]


def test_no_space_for_the_intermediate(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan whose intermediate cannot fit on its disk is refused before anything is written, with both numbers."""
    source = tmp_path / "large.zarr"
    zarr.create_array(source, shape=(12_000, 12_000), chunks=(12_000, 10), dtype="f8")
    free = 10 * 2**20
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type(real)(real.total, real.used, free))
    check_refused(
        source, target, zarrmill.InvalidInputError, "1.1 GiB", "10.0 MiB are free", "--scratch", "max_mem",
        folder=tmp_path, chunks=(10, 12_000), shards=(1000, 12_000), max_mem="128MiB",
    )  # fmt: skip


# --- a source that changes --------------------------------------------------------------------------------------------


def modify(source: Path) -> Path:
    path = source / "c" / "0" / "3"
    path.write_bytes((source / "c" / "0" / "4").read_bytes())
    return path


def add(source: Path) -> Path:
    (source / "c" / "0" / "9").write_bytes((source / "c" / "0" / "4").read_bytes())
    return source / "c" / "0"


def delete(source: Path) -> Path:
    (source / "c" / "0" / "3").unlink()
    return source / "c" / "0"


def describe(source: Path) -> Path:
    (source / "zarr.json").write_text((source / "zarr.json").read_text().replace("object", "target"))
    return source / "zarr.json"


def replace(source: Path) -> Path:
    shutil.rmtree(source)
    zarr.create_array(source, shape=SHAPE, chunks=(60, 4), dtype="f8", dimension_names=("object", "epoch"))
    return source


def vanish(source: Path) -> Path:
    shutil.rmtree(source)
    return source


CHANGES = [modify, add, delete, describe, replace, vanish]
MOMENTS: dict[str, Callable[[Message], bool]] = {
    "while-reading": lambda message: isinstance(message, BlockAdvanced),
    "after-a-block": lambda message: isinstance(message, BlockFinished),
    "at-the-end": lambda message: message == StepStarted("check"),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=list(MOMENTS))
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_source_that_changes(
    source: Path, target: Path, change: Callable[[Path], Path], moment: Callable[[Message], bool]
) -> None:
    """A source that is written to while it is read never becomes a target; what changed is named."""
    (source / "c" / "0" / "9").unlink()
    time.sleep(0.02)
    changed: list[Path] = []

    def progress(message: Message) -> None:
        if moment(message) and not changed:
            # Beyond the grain of the file system's clock.
            time.sleep(0.02)
            changed.append(change(source))

    with pytest.raises(zarrmill.SourceChangedError) as refused:
        zarrmill.rechunk(source, target, chunks=(1, 40), progress=progress)
    check_one_line(refused.value, str(changed[0]), "--no-resume")
    assert not target.exists()
    if change is vanish:
        return
    zarrmill.rechunk(source, target, chunks=(1, 40), resume=False)
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], zarr.open_array(source, mode="r")[:])


@pytest.mark.parametrize("change", [modify, add, delete], ids=lambda change: change.__name__)
def test_source_that_changes_between_two_runs(source: Path, target: Path, change: Callable[[Path], Path]) -> None:
    """A run that continues never mixes values from before and after a change, and says so before it does anything."""
    (source / "c" / "0" / "9").unlink()

    def stop(message: Message) -> None:
        if isinstance(message, BlockFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zarrmill.rechunk(source, target, chunks=(1, 40), progress=stop)
    time.sleep(0.02)
    changed = change(source)
    messages: list[Message] = []
    with pytest.raises(zarrmill.SourceChangedError) as refused:
        zarrmill.rechunk(source, target, chunks=(1, 40), progress=messages.append)
    check_one_line(refused.value, str(changed), "--no-resume")
    assert messages == []
    assert not target.exists()


def test_reading_the_source_is_no_change(source: Path, target: Path) -> None:
    """Others may read the source, and write beside it, while it is rechunked."""

    def read(message: Message) -> None:
        if isinstance(message, BlockAdvanced):
            time.sleep(0.02)
            zarr.open_array(source, mode="r")[:]
            (source.parent / "note.txt").write_text("")

    with ThreadPoolExecutor(1):
        zarrmill.rechunk(source, target, chunks=(1, 40), progress=read)
    assert target.exists()
