"""A store of light curves is plain Zarr v3: zarr-python and xarray open all of it, and its attributes explain it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from tests.lightcurves.survey import BANDS, OBJECTS, OPTIONS, Survey, time_of
from zarrmill.lightcurves.light_curve import Status
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.photometry import Measurement


@pytest.fixture
def mixed(make_survey) -> Survey:
    """A survey with a catalogue of text keys, all optional arrays, two epochs folded and one not."""
    options = CreateOptions(unit="nJy", flags={"edge": 2}, limits=True, time_offsets=True, epoch_block=3,
                            shard_objects=32, time_scale="tdb")  # fmt: skip
    keys = np.array([f"star {i}" for i in range(OBJECTS)])
    catalogue = {"key": keys, "ra": np.arange(70.0), "dec": np.zeros(70), "variable": np.arange(70) % 2 == 0}
    survey = make_survey(catalogue=catalogue, options=options)
    survey.add(0, 2)
    survey.storage.relayout()
    survey.add(4)
    return survey


def test_zarr_python_reads_every_array(mixed: Survey) -> None:
    """Every node below the root opens, every array is read whole, and nothing but nodes and their chunks is there."""
    root = zarr.open_group(mixed.path, mode="r")
    arrays = {path: node[...] for path, node in root.members(max_depth=None) if isinstance(node, zarr.Array)}

    np.testing.assert_array_equal(arrays["by_object/flux"][:, :, 2], mixed.epochs[2]["flux"])
    assert np.isnan(arrays["by_object/flux"][:, :, [1, 3, 4, 5]]).all()
    assert set(np.unique(arrays["by_object/status"][:, :, 0])) == {Status.NOT_OBSERVED, Status.DETECTED}
    assert set(np.unique(arrays["by_object/status"][:, :, 4])) == {Status.NOT_INGESTED}
    pending = next(path for path in arrays if path.startswith("by_epoch/000004/") and path.endswith("/flux"))
    np.testing.assert_array_equal(arrays[pending], mixed.epochs[4]["flux"])
    assert arrays["objects/key"].tolist()[:2] == ["star 0", "star 1"]
    assert arrays["objects/variable"].dtype == bool
    assert arrays["epochs/time"][:3].tolist()[::2] == [time_of(0), time_of(2)]
    assert arrays["measurements/name"].tolist() == list(BANDS)


def test_every_array_says_what_it_is(mixed: Survey) -> None:
    """Arrays of the cube have dimensions and units; codes and bits are described as CF does."""
    root = zarr.open_group(mixed.path, mode="r")
    cube = dict(root["by_object"].arrays())

    assert {
        name: array.metadata.dimension_names for name, array in cube.items() if name != "time_offset"
    } == dict.fromkeys(("flux", "flux_err", "status", "flag", "limit"), ("object", "measurement", "epoch"))
    assert {name: array.attrs["units"] for name, array in cube.items()} == {
        "flux": "nJy", "flux_err": "nJy", "limit": "nJy", "status": "1", "flag": "1", "time_offset": "s"
    }  # fmt: skip
    assert cube["status"].attrs["flag_meanings"] == "not_ingested not_observed not_detected detected"
    assert cube["status"].attrs["flag_values"] == [0, 1, 2, 3]
    assert (cube["flag"].attrs["flag_masks"], cube["flag"].attrs["flag_meanings"]) == ([2], "edge")
    assert root["epochs/time"].attrs["time_scale"] == "tdb"
    assert root.attrs["zarrmill_lightcurves"]["format"] == 1


def test_xarray_opens_the_cube_and_the_times(mixed: Survey) -> None:
    """xarray opens the groups, and decodes the times of the epochs."""
    xarray = pytest.importorskip("xarray")
    cube = xarray.open_zarr(mixed.path, group="by_object", consolidated=False)
    epochs = xarray.open_zarr(mixed.path, group="epochs", consolidated=False)

    np.testing.assert_array_equal(cube.flux.isel(object=7, epoch=2).values, mixed.epochs[2]["flux"][7])
    assert cube.flux.attrs["units"] == "nJy"
    assert str(epochs.time.values[0])[:10] == "2023-02-25"
    assert np.isnat(epochs.time.values[1])


def test_units_that_differ_stand_beside_the_measurements(make_survey) -> None:
    """Measurements of different units are told apart in the attributes and in the table."""
    bands = (Measurement("g", unit="nJy", zero_point=31.4), Measurement("K", kind="magnitude", unit="mag"))
    survey = make_survey(measurements=bands, options=OPTIONS)
    root = zarr.open_group(survey.path, mode="r")

    assert root["by_object/flux"].attrs["units_by_measurement"] == ["nJy", "mag"]
    assert root["measurements/kind"][:].tolist() == ["flux", "magnitude"]
    assert root["measurements/zero_point"][0] == 31.4
    assert survey.reopened().measurements == bands


def test_an_object_is_one_range_of_one_shard(mixed: Survey) -> None:
    """All measurements and epochs of one object and block lie together, whatever wrote the shard."""
    document = json.loads((Path(mixed.path) / "by_object/flux/zarr.json").read_text())
    sharding = document["codecs"][0]["configuration"]

    assert document["chunk_grid"]["configuration"]["chunk_shape"] == [32, 2, 3]
    assert sharding["chunk_shape"] == [1, 2, 3]
    assert sharding["codecs"][-1]["name"] == "crc32c"


def test_metadata_that_zarr_python_would_write_reads_the_same(mixed: Survey) -> None:
    """zarr-python's own shards, in its own order of chunks, are read as well."""
    cube = zarr.open_group(mixed.path, mode="r+")["by_object/flux"]
    cube[:, :, 0] = cube[:, :, 0]
    mixed.storage._view._reader = type(mixed.storage._view._reader)(
        mixed.storage._view.keys, mixed.storage._view.schema
    )
    curve = mixed.storage.get_lightcurve("star 9")

    np.testing.assert_array_equal(curve["flux"][0], mixed.epochs[0]["flux"][9])
    assert mixed.storage.verify().sound
