"""The facade: a whole hierarchy in one call, everything that describes it kept, and figures that are true."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import zarrmill
from zarrmill.draft import Draft
from zarrmill.progress import BlockFinished, Message, RunFinished, RunStarted, StageStarted, StepStarted

RANDOM = np.random.default_rng(2)

# zarr-python warns its users about these; the tests mean to use them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part"),
    pytest.mark.filterwarnings("ignore:The data type .* does not have a Zarr V3 specification"),
    pytest.mark.filterwarnings("ignore:The codec .* is currently not part"),
]


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is brought to the disk: on a busy machine that takes seconds, and nothing here depends on it."""
    monkeypatch.setattr("zarrmill.publish.sync_file_system", lambda path: None)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.zarr"


def make_array(path: Path, values: Any, chunks: tuple[int, ...], **options: Any) -> zarr.Array[Any]:
    array = zarr.create_array(path, shape=values.shape, dtype=values.dtype, chunks=chunks, **options)
    array[...] = values
    return array


@pytest.fixture(scope="module")
def source_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An array of 300 objects by 40 epochs, written by epoch; nobody writes there."""
    path = tmp_path_factory.mktemp("source") / "source.zarr"
    values = RANDOM.integers(0, 1000, size=(300, 40)).astype("f4")
    make_array(path, values, (300, 1), dimension_names=("object", "epoch"))
    return path


@pytest.fixture
def source(source_once: Path, tmp_path: Path) -> Path:
    """A copy of that array."""
    return Path(shutil.copytree(source_once, tmp_path / "source.zarr"))


def read(path: Path) -> Any:
    return zarr.open_array(path, mode="r")[...]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def keys_of(folder: Path) -> dict[str, int]:
    """Return the size of every file but metadata and records."""
    others = ("zarr.json", "zarrmill.json")
    return {name: len(data) for name, data in files_of(folder).items() if not name.endswith(others)}


# --- a hierarchy in one call ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def survey_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A group with groups and arrays of many kinds, consolidated; nobody writes there."""
    path = tmp_path_factory.mktemp("survey") / "survey.zarr"
    root = zarr.create_group(path, attributes={"title": "survey", "nested": {"a": [1, None, "x"]}})
    cube = RANDOM.integers(0, 1000, size=(400, 60, 2)).astype("f8")
    options: dict[str, Any] = {"dimension_names": ("object", "epoch", "kind"), "attributes": {"unit": "mag"}}
    flux = root.create_array("flux", shape=cube.shape, chunks=(400, 1, 2), dtype="f8", fill_value=np.nan, **options)
    flux[:300] = cube[:300]
    root.create_array("object", data=np.arange(400), chunks=(100,), dimension_names=("object",))
    root.create_array("small", data=np.ones((20, 30), "i2"), chunks=(5, 5), dimension_names=("object", "epoch"))
    root.create_array("plain", data=np.arange(24).reshape(4, 6), chunks=(2, 2))
    root.create_array("scalar", shape=(), dtype="f8", fill_value=-1)[...] = 42
    root.create_array("nothing", shape=(0, 5), dtype="i4", chunks=(1, 5))
    nested = root.create_group("deep/er", attributes={"level": 2})
    flags = nested.create_array(
        "flags", shape=(400, 60), chunks=(400, 2), dtype="bool", fill_value=True, dimension_names=("object", "epoch"),
        compressors=zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle", typesize=1),
    )  # fmt: skip
    flags[:] = cube[:, :, 0] > 500
    root.create_group("empty", attributes={"why": "not"})
    with warnings.catch_warnings():
        # The marks of a module do not reach what is made once for it.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        zarr.consolidate_metadata(path)
    return path


@pytest.fixture
def survey(survey_once: Path, tmp_path: Path) -> Path:
    """A copy of that group."""
    return Path(shutil.copytree(survey_once, tmp_path / "survey.zarr"))


