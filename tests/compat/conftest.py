"""Sources that people give to rechunker: arrays, a hierarchy, and a dataset in a store."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

VALUES = np.random.default_rng(0).normal(size=(20, 30)).round(3)


@pytest.fixture
def array(tmp_path):
    """Return an array with dimension names and an attribute, one chunk for each column."""
    made = zarr.create_array(
        tmp_path / "source.zarr",
        shape=(20, 30),
        chunks=(20, 1),
        dtype="f8",
        dimension_names=("x", "y"),
        attributes={"units": "mJy"},
    )
    made[:] = VALUES
    return made


@pytest.fixture
def group(tmp_path):
    """Return a hierarchy whose arrays have their dimensions in xarray's attribute, one of them in a group below."""
    made = zarr.open_group(tmp_path / "group.zarr", mode="w", attributes={"title": "survey"})
    below = made.create_group("meta", attributes={"depth": 2})
    for name in ("flux", "error"):
        one = made.create_array(
            name, shape=(20, 30), chunks=(20, 1), dtype="f8", attributes={"_ARRAY_DIMENSIONS": ["x", "y"]}
        )
        one[:] = VALUES
    below.create_array("night", shape=(30,), chunks=(10,), dtype="i4")[:] = np.arange(30)
    return made


def make_dataset():
    """Return a dataset with dates, strings, packed values, booleans, and coordinates of no axes."""
    made = xr.Dataset(
        {
            "flux": (("time", "x"), np.arange(200.0).reshape(20, 10), {"units": "K"}),
            "flag": ("x", np.arange(10) > 3),
            "total": ((), 3.5),
            "lag": ("x", np.arange(10).astype("m8[s]").astype("m8[ns]")),
        },
        coords={
            "time": pd.date_range("2000-01-01", periods=20, unit="ns"),
            "name": ("x", np.array([f"star {i}" for i in range(10)], dtype=object)),
            "band": ("x", np.array(list("abcdefghij"))),
            "x": np.arange(10),
            "field": ((), 7),
        },
        attrs={"title": "survey", "version": np.arange(3)},
    )
    made["flux"].encoding = {"scale_factor": 0.5, "_FillValue": -9999, "dtype": "i2"}
    made["flux"][3, 4] = np.nan
    return made


@pytest.fixture
def dataset():
    """Return the dataset, which a test may change."""
    return make_dataset()


@pytest.fixture(scope="session", params=[3, 2], ids=["v3", "v2"])
def stored_once(tmp_path_factory, request):
    """Return the path of the dataset in a store, one chunk for each column; nobody writes there."""
    path = str(tmp_path_factory.mktemp("stored") / "dataset.zarr")
    with warnings.catch_warnings():
        # zarr: fixed-length strings and consolidated metadata are in no specification of v3 yet.
        warnings.simplefilter("ignore")
        make_dataset().to_zarr(path, encoding={"flux": {"chunks": (20, 1)}}, zarr_format=request.param)
    return path


@pytest.fixture
def stored(stored_once, tmp_path):
    """Return the path of a copy of the stored dataset."""
    return shutil.copytree(stored_once, str(tmp_path / "dataset.zarr"))
