"""epochs.py and what it stands on: rows become epochs, and every row has a fate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.columns import ColumnRequest
from zarrmill.lightcurves.epochs import EpochTarget, IngestOptions, plan_epochs
from zarrmill.lightcurves.light_curve import Status
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.tables import Column, Table, read_table

ARCSEC = 1 / 3600
NAN = np.nan
G, R = Measurement("g", unit="nJy"), Measurement("r", unit="nJy")
GM, RM = Measurement("g", kind="magnitude", unit="mag"), Measurement("r", kind="magnitude", unit="mag")


def target(*measurements, keys=(10, 20, 30), **changes) -> EpochTarget:
    """Return three objects 0.01 degrees apart on the equator."""
    n = len(keys)
    place = {"ra": 150 + 0.01 * np.arange(n), "dec": np.zeros(n)}
    return EpochTarget(np.array(keys), measurements or (G,), **(place | changes))


def by_key(epoch, name="flux"):
    """Return the values of an epoch by key of the object."""
    return dict(zip(epoch.arrays["object"].tolist(), epoch.arrays[name].tolist(), strict=True))


def test_a_catalogue_of_one_epoch():
    """Rows by key in any order; objects without a row are not there, which the store knows as not observed."""
    table = read_table({"id": [30, 10], "flux": [3.0, 1.0], "flux_err": [0.3, 0.1], "flag": np.array([4, 0], "u2")})
    plan = plan_epochs(table, target())
    (epoch,) = plan

    assert by_key(epoch) == {10: [1.0], 30: [3.0]}
    assert by_key(epoch, "flux_err") == {10: [0.1], 30: [0.3]}
    assert by_key(epoch, "flag") == {10: [0], 30: [4]}
    assert epoch.arrays["flag"].dtype == np.dtype("u2")
    assert (epoch.name, np.isnan(epoch.time), epoch.time_offset) == (None, True, None)
    assert (plan.report.rows, plan.report.matched, plan.report.epochs, plan.report.fates) == (2, 2, 1, {})


def test_a_long_table_becomes_epochs_in_order_of_time():
    """One row per object, band and exposure, as ZTF writes them; bands go to their measurements."""
    table = read_table(
        {
            "oid": [10, 20, 10, 20, 10],
            "mjd": [60002.0, 60002.0, 60001.0, 60001.5, 60001.5],
            "expid": [77, 77, 5, 6, 6],
            "filtercode": ["zr", "zr", "zg", "zg", "zg"],
            "mag": [18.0, 19.0, 18.5, 19.5, 18.6],
            "magerr": [0.1] * 5,
            "catflags": [0, 32768, 0, 0, 1],
        }
    )
    plan = plan_epochs(table, target(GM, RM))
    first, second, third = plan

    assert [(e.name, e.time) for e in plan] == [(5, 60001.0), (6, 60001.5), (77, 60002.0)]
    np.testing.assert_equal(by_key(first), {10: [18.5, NAN]})
    np.testing.assert_equal(by_key(second), {10: [18.6, NAN], 20: [19.5, NAN]})
    np.testing.assert_equal(by_key(third), {10: [NAN, 18.0], 20: [NAN, 19.0]})
    assert by_key(third, "flag") == {10: [0, 0], 20: [0, 32768]}
    assert by_key(third, "status")[10] == [Status.NOT_OBSERVED, Status.DETECTED]
    assert (plan.report.preset, plan.report.match, plan.report.values["detected"]) == ("ztf", "key", 5)


def test_rows_without_an_epoch_column_are_grouped_by_time():
    """Within the tolerance; the time of an epoch is the median, what rows differ by are offsets in seconds."""
    table = read_table({"id": [10, 20, 30, 10], "mjd": [1.0, 1.0001, 1.0002, 2.0], "flux": [1.0, 2, 3, 4]})
    exact = plan_epochs(table, target())
    night = plan_epochs(table, target(), IngestOptions(tolerance=0.01))
    first, second = night

    assert len(exact) == 4
    assert (first.time, second.time) == (1.0001, 2.0)
    np.testing.assert_allclose(first.time_offset, [-8.64, 0, 8.64], atol=1e-6)
    assert second.time_offset is None


def test_a_whole_table_may_be_one_epoch():
    """Whatever its columns say."""
    table = read_table({"id": [10, 20], "mjd": [1.0, 2.0], "flux": [1.0, 2.0]})

    assert len(plan_epochs(table, target(), IngestOptions(single=True))) == 1


def test_matching_by_position():
    """Without keys the nearest object is taken, one to one; the report tells who was left out, and where they are."""
    table = read_table(
        {
            "ALPHA_J2000": [150.0 + 0.2 * ARCSEC, 150.0 + 0.5 * ARCSEC, 150.01, 151.0, NAN],
            "DELTA_J2000": [0.0] * 5,
            "MAG_AUTO": [18.0, 18.1, 99.0, 19.0, 20.0],
            "MAGERR_AUTO": [0.1, 0.1, 99.0, 0.1, 0.1],
            "FLAGS": [0, 1, 2, 3, 4],
        }
    )
    plan = plan_epochs(table, target(GM))
    (epoch,) = plan

    np.testing.assert_equal(by_key(epoch), {10: [18.0], 20: [NAN]})
    assert by_key(epoch, "status") == {10: [Status.DETECTED], 20: [Status.NOT_DETECTED]}
    np.testing.assert_equal(by_key(epoch, "flux_err"), {10: [0.1], 20: [NAN]})
    fates = plan.report.fates
    assert {fate: named.rows for fate, named in fates.items()} == {
        "unmatched": (3,), "duplicate": (1,), "without_position": (4,)
    }  # fmt: skip
    assert fates["unmatched"].names == ("151.00000 +0.00000",)
    assert plan.report.match == "sky"


def test_positions_win_over_keys_when_asked():
    """The oid of ZTF is one star in one band: by position its bands come together."""
    table = read_table({"id": [1, 2], "ra": [150.0, 150.0], "dec": [0.0, 0.0], "band": ["g", "r"], "flux": [1.0, 2.0]})
    (epoch,) = plan_epochs(table, target(G, R), IngestOptions(match="sky"))

    assert by_key(epoch) == {10: [1.0, 2.0]}


def test_two_objects_within_reach_are_ambiguous():
    """The nearest is taken, and the row is named."""
    crowd = target(ra=np.array([150.0, 150.0 + ARCSEC, 160.0]))
    table = read_table({"ra": [150.0 + 0.8 * ARCSEC], "dec": [0.0], "flux": [1.0]})
    plan = plan_epochs(table, crowd)

    assert by_key(next(iter(plan))) == {20: [1.0]}
    assert plan.report.fates["ambiguous"].rows == (0,)
    assert plan.report.matched == 1


def test_rows_that_cannot_be_used_are_counted_and_named():
    """No key, an unknown key, a key again, an unknown band, no time: each row has one fate."""
    table = Table(
        "night.csv",
        {
            "id": Column(np.array([10, 99, 10, 20, 20, 0, 30]), np.arange(7) == 5),
            "mjd": Column(np.array([1.0, 1, 1, 1, NAN, 1, 1])),
            "band": Column(np.array(["g", "g", "g", "Halpha", "g", "g", "r"])),
            "flux": Column(np.arange(7.0)),
        },
    )
    plan = plan_epochs(table, target(G, R))
    report = plan.report

    np.testing.assert_equal(by_key(next(iter(plan))), {10: [0.0, NAN], 30: [NAN, 6.0]})
    assert {fate: named.rows for fate, named in report.fates.items()} == {
        "unmatched": (1,), "duplicate": (2,), "unknown_band": (3,), "without_time": (4,), "without_key": (5,)
    }  # fmt: skip
    assert report.fates["unmatched"].names == ("99",)
    assert any("1 rows of band 'Halpha'" in note for note in report.notes)
    assert report.summary() == (
        "night.csv: 7 rows, 2 matched, 1 unmatched, 1 duplicate, 1 without key, 1 without time, 1 unknown band"
    )
    assert json.loads(json.dumps(report.to_json()))["fates"]["unmatched"]["count"] == 1


ROW = st.tuples(st.sampled_from([10, 20, 30, 99, None]), st.sampled_from([1.0, 2.0, NAN]), st.sampled_from("gru"))


@given(st.lists(ROW, max_size=25))
def test_every_row_has_exactly_one_fate(rows):
    """Matched rows and fates add up to the table, and the values of matched rows are all in the epochs."""
    keys, times, bands = ([row[i] for row in rows] for i in range(3))
    table = Table(
        "t",
        {
            "id": Column(np.array([k or 0 for k in keys], dtype=np.int64), np.array([k is None for k in keys], bool)),
            "mjd": Column(np.array(times, dtype=float)),
            "band": Column(np.array(bands, dtype="U1")),
            "flux": Column(np.arange(len(rows), dtype=float)),
        },
    )
    plan = plan_epochs(table, target(G, R))
    stored = sorted(v for e in plan for v in e.arrays["flux"].ravel().tolist() if not np.isnan(v))
    lost = [i for named in plan.report.fates.values() for i in named.rows]

    assert sorted(lost + [int(v) for v in stored]) == list(range(len(rows)))
    assert plan.report.matched == len(stored)


def test_masked_values_and_limits_have_their_status():
    """No value is not observed, with a limit not detected; a masked flag is 0 and counted."""
    table = Table(
        "t",
        {
            "id": Column(np.array([10, 20, 30])),
            "flux": Column(np.array([1.0, NAN, NAN]), np.array([0, 1, 1], bool)),
            "limit": Column(np.array([NAN, 5.0, NAN])),
            "flag": Column(np.array([7, 1, 2], "i4"), np.array([1, 0, 0], bool)),
        },
    )
    plan = plan_epochs(table, target())
    (epoch,) = plan

    assert by_key(epoch, "status") == {10: [Status.DETECTED], 20: [Status.NOT_DETECTED], 30: [Status.NOT_OBSERVED]}
    assert by_key(epoch, "flag") == {10: [0], 20: [1], 30: [2]}
    assert epoch.arrays["flag"].dtype == np.dtype("i4")
    np.testing.assert_equal(by_key(epoch, "limit"), {10: [NAN], 20: [5.0], 30: [NAN]})
    assert plan.report.values == {"detected": 1, "not_detected": 1, "not_observed": 1, "masked_flags": 1}


def test_sentinels_of_single_precision_are_known():
    """99.99 in four bytes is not 99.99 in eight."""
    table = Table("t", {"id": Column(np.array([10])), "mag": Column(np.array([99.99], "f4"))})
    (epoch,) = plan_epochs(table, target(GM))

    assert by_key(epoch, "status") == {10: [Status.NOT_DETECTED]}


def test_several_truth_values_become_bits():
    """As Rubin writes the flags of pixels."""
    table = read_table(
        {
            "diaObjectId": [10, 20], "psfFlux": [1.0, 2.0], "psfFluxErr": [0.1, 0.1], "visit": [3, 3],
            "midpointMjdTai": [60000.0, 60000.0], "band": ["g", "g"],
            "pixelFlags_bad": [True, False], "pixelFlags_edge": [True, True],
        }
    )  # fmt: skip
    pytest.importorskip("astropy")
    (epoch,) = plan_epochs(table, target())

    assert by_key(epoch, "flag") == {10: [3], 20: [2]}
    assert epoch.name == 3


@pytest.mark.parametrize(
    ("column", "unit", "measurement", "expected"),
    [
        ("flux", "uJy", G, (1000.0, 100.0)),
        ("flux", "", G, (1.0, 0.1)),
        ("flux", "ct", Measurement("g"), (1.0, 0.1)),
        (
            "mag",
            "mag",
            Measurement("g", unit="nJy"),
            (10 ** ((31.4 - 1) / 2.5), 0.1 * 10 ** ((31.4 - 1) / 2.5) / 1.0857),
        ),
        ("flux", "uJy", GM, (23.9, 0.10857)),
    ],
    ids=["converted", "no unit", "no unit in the store", "magnitude to flux", "flux to magnitude"],
)
def test_units_and_kinds_are_converted(column, unit, measurement, expected):
    """Values and errors, by factor or by zero point."""
    pytest.importorskip("astropy")
    table = Table(
        "t",
        {
            "id": Column(np.array([10])),
            column: Column(np.array([1.0]), unit=unit),
            f"{column}_err": Column(np.array([0.1]), unit=unit),
        },
    )
    (epoch,) = plan_epochs(table, target(measurement))

    found = epoch.arrays["flux"].item(), epoch.arrays["flux_err"].item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_counts_are_scaled_by_zero_points():
    """The zero point of the table and that of the store's unit tell the factor; limits go along."""
    pytest.importorskip("astropy")
    columns = {
        "id": Column(np.array([10])),
        "flux": Column(np.array([2.0]), unit="adu"),
        "limit": Column(np.array([1.0]), unit="adu"),
    }
    options = IngestOptions(columns=ColumnRequest(zero_point=28.9))
    (epoch,) = plan_epochs(Table("t", columns), target(), options)

    assert epoch.arrays["flux"].item() == pytest.approx(20.0)
    assert epoch.arrays["limit"].item() == pytest.approx(10.0)


