"""What a location holds: arrays as they are laid out and stored, and what unfinished runs have left."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr

from zarrmill.draft import Claim, Draft
from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.info import ArrayInfo, DraftInfo, InfoReport, info, say_codecs
from zarrmill.progress import BlockFinished
from zarrmill.rechunk import rechunk
from zarrmill.store import open_keys

VALUES = np.arange(48, dtype="f4").reshape(6, 8)


def write(path, values=VALUES, **layout):
    array = zarr.create_array(path, shape=values.shape, **{"dtype": values.dtype, "chunks": (3, 4), **layout})
    array[...] = values
    return array


def test_an_array_with_its_layout(tmp_path):
    """Every figure of a sharded array, and no group."""
    write(tmp_path / "a", chunks=(3, 2), shards=(6, 4), dimension_names=["object", "epoch"], fill_value=np.nan)
    report = info(tmp_path / "a")
    assert (report.location, report.zarr_format, report.consolidated) == (str(tmp_path / "a"), 3, False)
    assert (report.groups, report.drafts, report.notes) == ((), (), ())
    [array] = report.arrays
    stored = sum(path.stat().st_size for path in (tmp_path / "a" / "c").rglob("*") if path.is_file())
    assert array == ArrayInfo(
        path="",
        shape=(6, 8),
        dtype="float32",
        dims=("object", "epoch"),
        chunks=(3, 2),
        shards=(6, 4),
        codecs="zstd(0)",
        fill_value="nan",
        nbytes=192,
        keys_possible=2,
        keys_stored=2,
        bytes_stored=stored,
        route="driver",
    )


@pytest.mark.parametrize("zarr_format", [2, 3], ids=["v2", "v3"])
def test_a_hierarchy_of_either_format(tmp_path, zarr_format):
    """Arrays and groups by path; metadata files and other nodes are no keys."""
    group = zarr.create_group(tmp_path / "g", zarr_format=zarr_format)
    deep = group.create_group("deep")
    write(tmp_path / "g" / "flux", zarr_format=zarr_format)
    deep.create_array("mask", shape=(4,), chunks=(2,), dtype="i1", attributes={"a": 1})
    zarr.consolidate_metadata(tmp_path / "g") if zarr_format == 2 else None
    report = info(str(tmp_path / "g"))
    assert (report.zarr_format, report.consolidated, report.groups) == (zarr_format, zarr_format == 2, ("", "deep"))
    found = {array.path: (array.keys_stored, array.keys_possible, array.bytes_stored) for array in report.arrays}
    assert list(found) == ["deep/mask", "flux"]
    assert found["deep/mask"] == (0, 2, 0)
    assert found["flux"][:2] == (4, 4)


@pytest.mark.parametrize(
    "encoding",
    [{"name": "default", "separator": "/"}, {"name": "default", "separator": "."}, {"name": "v2", "separator": "."}],
    ids=["c/0/0", "c.0.0", "0.0"],
)
def test_keys_are_counted_whatever_their_encoding(tmp_path, encoding):
    """Missing chunks are not, and neither are files that are none."""
    array = write(tmp_path / "a", chunk_key_encoding=encoding, compressors=None)
    array[:3, :4] = 0
    zarr.open_array(tmp_path / "a")[:3, :4] = array.fill_value
    (tmp_path / "a" / "notes.txt").write_text("not a chunk")
    [found] = info(tmp_path / "a").arrays
    assert (found.keys_stored, found.keys_possible, found.bytes_stored) == (3, 4, 3 * 48)


def test_an_array_of_no_axes(tmp_path):
    """It has one key."""
    write(tmp_path / "a", np.array(7, "i8"), chunks=())
    [found] = info(tmp_path / "a").arrays
    assert (found.shape, found.keys_stored, found.keys_possible) == ((), 1, 1)


def test_what_the_driver_lacks_is_the_route(tmp_path):
    """In the words of the plan."""
    write(tmp_path / "a", np.array(["a", "b"], np.dtypes.StringDType()), chunks=(1,), dtype=str)
    [found] = info(tmp_path / "a").arrays
    assert (found.dtype, found.fill_value, found.codecs) == ("string", "''", "vlen-utf8+zstd(0)")
    assert found.route.startswith("values of type")


def test_a_store_in_memory(tmp_path):
    """Listings of zarr stores name keys and not their sizes; it has no drafts."""
    store = zarr.storage.MemoryStore()
    write(store)
    report = info(store)
    [found] = report.arrays
    assert (found.keys_stored, found.bytes_stored, found.keys_possible, report.drafts) == (4, None, 4, ())


def test_what_is_said_otherwise_in_v3_is_a_note(tmp_path):
    """The fill value that v2 leaves open."""
    write(tmp_path / "a", zarr_format=2, fill_value=None)
    assert info(tmp_path / "a").notes == ("array: fill_value null became 0.0",)


def test_an_array_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    """It is left out, and that is said."""
    zarr.create_group(tmp_path / "g")
    for name in "ab":
        write(tmp_path / "g" / name)
    path = tmp_path / "g" / "a" / "zarr.json"
    path.write_text(path.read_text().replace('"regular"', '"hexagonal"'))
    report = info(tmp_path / "g")
    assert [array.path for array in report.arrays] == ["b"]
    [note] = report.notes
    assert note.startswith("a: the chunk grid is 'hexagonal'")


CODECS = {
    "none": {"compressors": None},
    "gzip(3)": {"compressors": zarr.codecs.GzipCodec(level=3)},
    "blosc(lz4,5,shuffle)": {"compressors": zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")},
    "zstd(7)+crc32c": {"compressors": (zarr.codecs.ZstdCodec(level=7), zarr.codecs.Crc32cCodec())},
    "transpose(1,0)": {"filters": zarr.codecs.TransposeCodec(order=(1, 0)), "compressors": None},
    "bytes(big)": {"serializer": zarr.codecs.BytesCodec(endian="big"), "compressors": None},
    "zlib(4)": {"compressors": numcodecs.Zlib(level=4), "zarr_format": 2},
}


@pytest.mark.parametrize("text", CODECS)
def test_codecs_in_few_words(tmp_path, text):
    """What one looks for in a listing; plain little-endian bytes are not worth a word."""
    write(tmp_path / "a", **CODECS[text])
    assert info(tmp_path / "a").arrays[0].codecs == text


def test_codecs_that_nobody_knows():
    """All settings of a codec without a known main one, in the order of their names."""
    assert say_codecs(('{"name":"numcodecs.mine","configuration":{"b":[1,2],"a":"x"}}',)) == "mine(x,1,2)"


class Killed(BaseException):
    """What ends a run at once."""


def leave_draft(source, target, **options):
    """Begin a rechunk, and end it after its first block."""

    def kill(message):
        if isinstance(message, BlockFinished):
            raise Killed

    with pytest.raises(Killed):
        rechunk(source, target, chunks={"a": (6, 2), "b": (6, 2)}, progress=kill, **options)


@pytest.fixture
def source(tmp_path):
    """A group of two arrays."""
    zarr.create_group(tmp_path / "source.zarr")
    for name in "ab":
        write(tmp_path / "source.zarr" / name)
    return tmp_path / "source.zarr"


def test_a_target_that_is_not_there_yet_shows_its_draft(source, tmp_path):
    """How far it came, what it reads, since when, and that nobody is at it."""
    leave_draft(source, tmp_path / "b.zarr")
    report = info(tmp_path / "b.zarr")
    assert (report.location, report.zarr_format, report.arrays) == (str(tmp_path / "b.zarr"), None, ())
    [draft] = report.drafts
    assert (draft.target, draft.source) == (str(tmp_path / "b.zarr"), str(source))
    assert (draft.blocks_done, draft.running) == (1, False)
    assert draft.blocks_total is not None
    assert draft.blocks_total > 1
    files = [path for path in Path(draft.folder).rglob("*") if path.is_file()]
    assert draft.bytes == sum(path.stat().st_size for path in files) > 0
    started = datetime.fromisoformat(draft.started)
    assert started.tzinfo == UTC
    assert abs(started - datetime.now(UTC)) < timedelta(minutes=5)


def test_drafts_beside_and_inside(source, tmp_path):
    """Its own comes first; those of its neighbours and of its members follow."""
    leave_draft(source, tmp_path / "other.zarr")
    group = tmp_path / "z.zarr"
    zarr.create_group(group)
    leave_draft(source, group / "member")
    leave_draft(source, group, overwrite=True)
    report = info(group)
    assert [draft.target for draft in report.drafts] == [
        str(group), str(tmp_path / "other.zarr"), str(group / "member")
    ]  # fmt: skip
    assert (report.zarr_format, report.groups) == (3, ("",))
    assert [draft.target for draft in info(tmp_path).drafts] == [str(tmp_path / "other.zarr"), str(group)]


def test_looking_at_a_run_does_not_disturb_it(tmp_path):
    """Its draft is shown as running, again and again, and nothing of it changes."""
    draft = Draft(tmp_path / "b.zarr")
    draft.claim(Claim({"format": 0}, {"location": "here"}), resume=True)
    (draft.folder / "journal.jsonl").write_text('{"format":1,"boot":""}\n{"block":"a')
    before = {path.name: path.stat().st_mtime_ns for path in draft.folder.iterdir()}
    for _ in range(2):
        [found] = info(tmp_path / "b.zarr").drafts
        assert (found.running, found.blocks_done, found.blocks_total, found.source) == (True, 0, None, "here")
    assert {path.name: path.stat().st_mtime_ns for path in draft.folder.iterdir()} == before
    draft.release()
    assert not info(tmp_path / "b.zarr").drafts[0].running


def test_a_draft_that_was_stopped_before_it_was_claimed(tmp_path):
    """There is little to say of it, and that is said."""
    folder = Draft(tmp_path / "b.zarr").folder
    folder.mkdir()
    [found] = info(tmp_path / "b.zarr").drafts
    assert found == DraftInfo(str(tmp_path / "b.zarr"), str(folder), 0, 0, None, None, None, False)


def test_scratch_folders_elsewhere_count(tmp_path):
    """Those that the draft lists, if they carry its name and are there."""
    draft = Draft(tmp_path / "b.zarr")
    draft.folder.mkdir()
    names = ["fast/b.zarr.zarrmill-scratch", "fast/precious", "fast/b.zarr.zarrmill-gone"]
    for name in names[:2]:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "0.tile").write_bytes(bytes(1000))
    record = json.dumps([str(tmp_path / name) for name in names])
    (draft.folder / "scratch.json").write_text(record)
    assert info(tmp_path / "b.zarr").drafts[0].bytes == 1000 + len(record)


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("no.zarr", NotFoundError),
        ("no/where.zarr", NotFoundError),
        ("plain", SourceFormatError),
        ("ftp://b/k", InvalidInputError),
    ],
    ids=["nothing", "no folder", "not Zarr", "other URL"],
)
def test_where_there_is_nothing_to_show(tmp_path, monkeypatch, location, error):
    """A draft of a neighbour does not make a store."""
    (tmp_path / "plain").mkdir()
    Draft(tmp_path / "b.zarr").folder.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        info(location)


def test_a_store_at_a_url_has_keys_and_bytes(source):
    """One listing tells those of all arrays; metadata and other keys do not count."""
    keys = open_keys("memory://info/stored")
    for path in sorted(source.rglob("*")):
        if path.is_file():
            keys.put(str(path.relative_to(source)), path.read_bytes())
    keys.put("a/notes.txt", b"no chunk")
    local, remote = info(source), info("memory://info/stored")
    assert remote.arrays == local.arrays
    assert all(array.keys_stored is not None for array in remote.arrays)
    assert (remote.groups, remote.drafts) == (local.groups, ())


def test_a_draft_at_a_url(source):
    """Claim, blocks and time are told before there is a store, and whether it runs is not known."""
    target = "memory://info/draft"
    leave_draft(source, target)
    report = info(target)
    [draft] = report.drafts
    assert (report.location, report.zarr_format, report.arrays) == (target, None, ())
    assert (draft.target, draft.folder, draft.source) == (target, f"{target}/.zarrmill", str(source))
    assert (draft.blocks_done, draft.running) == (1, None)
    assert draft.blocks_total >= 1
    assert draft.bytes == sum(found.nbytes for found in open_keys(target).list())
    assert abs(datetime.now(UTC) - datetime.fromisoformat(draft.started)) < timedelta(minutes=1)


def test_drafts_in_a_group_at_a_url(source):
    """They are found with their targets below it."""
    keys = open_keys("memory://info/group")
    keys.put("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    leave_draft(source, f"{keys.location}/b")
    assert [draft.target for draft in info(keys.location).drafts] == [f"{keys.location}/b"]


def test_locations_are_told_in_every_way(source, tmp_path, monkeypatch):
    """Relative paths, URLs, and what is not there yet."""
    leave_draft(source, tmp_path / "b c.zarr")
    monkeypatch.chdir(tmp_path)
    for location in ("b c.zarr", "./b c.zarr/", Path("b c.zarr"), f"file://{tmp_path}/b%20c.zarr"):
        assert info(location).drafts[0].target == str(tmp_path / "b c.zarr")
    assert info(zarr.open_group(source, mode="r")).location == str(source)


def test_the_report_is_json_and_explains_its_fields(source, tmp_path):
    """Down to its arrays and drafts."""
    leave_draft(source, tmp_path / "b.zarr")
    data = json.loads(json.dumps(info(source).to_json()))
    kinds = ((data, InfoReport), (data["arrays"][0], ArrayInfo), (data["drafts"][0], DraftInfo))
    for values, kind in kinds:
        assert set(values) == {field.name for field in dataclasses.fields(kind)}
