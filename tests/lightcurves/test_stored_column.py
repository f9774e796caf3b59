"""lightcurves/stored_column.py: columns that zarr-python reads, and that grow by whole chunks."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.stored_column import ColumnPlan, as_column, create_column, open_column, put_document, resized

PLAN = ColumnPlan(5, ("row",), {"units": "m"})
VALUES = {
    "float": np.linspace(0, 1, 12),
    "int": np.arange(12, dtype="i2"),
    "bool": np.arange(12) % 3 == 0,
    "text": np.array([f"text {i}" * (i % 3) for i in range(12)]),
    "bytes": np.arange(36, dtype="u1").reshape(12, 3),
    "nothing": np.array([], dtype="f8"),
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_columns_are_read_back_in_any_part(tmp_path, values) -> None:
    """Whole, in part, and by zarr-python."""
    plan = ColumnPlan(5, ("row", "byte")[: values.ndim], {})
    create_column(LocalKeys(tmp_path), "a", values, plan=plan)
    column = open_column(LocalKeys(tmp_path), "a")

    assert column is not None
    n = len(values)
    for start, stop in ((0, n), (0, min(5, n)), (min(3, n), min(11, n)), (n, n)):
        np.testing.assert_array_equal(column.read(start, stop).astype(values.dtype), values[start:stop])
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a", mode="r")[...].astype(values.dtype), values)


@pytest.mark.parametrize("first", [0, 3, 5, 12], ids=str)
def test_growth_keeps_what_is_there(tmp_path, first) -> None:
    """Rows are added in the middle of a chunk or at its end, and seen when the metadata are put."""
    for name in ("float", "text"):
        values = VALUES[name]
        create_column(LocalKeys(tmp_path), name, values[:first], plan=PLAN)
        column = open_column(LocalKeys(tmp_path), name)
        assert column is not None
        grown = resized(column, 12)
        grown.write(first, values[first:].astype(object) if name == "text" else values[first:])
        assert zarr.open_array(tmp_path / name, mode="r").shape == (first,)
        put_document(grown)
        np.testing.assert_array_equal(zarr.open_array(tmp_path / name, mode="r")[...].astype(values.dtype), values)


def test_lost_and_damaged_chunks_are_told(tmp_path) -> None:
    """A column never reads as fill values because a key is gone."""
    create_column(LocalKeys(tmp_path), "a", VALUES["float"], plan=PLAN)
    column = open_column(LocalKeys(tmp_path), "a")
    assert column is not None
    data = bytearray((tmp_path / "a" / "c.1").read_bytes())
    data[20] ^= 1
    (tmp_path / "a" / "c.1").write_bytes(data)
    (tmp_path / "a" / "c.2").unlink()

    with pytest.raises(SourceFormatError, match=r"a/c\.1: checksum"):
        column.read(5, 6)
    with pytest.raises(SourceFormatError, match=r"a/c\.2 is lost"):
        column.read(10, 12)
    assert open_column(LocalKeys(tmp_path), "b") is None


def test_what_becomes_a_column() -> None:
    """Bytes and objects become text, masked numbers NaN, and anything else is refused by name."""
    assert as_column(np.array([b"a", b"bc"]), name="x").tolist() == ["a", "bc"]
    assert as_column(np.array(["a", "bc"], dtype=object), name="x").dtype.kind == "U"
    np.testing.assert_array_equal(as_column(np.ma.array([1.0, 2.0], mask=[0, 1]), name="x"), [1.0, np.nan])
    assert as_column(np.array([1, 2], dtype=">i4"), name="x").dtype.isnative
    for values in ([[1]], [1j], np.array(["2024"], dtype="M8[D]")):
        with pytest.raises(InvalidInputError, match="column 'x' has"):
            as_column(values, name="x")