def test_hierarchy_in_one_call(survey: Path, target: Path) -> None:
    """Each array gets the chunks that its dimension names ask for; small and 1-D arrays stay whole."""
    report = zarrmill.rechunk(survey, target, chunks={"object": 1, "epoch": -1}, shards={"object": 100})
    found = {array.path: (array.chunks, array.shards) for array in report.arrays}
    assert found == {
        "deep/er/flags": ((400, 60), None),
        "flux": ((1, 60, 2), (100, 60, 2)),
        "nothing": ((1, 5), None),
        "object": ((400,), None),
        "plain": ((4, 6), None),
        "scalar": ((), None),
        "small": ((20, 30), None),
    }
    assert zarrmill.verify(survey, target).equal


def test_everything_that_describes_a_hierarchy_is_kept(survey: Path, target: Path) -> None:
    """Groups, attributes, dimension names, fill values, types, codecs and consolidated metadata are the source's."""
    zarrmill.rechunk(survey, target, chunks={"object": 1, "epoch": -1}, shards={"object": 100})
    before, after = (dict(zarr.open_group(path, mode="r").members(max_depth=None)) for path in (survey, target))
    assert before.keys() == after.keys()
    assert zarr.open_group(target).attrs.asdict() == {"title": "survey", "nested": {"a": [1, None, "x"]}}
    for path, node in before.items():
        assert after[path].attrs.asdict() == node.attrs.asdict(), path
        if isinstance(node, zarr.Array):
            assert after[path].metadata.dimension_names == node.metadata.dimension_names, path
            assert after[path].dtype == node.dtype, path
            np.testing.assert_equal(after[path].fill_value, node.fill_value, path)
            assert after[path].compressors[0] == node.compressors[0], path
            np.testing.assert_array_equal(after[path][...], node[...], path)
    assert zarr.open_consolidated(target).metadata.consolidated_metadata is not None
    assert dict(zarr.open_consolidated(target).members(max_depth=None)).keys() == before.keys()


def test_without_consolidated_metadata_there_are_none(survey: Path, target: Path) -> None:
    """A source that has no copy of all metadata makes a target that has none."""
    document = json.loads((survey / "zarr.json").read_text())
    del document["consolidated_metadata"]
    (survey / "zarr.json").write_text(json.dumps(document))
    zarrmill.rechunk(survey, target, chunks={"object": 1})
    assert "consolidated_metadata" not in json.loads((target / "zarr.json").read_text())


def test_arrays_select(survey: Path, target: Path) -> None:
    """With ``arrays`` only those and the groups around them are written."""
    report = zarrmill.rechunk(survey, target, chunks={"object": 1}, arrays=["deep/er/flags", "/plain/"])
    assert [array.path for array in report.arrays] == ["deep/er/flags", "plain"]
    members = dict(zarr.open_group(target, mode="r").members(max_depth=None))
    assert set(members) == {"deep", "deep/er", "deep/er/flags", "plain"}
    assert zarr.open_group(target).attrs["title"] == "survey"


def test_chunks_by_path(survey: Path, target: Path) -> None:
    """A single array is addressed by its path; the others keep their chunks or stay whole."""
    zarrmill.rechunk(survey, target, chunks={"plain": (1, -1), "flux": {"epoch": -1}}, shards={"plain": (4, 6)})
    plain, flux = zarr.open_array(target / "plain"), zarr.open_array(target / "flux")
    assert (plain.chunks, plain.shards) == ((1, 6), (4, 6))
    assert (flux.chunks, flux.shards) == ((400, 60, 2), None)


def test_no_chunks_keep_all(source: Path, target: Path) -> None:
    """Without ``chunks`` every array keeps its own."""
    report = zarrmill.rechunk(source, target, chunks=None, shards=None)
    assert report.arrays[0].chunks == (300, 1)
    assert report.arrays[0].route == "bytes"
    np.testing.assert_array_equal(read(target), read(source))


def test_missing_chunks_stay_missing(survey: Path, target: Path) -> None:
    """Where the source has no key, or nothing but fill values, the target has no key either."""
    report = zarrmill.rechunk(survey, target, chunks={"flux": (10, 60, 2)}, shards=None, arrays=["flux"])
    assert (report.keys_written, report.keys_empty) == (30, 10)
    assert len(keys_of(target)) == 30


