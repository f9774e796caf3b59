"""compat/rechunker.py: what rechunker 0.5.4 does with the same call, as its documentation says and its code shows."""

from __future__ import annotations

import warnings

import dask
import dask.array as da
import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.storage import LocalStore, MemoryStore

from tests.compat.conftest import VALUES
from zarrmill.compat.rechunker import LEAST_MEM, rechunk
from zarrmill.errors import AlreadyExistsError, ClusterError, InvalidInputError, MemoryLimitError, NotFoundError
from zarrmill.rechunk import RechunkPlan

pytestmark = [
    # zarr, whenever it opens an array with a fixed-length string or a filter of numcodecs.
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3 specification"),
]


@pytest.fixture
def target(tmp_path):
    return str(tmp_path / "target.zarr")


def names(codecs):
    return [type(codec) for codec in codecs]


CHUNKS = {
    "tuple": ((1, 30), (1, 30)),
    "list": ([5, 10], (5, 10)),
    "whole axis": ((1, -1), (1, 30)),
    "longer than the axis": ((1, 100), (1, 30)),
    "dict": ({"x": 2, "y": 30}, (2, 30)),
    "dict, whole axis": ({"x": 2, "y": -1}, (2, 30)),
    "dict with other names too": ({"x": 2, "y": 30, "z": 4}, (2, 30)),
    "None": (None, (20, 1)),
}


@pytest.mark.parametrize(("asked", "made"), CHUNKS.values(), ids=CHUNKS)
def test_an_array_gets_its_target_chunks(array, target, asked, made):
    """Chunks by axis, by dimension or none; the values, attributes and dimension names stay."""
    result = rechunk(array, asked, "256MB", target, temp_store=f"{target}.tmp").execute()

    assert isinstance(result, zarr.Array)
    assert result.chunks == made
    assert dict(result.attrs) == {"units": "mJy"}
    assert result.metadata.dimension_names == ("x", "y")
    np.testing.assert_array_equal(result[:], VALUES)


WRONG_CHUNKS = {
    "too few": (1,),
    "zero": (1, 0),
    "None for an axis": (1, None),
    "no tuple": 5,
    "dict without a dimension": {"x": 1},
    "text": "1,30",
}


@pytest.mark.parametrize("asked", WRONG_CHUNKS.values(), ids=WRONG_CHUNKS)
def test_chunks_that_mean_nothing_are_refused(array, target, asked, tmp_path):
    """Where rechunker raises one of many errors, there is one, before anything is written."""
    with pytest.raises(InvalidInputError):
        rechunk(array, asked, "256MB", target)
    assert not (tmp_path / "target.zarr").exists()


def test_nothing_is_written_before_execute(array, target, tmp_path):
    """A plan can be looked at and thrown away."""
    rechunked = rechunk(array, (1, 30), "256MB", target, temp_store=str(tmp_path / "temp"))

    assert isinstance(rechunked.plan, RechunkPlan)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.zarr"]


def test_the_source_may_be_a_path(array, target, tmp_path):
    """Beyond what rechunker takes."""
    np.testing.assert_array_equal(rechunk(tmp_path / "source.zarr", (1, 30), "256MB", target).execute()[:], VALUES)


TARGETS = {
    "path": lambda folder: folder,
    "text": str,
    "URL": lambda folder: folder.as_uri(),
    "store": LocalStore,
    "fsspec mapping": lambda folder: type("FSMap", (), {"fs": type("FS", (), {"protocol": "file"}), "root": folder})(),
    "new folders above": lambda folder: folder / "deep" / "down.zarr",
}


@pytest.mark.parametrize("store", TARGETS.values(), ids=TARGETS)
def test_targets_are_given_in_many_ways(array, tmp_path, store):
    """Paths, zarr stores and what fsspec makes of a path mean the same."""
    result = rechunk(array, (1, 30), "256MB", store(tmp_path / "target.zarr")).execute()

    np.testing.assert_array_equal(result[:], VALUES)


@pytest.mark.parametrize("store", [MemoryStore(), {}, "s3://bucket/a.zarr"], ids=["memory", "dict", "bucket"])
def test_targets_elsewhere_are_refused(array, store):
    """What is not on the local disk is named."""
    with pytest.raises(InvalidInputError, match="target_store"):
        rechunk(array, (1, 30), "256MB", store)


