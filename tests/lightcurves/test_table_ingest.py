"""lightcurves/table_ingest.py: tables of every kind become epochs, and every row is accounted for."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import AlreadyExistsError, InvalidInputError, UnknownNameError
from zarrmill.lightcurves.columns import ColumnRequest
from zarrmill.lightcurves.epochs import IngestOptions
from zarrmill.lightcurves.light_curve import Status
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.storage import LightcurveStorage
from zarrmill.lightcurves.table_ingest import TableRequest

KEYS = ["s1", "s2", "s3"]
CATALOGUE = {"key": KEYS, "ra": [10.0, 20.0, 30.0], "dec": [-5.0, 0.0, 5.0]}
NIGHT = {
    "object_id": ["s3", "s1", "s9"],
    "flux_g": [3.0, 1.0, 9.0],
    "flux_g_err": [0.3, 0.1, 0.9],
    "mjd": [60_000.5] * 3,
}


@pytest.fixture
def storage(place) -> LightcurveStorage:
    """Three objects with positions, in two bands."""
    return LightcurveStorage.create(place, catalogue=CATALOGUE, measurements=["g", "r"])


def test_a_night_by_key(storage: LightcurveStorage) -> None:
    """Rows find their objects by key; the epoch is named by its time, and the report has every row."""
    report = storage.ingest(NIGHT)
    curve = storage.get_lightcurve("s3")

    assert (report.rows.rows, report.rows.matched, report.rows.fates["unmatched"].names) == (3, 2, ("s9",))
    assert [e.outcome for e in report.epochs] == ["added"]
    assert (curve.epoch.tolist(), curve.time.tolist()) == (["60000.500000"], [60_000.5])
    assert curve["flux"].tolist()[0][0] == 3.0
    assert curve.status.tolist() == [[Status.DETECTED, Status.NOT_OBSERVED]]
    assert storage.get_lightcurve("s2").status.tolist() == [[Status.NOT_OBSERVED] * 2]
    assert report.summary() == "table: 3 rows, 2 matched, 1 unmatched; epochs: 1 added"
    assert storage.ingest(NIGHT).epochs[0].outcome == "unchanged"


def test_a_night_by_position(storage: LightcurveStorage) -> None:
    """Without keys rows find the nearest object within reach."""
    night = {"ra": [30.0001, 10.0, 200.0], "dec": [5.0, -5.00005, 0.0], "flux_r": [3.0, 1.0, 7.0]}
    report = storage.ingest(night, request=TableRequest(epoch="a", time=60_001.0))

    assert report.rows.match == "sky"
    assert report.rows.fates["unmatched"].count == 1
    assert storage.get_lightcurve("s3")["flux"][0, 1] == 3.0
    assert storage.get_lightcurve("s1").time.tolist() == [60_001.0]


def test_rows_of_many_epochs(storage: LightcurveStorage) -> None:
    """A table of rows by band and time becomes one epoch per time, with magnitudes as the store wants them."""
    rows = {
        "id": ["s1", "s1", "s2", "s2"], "mjd": [1.0, 2.0, 1.0, 3.0], "band": ["g", "g", "r", "g"],
        "flux": [1.0, 2.0, 3.0, 4.0], "flux_err": [0.1, 0.2, 0.3, 0.4],
    }  # fmt: skip
    report = storage.ingest(rows)
    storage.relayout()
    curves = storage.get_lightcurves(["s1", "s2"])

    assert len(report.epochs) == 3
    assert curves.time.tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(curves["flux"][0, :, 0], [1.0, 2.0, np.nan])
    np.testing.assert_array_equal(curves["flux"][1], [[np.nan, 3.0], [np.nan, np.nan], [4.0, np.nan]])


def test_epochs_by_index(place) -> None:
    """A column of whole numbers within ``max_epochs`` is the index."""
    storage = LightcurveStorage.create(place, n_objects=3, max_epochs=10)
    storage.ingest({"id": [0, 1, 2], "epoch": [4, 4, 7], "flux": [1.0, 2.0, 3.0]})

    assert storage.get_lightcurve(2).epoch.tolist() == [4, 7]
    with pytest.raises(InvalidInputError, match="nothing tells which epoch"):
        storage.ingest({"id": [0], "mjd": [5.0], "flux": [1.0]})
    storage.ingest({"id": [0], "mjd": [5.0], "flux": [1.0]}, request=TableRequest(epoch=5))
    assert storage.get_lightcurve(0).epoch.tolist() == [4, 5, 7]


def test_unknown_objects(storage: LightcurveStorage) -> None:
    """They are refused before anything is added, or join the store, as asked."""
    with pytest.raises(UnknownNameError, match="1 of 3 rows are of objects that are not in the store, the first is s9"):
        storage.ingest(NIGHT, request=TableRequest(unmatched="error"))
    assert storage.info().epochs == 0
    with pytest.raises(InvalidInputError, match="new objects need positions"):
        storage.ingest(NIGHT, request=TableRequest(unmatched="add"))
    night = NIGHT | {"ra": [30.0, 10.0, 90.0], "dec": [5.0, -5.0, 9.0]}
    report = storage.ingest(night, request=TableRequest(unmatched="add"))

    assert (report.added_objects, report.rows.matched) == (1, 3)
    curve = storage.get_lightcurve("s9")
    assert (curve.ra, curve.dec, curve["flux"][0, 0]) == (90.0, 9.0, 9.0)


def test_what_the_store_has_no_array_for_is_said(storage: LightcurveStorage) -> None:
    """Flags that have nowhere to go are named in the notes, and kept where the store has them."""
    night = {"id": ["s1"], "flux_g": [1.0], "flag_g": [4], "mjd": [1.0]}
    assert "flag is left out" in storage.ingest(night).notes[0]

    other = LightcurveStorage.create(
        f"{storage.location}-flags", catalogue=CATALOGUE, measurements=["g"], options=CreateOptions(flags={"edge": 4})
    )
    assert other.ingest(night).notes == ()
    assert other.get_lightcurve("s1")["flag"].tolist() == [[4]]


def test_times_of_objects_become_offsets(place) -> None:
    """Rows of one epoch with times of their own shift the times of their objects."""
    storage = LightcurveStorage.create(
        place, catalogue=CATALOGUE, measurements=["g"], options=CreateOptions(time_offsets=True)
    )
    rows = {"id": KEYS, "epoch": ["n1"] * 3, "mjd": [10.0, 10.001, 10.002], "flux": [1.0, 2.0, 3.0]}
    storage.ingest(rows)
    for _ in range(2):
        assert [storage.get_lightcurve(k).time[0] for k in KEYS] == pytest.approx([10.0, 10.001, 10.002], abs=1e-9)
        storage.relayout()


def test_columns_can_be_named(storage: LightcurveStorage) -> None:
    """Any names will do when they are told; wrong ones are named with the nearest."""
    rows = {"who": ["s2"], "brightness": [5.0], "when": [7.0]}
    columns = {"key": "who", "g": {"flux": "brightness"}, "time": "when"}
    storage.ingest(rows, options=IngestOptions(columns=ColumnRequest(columns=columns)))

    assert storage.get_lightcurve("s2")["flux"][0, 0] == 5.0
    with pytest.raises(UnknownNameError, match=r"no column 'whom'. Did you mean 'who'"):
        storage.ingest(rows, options=IngestOptions(columns=ColumnRequest(columns={**columns, "key": "whom"})))


def test_other_content_is_refused(storage: LightcurveStorage) -> None:
    """A night that was corrected needs ``replace``."""
    storage.ingest(NIGHT)
    corrected = NIGHT | {"flux_g": [4.0, 1.0, 9.0]}
    with pytest.raises(AlreadyExistsError):
        storage.ingest(corrected)
    assert storage.ingest(corrected, request=TableRequest(replace=True)).epochs[0].outcome == "replaced"
    assert storage.get_lightcurve("s3")["flux"][0, 0] == 4.0


@pytest.mark.parametrize("name", ["night.fits", "night.csv", "night.ecsv", "night.parquet", "night.vot"])
def test_files(storage: LightcurveStorage, tmp_path, name) -> None:
    """Files of every format that is read give the same epoch."""
    table = pytest.importorskip("astropy.table").Table(NIGHT)
    path = tmp_path / name
    if name.endswith("parquet"):
        pytest.importorskip("pandas").DataFrame(NIGHT).to_parquet(path)
    else:
        table.write(path, format={"vot": "votable", "csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(path.suffix[1:]))
    report = storage.ingest(path)

    assert (report.rows.source, report.rows.matched) == (name, 2)
    assert storage.get_lightcurve("s1")["flux_err"][0, 0] == np.float32(0.1)
