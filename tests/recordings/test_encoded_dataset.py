"""Datasets as the bytes of a store: what xarray and zarr read is what was given."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from zarrmill.errors import InvalidInputError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings import encoded_dataset as module
from zarrmill.recordings.encoded_dataset import encode_dataset


def put(dataset, folder: Path, scheme=".", **options) -> Path:
    """Write every key of an encoded dataset as it is."""
    store, keys = encode_dataset(dataset, **options), LocalKeys(folder)
    for path, data in store.documents(scheme).items():
        keys.put(f"{path}/zarr.json".lstrip("/"), data)
    for key, data in store.chunks(scheme).items():
        keys.put(key, data)
    return folder


def variables() -> xr.Dataset:
    """Return a dataset with every type that is stored."""
    return xr.Dataset(
        {
            "f8": ("row", np.array([0.5, np.nan, -np.inf])),
            "f4": ("row", np.array([0.5, 1, 2], "f4")),
            "i4": ("row", np.array([1, -1, 3], "i4")),
            "u1": ("row", np.array([1, 255, 3], "u1")),
            "big": ("row", np.array([1, 2, 3], ">i8")),
            "flag": ("row", np.array([True, False, True])),
            "c16": ("row", np.array([1j, 2, 3])),
            "text": ("row", np.array(["é", "", "𝄞 \x00 end\x00"], dtype=object)),
            "fixed": ("row", np.array(["a", "bc", ""])),
            "scalar": ((), 3),
            "name": ((), "one"),
            "matrix": (("row", "col"), np.arange(6.0).reshape(3, 2)),
            "none": ("nothing", np.zeros(0)),
            "no_text": ("nothing", np.zeros(0, dtype=object)),
        },
        coords={"row": [10, 20, 30], "place": ("row", np.array(["x", "y", "z"], dtype=object)), "run": 7},
        attrs={"title": "a", "numbers": np.array([1, 2]), "one": np.int32(1), "nested": {"x": [np.float32(0.5)]}},
    )


@pytest.mark.parametrize("scheme", [".", "/"])
def test_xarray_reads_what_was_given(tmp_path: Path, scheme: str):
    """Values, dimensions, coordinates and attributes are the same, with either naming of chunks."""
    dataset = variables()

    read = xr.open_zarr(put(dataset, tmp_path / "a.zarr", scheme), consolidated=True, chunks=None).load()

    assert set(read.coords) == {"row", "place", "run"}
    for name, variable in dataset.variables.items():
        assert read[name].dims == variable.dims
        assert read[name].values.tolist() == variable.values.tolist() or name == "f8"
    np.testing.assert_array_equal(read["f8"], dataset["f8"])
    assert read.attrs == {"title": "a", "numbers": [1, 2], "one": 1, "nested": {"x": [0.5]}}


def test_arrays_have_the_types_that_raw_readers_expect(tmp_path: Path):
    """Booleans are booleans and texts strings; whole numbers keep their size."""
    group = zarr.open_group(put(variables(), tmp_path / "a.zarr"), mode="r")

    kinds = {name: str(array.metadata.data_type.to_json(zarr_format=3)) for name, array in group.arrays()}
    assert {name: kinds[name] for name in ("flag", "i4", "u1", "text", "fixed", "f4", "big")} == {
        "flag": "bool", "i4": "int32", "u1": "uint8", "text": "string", "fixed": "string", "f4": "float32",
        "big": "int64",
    }  # fmt: skip
    assert group["matrix"].metadata.dimension_names == ("row", "col")
    assert group["none"].shape == (0,)


def test_one_array_is_one_key_and_an_empty_one_none():
    """Whatever its length."""
    store = encode_dataset(xr.Dataset({"a": ("x", np.arange(100_000)), "b": ("y", np.zeros(0)), "c": ((), 1)}))

    assert sorted(store.chunks(".")) == ["a/c.0", "c/c"]
    assert sorted(store.chunks("/")) == ["a/c/0", "c/0"]
    assert sorted(store.documents(".")) == ["", "a", "b", "c"]


def test_what_is_missing_everywhere_takes_no_key(tmp_path: Path):
    """Readers get it back from the fill value, of every type; in the other parts of a large array as well."""
    missing = {
        "time": xr.Variable("row", np.full(6, np.nan)),
        "row": xr.Variable("row", np.full(6, -1, "i4"), encoding={"_FillValue": -1}),
        "flag": xr.Variable("row", np.full(6, -1, "i1"), encoding={"_FillValue": -1}),
        "valid": xr.Variable("row", np.zeros(6, bool)),
        "text": xr.Variable("row", np.full(6, "", object)),
        "wave": xr.Variable("row", np.full(6, complex(np.nan, np.nan), "c16")),
        "half": xr.Variable("row", np.full(6, 2.5, "f2"), {"_FillValue": 2.5}),
        "one": xr.Variable((), 0),
    }
    partly = xr.Variable("row", np.array([0, 0, 0, 0, 5, 0]), encoding={"chunks": (2,)})
    dataset = xr.Dataset({**missing, "partly": partly})
    store = encode_dataset(dataset)

    assert sorted(store.chunks(".")) == ["partly/c.2"]
    assert store.absent("/") >= {"time/c/0", "one/0", "partly/c/0", "partly/c/1"}
    read = xr.open_zarr(put(dataset, tmp_path / "a.zarr"), chunks=None, mask_and_scale=False)
    for name, variable in dataset.variables.items():
        np.testing.assert_array_equal(read[name].values.astype(variable.dtype), variable.values)


@pytest.mark.parametrize(
    "values",
    [
        np.array([0.0, -0.0]),
        np.array([0x7FF8000000000000, 0x7FF8000000000001], "u8").view("f8"),
        np.array([complex(np.nan, 0.0)]),
        np.array(["", "\0"], object),
        np.array([False, True]),
        np.array([0, 1], "i1"),
    ],
    ids=["negative zero", "another NaN", "half a NaN", "NUL", "a true", "a one"],
)
def test_what_only_looks_like_the_fill_value_is_stored(values):
    """Bit by bit it is another."""
    said = {"_FillValue": 0.0} if values[0] == 0.0 and values.dtype == "f8" else {}

    assert list(encode_dataset(xr.Dataset({"a": ("x", values, said)})).chunks(".")) == ["a/c.0"]


def test_the_two_schemes_share_no_chunk_key():
    """Scalars among them."""
    store = encode_dataset(variables())

    assert not set(store.chunks(".")) & set(store.chunks("/"))


def test_the_fill_value_of_whole_numbers_masks_them(tmp_path: Path):
    """Raw readers see the sentinel and its attribute, xarray sees what is missing."""
    values = xr.Variable("row", np.array([1, -1], "i4"), encoding={"_FillValue": -1})
    path = put(xr.Dataset({"a": values, "b": ("row", np.array([0.5, 9.0]), {"_FillValue": 9.0})}), tmp_path / "a.zarr")

    array = zarr.open_array(path / "a", mode="r")
    assert (array[:].tolist(), array.attrs["_FillValue"], array.fill_value) == ([1, -1], -1, -1)
    np.testing.assert_array_equal(xr.open_zarr(path, chunks=None)["a"], [1, np.nan])
    np.testing.assert_array_equal(xr.open_zarr(path, chunks=None)["b"], [0.5, np.nan])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_come_back_exactly(tmp_path: Path, unit: str):
    """A missing time stays missing, and no unit is finer than what it stores."""
    times = np.array(["2026-03-01T11:00:00", "NaT", "1969-12-31T23:59:59"], f"M8[{unit}]")
    spans = np.array([1, "NaT", -5], f"m8[{unit}]")

    path = put(xr.Dataset({"time": ("row", times), "span": ("row", spans)}), tmp_path / "a.zarr")

    read = xr.open_zarr(path, chunks=None)
    np.testing.assert_array_equal(read["time"].values.astype(f"M8[{unit}]"), times)
    np.testing.assert_array_equal(read["span"].values.astype(f"m8[{unit}]"), spans)


def test_strings_of_numpy_are_stored_as_text(tmp_path: Path):
    """The type with variable length, and a key without an index."""
    texts = np.array(["a", "bé"], dtype=np.dtypes.StringDType())
    dataset = xr.Dataset({"x": ("key", texts)}, xr.Coordinates({"key": ("key", texts)}, indexes={}))

    read = xr.open_zarr(put(dataset, tmp_path / "a.zarr"), chunks=None)

    assert (read["x"].values.tolist(), read["key"].values.tolist()) == (["a", "bé"], ["a", "bé"])


def test_a_tree_has_a_group_for_each_node(tmp_path: Path):
    """Inherited coordinates lie in the parent alone; groups are found with and without consolidated metadata."""
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(coords={"x": [1, 2]}, attrs={"title": "root"}),
            "/tasks": xr.Dataset({"a": ("x", [3.0, 4.0])}, attrs={"title": "tasks"}),
            "/deep/er": xr.Dataset({"b": ("x", [5, 6])}),
        }
    )

    path = put(tree, tmp_path / "a.zarr")

    assert sorted(encode_dataset(tree).chunks(".")) == ["deep/er/b/c.0", "tasks/a/c.0", "x/c.0"]
    read = xr.open_datatree(path, engine="zarr", chunks=None)
    assert read["tasks"].attrs == {"title": "tasks"}
    assert read["deep/er/b"].values.tolist() == [5, 6]
    assert sorted(zarr.open_group(path, mode="r", use_consolidated=False)["deep"].group_keys()) == ["er"]


def test_chunks_that_are_asked_for_are_made(tmp_path: Path):
    """The last of them is filled up."""
    variable = xr.Variable(("x", "y"), np.arange(15).reshape(5, 3), encoding={"chunks": (2, 3)})
    dataset = xr.Dataset({"a": variable, "t": xr.Variable("x", list("abcde"), encoding={"chunks": (2,)})})

    path = put(dataset, tmp_path / "a.zarr")

    assert zarr.open_array(path / "a", mode="r").chunks == (2, 3)
    np.testing.assert_array_equal(zarr.open_array(path / "a", mode="r")[:], variable.values)
    assert zarr.open_array(path / "t", mode="r")[:].tolist() == list("abcde")


def test_a_very_large_array_is_several_keys(monkeypatch: pytest.MonkeyPatch):
    """One request of any size would be no faster."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 64)

    assert len(encode_dataset(xr.Dataset({"a": (("x", "y"), np.zeros((10, 2)))})).chunks(".")) == 3