# --- xarray -----------------------------------------------------------------------------------------------------------


def make_dataset() -> xr.Dataset:
    """Return a dataset with coordinates of every kind, attributes, encodings and a scalar."""
    # Variables of two dimensions are above the size up to which an array of a hierarchy stays whole.
    objects, epochs, random = 800, 60, np.random.default_rng(4)
    flux = random.normal(size=(objects, epochs))
    flux[3, 4] = np.nan
    return xr.Dataset(
        {
            "flux": (("object", "epoch"), flux, {"unit": "Jy"}),
            "quality": (("object", "epoch"), random.integers(0, 9, (objects, epochs), dtype="i2"), {"_FillValue": -1}),
            "band": (("epoch",), np.array(["g", "rr", "i"] * 20, dtype=object)),
            "exposure": ((), 30.0),
        },
        coords={
            "object": np.array([f"object-{i:04d}" for i in range(objects)], dtype=object),
            "epoch": np.datetime64("2020-01-01", "ns") + np.arange(epochs) * np.timedelta64(36, "h"),
            "ra": (("object",), random.uniform(0, 360, objects), {"unit": "deg"}),
            "since": (("epoch",), np.arange(epochs) * np.timedelta64(1, "D").astype("m8[ns]")),
        },
        attrs={"title": "survey", "version": 3},
    )


LAYOUTS = {
    "consolidated-auto": (True, "auto"),
    "consolidated-unsharded": (True, None),
    "consolidated-sharded": (True, {"object": 50}),
    "plain-auto": (False, "auto"),
    "plain-unsharded": (False, None),
    "plain-sharded": (False, {"object": 50}),
}
ALWAYS = {(3, "consolidated-auto"), (3, "consolidated-unsharded"), (2, "consolidated-sharded"), (2, "plain-auto")}
"""Each format, with and without consolidated metadata, each kind of shards."""


@pytest.mark.parametrize(
    ("zarr_format", "consolidated", "shards"),
    [
        pytest.param(v, *layout, id=f"{name}-{v}", marks=[pytest.mark.soak] * ((v, name) not in ALWAYS))
        for v in (2, 3)
        for name, layout in LAYOUTS.items()
    ],
)
def test_xarray_shows_the_same_dataset(
    tmp_path: Path, target: Path, zarr_format: Any, consolidated: bool, shards: Any
) -> None:
    """``xr.open_zarr`` shows variables, coordinates, attributes and types as they were, of Zarr v2 and v3."""
    source = tmp_path / "source.zarr"
    encoding = {"flux": {"chunks": (800, 1)}, "quality": {"chunks": (800, 1)}, "ra": {"chunks": (50,)}}
    make_dataset().to_zarr(source, zarr_format=zarr_format, consolidated=consolidated, encoding=encoding)
    zarrmill.rechunk(source, target, chunks={"object": 10, "epoch": -1}, shards=shards)
    with (
        xr.open_zarr(source, consolidated=consolidated, chunks=None) as before,
        xr.open_zarr(target, consolidated=consolidated, chunks=None) as after,
    ):
        xr.testing.assert_identical(before, after)
        assert {name: v.dtype for name, v in before.variables.items()} == {
            name: v.dtype for name, v in after.variables.items()
        }
        assert set(before.coords) == set(after.coords)
        for name in ("flux", "quality"):
            fills = [dataset[name].encoding.get("_FillValue") for dataset in (before, after)]
            np.testing.assert_equal(*fills)
    assert zarr.open_group(target).metadata.zarr_format == 3
    flux, ra = zarr.open_array(target / "flux"), zarr.open_array(target / "ra")
    assert (flux.chunks, ra.chunks) == ((10, 60), (800,))
    assert (flux.shards is None) == (shards is None)


def test_target_is_a_new_member_of_a_group(survey: Path, source: Path) -> None:
    """A target in a consolidated group is seen by those who open that group, and so is what was there."""
    zarrmill.rechunk(source, survey / "deep" / "added", chunks={"object": 1, "epoch": -1}, shards={"object": 100})
    group = zarr.open_consolidated(survey)
    np.testing.assert_array_equal(group["deep/added"][:], read(source))
    assert {"flux", "deep/er/flags", "deep/added"} <= set(dict(group.members(max_depth=None)))
    assert not [name for name in os.listdir(survey / "deep") if name.startswith(".")]


