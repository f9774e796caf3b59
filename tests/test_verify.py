"""Comparing two stores: what counts as a difference, how it is named, and what it takes."""

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import zarr

from zarrmill import differences
from zarrmill.digests import digest
from zarrmill.errors import MemoryLimitError, NotFoundError, SourceFormatError
from zarrmill.execute.chunk_files import ChunkFiles, ShardFiles
from zarrmill.plan import memory
from zarrmill.progress import BlockAdvanced, RunStarted, StepStarted
from zarrmill.rechunk import rechunk
from zarrmill.store import open_store
from zarrmill.verify import MOST_REGIONS, Problem, VerifyReport, verify

RNG = np.random.default_rng(3)
VALUES = RNG.normal(size=(12, 20, 15)).astype("f4")


def write(path, values, **layout):
    array = zarr.create_array(path, shape=values.shape, **{"dtype": values.dtype, **layout})
    array[...] = values
    return array


def codes(report):
    return [(problem.code, problem.path) for problem in report.problems]


def messages_of(report):
    return [problem.message for problem in report.problems]


TYPES = {
    "float32": VALUES,
    "float64 with NaN": np.where(VALUES > 1, np.nan, VALUES).astype("f8"),
    "int16": RNG.integers(-9, 9, (12, 20)).astype("i2"),
    "bool": RNG.random((30, 7)) > 0.5,
    "complex128": VALUES[0] + 1j * VALUES[1],
    "datetime64": RNG.integers(0, 10**9, (5, 6)).astype("M8[s]"),
    "fixed text": np.array([["a", "bc"], ["", "ä"], ["x", "y"]]),
    "fixed bytes": np.array([[b"a", b"bc"], [b"", b"z"], [b"x", b"y"]]),
    "0-d": np.array(2.5),
    "zero length": np.zeros((4, 0, 3), "i4"),
}