def test_units_without_a_factor_are_refused():
    """Column, both units and what to do."""
    pytest.importorskip("astropy")
    columns = {"id": Column(np.array([10])), "flux": Column(np.array([2.0]), unit="adu")}

    with pytest.raises(InvalidInputError, match=r"column 'flux' is in 'adu', measurement 'g' in 'nJy'.*Set zero_point"):
        plan_epochs(Table("t", columns), target())


def test_times_are_converted_to_the_scale_of_the_store():
    """TAI is 37 s ahead of UTC."""
    pytest.importorskip("astropy")
    table = read_table({"id": [10], "mjd": [60000.0], "flux": [1.0]})
    options = IngestOptions(columns=ColumnRequest(time_scale="tai"))
    (epoch,) = plan_epochs(table, target(), options)

    assert (60000.0 - epoch.time) * 86400 == pytest.approx(37.0, abs=1e-4)


def test_a_light_curve_file_of_tess():
    """One object per file, told by the header; cadences are epochs, gaps without time keep their number."""
    meta = {
        "TICID": 20, "RA_OBJ": 150.01, "DEC_OBJ": 0.0, "TELESCOP": "TESS", "BJDREFI": 2457000, "BJDREFF": 0.0,
    }  # fmt: skip
    table = Table(
        "tess.fits",
        {
            "TIME": Column(np.array([1500.5, NAN, 1500.6])),
            "CADENCENO": Column(np.array([100, 101, 102])),
            "PDCSAP_FLUX": Column(np.array([1000.0, NAN, 1001.0], "f4"), unit="e-/s"),
            "PDCSAP_FLUX_ERR": Column(np.array([1.0, NAN, 1.0], "f4"), unit="e-/s"),
            "SAP_FLUX": Column(np.array([900.0, NAN, 901.0], "f4"), unit="e-/s"),
            "QUALITY": Column(np.array([0, 128, 0], "i4")),
        },
        meta,
    )
    store = target(Measurement("tess", unit="electron s-1"), time_scale="tdb")
    plan = plan_epochs(table, store)

    assert [e.name for e in plan] == [100, 102, 101]
    assert [by_key(e) for e in plan][:2] == [{20: [1000.0]}, {20: [1001.0]}]
    assert [e.time for e in plan][:2] == [58500.0, 58500.1]
    assert by_key(list(plan)[2], "status") == {20: [Status.NOT_OBSERVED]}
    assert by_key(list(plan)[2], "flag") == {20: [128]}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"flux": [1.0]}, {}, "neither keys nor positions are known"),
        ({"id": [1], "flux": [1.0]}, {"match": "sky"}, "neither keys nor positions"),
        ({"ra": [1.0], "dec": [1.0], "flux": [1.0]}, {"match": "key"}, "no column of keys"),
        ({"id": [1], "flux": [1.0]}, {"match": "name"}, "match 'name' is not known"),
        ({"id": [1], "flux": ["bright"]}, {}, "Name a column of numbers"),
        ({"id": [1], "flux": [1.0], "flag": [0.5]}, {}, "flags are whole numbers"),
        ({"id": [1], "flux": [1.0], "mjd": ["monday"]}, {}, "Name a column of days"),
    ],
    ids=["no way", "no positions", "no keys", "unknown way", "text", "broken flags", "text as time"],
)
def test_bad_tables_are_refused(columns, options, message):
    """Naming the column and the remedy."""
    with pytest.raises(InvalidInputError, match=message):
        plan_epochs(read_table(columns), target(), IngestOptions(**options))