def test_xarray_sees_a_new_member(tmp_path: Path) -> None:
    """A variable rechunked into a dataset of its own dimensions is a variable of that dataset."""
    make_dataset()[["flux"]].to_zarr(tmp_path / "source.zarr", encoding={"flux": {"chunks": (800, 1)}})
    make_dataset()[["quality"]].to_zarr(tmp_path / "target.zarr")
    zarrmill.rechunk(tmp_path / "source.zarr" / "flux", tmp_path / "target.zarr" / "flux", chunks={"epoch": -1})
    with xr.open_zarr(tmp_path / "target.zarr", chunks=None) as dataset:
        assert set(dataset) == {"flux", "quality"}
        with xr.open_zarr(tmp_path / "source.zarr", chunks=None) as source:
            xr.testing.assert_identical(dataset["flux"], source["flux"])


# --- types and shapes -------------------------------------------------------------------------------------------------

TYPES: dict[str, Any] = {
    **{kind: RANDOM.integers(0, 100, (20, 12)).astype(kind) for kind in ("i1", "u1", "i2", "u4", "i8", "u8")},
    **{kind: RANDOM.normal(size=(20, 12)).astype(kind) for kind in ("f2", "f4", "f8", "c8", "c16")},
    "big-endian": RANDOM.normal(size=(20, 12)).astype(">f8"),
    "bool": RANDOM.random((20, 12)) > 0.5,
    "datetime": RANDOM.integers(-99, 10**9, (20, 12)).astype("M8[s]"),
    "not-a-time": np.full((20, 12), "NaT", dtype="M8[ns]"),
    "timedelta": RANDOM.integers(-99, 10**9, (20, 12)).astype("m8[ms]"),
    "bytes": np.array([b"a", b"bcd", b""] * 80, dtype="S5").reshape(20, 12),
    "text": np.array(["a", "ß€", ""] * 80, dtype="U5").reshape(20, 12),
    "raw": RANDOM.integers(0, 9, (20, 12), dtype="u4").view("V4"),
    "strings": np.array(["a", "ß€ and more", ""] * 80, dtype=np.dtypes.StringDType()).reshape(20, 12),
    "records": np.array([(1, 2.5, b"x"), (3, np.nan, b"")] * 120, dtype=[("a", "<i4"), ("b", "<f8"), ("c", "S3")])
    .reshape(20, 12),
}  # fmt: skip