@pytest.mark.parametrize("values", TYPES.values(), ids=TYPES)
def test_stores_of_the_same_values_are_equal_in_any_layout(tmp_path, values):
    """Format, chunks, shards and codecs do not count."""
    write(tmp_path / "a", values, zarr_format=2, chunks=tuple(max(1, n // 2) for n in values.shape))
    write(tmp_path / "b", values, zarr_format=2, chunks=tuple(min(3, max(1, n)) for n in values.shape), order="F")
    report = verify(tmp_path / "a", tmp_path / "b")
    assert report.problems == ()
    assert (report.equal, report.arrays, report.values) == (True, 1, values.size)


OTHERS = {"b": None, "i": 99, "f": 99, "c": 9j, "M": 7, "U": "zz", "S": b"zz"}
"""A value that none of the above has, by kind of type; None where its opposite is one."""


@pytest.mark.parametrize("name", [name for name, values in TYPES.items() if values.size])
def test_one_changed_value_is_named(tmp_path, name):
    """With its region, index and both values."""
    values = TYPES[name]
    write(tmp_path / "a", values, zarr_format=2, chunks=tuple(max(1, n // 2) for n in values.shape))
    at = tuple(n - 2 for n in values.shape)
    changed, other = values.copy(), OTHERS[values.dtype.kind]
    changed[at] = ~values[at] if other is None else other
    write(tmp_path / "b", changed, zarr_format=2, chunks=tuple(min(3, max(1, n)) for n in values.shape))
    [problem] = verify(tmp_path / "a", tmp_path / "b").problems
    assert (problem.code, problem.path, problem.index, problem.differing) == ("values", "", at, 1)
    assert problem.region == "[" + ", ".join(f"{i}:{i + 1}" for i in at) + "]"
    texts = [repr(v.item()) if isinstance(v, str | bytes) else str(v) for v in (values[at], changed[at])]
    assert problem.message.endswith(f": {texts[0]} in the first store, {texts[1]} in the second")


CROSSING = ({"chunks": (1, 20, 15)}, {"chunks": (12, 4, 4)})


def test_variable_length_strings(tmp_path):
    """They are read through zarr-python, and compared all the same."""
    texts = np.array(["a", "", "a longer text than fits", "ä"], np.dtypes.StringDType())
    write(tmp_path / "a", texts, chunks=(2,), dtype=str)
    other = write(tmp_path / "b", texts, chunks=(3,), dtype=str)
    assert verify(tmp_path / "a", tmp_path / "b").equal
    other[3] = "o"
    [problem] = verify(tmp_path / "a", tmp_path / "b").problems
    assert problem.message == (
        "array: 1 of 1 values differ in [3:4], the first at (3,): 'ä' in the first store, 'o' in the second"
    )


@pytest.mark.filterwarnings("ignore:The data type")
def test_records(tmp_path):
    """A field that differs is a value that differs."""
    records = np.zeros(6, [("a", "i4"), ("b", "f8")])
    write(tmp_path / "a", records, chunks=(2,))
    records["b"][4] = 1.5
    write(tmp_path / "b", records, chunks=(3,))
    [problem] = verify(tmp_path / "a", tmp_path / "b").problems
    assert (problem.index, problem.differing) == ((4,), 1)


def test_a_flipped_byte_in_an_uncompressed_chunk_is_found(tmp_path):
    """The region is that of the value, in the chunk that was hit."""
    for name in "ab":
        write(tmp_path / name, VALUES, chunks=(4, 10, 15), compressors=None)
    path = tmp_path / "b" / "c" / "1" / "1" / "0"
    data = bytearray(path.read_bytes())
    data[4 * (2 * 150 + 3 * 15 + 5)] ^= 16
    path.write_bytes(data)
    [problem] = verify(tmp_path / "a", tmp_path / "b").problems
    assert (problem.region, problem.index, problem.differing) == ("[6:7, 13:14, 5:6]", (6, 13, 5), 1)


def test_a_missing_chunk_equals_one_that_holds_the_fill_value(tmp_path):
    """And differs, whole, from one that holds anything else."""
    values = np.full((6, 6), 7, "i4")
    full = {"chunks": (3, 3), "fill_value": 7, "config": {"write_empty_chunks": True}}
    write(tmp_path / "a", values, **full)
    zarr.create_array(tmp_path / "b", shape=(6, 6), chunks=(3, 3), dtype="i4", fill_value=7)
    assert (tmp_path / "a" / "c" / "1" / "1").exists()
    assert verify(tmp_path / "a", tmp_path / "b").equal
    write(tmp_path / "c", values + 1, **full)
    (tmp_path / "c" / "c" / "0" / "1").unlink()
    report = verify(tmp_path / "a", tmp_path / "c")
    assert [p.region for p in report.problems] == ["[0:3, 0:3]", "[3:6, 0:3]", "[3:6, 3:6]"]
    assert [p.differing for p in report.problems] == [9, 9, 9]


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (0x7FC00000, 0x7FC00001, "nan (0x7fc00000) in the first store, nan (0x7fc00001) in the second"),
        (0x00000000, 0x80000000, "0.0 in the first store, -0.0 in the second"),
    ],
    ids=["payload of a NaN", "sign of a zero"],
)
def test_bits_are_compared(tmp_path, one, two, said):
    """Numbers that compare equal, and those that never do, are told by their bits."""
    bits = np.full((6, 6), one, "u4")
    write(tmp_path / "a", bits.view("f4"), chunks=(1, 6))
    write(tmp_path / "same", bits.view("f4"), chunks=(6, 1), fill_value=1)
    bits[2, 3] = two
    write(tmp_path / "b", bits.view("f4"), chunks=(6, 1))
    assert codes(verify(tmp_path / "a", tmp_path / "same")) == [("fill_value", "")]
    [problem] = verify(tmp_path / "a", tmp_path / "b").problems
    assert problem.index == (2, 3)
    assert problem.message.endswith(said)


@pytest.fixture
def reads(monkeypatch):
    """Every chunk that the driver reads, in order."""
    found = []
    for kind in (ChunkFiles, ShardFiles):

        def read(self, coords, plain=kind.read):
            found.extend(coords)
            return plain(self, coords)

        monkeypatch.setattr(kind, "read", read)
    return found


def test_crossing_layouts_are_read_once_when_equal(tmp_path, reads):
    """Every chunk of both sides once, though each chunk of one touches all of the other."""
    for name, layout in zip("ab", CROSSING, strict=True):
        write(tmp_path / name, VALUES, **layout)
    assert verify(tmp_path / "a", tmp_path / "b").equal
    assert len(reads) == 12 + 5 * 4


def test_crossing_layouts_are_read_again_only_where_they_differ(tmp_path, reads, monkeypatch):
    """What differs is found in boxes, each of which needs few chunks."""
    monkeypatch.setattr(differences, "PIECE_BYTES", 1024)
    values = RNG.normal(size=(32, 32, 32))
    write(tmp_path / "a", values, chunks=(1, 32, 32))
    other = write(tmp_path / "b", values, chunks=(32, 4, 4))
    other[3, 7, 9] = 99
    [problem] = verify(tmp_path / "a", tmp_path / "b").problems
    assert problem.index == (3, 7, 9)
    assert len(reads) <= (32 + 64) * 3 // 2


def test_a_search_goes_on_in_smaller_boxes(tmp_path, monkeypatch):
    """Where a grid has too few boxes for the memory, those that differ are divided again."""
    monkeypatch.setattr(differences, "MOST_BOXES", 2)
    monkeypatch.setattr(differences, "LEAST_BOX", 4096)
    for name, layout in zip("ab", CROSSING, strict=True):
        other = write(tmp_path / name, VALUES, **layout)
    places = [(0, 0, 0), (3, 7, 9), (11, 19, 14)]
    for place in places:
        other[place] = 99
    # Pieces of work that are large beside these boxes would leave no room for them.
    monkeypatch.setattr(memory, "RUN_BYTES", 1024)
    monkeypatch.setattr(memory, "RUN_CHUNKS", 2)
    found = verify(tmp_path / "a", tmp_path / "b", max_mem=differences.SLACK + 4 * 4096 + 4 * 12000)
    assert sorted(p.index for p in found.problems) == places


def test_only_the_first_regions_are_named(tmp_path):
    """When everything differs, ten regions are enough, and it is said how many more there are at the least."""
    write(tmp_path / "a", VALUES, chunks=(1, 20, 15))
    write(tmp_path / "b", VALUES + 1, chunks=(1, 20, 15))
    report = verify(tmp_path / "a", tmp_path / "b")
    assert [p.region for p in report.problems[:-1]] == [f"[{i}:{i + 1}, 0:20, 0:15]" for i in range(MOST_REGIONS)]
    assert report.problems[-1].message == "array: values differ in at least 2 more regions"


def make_group(path, zarr_format=3, **layout):
    group = zarr.create_group(path, zarr_format=zarr_format, attributes={"title": "night 7", "limit": float("nan")})
    deep = group.create_group("deep", attributes={"n": 1})
    for parent, name in ((group, "flux"), (group, "error"), (deep, "mask")):
        array = parent.create_array(name, shape=VALUES.shape, dtype="f4", **{"chunks": (4, 5, 15), **layout})
        array[...] = VALUES
        array.attrs["unit"] = "Jy"
    return group


def test_groups_of_either_format_are_equal(tmp_path):
    """Attributes are compared as JSON, in which one NaN is another."""
    make_group(tmp_path / "a")
    make_group(tmp_path / "b", zarr_format=2, chunks=(12, 3, 3))
    report = verify(tmp_path / "a", tmp_path / "b")
    assert (report.problems, report.arrays, report.values) == ((), 3, 3 * VALUES.size)


def test_dimension_names_of_v2_are_those_of_v3(tmp_path):
    """xarray's attribute for the names is no attribute of the data."""
    write(tmp_path / "a", VALUES, chunks=(1, 20, 15), dimension_names=["time", "lat", "lon"])
    old = write(tmp_path / "b", VALUES, chunks=(12, 4, 4), zarr_format=2, fill_value=None)
    old.attrs["_ARRAY_DIMENSIONS"] = ["time", "lat", "lon"]
    assert verify(tmp_path / "a", tmp_path / "b").equal
    old.attrs["_ARRAY_DIMENSIONS"] = ["time", "lat", "x"]
    assert messages_of(verify(tmp_path / "a", tmp_path / "b")) == [
        "array: dimensions ('time', 'lat', 'lon') in the first store, ('time', 'lat', 'x') in the second"
    ]


def test_attributes_that_differ_are_named(tmp_path):
    """Those of the root, of groups and of arrays: changed, gone and new."""
    make_group(tmp_path / "a")
    other = make_group(tmp_path / "b")
    other.attrs["title"] = "night 8"
    other["deep"].attrs["n"] = 1.0
    del other["flux"].attrs["unit"]
    other["flux"].attrs["units"] = "Jy"
    assert messages_of(verify(tmp_path / "a", tmp_path / "b")) == [
        'the root group: attribute \'title\' is "night 7" in the first store, "night 8" in the second',
        "deep: attribute 'n' is 1 in the first store, 1.0 in the second",
        "flux: attribute 'unit' is \"Jy\" in the first store, nothing in the second",
        "flux: attribute 'units' is nothing in the first store, \"Jy\" in the second",
    ]


def test_nodes_of_one_store_alone_are_named(tmp_path):
    """Arrays and groups, and one that is an array here and a group there."""
    make_group(tmp_path / "a")
    other = make_group(tmp_path / "b")
    del other["error"]
    del other["deep"]
    other.create_array("deep", shape=(3,), dtype="i4")
    other.create_group("more")
    report = verify(tmp_path / "a", tmp_path / "b")
    assert codes(report) == [
        ("missing_group", "deep"),
        ("extra_array", "deep"),
        ("missing_array", "deep/mask"),
        ("missing_array", "error"),
        ("extra_group", "more"),
    ]
    assert report.values == VALUES.size


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"shape": (12, 20, 14)}, "shape", "shape (12, 20, 15) in the first store, (12, 20, 14) in the second"),
        ({"dtype": "f8"}, "dtype", "dtype float32 in the first store, float64 in the second"),
        ({"dimension_names": ["t", "y", "x"]}, "dims", "dimensions None in the first store, ('t', 'y', 'x') in"),
        ({"fill_value": -0.0}, "fill_value", "fill value 0.0 in the first store, -0.0 in the second"),
    ],
    ids=["shape", "dtype", "dims", "fill value"],
)
def test_arrays_that_differ_in_more_than_values(tmp_path, changed, code, said):
    """Each difference of the metadata is one problem, and values are compared where they can be."""
    layout = {"shape": VALUES.shape, "dtype": "f4", "chunks": (4, 4, 4)}
    zarr.create_array(tmp_path / "a", **layout)
    zarr.create_array(tmp_path / "b", **layout | changed)
    report = verify(tmp_path / "a", tmp_path / "b")
    assert codes(report)[0] == (code, "")
    assert said in report.problems[0].message
    assert report.values == (0 if code in ("shape", "dtype") else VALUES.size)