def test_every_chunk_has_a_checksum():
    """A flipped byte is never read in silence."""
    for array in encode_dataset(variables()).arrays:
        assert array.document["codecs"][-1] == {"name": "crc32c"}


def test_ids_are_replaced_in_every_text(tmp_path: Path):
    """Values, attributes of both kinds and their names; numbers stay."""
    dataset = xr.Dataset(
        {"t": ("x", np.array(["Ada L", "b"], dtype=object), {"of": "Ada L"}), "n": ("x", [1, 2])},
        attrs={"session": "Ada L", "more": [{"Ada L": 1}]},
    )

    path = put(dataset, tmp_path / "a.zarr", clean=lambda text: text.replace("Ada L", "p1"))

    read = xr.open_zarr(path, chunks=None)
    assert (read["t"].values.tolist(), read["t"].attrs, read.attrs) == (
        ["p1", "b"], {"of": "p1"}, {"session": "p1", "more": [{"p1": 1}]},
    )  # fmt: skip


def raw(values: list) -> xr.Variable:
    """Return a variable of Python objects that xarray has not looked at."""
    return xr.Variable("x", np.array(values, dtype=object), fastpath=True)


@pytest.mark.parametrize(
    ("variable", "complaint"),
    [
        (raw(["a", None]), "value 1: NoneType where text belongs"),
        (("x", np.array(["a", np.nan], dtype=object)), "value 1: float where text belongs"),
        (raw(["a", "b\ud800"]), "not Unicode"),
        (("x", np.array([b"a", b"b"])), "cannot be stored"),
        (("x", np.array([1, 2], np.longdouble)), "cannot be stored"),
        (("x", [1, 2], {"units": object()}), "attributes that JSON cannot hold"),
        (("x", [1, 2], {}, {"chunks": (1, 1)}), "chunks"),
    ],
    ids=["None", "NaN", "surrogate", "bytes", "long double", "attribute", "chunks"],
)
def test_what_no_reader_would_get_back_is_refused(variable, complaint: str):
    """The message names the variable."""
    with pytest.raises(InvalidInputError, match=complaint) as caught:
        encode_dataset(xr.Dataset({"odd": variable}))

    assert "odd" in str(caught.value)


def test_a_name_with_a_slash_is_refused():
    """xarray would show a dataset without variables."""
    with pytest.raises(InvalidInputError, match="without a slash"):
        encode_dataset(xr.Dataset({"a/b": ("x", [1])}))


def test_the_digest_tells_contents_apart_and_leaves_times_of_making_out():
    """Runs of one input at two times write the same chunks."""
    first, later = xr.Dataset({"a": ("x", [1])}, attrs={"at": 1}), xr.Dataset({"a": ("x", [1])}, attrs={"at": 2})

    assert encode_dataset(first).digest() == encode_dataset(later).digest()
    assert encode_dataset(first).digest() != encode_dataset(xr.Dataset({"a": ("x", [2])})).digest()
    assert encode_dataset(first).digest() != encode_dataset(xr.Dataset({"b": ("x", [1])})).digest()
    parts = [xr.Dataset({"a": xr.Variable("x", v, encoding={"chunks": (1,)})}) for v in ([5, 0], [0, 5])]
    assert encode_dataset(parts[0]).digest() != encode_dataset(parts[1]).digest()