def test_a_row_without_a_band_of_several_is_refused():
    """Nothing tells whether it is g or r; one band for all rows may be said."""
    table = read_table({"id": [10], "flux": [1.0]})
    with pytest.raises(InvalidInputError, match="which of the measurements g, r"):
        plan_epochs(table, target(G, R))
    (epoch,) = plan_epochs(table, target(G, R), IngestOptions(columns=ColumnRequest(columns={"band": "=r"})))

    np.testing.assert_equal(by_key(epoch), {10: [NAN, 1.0]})


def test_a_store_without_positions_cannot_match_by_them():
    """The remedy is a column of keys."""
    table = read_table({"ra": [150.0], "dec": [0.0], "flux": [1.0]})
    with pytest.raises(InvalidInputError, match="the store has no positions"):
        plan_epochs(table, EpochTarget(np.array([1]), (G,)))


def test_an_empty_table_has_no_epochs():
    """A night of clouds."""
    table = Table("t", {"id": Column(np.empty(0, np.int64)), "mjd": Column(np.empty(0)), "flux": Column(np.empty(0))})
    plan = plan_epochs(table, target())

    assert (list(plan), plan.report.rows, plan.report.matched) == ([], 0, 0)


def test_a_file_of_tess_as_it_is_delivered(tmp_path):
    """A table and an image in one FITS file, the object in the first header, the zero of the times in the second."""
    fits = pytest.importorskip("astropy.io.fits")
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": "TESS", "OBJECT": "TIC 20", "TICID": 20, "RA_OBJ": 150.01, "DEC_OBJ": 0.0})
    columns = [
        fits.Column("TIME", "D", unit="BJD - 2457000, days", array=[1500.5, NAN, 1500.6]),
        fits.Column("TIMECORR", "E", unit="d", array=[0.001, NAN, 0.001]),
        fits.Column("CADENCENO", "J", array=[100, 101, 102]),
        fits.Column("SAP_FLUX", "E", unit="e-/s", array=[900.0, NAN, 901.0]),
        fits.Column("PDCSAP_FLUX", "E", unit="e-/s", array=[1000.0, NAN, 1001.0]),
        fits.Column("PDCSAP_FLUX_ERR", "E", unit="e-/s", array=[1.0, NAN, 1.5]),
        fits.Column("QUALITY", "J", array=[0, 128, 2]),
    ]
    curve = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    curve.header.update({"BJDREFI": 2457000, "BJDREFF": 0.0, "TIMESYS": "TDB"})
    image = fits.ImageHDU(np.zeros((3, 3), "i4"), name="APERTURE")
    fits.HDUList([primary, curve, image]).writeto(tmp_path / "tess_lc.fits")
    store = target(Measurement("tess", unit="electron / s"), time_scale="tdb")
    plan = plan_epochs(read_table(tmp_path / "tess_lc.fits"), store)
    first, second, gap = plan

    assert (first.name, first.time, by_key(first)) == (100, 58500.0, {20: [1000.0]})
    assert (by_key(second, "flux_err"), by_key(second, "flag")) == ({20: [1.5]}, {20: [2]})
    assert (gap.name, np.isnan(gap.time)) == (101, True)
    assert (plan.report.preset, plan.report.match, plan.report.matched) == ("kepler", "key", 3)