@pytest.mark.parametrize("where", ["a", "b"])
def test_a_chunk_that_cannot_be_decoded_is_a_problem(tmp_path, where):
    """It is named with its store, and the other arrays are compared all the same."""
    make_group(tmp_path / "a")
    other = make_group(tmp_path / "b")
    (tmp_path / where / "flux" / "c" / "1" / "0" / "0").write_bytes(b"nothing")
    other["deep/mask"][0, 0, 0] = 99
    report = verify(tmp_path / "a", tmp_path / "b")
    assert codes(report) == [("unreadable", "flux"), ("values", "deep/mask")]
    assert report.problems[0].message.startswith(f"{tmp_path / where}: flux: chunk c/1/0/0 cannot be decoded")


@pytest.mark.parametrize(
    ("location", "error"), [("no.zarr", NotFoundError), ("folder", SourceFormatError)], ids=["nothing", "not Zarr"]
)
def test_what_is_no_store_is_an_error(tmp_path, location, error):
    """There is nothing to compare with."""
    write(tmp_path / "a", VALUES)
    (tmp_path / "folder").mkdir()
    with pytest.raises(error, match=location):
        verify(tmp_path / "a", tmp_path / location)


def test_stores_in_memory(tmp_path):
    """Any store of zarr's can be compared."""
    store = zarr.storage.MemoryStore()
    write(tmp_path / "a", VALUES, chunks=(1, 20, 15))
    write(store, VALUES, chunks=(12, 4, 4))
    assert verify(tmp_path / "a", store).equal


