"""lightcurves/storage.py: the promised API, on a disk and in an object store."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.lightcurves.survey import EPOCHS, OBJECTS, Survey, make_epoch, time_of
from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError, UnknownNameError
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.storage import LightcurveStorage


def test_promised_calls_work_as_they_are_shown(place) -> None:
    """The calls that people were promised run as they stand, with the default types of numpy."""
    random = np.random.default_rng(1)
    storage = LightcurveStorage.create(
        place, n_objects=100, max_epochs=5, chunks={"object": 1000, "epoch": 1, "measurement": 2, "value": 2}
    )
    epochs = [{"flux": random.normal(size=(100, 2)), "flux_err": np.ones((100, 2))} for _ in range(5)]
    for epoch_idx, epoch_data in enumerate(epochs):
        storage.populate_epoch(epoch_idx, epoch_data)
    fast = storage.rechunk_to_object_optimized(f"{place}-fast", n_epochs=5, progress=False)
    storage = LightcurveStorage.open(f"{place}-fast")
    lc = storage.get_lightcurve(object_id=45)

    assert lc["flux"].shape == lc["flux_err"].shape == (5, 2)
    np.testing.assert_array_equal(lc["flux"], np.array([e["flux"][45] for e in epochs], dtype="f4"))
    assert fast.info().folded == 5


def test_second_name_of_populate_epoch_is_the_same() -> None:
    """``populate_epoch_v2`` is ``populate_epoch``."""
    assert LightcurveStorage.populate_epoch_v2 is LightcurveStorage.populate_epoch


def test_what_is_added_is_readable_at_once(survey: Survey) -> None:
    """Epochs in any order, with gaps, are read as soon as they are there."""
    for index in (4, 1, 2):
        survey.add(index)
        survey.check(0, 33, OBJECTS - 1)
    survey.check()


def test_relayout_changes_no_value(survey: Survey) -> None:
    """The same light curves come from the object layout, for those who had the store open and for others."""
    survey.add(0, 1, 4)
    other = survey.reopened()
    survey.check(storage=other)
    report = survey.storage.relayout()

    assert (report.epochs, report.blocks) == (3, 2)
    survey.check()
    survey.check(storage=other)
    survey.check(storage=survey.reopened())


def test_epochs_after_a_relayout_are_laid_over(survey: Survey) -> None:
    """Rows of folded and other epochs stand in the order of their index."""
    survey.add(1, 3)
    survey.storage.relayout()
    survey.add(0, 2, 5)
    survey.check()
    survey.storage.relayout()
    survey.check()
    survey.check(storage=survey.reopened())


def test_no_epoch_is_an_empty_light_curve(survey: Survey) -> None:
    """A store without epochs gives light curves without rows."""
    curve = survey.storage.get_lightcurve(3)

    assert curve["flux"].shape == (0, 2)
    assert survey.storage.relayout().epochs == 0


def test_bulk_equals_one_by_one(survey: Survey) -> None:
    """``get_lightcurves`` gives what ``get_lightcurve`` gives, in the order asked for, repeats included."""
    survey.add(0, 1, 2, 3)
    survey.storage.relayout()
    survey.add(5)
    wanted = [69, 0, 31, 32, 0, 17]
    curves = survey.storage.get_lightcurves(wanted)

    assert curves.keys.tolist() == wanted
    for curve, number in zip(curves, wanted, strict=True):
        single = survey.storage.get_lightcurve(number)
        np.testing.assert_array_equal(curve["flux"], single["flux"])
        np.testing.assert_array_equal(curve.status, single.status)
        np.testing.assert_array_equal(curve.time, single.time)


def test_some_arrays_can_be_asked_for(survey: Survey) -> None:
    """``arrays`` selects; an unknown one is named with the nearest."""
    survey.add(0)

    assert list(survey.storage.get_lightcurve(1, arrays=["flux"])) == ["flux"]
    with pytest.raises(UnknownNameError, match="Did you mean 'flux_err'"):
        survey.storage.get_lightcurve(1, arrays=["flux_er"])


@pytest.mark.parametrize("key", [OBJECTS, -1, 2.5, "7", None], ids=str)
def test_unknown_object_is_a_key_error_that_says_which_there_are(survey: Survey, key) -> None:
    """There never is a row of NaN for an object that is not in the store."""
    survey.add(0)
    with pytest.raises(KeyError, match=f"0 to {OBJECTS - 1}"):
        survey.storage.get_lightcurve(key)


def test_storage_pickles(survey: Survey) -> None:
    """Another process gets the same store."""
    survey.add(0, 2)
    survey.check(5, storage=pickle.loads(pickle.dumps(survey.storage)))


def test_opening_what_is_not_there(place, tmp_path) -> None:
    """Nothing, and a Zarr store of something else, are told apart."""
    import zarr

    with pytest.raises(NotFoundError, match="no light curves"):
        LightcurveStorage.open(place)
    zarr.create_group(tmp_path / "other")
    with pytest.raises(SourceFormatError, match="no store of light curves"):
        LightcurveStorage.open(tmp_path / "other")


def test_another_process_sees_an_epoch_when_it_looks(survey: Survey) -> None:
    """A store that is open elsewhere shows a new epoch after ``refresh``."""
    other = survey.reopened()
    survey.add(0)
    survey.check(3, storage=other)
    survey.add(1)
    other.refresh()
    survey.check(3, storage=other)


def test_keys_of_text_and_times(place) -> None:
    """Objects by text, epochs by key: rows stand in order of time, whether they are folded or not."""
    names = [f"star-{i:02d}" for i in range(40)]
    storage = LightcurveStorage.create(place, catalogue={"key": names, "ra": np.arange(40.0), "dec": np.zeros(40)},
                                       measurements=("g", "r"), options=CreateOptions(epoch_block=2))  # fmt: skip
    epochs = {name: make_epoch(i, n_objects=40) for i, name in enumerate(["c", "a", "d", "b"])}
    times = {"c": 3.0, "a": 1.0, "d": 4.0, "b": 2.0}
    for name in ("c", "a"):
        storage.populate_epoch(name, epochs[name], time=times[name])
    storage.relayout()
    for name in ("d", "b"):
        storage.populate_epoch(name, epochs[name], time=times[name])
    for relayouts in range(2):
        curve = storage.get_lightcurve("star-07")
        assert curve.epoch.tolist() == ["a", "b", "c", "d"]
        assert curve.time.tolist() == [1.0, 2.0, 3.0, 4.0]
        np.testing.assert_array_equal(curve["flux"], [epochs[n]["flux"][7] for n in "abcd"])
        assert (curve.ra, curve.dec) == (7.0, 0.0)
        assert storage.relayout().epochs == 2 * (relayouts == 0)


def test_axis_of_epochs_grows_by_whole_blocks(disk) -> None:
    """A store without a limit takes any number of epochs."""
    survey = Survey.create(disk, max_epochs=None)
    for index in range(EPOCHS):
        survey.add(index)
        survey.storage.relayout()
    survey.check()
    assert survey.storage.info().folded == EPOCHS


@pytest.mark.parametrize("given", [{}, {"n_objects": 3, "catalogue": {"key": [1]}}], ids=["neither", "both"])
def test_objects_are_given_once(disk, given) -> None:
    """Either a number of objects or a catalogue."""
    with pytest.raises(InvalidInputError, match="n_objects and catalogue"):
        LightcurveStorage.create(disk, max_epochs=3, **given)


def test_times_of_epochs_are_kept_to_the_microsecond(survey: Survey) -> None:
    """A modified Julian date comes back as it was given."""
    survey.storage.populate_epoch(0, survey.epochs[0], time=60_310.123456789)
    survey.storage.relayout()

    assert survey.reopened().get_lightcurve(0).time.tolist() == [60_310.123456789]
    assert time_of(0) == 60_000.0


def test_cone_gives_the_nearest_first(place) -> None:
    """Keys, places and separations in degrees, across the turn of right ascension."""
    catalogue = {"key": ["a", "b", "c"], "ra": [359.9, 0.2, 180.0], "dec": [0.0, 0.0, 0.0]}
    storage = LightcurveStorage.create(place, catalogue=catalogue)
    found = storage.cone(0.0, 0.0, 0.5)

    assert found["key"].tolist() == ["a", "b"]
    assert found["separation"].tolist() == pytest.approx([0.1, 0.2])
    storage.add_objects({"key": ["d"], "ra": [0.0], "dec": [0.0]})
    assert storage.cone(0.0, 0.0, 0.5)["key"].tolist() == ["d", "a", "b"]
    with pytest.raises(InvalidInputError, match="has no positions"):
        LightcurveStorage.create(f"{place}-counted", n_objects=1).cone(0, 0, 1)


def test_parquet_holds_every_point(survey: Survey, tmp_path) -> None:
    """One row per object, its points nested, as pyarrow reads them."""
    parquet = pytest.importorskip("pyarrow.parquet")
    survey.add(0, 1, 3)
    survey.storage.relayout()
    report = survey.storage.to_parquet(tmp_path / "curves.parquet")
    table = parquet.read_table(tmp_path / "curves.parquet").to_pylist()

    assert (report.objects, len(table)) == (OBJECTS, OBJECTS)
    points = table[7]["lightcurve"]
    seen = [(i, j) for i in (0, 1, 3) for j in range(2) if np.isfinite(survey.epochs[i]["flux"][7, j])]
    values = [[p["flux"] for p in points]] if isinstance(points, list) else [points["flux"]]
    assert sorted(values[0]) == sorted(float(survey.epochs[i]["flux"][7, j]) for i, j in seen)