@pytest.mark.parametrize("values", TYPES.values(), ids=list(TYPES))
@pytest.mark.parametrize("shards", [None, (10, 12)], ids=["unsharded", "sharded"])
def test_every_type(tmp_path: Path, target: Path, values: Any, shards: Any) -> None:
    """Values of every type that zarr-python stores come out as they went in, bit for bit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_array(tmp_path / "source.zarr", values, (20, 3))
        zarrmill.rechunk(tmp_path / "source.zarr", target, chunks=(5, 12), shards=shards)
        found = read(target)
    assert found.dtype == read(tmp_path / "source.zarr").dtype
    if values.dtype.kind == "T":
        assert found.tolist() == values.tolist()
    else:
        assert found.astype(values.dtype).tobytes() == values.tobytes()
    assert zarrmill.digest(target) == zarrmill.digest(tmp_path / "source.zarr")


SHAPES = {
    "no-axes": ((), (), (), None),
    "no-length": ((0,), (1,), (4,), None),
    "one-axis-empty": ((5, 0, 3), (5, 1, 3), (1, -1, 3), None),
    "uneven": ((17, 23), (5, 7), (3, 4), None),
    "uneven-shards": ((17, 23), (5, 7), (3, 4), (6, 8)),
    "chunk-above-the-shape": ((7, 5), (10, 10), (2, 5), (4, 5)),
    "five-axes": ((4, 3, 5, 2, 6), (2, 3, 5, 1, 6), (4, 1, 2, 2, 3), (4, 3, 4, 2, 6)),
}


@pytest.mark.parametrize(("shape", "chunks", "to_chunks", "shards"), SHAPES.values(), ids=list(SHAPES))
def test_every_shape(tmp_path: Path, target: Path, shape: Any, chunks: Any, to_chunks: Any, shards: Any) -> None:
    """Arrays of no axes, of no length, and of chunks that do not divide them."""
    values = RANDOM.normal(size=shape)
    source = tmp_path / "source.zarr"
    zarr.create_array(source, shape=shape, chunks=chunks, dtype="f8", fill_value=3.0)[...] = values
    zarrmill.rechunk(source, target, chunks=to_chunks, shards=shards)
    np.testing.assert_array_equal(read(target), values)
    assert zarr.open_array(target).fill_value == 3.0


# --- codecs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codecs", "expected"),
    [
        ("keep", zarr.codecs.ZstdCodec(level=0, checksum=False)),
        ("zstd:7", zarr.codecs.ZstdCodec(level=7, checksum=False)),
        ("gzip:1", zarr.codecs.GzipCodec(level=1)),
        ("blosc:lz4:3:bitshuffle", zarr.codecs.BloscCodec(cname="lz4", clevel=3, shuffle="bitshuffle", typesize=4)),
        ("none", None),
    ],
    ids=lambda value: value.replace(":", "-") if isinstance(value, str) else "",
)
def test_codecs(source: Path, target: Path, codecs: str, expected: Any) -> None:
    """Codecs are kept, or those that are asked for."""
    zarrmill.rechunk(source, target, chunks=(10, 40), shards=None, codecs=codecs)
    array = zarr.open_array(target)
    assert array.compressors == (() if expected is None else (expected,))
    np.testing.assert_array_equal(array[:], read(source))


@pytest.mark.parametrize("checksum", [True, False], ids=["checksum", "no-checksum"])
def test_chunks_of_shards_end_in_a_checksum(source: Path, target: Path, checksum: bool) -> None:
    """Sharded targets get a CRC-32C after the kept codecs, unless that is switched off."""
    zarrmill.rechunk(source, target, chunks=(10, 40), shards=(100, 40), checksum=checksum)
    sharding = json.loads((target / "zarr.json").read_text())["codecs"][0]["configuration"]
    assert [codec["name"] for codec in sharding["codecs"]] == ["bytes", "zstd"] + ["crc32c"] * checksum


@pytest.mark.parametrize("verify", ["full", "written", "none"])
def test_encoded_chunks_are_moved(source: Path, target: Path, verify: str) -> None:
    """With the same chunks and codecs the encoded bytes go into shards as they are."""
    report = zarrmill.rechunk(source, target, chunks=None, shards=(300, 40), checksum=False, verify=verify)
    assert report.arrays[0].route == "bytes"
    stored = b"".join(files_of(source / "c")[f"0/{i}"] for i in range(40))
    assert files_of(target)["c/0/0"].startswith(stored)
    assert (report.digest is not None) == (verify == "full")
    np.testing.assert_array_equal(read(target), read(source))


# --- what the report says ---------------------------------------------------------------------------------------------


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what this process opens for reading."""
    counted: Counter[str] = Counter()
    real = os.open

    def count(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if not flags & (os.O_WRONLY | os.O_RDWR):
            counted[os.fspath(path)] += 1
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", count)
    return counted


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("shards", [None, (100, 40)], ids=["unsharded", "sharded"])
@pytest.mark.parametrize("verify", ["full", "written", "none"])
def test_figures_are_true(
    source: Path, target: Path, opens: Counter[str], executor: str, shards: Any, verify: str
) -> None:
    """Keys, bytes and chunks read are what the file system saw."""
    report = zarrmill.rechunk(source, target, chunks=(10, 40), shards=shards, executor=executor, verify=verify)
    read_keys = {path: n for path, n in opens.items() if path.startswith(str(source / "c"))}
    keys = keys_of(target)
    assert report.source_chunks == 40
    assert report.source_chunks_read == sum(read_keys.values()) == 40
    assert report.bytes_read == sum(keys_of(source).values())
    assert report.keys_written == len(keys) == (30 if shards is None else 3)
    assert report.keys_empty == 0
    assert report.target_bytes == sum(keys.values()) == report.bytes_written
    assert report.source_bytes == 300 * 40 * 4
    assert (report.source, report.target) == (str(source), str(target))
    assert report.verified == (verify != "none")
    assert report.resumed_blocks == 0


def test_chunks_read_again_are_counted(source: Path, target: Path, opens: Counter[str], monkeypatch: Any) -> None:
    """A plan that reads chunks again says how often, and does so."""
    for name, value in (("SMALL", 0), ("BLOCK_AIM", 1), ("chains", lambda *args, **options: iter(()))):
        monkeypatch.setattr(f"zarrmill.plan.arrays.{name}", value)
    monkeypatch.setattr("zarrmill.plan.memory.SLACK", 0)
    monkeypatch.setattr("zarrmill.plan.memory.RUN_BYTES", 1024)
    request: dict[str, Any] = {"chunks": (10, 40), "shards": None, "max_mem": 25_000, "executor": "serial"}
    plan = zarrmill.plan_rechunk(source, **request)
    assert plan.arrays[0].reread > 1
    report = zarrmill.rechunk(source, target, **request, verify="none")
    read_keys = {path: n for path, n in opens.items() if path.startswith(str(source / "c"))}
    assert report.source_chunks_read == sum(read_keys.values()) == plan.arrays[0].chunks_read
    np.testing.assert_array_equal(read(target), read(source))


def test_report_is_json(source: Path, target: Path) -> None:
    """The report is JSON values, all of them."""
    report = zarrmill.rechunk(source, target, chunks=(10, 40))
    found = json.loads(json.dumps(report.to_json()))
    assert found["arrays"][0]["chunks"] == [10, 40]
    assert found["digest"] == report.digest == zarrmill.digest(source)
    assert found["verified"] is True


def test_peak_is_within_the_limit(tmp_path: Path, target: Path) -> None:
    """The report's peak is measured, and at most the limit."""
    values = RANDOM.normal(size=(1000, 4000))
    make_array(tmp_path / "source.zarr", values, (1000, 100))
    report = zarrmill.rechunk(tmp_path / "source.zarr", target, chunks=(20, 4000), max_mem="64MiB")
    assert 2**20 < report.peak_mem <= report.max_mem == 64 * 2**20
    np.testing.assert_array_equal(read(target), values)


def test_messages_tell_of_the_run(source: Path, target: Path) -> None:
    """Progress begins with the plan's size, ends with the peak, and its weights add up."""
    messages: list[Message] = []
    report = zarrmill.rechunk(source, target, chunks=(10, 40), progress=messages.append)
    assert isinstance(messages[0], RunStarted)
    assert isinstance(messages[1], StageStarted)
    assert messages[-1] == RunFinished(report.seconds, report.peak_mem)
    assert [message.name for message in messages if isinstance(message, StepStarted)] == ["check", "publish"]
    assert sum(getattr(message, "weight", 0) for message in messages[1:]) == messages[0].weight == 48_000
    assert sum(isinstance(message, BlockFinished) for message in messages) == messages[0].blocks == report.blocks


# --- executors --------------------------------------------------------------------------------------------------------


def process_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=get_context("spawn"))