def test_the_smallest_limit_is_named(tmp_path, reads):
    """Before anything is read; with it the comparison runs, within it."""
    for name, layout in zip("ab", CROSSING, strict=True):
        write(tmp_path / name, VALUES, **layout)
    with pytest.raises(MemoryLimitError, match="comparing chunks of 1x20x15 and 12x4x4 needs") as caught:
        verify(tmp_path / "a", tmp_path / "b", max_mem="8MiB")
    assert reads == []
    least = re.search("Raise max_mem to (.*).$", str(caught.value))[1]
    report = verify(tmp_path / "a", tmp_path / "b", max_mem=least)
    assert report.equal
    assert report.peak_mem <= report.max_mem
    with pytest.raises(MemoryLimitError):
        verify(tmp_path / "a", tmp_path / "b", max_mem=report.max_mem - 2 * 2**20)


def test_progress_tells_of_both_stores_and_of_the_search(tmp_path):
    """Bytes of both sides add up to what was announced; looking for differences is a step."""
    make_group(tmp_path / "a")
    make_group(tmp_path / "b")["flux"][0, 0, 0] = 99
    messages = []
    verify(tmp_path / "a", tmp_path / "b", progress=messages.append)
    started = next(m for m in messages if isinstance(m, RunStarted))
    assert started.weight == sum(m.weight for m in messages if isinstance(m, BlockAdvanced)) == 6 * VALUES.nbytes
    assert [m.name for m in messages if isinstance(m, StepStarted)] == ["find what differs in flux"]


