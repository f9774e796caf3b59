"""lightcurves/ingest.py: whole or not at all, twice without harm, and clear about bad input."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lightcurves.survey import BANDS, OBJECTS, Survey, make_epoch, time_of
from zarrmill.errors import AlreadyExistsError, InvalidInputError, UnknownNameError
from zarrmill.lightcurves.ingest import IngestRequest, populate
from zarrmill.lightcurves.light_curve import Status
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.storage import LightcurveStorage


def keys_of(survey: Survey) -> dict[str, tuple[int | None, str | None]]:
    """Every key of a store with what changes when it is written."""
    keys = survey.storage._view.keys
    return {i.key: (i.nbytes, i.etag) for i in keys.list() if not i.key.endswith(("addressing", "holder"))}


def test_same_epoch_again_does_nothing(survey: Survey) -> None:
    """The same content is a no-op, before and after it is folded, and after it is pruned."""
    survey.add(0)
    before = keys_of(survey)
    assert survey.storage.populate_epoch(0, survey.epochs[0], time=time_of(0)).outcome == "unchanged"
    assert keys_of(survey) == before
    survey.storage.relayout()
    assert survey.storage.populate_epoch(0, survey.epochs[0], time=time_of(0)).outcome == "unchanged"
    survey.storage.prune()
    before = keys_of(survey)
    assert survey.storage.populate_epoch(0, survey.epochs[0], time=time_of(0)).outcome == "unchanged"
    assert keys_of(survey) == before
    survey.check()


@pytest.mark.parametrize("when", ["pending", "folded", "pruned"])
def test_other_content_is_refused(survey: Survey, when) -> None:
    """An epoch that is there is never changed by accident; the time belongs to its content."""
    survey.add(0)
    if when != "pending":
        survey.storage.relayout()
    if when == "pruned":
        survey.storage.prune()
    before = keys_of(survey)
    with pytest.raises(AlreadyExistsError, match=r"epoch 000000 .* replace=True"):
        survey.storage.populate_epoch(0, survey.epochs[1], time=time_of(0))
    with pytest.raises(AlreadyExistsError, match="other content"):
        survey.storage.populate_epoch(0, survey.epochs[0], time=time_of(1))
    assert keys_of(survey) == before
    survey.check()


@pytest.mark.parametrize("when", ["pending", "folded", "pruned"])
def test_replace_changes_an_epoch(survey: Survey, when) -> None:
    """With ``replace`` the new content is read, also by those who had the store open, and folded again."""
    survey.add(0, 1)
    if when != "pending":
        survey.storage.relayout()
    if when == "pruned":
        survey.storage.prune()
    other = survey.reopened()
    other._view.fresh = 0.0
    survey.check(4, storage=other)
    survey.epochs[0] = make_epoch(99)
    assert survey.storage.populate_epoch(0, survey.epochs[0], time=time_of(0), replace=True).outcome == "replaced"
    survey.check()
    survey.check(4, 5, storage=other)
    survey.storage._view.fresh = 0.0
    assert survey.storage.relayout().epochs == (2 if when == "pending" else 1)
    survey.check()
    survey.check(storage=survey.reopened())
    assert survey.storage.verify().sound


def test_replace_that_was_killed_half_way_is_completed(survey: Survey) -> None:
    """New content that was put, but not taken back from the record yet, is found and finished by the same call."""
    survey.add(0, 1)
    survey.storage.relayout()
    old = survey.epochs[0]
    record = survey.storage._view.keys.get("by_object/zarr.json")
    survey.storage.populate_epoch(0, make_epoch(99), time=time_of(0), replace=True)
    survey.storage._view.keys.put("by_object/zarr.json", bytes(record))
    survey.storage.refresh()

    assert survey.storage.get_lightcurve(1)["flux"][0].tolist() == pytest.approx(old["flux"][1].tolist(), nan_ok=True)
    assert [p.code for p in survey.storage.verify().problems] == ["replaced_not_folded"]
    survey.epochs[0] = make_epoch(99)
    survey.storage.populate_epoch(0, survey.epochs[0], time=time_of(0), replace=True)
    survey.check()


def test_rows_of_some_objects(survey: Survey) -> None:
    """Rows with keys are spread over the objects; the others were not observed."""
    data = {"object": [3, 69, 0], "flux": [[1, 2], [3, np.nan], [5, 6]], "flux_err": np.ones((3, 2))}
    report = survey.storage.populate_epoch(0, data)

    assert (report.rows, report.matched, report.unmatched) == (3, 3, 0)
    curve = survey.storage.get_lightcurve(69)
    assert curve["flux"][0, 0] == 3
    assert curve.status.tolist() == [[Status.DETECTED, Status.NOT_OBSERVED]]
    assert survey.storage.get_lightcurve(1).status.tolist() == [[Status.NOT_OBSERVED] * 2]


def test_by_name_of_the_measurement(survey: Survey) -> None:
    """A mapping by measurement fills those that it names; an unknown one is named with the nearest."""
    survey.storage.populate_epoch(0, {"flux": {"r": np.arange(70.0)}, "flux_err": {"r": np.ones(70)}})
    curve = survey.storage.get_lightcurve(5)

    assert curve["flux"].tolist()[0][1] == 5
    assert curve.status.tolist() == [[Status.NOT_OBSERVED, Status.DETECTED]]
    with pytest.raises(UnknownNameError, match=r"no measurement 'rr'. Did you mean 'r'"):
        survey.storage.populate_epoch(1, {"flux": {"rr": np.arange(70.0)}})


def test_flags_limits_and_offsets(disk) -> None:
    """Flags stay integers, a limit makes a value not detected, and an offset shifts the time of the object."""
    options = CreateOptions(flags={"saturated": 1, "edge": 4}, flag_dtype="u2", limits=True, time_offsets=True)
    storage = LightcurveStorage.create(disk, n_objects=3, max_epochs=2, options=options)
    data = {
        "flux": np.ma.array([10.0, 0.0, 0.0], mask=[False, True, True]),
        "flux_err": [0.5, np.nan, np.nan],
        "limit": [np.nan, 21.5, np.nan],
        "flag": np.ma.array([5, 0, 0], mask=[False, False, True]),
        "time_offset": [8.64, 86.4, np.nan],
    }
    storage.populate_epoch(1, data, time=50_000.0)
    for _ in range(2):
        curves = [storage.get_lightcurve(i) for i in range(3)]
        assert [int(c.status[0, 0]) for c in curves] == [Status.DETECTED, Status.NOT_DETECTED, Status.NOT_OBSERVED]
        assert curves[0]["flag"].dtype == np.uint16
        assert curves[0]["flag"].tolist() == [[5]]
        assert curves[0].flag_masks == {"saturated": 1, "edge": 4}
        assert curves[1]["limit"].tolist() == [[21.5]]
        assert [c.time[0] for c in curves] == pytest.approx([50_000.0001, 50_000.001, 50_000.0], abs=1e-9)
        storage.relayout()
    assert storage.verify().sound


def test_magnitudes_go_by_their_own_names(disk) -> None:
    """A store of magnitudes takes ``mag`` and ``mag_err``; one of fluxes does not."""
    storage = LightcurveStorage.create(f"{disk}-mag", n_objects=2, options=CreateOptions(kind="magnitude"))
    storage.populate_epoch(0, {"mag": [20.5, 21.0], "mag_err": [0.1, 0.2]})
    curve = storage.get_lightcurve(1)

    assert (curve["flux"].tolist(), curve.measurements[0].unit) == ([[21.0]], "mag")
    fluxes = LightcurveStorage.create(disk, n_objects=2)
    with pytest.raises(UnknownNameError, match="no array 'mag'"):
        fluxes.populate_epoch(0, {"mag": [20.5, 21.0]})


GOOD = {"flux": np.ones((OBJECTS, 2)), "flux_err": np.ones((OBJECTS, 2))}
BAD = {
    "epoch too large": (6, GOOD, InvalidInputError, "epoch 6 is out of range.* 0 to 5"),
    "epoch negative": (-1, GOOD, InvalidInputError, "epoch -1 is out of range"),
    "epoch of no kind": (1.5, GOOD, InvalidInputError, "neither an index nor a key"),
    "epoch key with a slash": ("a/b", GOOD, InvalidInputError, "neither an index nor a key"),
    "too few objects": (0, {"flux": np.ones((69, 2))}, InvalidInputError, r"flux has the shape \(69, 2\).*\(70, 2\)"),
    "one axis": (0, {"flux": np.ones(70)}, InvalidInputError, r"flux has the shape \(70,\)"),
    "second field": (0, GOOD | {"flux_err": np.ones((70, 3))}, InvalidInputError, "flux_err has the shape"),
    "complex": (0, GOOD | {"flux": np.ones((70, 2), "c8")}, InvalidInputError, "flux is complex64"),
    "text": (0, GOOD | {"flux_err": np.full((70, 2), "a")}, InvalidInputError, "flux_err is <U1"),
    "large integers": (0, GOOD | {"flux": np.full((70, 2), 2**24 + 1)}, InvalidInputError, "flux is int64.*float32"),
    "overflow": (0, GOOD | {"flux": np.full((70, 2), 1e39)}, InvalidInputError, "flux is float64.*1e.39 is too large"),
    "unknown column": (0, GOOD | {"flx_err": 1}, UnknownNameError, "no array 'flx_err'. Did you mean 'flux_err'"),
    "no flux": (0, {"flux_err": np.ones((70, 2))}, InvalidInputError, "no 'flux'"),
    "no table": (0, np.ones((70, 2)), InvalidInputError, "ndarray is no table"),
    "status": (0, GOOD | {"status": np.zeros((70, 2), "u1")}, InvalidInputError, "status has values from 0"),
    "unknown object": (0, {"object": [3, 70], "flux": np.ones((2, 2))}, UnknownNameError, "object 70 is not"),
    "object twice": (0, {"object": [3, 3], "flux": np.ones((2, 2))}, InvalidInputError, "object 3 has 2 rows"),
    "time of no kind": (0, GOOD | {"time": "noon"}, InvalidInputError, "time 'noon' is no moment"),
    "time differs": (0, GOOD | {"time": np.arange(70.0)}, InvalidInputError, "time differs from row to row"),
}


@pytest.mark.parametrize(("epoch", "data", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named_and_changes_nothing(survey: Survey, epoch, data, error, message) -> None:
    """A request that can never work says what is wrong, and the store is as it was."""
    before = keys_of(survey)
    with pytest.raises(error, match=message):
        survey.storage.populate_epoch(epoch, data)
    assert keys_of(survey) == before


def test_lossy_flags_are_named(disk) -> None:
    """Flags that are no integers, or too large ones, are refused."""
    storage = LightcurveStorage.create(disk, n_objects=2, options=CreateOptions(flags=True, flag_dtype="u1"))
    for flags, message in (([0.5, 1.0], "flag is float64"), ([1, 256], "flag is int64.*1 to 256 do not fit")):
        with pytest.raises(InvalidInputError, match=message):
            storage.populate_epoch(0, {"flux": [1.0, 2.0], "flag": flags})


def test_index_and_key_do_not_mix(survey: Survey) -> None:
    """The first epoch settles how epochs are addressed."""
    survey.add(0)
    with pytest.raises(InvalidInputError, match="given by a key, the epochs of this store by index"):
        survey.storage.populate_epoch("2024-01-01", survey.epochs[1])


def test_unmatched_rows_are_reported(survey: Survey) -> None:
    """With "report" rows of unknown objects are left out, and the report says which."""
    data = {"object": np.array([5, 1000, 6, 2000]), "flux": np.ones((4, 2)), "flux_err": {"g": [1, 2, 3, 4]}}
    report = survey.storage.populate_epoch(0, data, unmatched="report")

    assert (report.rows, report.matched, report.unmatched, report.unmatched_keys) == (4, 2, 2, (1000, 2000))
    assert survey.storage.get_lightcurve(6)["flux_err"][0, 0] == 3
    with pytest.raises(InvalidInputError, match=r"unmatched 'ad' is not known. Did you mean 'add'"):
        survey.storage.populate_epoch(1, data, unmatched="ad")


def test_unmatched_rows_are_added(place) -> None:
    """With "add" unknown objects join the store, with the positions that came along."""
    catalogue = {"key": ["a", "b"], "ra": [1.0, 2.0], "dec": [3.0, 4.0]}
    storage = LightcurveStorage.create(place, catalogue=catalogue, measurements=BANDS)
    storage.populate_epoch("one", {"flux": np.ones((2, 2))})
    data = {"object": ["c", "b"], "ra": [5.0, 2.0], "dec": [6.0, 4.0], "flux": [[7, 8], [9, 10]]}
    report = storage.populate_epoch("two", data, unmatched="add")

    assert (report.added_objects, report.matched, report.unmatched) == (1, 2, 1)
    curve = storage.get_lightcurve("c")
    assert curve.status.tolist() == [[Status.NOT_INGESTED] * 2, [Status.DETECTED] * 2]
    assert (curve.ra, curve.dec) == (5.0, 6.0)
    assert storage.get_lightcurve("b")["flux"][1].tolist() == [9, 10]


def test_astropy_table_with_units_and_masks(survey: Survey) -> None:
    """A Table comes in as it is: masked values stay missing, and an astropy Time makes key and time."""
    table = pytest.importorskip("astropy.table")
    time = pytest.importorskip("astropy.time").Time(60_000.25, format="mjd", scale="tai")
    data = table.Table({"object": [1, 2], "flux": np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 1], [0, 0]])})
    survey.storage.populate_epoch(time, data)
    curve = survey.storage.get_lightcurve(1)

    assert curve.status.tolist() == [[Status.DETECTED, Status.NOT_OBSERVED]]
    assert curve.time[0] == pytest.approx(60_000.25 - 37 / 86_400, abs=1e-9)
    assert curve.epoch.tolist() == ["60000.25"]


def test_units_are_converted(disk) -> None:
    """Values with a unit come in in that of the store; one that does not convert is refused."""
    units = pytest.importorskip("astropy.units")
    storage = LightcurveStorage.create(disk, n_objects=2, options=CreateOptions(unit="nJy"))
    storage.populate_epoch(0, {"flux": [1.0, 2.0] * units.uJy, "flux_err": [10.0, 20.0] * units.nJy})

    assert storage.get_lightcurve(1)["flux"].tolist() == [[2000.0]]
    assert storage.get_lightcurve(1)["flux_err"].tolist() == [[20.0]]
    with pytest.raises(InvalidInputError, match="flux is in m, the store in nJy"):
        storage.populate_epoch(1, {"flux": [1.0, 2.0] * units.m})


def test_a_writer_that_was_slower_is_told(survey: Survey, monkeypatch) -> None:
    """Who finds at the last step that another has put other content is told, and that content stays."""
    from zarrmill.lightcurves import ingest

    other, real = survey.reopened(), ingest.commit_epoch

    def commit_late(keys, group):
        monkeypatch.setattr(ingest, "commit_epoch", real)
        populate(other._view, 0, survey.epochs[0], IngestRequest(time=time_of(0)))
        return real(keys, group)

    monkeypatch.setattr(ingest, "commit_epoch", commit_late)
    with pytest.raises(AlreadyExistsError, match="other content"):
        survey.storage.populate_epoch(0, survey.epochs[1], time=time_of(0))
    survey.added.add(0)
    survey.storage.refresh()
    survey.check()