@pytest.mark.parametrize(
    "make",
    [lambda: "serial", lambda: "threads", lambda: "processes", lambda: ThreadPoolExecutor(2), process_pool],
    ids=["serial", "threads", "processes", "a-thread-pool", "a-process-pool"],
)
def test_every_executor_makes_the_same_files(
    source: Path, target: Path, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where blocks run makes no difference to a single byte; a given executor stays open, and nothing else is left."""
    monkeypatch.setattr("zarrmill.plan.arrays.BLOCK_AIM", 1)
    zarrmill.rechunk(source, target.with_name("expected"), chunks=(10, 40), shards=(50, 40), executor="serial")
    executor = make()
    report = zarrmill.rechunk(source, target, chunks=(10, 40), shards=(50, 40), executor=executor, workers=2)
    assert files_of(target) == files_of(target.with_name("expected"))
    assert report.keys_written == 6
    if not isinstance(executor, str):
        assert executor.submit(abs, -3).result() == 3
        executor.shutdown()
    assert sorted(os.listdir(target.parent)) == ["expected", "source.zarr", "target.zarr"]


# --- overwrite, scratch, stores ---------------------------------------------------------------------------------------


def test_overwrite_keeps_the_old_target_readable(source: Path, target: Path) -> None:
    """Until the new target is complete, readers see the old one whole; afterwards the new one."""
    old = np.ones((5, 5))
    make_array(target, old, (5, 1))
    seen: list[bool] = []

    def look(message: Message) -> None:
        if not isinstance(message, RunFinished):
            seen.append(np.array_equal(read(target), old))

    zarrmill.rechunk(source, target, chunks=(10, 40), overwrite=True, progress=look)
    assert all(seen)
    assert len(seen) >= 5
    np.testing.assert_array_equal(read(target), read(source))
    assert not Draft(target).exists()


def test_failed_overwrite_keeps_the_old_target(source: Path, target: Path) -> None:
    """A run that fails leaves the old target as it was."""
    make_array(target, np.ones((5, 5)), (5, 1))
    before = files_of(target)
    (source / "c" / "0" / "7").write_bytes(b"rubbish")
    with pytest.raises(zarrmill.BlockFailedError):
        zarrmill.rechunk(source, target, chunks=(10, 40), overwrite=True)
    assert files_of(target) == before


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "no-sync"])
def test_scratch_holds_the_intermediate(tmp_path: Path, sync: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Intermediates lie in the folder given, those of namesakes apart, and are gone at the end."""
    monkeypatch.setattr("zarrmill.plan.arrays.one_pass_candidates", lambda *args, **options: [])
    monkeypatch.setattr("zarrmill.plan.arrays.SMALL", 0)
    values = RANDOM.normal(size=(600, 500))
    make_array(tmp_path / "source.zarr", values, (600, 5))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    seen: set[str] = set()

    def look(message: Message) -> None:
        seen.update(os.listdir(scratch))

    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        target = tmp_path / place / "target.zarr"
        report = zarrmill.rechunk(
            tmp_path / "source.zarr",
            target,
            chunks=(5, 500),
            max_mem="64MiB",
            scratch=scratch,
            progress=look,
            sync=sync,
        )
        assert report.arrays[0].passes > 1
        assert report.bytes_written > report.target_bytes
        np.testing.assert_array_equal(read(target), values)
        assert os.listdir(scratch) == []
        assert os.listdir(target.parent) == ["target.zarr"]
    assert len(seen) == 2


@pytest.mark.parametrize("kind", ["text", "path", "url", "store", "array", "memory"])
def test_every_kind_of_source(source: Path, target: Path, kind: str) -> None:
    """A source is a path, a URL of a file, or anything of zarr-python's."""
    memory = zarr.storage.MemoryStore()
    if kind == "memory":
        zarr.create_array(memory, data=read(source), chunks=(300, 1))
    sources = {
        "text": str(source),
        "path": source,
        "url": f"file://{source}",
        "store": zarr.storage.LocalStore(source),
        "array": zarr.open_array(source, mode="r"),
        "memory": memory,
    }
    zarrmill.rechunk(sources[kind], target, chunks=(10, 40), shards=(100, 40))
    np.testing.assert_array_equal(read(target), read(source))


def test_plan_writes_nothing(source: Path, target: Path, tmp_path: Path) -> None:
    """The plan is made from metadata, and leaves no trace."""
    before = files_of(tmp_path)
    plan = zarrmill.plan_rechunk(source, target, chunks=(10, 40))
    assert plan.target == str(target)
    assert files_of(tmp_path) == before


def test_relative_paths(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths may be relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    report = zarrmill.rechunk("source.zarr", "target.zarr", chunks=(10, 40), executor="processes", workers=1)
    assert report.target == str(tmp_path / "target.zarr")
    np.testing.assert_array_equal(read(tmp_path / "target.zarr"), read(source))