def test_the_report_is_json_and_explains_its_fields(tmp_path):
    """With the verdict in it."""
    write(tmp_path / "a", VALUES)
    write(tmp_path / "b", VALUES + 1)
    data = json.loads(json.dumps(verify(tmp_path / "a", tmp_path / "b").to_json()))
    assert (data["equal"], data["a"], data["problems"][0]["code"]) == (False, str(tmp_path / "a"), "values")
    assert {f.name for f in dataclasses.fields(VerifyReport)} | {"equal"} == set(data)
    assert {f.name for f in dataclasses.fields(Problem)} == set(data["problems"][0])


PEAK = """
import sys
from zarrmill.execute.workshop import MemoryMeter
from zarrmill.digests import digest
from zarrmill.verify import verify
a, b, max_mem = sys.argv[1:]
meter = MemoryMeter()
digest(b)
print(meter.peak())
meter.restart()
report = verify(a, b, max_mem=max_mem)
print(meter.peak(), len(report.problems))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Two stores of 100 MB in crossing layouts, which differ in one value and in one frame."""
    folder = tmp_path_factory.mktemp("large")
    values = RNG.integers(0, 9, (32, 850, 920), dtype="u1").astype("f4")
    write(folder / "a", values, chunks=(1, 850, 920), compressors=zarr.codecs.ZstdCodec(level=1))
    values[13, 500, 600] += 1
    values[30] += 1
    write(folder / "b", values, chunks=(32, 52, 80), compressors=None)
    return folder / "a", folder / "b"


@pytest.mark.slow
@pytest.mark.parametrize("max_mem", [40, 64, pytest.param(256, marks=pytest.mark.soak)], ids="{}MiB".format)
def test_the_limit_is_kept(large, max_mem):
    """Measured in a process of its own, with differences to look for."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *large, f"{max_mem}MiB"],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    digest_peak, peak, problems = map(int, done.stdout.split())
    assert 0 < digest_peak < 32 * 2**20
    assert 2**20 < peak <= max_mem * 2**20
    assert problems == MOST_REGIONS + 1


def test_stores_at_urls_are_compared(tmp_path):
    """Chunks and shards on either side; what differs is found as on the disk."""
    values = np.arange(600, dtype="f8").reshape(20, 30)
    zarr.create_array(tmp_path / "a", shape=values.shape, chunks=(5, 1), dtype="f8")[:] = values
    rechunk(tmp_path / "a", "memory://verify/b", chunks=(1, 30), shards=(10, 30))
    rechunk(tmp_path / "a", "memory://verify/c", chunks=(4, 5), shards=None)
    for a, b in itertools.permutations((tmp_path / "a", "memory://verify/b", "memory://verify/c"), 2):
        assert verify(a, b).equal
    assert digest("memory://verify/b") == digest("memory://verify/c") == digest(tmp_path / "a")
    zarr.open_array(open_store("memory://verify/c", read_only=False).store)[7, 11] = -1
    [problem] = verify("memory://verify/b", "memory://verify/c").problems
    assert (problem.region, problem.index) == ("[7:8, 11:12]", (7, 11))
