"""lightcurves/catalogue.py: objects from any kind of table, positions checked."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.lightcurves.catalogue import Catalogue
from zarrmill.lightcurves.storage import LightcurveStorage


def test_every_kind_of_table() -> None:
    """A dict, a structured array, a DataFrame and a Table give the same catalogue."""
    pandas = pytest.importorskip("pandas")
    table = pytest.importorskip("astropy.table")
    columns = {"OBJECT_ID": [4, 2], "ra": [370.0, 1.0], "dec": [-90.0, 5.0], "mag": [20.5, 21.0]}
    structured = np.array([(4, 370.0, -90.0, 20.5), (2, 1.0, 5.0, 21.0)], dtype=[(n, "f8") for n in columns])
    structured = structured.astype([("OBJECT_ID", "i8"), *((n, "f8") for n in list(columns)[1:])])
    for source in (columns, structured, pandas.DataFrame(columns), table.Table(columns)):
        catalogue = Catalogue.of(source)
        assert catalogue.keys.tolist() == [4, 2]
        assert catalogue.columns["ra"].tolist() == [10.0, 1.0]
        assert list(catalogue.columns) == ["ra", "dec", "mag"]


def test_hours_become_degrees() -> None:
    """Positions with a unit are converted."""
    table = pytest.importorskip("astropy.table").Table({"key": ["a"], "ra": [6.0], "dec": [30.0], "d": [2.0]})
    table["ra"].unit, table["dec"].unit, table["d"].unit = "hourangle", "deg", "kpc"
    catalogue = Catalogue.of(table)

    assert catalogue.columns["ra"].tolist() == pytest.approx([90.0])
    assert catalogue.units["d"] == "kpc"


def test_columns_come_back_as_they_were(disk) -> None:
    """Numbers of every kind, truths and text, NaN among them."""
    columns = {
        "key": np.array(["x1", "x2", "ü"]),
        "f": np.array([1.5, np.nan, -0.0], dtype="f4"),
        "i": np.array([-1, 2, 3], dtype="i2"),
        "u": np.array([0, 2**64 - 1, 1], dtype="u8"),
        "b": np.array([True, False, True]),
        "t": np.array(["", "long text", "é"]),
    }
    objects = LightcurveStorage.create(disk, catalogue=columns).objects

    assert objects.names == tuple(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(objects[name], values)
        assert objects.value(name, 1) == values[1] or name == "f"
    with pytest.raises(UnknownNameError, match=r"no column 'keys'. Did you mean 'key'"):
        objects["keys"]


BAD = {
    "NaN": ({"key": [1, 2], "ra": [0.0, np.nan], "dec": [0.0, 0.0]}, "1 of 2 positions .* ra nan of object 2"),
    "dec": ({"key": ["a"], "ra": [0.0], "dec": [90.5]}, "dec 90.5 of object 'a'"),
    "one of two": ({"key": [1], "ra": [0.0]}, "only one of ra and dec"),
    "lengths": ({"key": [1, 2], "ra": [0.0], "dec": [0.0]}, "different lengths"),
    "twice": ({"key": [1, 1]}, "object key 1 comes 2 times"),
    "axes": ({"key": [1], "m": [[1, 2]]}, "column 'm' has 2 axes"),
    "masked": ({"key": [1], "m": np.ma.array([1], mask=[True])}, "column 'm' has masked values of int64"),
    "no table": (5, "int is no table"),
    "text positions": ({"key": [1], "ra": ["a"], "dec": [0.0]}, "column 'ra' is <U1"),
}


@pytest.mark.parametrize(("source", "message"), BAD.values(), ids=BAD)
def test_catalogues_that_cannot_be(disk, source, message) -> None:
    """Each says what is wrong and where, and nothing is made."""
    with pytest.raises(InvalidInputError, match=message):
        LightcurveStorage.create(disk, catalogue=source)
    with pytest.raises(FileNotFoundError):
        LightcurveStorage.open(disk)
