"""lightcurves/catalogue_files.py: catalogues from files, whatever their columns are called."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.lightcurves.catalogue_files import read_catalogue


def test_a_file_by_the_names_of_its_columns(tmp_path) -> None:
    """Keys and positions are found by name, everything else is kept."""
    pytest.importorskip("astropy")
    (tmp_path / "stars.csv").write_text("Name,RAJ2000,DEJ2000,Vmag,class\nA,10.5,-3.25,12.5,RR\nB,11.5,4.0,13.5,EB\n")
    catalogue = read_catalogue(tmp_path / "stars.csv")

    assert catalogue.keys.tolist() == ["A", "B"]
    assert {name: values.tolist() for name, values in catalogue.columns.items()} == {
        "ra": [10.5, 11.5], "dec": [-3.25, 4.0], "Vmag": [12.5, 13.5], "class": ["RR", "EB"]
    }  # fmt: skip


def test_columns_that_are_named(tmp_path) -> None:
    """What is said wins, and only what is wanted is kept."""
    table = {"n": [1, 2], "key": [7, 8], "x": [1.0, 2.0], "y": [3.0, 4.0], "v": [5.0, 6.0]}
    catalogue = read_catalogue(table, columns={"key": "n", "ra": "x", "dec": "y"}, keep=["v"])

    assert (catalogue.keys.tolist(), list(catalogue.columns)) == ([1, 2], ["ra", "dec", "v"])
    with pytest.raises(UnknownNameError, match=r"no column 'xx'"):
        read_catalogue(table, columns={"ra": "xx", "dec": "y"})
    with pytest.raises(InvalidInputError, match=r"column 'decl' is not known. Did you mean 'dec'"):
        read_catalogue(table, columns={"decl": "y"})


def test_hours_become_degrees() -> None:
    """Positions with a unit of astropy's are converted."""
    table = pytest.importorskip("astropy.table").Table({"id": [1], "ra": [6.0], "dec": [30.0]})
    table["ra"].unit, table["dec"].unit = "hourangle", "deg"

    assert read_catalogue(table).columns["ra"].tolist() == pytest.approx([90.0])


def test_columns_that_cannot_be_kept() -> None:
    """A vector is named with what to do."""
    with pytest.raises(InvalidInputError, match=r"column 'psf' has 2 axes.*--keep"):
        read_catalogue({"id": [1], "psf": [[1.0, 2.0]]})
    assert read_catalogue({"id": [1], "psf": np.array([[1.0, 2.0]])}, keep=[]).keys.tolist() == [1]