def test_an_existing_array_is_not_touched(array, target):
    """rechunker's ContainsArrayError is AlreadyExistsError, at the same moment."""
    rechunk(array, (1, 30), "256MB", target).execute()

    with pytest.raises(AlreadyExistsError, match="overwrite"):
        rechunk(array, (2, 30), "256MB", target)
    assert zarr.open_array(target).chunks == (1, 30)


def test_overwrite_is_a_target_option(array, target):
    """As zarr's keyword of that name is in rechunker."""
    rechunk(array, (1, 30), "256MB", target).execute()

    assert rechunk(array, (2, 30), "256MB", target, target_options={"overwrite": True}).execute().chunks == (2, 30)


def test_an_empty_folder_is_no_target_yet(array, tmp_path):
    """A folder of tempfile's, say, takes a target as it does in rechunker."""
    (tmp_path / "made").mkdir()

    assert rechunk(array, (1, 30), "256MB", tmp_path / "made").execute().chunks == (1, 30)


def test_an_array_goes_into_a_group_by_name(array, tmp_path):
    """The group keeps what it has, and the array becomes its member."""
    group = zarr.open_group(tmp_path / "target.zarr", mode="w", attributes={"title": "survey"})

    rechunk(array, (1, 30), "256MB", group, array_name="flux").execute()

    group = zarr.open_group(tmp_path / "target.zarr")
    assert dict(group.attrs) == {"title": "survey"}
    np.testing.assert_array_equal(group["flux"][:], VALUES)


def test_an_array_in_a_group_needs_a_name(array, group, tmp_path):
    """And nothing else takes one."""
    with pytest.raises(InvalidInputError, match="array_name"):
        rechunk(array, (1, 30), "256MB", zarr.open_group(tmp_path / "target.zarr", mode="w"))
    with pytest.raises(InvalidInputError, match="array_name"):
        rechunk(group, {"flux": (1, 30)}, "256MB", tmp_path / "target.zarr", array_name="flux")


CODECS = {
    "none": ({"compressor": None}, []),
    "numcodecs": ({"compressor": numcodecs.Blosc(cname="lz4")}, [BloscCodec]),
    "zarr": ({"compressor": GzipCodec(level=1)}, [GzipCodec]),
    "document": ({"compressor": {"name": "zstd", "configuration": {"level": 3}}}, [ZstdCodec]),
    "several": ({"compressors": [numcodecs.Zstd(), GzipCodec()]}, [ZstdCodec, GzipCodec]),
    "kept": ({}, [ZstdCodec]),
    "default": ({"compressor": "default"}, [ZstdCodec]),
    "filters of bytes": ({"filters": [numcodecs.Shuffle(8)], "compressor": GzipCodec()}, None),
}


@pytest.mark.parametrize(("options", "codecs"), CODECS.values(), ids=CODECS)
def test_codecs_come_from_the_target_options(array, target, options, codecs):
    """Codecs of either library and of no library mean the same; those not named are kept."""
    result = rechunk(array, (1, 30), "256MB", target, target_options={**options, "shards": None}).execute()

    np.testing.assert_array_equal(result[:], VALUES)
    if codecs is not None:
        assert names(result.compressors) == codecs


def test_filters_that_may_round_are_taken(array, target):
    """Values cannot be compared bit for bit then, which is said; the stored bytes are compared."""
    options = {"filters": [numcodecs.FixedScaleOffset(offset=0, scale=100, dtype="f8", astype="i2")]}

    rechunked = rechunk(array, (1, 30), "256MB", target, target_options=options)
    result = rechunked.execute()

    assert any("round" in note for note in rechunked.notes)
    assert (len(result.filters), names(result.compressors)) == (1, [ZstdCodec, Crc32cCodec])
    np.testing.assert_allclose(result[:], VALUES, atol=0.005)


SHARDS = {
    "auto": ({}, (20, 30), [Crc32cCodec]),
    "none": ({"shards": None}, None, []),
    "asked": ({"shards": (10, 30)}, (10, 30), [Crc32cCodec]),
}