def test_a_catalogue_of_sextractor_as_it_is_delivered(tmp_path):
    """Text with its head, matched by position; what it numbers is no key."""
    pytest.importorskip("astropy")
    (tmp_path / "night.cat").write_text(
        "#   1 NUMBER          Running object number\n"
        "#   2 ALPHA_J2000     Right ascension of barycenter (J2000)   [deg]\n"
        "#   3 DELTA_J2000     Declination of barycenter (J2000)       [deg]\n"
        "#   4 MAG_AUTO        Kron-like elliptical aperture magnitude [mag]\n"
        "#   5 MAGERR_AUTO     RMS error for AUTO magnitude            [mag]\n"
        "#   6 FLAGS           Extraction flags\n"
        "  1 150.0100001 0.0000001 18.25 0.01 3\n"
        "  2 150.0000000 0.0000000 99.00 99.0 0\n"
    )
    plan = plan_epochs(read_table(tmp_path / "night.cat"), target(GM))
    (epoch,) = plan

    np.testing.assert_equal(by_key(epoch), {10: [NAN], 20: [18.25]})
    assert by_key(epoch, "status") == {10: [Status.NOT_DETECTED], 20: [Status.DETECTED]}
    assert by_key(epoch, "flag") == {10: [0], 20: [3]}
    assert plan.report.preset == "sextractor"