@pytest.mark.parametrize(("options", "shards", "checksum"), SHARDS.values(), ids=SHARDS)
def test_shards_are_an_option_of_their_own(array, target, options, shards, checksum):
    """Small chunks lie in shards, with a checksum, unless something else is asked."""
    result = rechunk(array, (1, 30), "256MB", target, target_options={"compressor": None, **options}).execute()

    assert result.chunks == (1, 30)
    assert result.shards == shards
    assert names(result.compressors) == checksum


WRONG_OPTIONS = {
    "unknown": ({"dimension_separator": "/"}, "dimension_separator"),
    "fill value": ({"fill_value": 1}, "fill_value"),
    "no codec": ({"compressor": 5}, "compressor 5"),
    "codec that v3 has not": ({"compressor": {"id": "snappy9"}}, "snappy9"),
    "filter for a compressor": ({"compressor": numcodecs.Delta("f8")}, "filter"),
    "chunks": ({"chunks": (1, 1)}, "target_chunks"),
}


@pytest.mark.parametrize(("options", "named"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_options_that_mean_nothing_are_named(array, target, options, named):
    """As rechunker does, with the same kind of error."""
    with pytest.raises(ValueError, match=named) as raised:
        rechunk(array, (1, 30), "256MB", target, target_options=options)
    assert isinstance(raised.value, InvalidInputError)


def test_options_that_change_nothing_are_noted(array, target):
    """Settings of Zarr v2 about order and empty chunks are taken, and it is said that nothing comes of them."""
    options = {"order": "F", "write_empty_chunks": True, "cache_metadata": False}

    notes = rechunk(array, (1, 30), "256MB", target, target_options=options, temp_options=options).notes

    assert [
        word for word in ("order", "write_empty_chunks", "temp_options") if any(word in note for note in notes)
    ] == [
        "order",
        "write_empty_chunks",
        "temp_options",
    ]


@pytest.mark.parametrize("executor", ["dask", "beam", "prefect", "python", "pywren", "DASK", "threads", "serial"])
def test_every_executor_of_rechunker_has_a_name_here(array, target, executor):
    """All of them run on this machine, which is said."""
    rechunked = rechunk(array, (1, 30), "256MB", target, executor=executor)

    np.testing.assert_array_equal(rechunked.execute()[:], VALUES)
    assert any("no cluster" in note for note in rechunked.notes) == (executor not in ("threads", "serial"))
    assert rechunked.plan.threads == 1 or executor not in ("python", "serial")


def test_an_address_is_that_of_a_cluster(array, target, monkeypatch):
    """It reaches the engine, which says when nobody answers there."""
    monkeypatch.setattr("zarrmill.execute.cluster.CONNECT_SECONDS", 0.2)
    with pytest.raises(ClusterError, match="no dask scheduler answers at tcp://"):
        rechunk(array, (1, 30), "256MB", target, executor="tcp://127.0.0.1:9")


def test_what_is_computed_here_runs_here(target):
    """The chunks of a dask array are computed in this process, whatever cluster is named."""
    rechunked = rechunk(da.from_array(VALUES), (1, 30), "256MB", target, executor="tcp://127.0.0.1:9")

    assert any("the cluster became 'threads'" in note for note in rechunked.notes)


def test_an_unknown_executor_is_named(array, target):
    """With those that there are."""
    with pytest.raises(InvalidInputError, match=r"'spark'.*dask"):
        rechunk(array, (1, 30), "256MB", target, executor="spark")


def test_keywords_of_dask_are_taken(array, target):
    """execute took what dask.compute takes; unknown ones are refused."""
    rechunked = rechunk(array, (1, 30), "256MB", target)

    with pytest.raises(InvalidInputError, match="colour"):
        rechunked.execute(colour="red")
    result = rechunked.execute(scheduler="single-threaded", num_workers=2, optimize_graph=False)
    np.testing.assert_array_equal(result[:], VALUES)


LIMITS = {"text": ("256MB", 256_000_000), "number": (2**28, 2**28), "float": (1e9, 10**9), "small": ("1MB", LEAST_MEM)}


@pytest.mark.parametrize(("asked", "limit"), LIMITS.values(), ids=LIMITS)
def test_the_limit_is_that_of_the_whole_process(array, target, asked, limit):
    """rechunker's counts the chunks of a task alone, so that very small ones are raised, with a note."""
    rechunked = rechunk(array, (1, 30), asked, target)

    assert rechunked.plan.max_mem == limit
    assert any("raised" in note for note in rechunked.notes) == (limit == LEAST_MEM)


def test_a_limit_that_is_too_small_is_refused(tmp_path, target):
    """A chunk that does not fit is named with the limit that would do."""
    source = zarr.create_array(tmp_path / "big.zarr", shape=(4000, 4000), chunks=(4000, 4000), dtype="f8")

    with pytest.raises(MemoryLimitError, match="Raise max_mem"):
        rechunk(source, (1, -1), "100MB", target)


def test_the_temp_store_is_where_intermediates_lie(array, target, tmp_path):
    """The folder is made by execute, and left empty, so that code that removes it afterwards finds it."""
    temp = tmp_path / "temp" / "intermediate.zarr"

    rechunk(array, (1, 30), "256MB", target, temp_store=str(temp)).execute()

    assert list(temp.iterdir()) == []


def test_a_temp_store_elsewhere_is_not_used(array, target):
    """Intermediates need a disk; that another was given is noted."""
    rechunked = rechunk(array, (1, 30), "256MB", target, temp_store=MemoryStore())

    assert any("temp_store" in note for note in rechunked.notes)
    np.testing.assert_array_equal(rechunked.execute()[:], VALUES)


def test_what_is_printed_names_both_ends(array, target):
    """The text has source, target, plan and notes; the HTML the same."""
    rechunked = rechunk(array, (1, 30), "1MB", target)

    for text in (repr(rechunked), rechunked._repr_html_()):
        assert target in text
        assert "source.zarr" in text
        assert "raised" in text
    assert repr(rechunked).startswith("<Rechunked>\n* Source      : ")


@pytest.mark.parametrize("source", [[1, 2], VALUES, None], ids=["list", "numpy", "None"])
def test_other_sources_are_refused(source, target):
    """With rechunker's own words."""
    with pytest.raises(InvalidInputError, match="Zarr Array, Zarr Group, Dask Array or Xarray Dataset"):
        rechunk(source, (1,), "256MB", target)


def test_a_group_has_the_arrays_that_are_named(group, target):
    """Arrays that target_chunks does not name are left out; attributes of the groups come along."""
    asked = {"flux": (1, 30), "meta/night": None}

    result = rechunk(group, asked, "256MB", target).execute()

    assert isinstance(result, zarr.Group)
    assert sorted(result.array_keys()) == ["flux"]
    assert (dict(result.attrs), dict(result["meta"].attrs)) == ({"title": "survey"}, {"depth": 2})
    assert (result["flux"].chunks, result["meta/night"].chunks) == ((1, 30), (10,))
    np.testing.assert_array_equal(result["flux"][:], VALUES)


def test_arrays_of_a_group_have_options_of_their_own(group, target):
    """Codecs and shards are by name, and arrays without any keep what they have."""
    options = {"flux": {"compressor": None, "shards": None}, "error": {"compressor": GzipCodec()}}

    result = rechunk(group, {"flux": (1, 30), "error": {"x": 2, "y": 30}}, "256MB", target, options).execute()

    assert (names(result["flux"].compressors), result["flux"].shards) == ([], None)
    assert (names(result["error"].compressors), result["error"].shards) == ([GzipCodec, Crc32cCodec], (20, 30))


def test_an_unknown_array_is_named(group, target):
    """rechunker's KeyError is NotFoundError."""
    with pytest.raises(NotFoundError, match="'colour' is not in the source"):
        rechunk(group, {"colour": (1, 30)}, "256MB", target)


@pytest.mark.parametrize("asked", [(1, 30), None, {}], ids=["tuple", "None", "nothing"])
def test_a_group_needs_a_dict(group, target, asked):
    """Which names at least one array."""
    with pytest.raises(InvalidInputError, match="target_chunks"):
        rechunk(group, asked, "256MB", target)


def test_arrays_are_added_to_a_group_that_exists(group, target):
    """What is there stays; only an array of the same name is in the way."""
    rechunk(group, {"flux": (1, 30)}, "256MB", target).execute()

    result = rechunk(group, {"error": (2, 30), "meta/night": None}, "256MB", target).execute()

    assert sorted(result.array_keys()) == ["error", "flux"]
    assert (result["error"].chunks, result["flux"].chunks) == ((2, 30), (1, 30))
    assert dict(result["meta"].attrs) == {"depth": 2}
    with pytest.raises(AlreadyExistsError, match="flux exists"):
        rechunk(group, {"flux": (2, 30)}, "256MB", target)
    again = rechunk(group, {"flux": (2, 30)}, "256MB", target, {"flux": {"overwrite": True}}).execute()
    assert again["flux"].chunks == (2, 30)


def test_a_group_of_zarr_v2_takes_no_members(group, target):
    """An array of v3 in a group of v2 would not be found."""
    zarr.open_group(target, mode="w", zarr_format=2)

    with pytest.raises(InvalidInputError, match="v2 group"):
        rechunk(group, {"flux": (1, 30)}, "256MB", target)


DASK = {
    "regular": lambda: da.from_array(VALUES, chunks=(20, 1)),
    "irregular": lambda: da.from_array(VALUES, chunks=((7, 13), (1, 19, 10))),
    "computed": lambda: da.from_array(VALUES, chunks=(5, 5)) * 1,
    "rechunked": lambda: da.from_array(VALUES, chunks=(5, 5)).rechunk((20, 3)),
}


@pytest.mark.parametrize("made", DASK.values(), ids=DASK)
@pytest.mark.parametrize("asked", [(1, 30), (20, 4), None], ids=["rows", "columns", "None"])
def test_a_dask_array_is_computed_while_it_is_read(made, asked, target):
    """Chunks of any shape; None keeps the longest of each axis."""
    source = made()

    rechunked = rechunk(source, asked, "256MB", target)
    result = rechunked.execute()

    assert result.chunks == (asked or source.chunksize)
    assert any("computed" in note for note in rechunked.notes)
    np.testing.assert_array_equal(result[:], VALUES)


TYPES = {
    "integers": np.arange(24, dtype="u2").reshape(4, 6),
    "big-endian": np.arange(24, dtype=">f4").reshape(4, 6),
    "booleans": np.arange(24).reshape(4, 6) % 3 == 0,
    "complex": np.arange(24).reshape(4, 6) * 1j,
    "dates": np.arange(24).astype("M8[s]").reshape(4, 6),
    "texts": np.array([f"n{i}" for i in range(24)]).reshape(4, 6),
    "objects": np.array([f"n{i}" for i in range(24)], dtype=object).reshape(4, 6),
    "records": np.zeros((4, 6), dtype=[("a", "<i4"), ("b", "<f8")]),
    "no axes": np.array(3.5),
    "no length": np.zeros((0, 6)),
}


@pytest.mark.parametrize("values", TYPES.values(), ids=TYPES)
def test_a_dask_array_keeps_its_type(values, target):
    """All types that Zarr v3 has; objects are text."""
    source = da.from_array(values, chunks=(1, 4)[: values.ndim] if values.size else -1)

    result = rechunk(source, (-1,) * values.ndim, "256MB", target).execute()

    assert np.array_equal(np.asarray(result[...]).astype(values.dtype), values)
    assert result.shape == values.shape


def test_small_chunks_of_dask_are_computed_once_and_only_as_asked(target):
    """A chunk is a call; neighbours are computed together, and each chunk once."""
    calls = []

    def noted(block, block_info=None):
        calls.append(block_info[0]["chunk-location"])
        return block

    with dask.config.set(scheduler="synchronous"):
        source = da.from_array(VALUES, chunks=(5, 5)).map_blocks(noted, dtype="f8", meta=np.empty((0, 0)))
        rechunk(source, (1, 30), "256MB", target).execute()

    assert sorted(calls) == sorted({(i, j) for i in range(4) for j in range(6)})


def test_dask_arrays_of_unknown_length_are_refused(target):
    """With the way out."""
    source = da.from_array(VALUES, chunks=(5, 5))[:, 0]

    with pytest.raises(InvalidInputError, match="compute_chunk_sizes"):
        rechunk(source[source > 0], (1,), "256MB", target)


def test_a_dask_array_has_no_dimension_names(target):
    """So that chunks by dimension mean nothing."""
    with pytest.raises(InvalidInputError, match="every dimension"):
        rechunk(da.from_array(VALUES), {"x": 1}, "256MB", target)


def test_a_dask_array_stays_in_this_process(target):
    """Processes cannot share what is computed here."""
    rechunked = rechunk(da.from_array(VALUES), (1, 30), "256MB", target, executor="processes")

    assert rechunked.plan.processes == 1
    assert any("'processes' became 'threads'" in note for note in rechunked.notes)


def opened(path, **keywords):
    with warnings.catch_warnings():
        # xarray on chunks that cut those of the file, and zarr on types without a specification.
        warnings.simplefilter("ignore")
        return xr.open_zarr(path, **keywords)


def assert_same(result, source):
    """The target opens as the dataset that was given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        made = xr.open_zarr(result.store_path.store.root).load()
    xr.testing.assert_identical(made, source.copy().load())


VIEWS = {
    "as opened": lambda path: opened(path),
    "larger chunks": lambda path: opened(path, chunks={"time": 20, "x": 10}),
    "chunks of its own": lambda path: opened(path, chunks={"time": 7, "x": 3}),
    "without dask": lambda path: opened(path, chunks=None),
    "loaded": lambda path: opened(path).load(),
    "sliced": lambda path: opened(path).isel(time=slice(3, 11), x=slice(None, None, 2)),
    "sliced without dask": lambda path: opened(path, chunks=None).isel(time=slice(3, 11)),
    "one variable": lambda path: opened(path)[["flux"]],
    "computed": lambda path: opened(path)[["flux", "lag"]].mean("x", keep_attrs=True),
    "other attributes": lambda path: opened(path).assign_attrs(title="other"),
    "with a variable in memory": lambda path: opened(path).assign(more=("x", np.arange(10.0))),
    "renamed": lambda path: opened(path).rename(flux="f", time="t"),
    "with one value changed": lambda path: opened(path).assign(total=4.5),
}


ALWAYS_VIEWED = {3: VIEWS.keys() - {"larger chunks", "sliced without dask"}, 2: {"as opened", "sliced"}}
"""Views that are always taken, by format, on which what xarray makes of a dataset depends little."""


@pytest.mark.parametrize(
    ("stored_once", "view"),
    [
        pytest.param(v, view, id=f"v{v}-{name}", marks=[pytest.mark.soak] * (name not in ALWAYS_VIEWED[v]))
        for v in (3, 2)
        for name, view in VIEWS.items()
    ],
    indirect=["stored_once"],
)
def test_a_dataset_is_the_same_afterwards(stored, target, view):
    """Dates, strings, packed and missing values, coordinates, attributes: whatever was done to it since it was read."""
    source = view(stored)

    result = rechunk(source, dict.fromkeys(source.dims, 4), "256MB", target).execute()

    assert_same(result, source)


def test_a_dataset_in_memory_is_stored_as_xarray_would_store_it(dataset, target):
    """The encoding is applied, and kept."""
    result = rechunk(dataset, {"time": 1}, "256MB", target).execute()

    assert result["flux"].dtype == "i2"
    assert_same(result, dataset)
    assert opened(target)["flux"].encoding["scale_factor"] == 0.5


def test_an_unchanged_dataset_is_read_from_its_store(stored, target):
    """Not through xarray and dask: the values are copied as they are stored, codecs included."""
    unchanged, changed = (
        rechunk(source, {"time": 1}, "256MB", target) for source in (opened(stored), VIEWS["sliced"](stored))
    )

    assert unchanged.plan.source == stored
    assert changed.plan.source.startswith("xarray dataset")
    assert not any("computed" in note for note in unchanged.notes)


DATASET_CHUNKS = {
    "by dimension": ({"time": 5}, {"flux": (5, 1), "time": (5,), "name": (10,)}),
    "whole dimensions": ({"time": -1, "x": -1}, {"flux": (20, 10), "time": (20,)}),
    "longer than the dimension": ({"time": 500}, {"flux": (20, 1)}),
    "nothing": ({}, {"flux": (20, 1), "time": (20,)}),
    "by variable": ({"flux": (1, 10)}, {"flux": (1, 10), "time": (20,)}),
    "by variable and dimension": ({"flux": {"time": 2, "x": -1}, "time": (4,)}, {"flux": (2, 10), "time": (4,)}),
    "by variable, kept": ({"flux": None}, {"flux": (20, 1)}),
}


FEW = {"by dimension", "by variable and dimension"}
ALWAYS = {(3, False): set(DATASET_CHUNKS), (3, True): FEW, (2, False): FEW, (2, True): set()}
"""What is always asked of a dataset by format and whether it is computed: one place reads what is asked."""


@pytest.mark.parametrize(
    ("stored_once", "changed", "asked", "made"),
    [
        pytest.param(
            v,
            changed,
            *case,
            id=f"v{v}-{'computed' if changed else 'stored'}-{name}",
            marks=[pytest.mark.soak] * (name not in always),
        )
        for (v, changed), always in ALWAYS.items()
        for name, case in DATASET_CHUNKS.items()
    ],
    indirect=["stored_once"],
)
def test_chunks_of_a_dataset_are_by_dimension_or_by_variable(stored, target, asked, made, changed):
    """What is not named keeps the chunks that dask has, and all variables come along."""
    source = opened(stored)
    source = source.assign_attrs(title="other") if changed else source

    result = rechunk(source, asked, "256MB", target).execute()

    assert sorted(result.array_keys()) == sorted(map(str, source.variables))
    assert {name: result[name].chunks for name in made} == made


WRONG_DATASET_CHUNKS = {
    "tuple": (1, 10),
    "zero": {"time": 0},
    "unknown": {"colour": (1, 10)},
    "dimension and variable": {"flux": (1, 10), "x": 4},
    "variable without a dimension": {"flux": {"time": 1}},
}


@pytest.mark.parametrize("asked", WRONG_DATASET_CHUNKS.values(), ids=WRONG_DATASET_CHUNKS)
def test_chunks_of_a_dataset_that_mean_nothing_are_refused(dataset, target, asked):
    """With one kind of error."""
    with pytest.raises(InvalidInputError):
        rechunk(dataset, asked, "256MB", target)


def test_options_of_a_variable_are_encoding_and_codecs(stored, target):
    """A dtype, a scale and a mask as in to_zarr, and a compressor; other variables are as they were."""
    source = opened(stored)[["flux", "lag"]]
    options = {"flux": {"dtype": "i4", "scale_factor": 0.25, "_FillValue": -1, "compressor": numcodecs.Zlib(3)}}

    result = rechunk(source, {"time": 1}, "256MB", target, options).execute()

    assert result["flux"].dtype == "i4"
    assert [codec.codec_name for codec in result["flux"].compressors if hasattr(codec, "codec_name")] == [
        "numcodecs.zlib"
    ]
    assert_same(result, source)


def test_options_of_a_variable_that_mean_nothing_are_named(dataset, target):
    """rechunker ignores them."""
    with pytest.raises(InvalidInputError, match="colour"):
        rechunk(dataset, {"time": 1}, "256MB", target, {"flux": {"colour": 1}})


def test_codecs_of_a_variable_survive_a_change(stored, target):
    """A dataset that is computed is stored with the codecs that its encoding names."""
    source = opened(stored)
    before = source["flux"].encoding["compressors"]

    result = rechunk(source.assign_attrs(title="other"), {"time": 1}, "256MB", target).execute()

    kinds = {"Blosc": BloscCodec, "ZstdCodec": ZstdCodec}
    assert names(result["flux"].compressors) == [*(kinds[type(codec).__name__] for codec in before), Crc32cCodec]


def test_a_dataset_goes_into_a_group_that_exists(dataset, target):
    """Into an empty one that was opened beforehand, say; metadata is consolidated, as xarray expects."""
    zarr.open_group(target, mode="w")

    assert_same(rechunk(dataset, {"time": 4}, "256MB", target).execute(), dataset)


def test_attributes_that_json_cannot_hold_are_named(dataset, target):
    """As are fill values that have no form in metadata."""
    with pytest.raises(InvalidInputError, match="attribute 'bad'"):
        rechunk(dataset.assign_attrs(bad={1, 2}), {"time": 1}, "256MB", target)
