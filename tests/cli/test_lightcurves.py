"""zarrmill lightcurves: every command on a real store, as people type it."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from zarrmill.cli import app
from zarrmill.lightcurves import LightcurveStorage

CATALOGUE = "id,ra,dec,period\nRR1,10.0,-5.0,0.55\nRR2,20.0,0.5,0.61\nEB1,20.001,0.5,3.2\n"
NIGHTS = {
    "a.csv": "id,mjd,band,flux,flux_err\nRR1,60000.1,g,10.5,0.1\nRR2,60000.1,g,20.5,0.2\nRR1,60000.1,r,11.5,0.1\n",
    "b.csv": "id,mjd,band,flux,flux_err\nRR2,60001.2,g,21.5,0.2\nXX9,60001.2,g,1.0,0.1\n",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A catalogue, two nights, and a store of three stars with both nights; never written to."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "stars.csv").write_text(CATALOGUE)
    for name, text in NIGHTS.items():
        (folder / name).write_text(text)
    words = "--measurement g:unit=nJy --measurement r:unit=nJy --catalogue"
    for command in (
        ["create", folder / "survey", *words.split(), folder / "stars.csv"],
        ["ingest", folder / "survey", *(folder / name for name in NIGHTS)],
    ):
        assert CliRunner().invoke(app, ["lightcurves", *map(str, command)]).exit_code == 0
    return folder


@pytest.fixture
def files(made, tmp_path, monkeypatch):
    """A catalogue and two nights in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("stars.csv", *NIGHTS):
        shutil.copy(made / name, tmp_path)
    return tmp_path


@pytest.fixture
def survey(made, files):
    """A store of three stars with both nights."""
    return shutil.copytree(made / "survey", files / "survey")


def test_create_shows_what_was_made(files, run):
    """From a catalogue, and from a number of objects; a mistake is one line."""
    made = json.loads(run("lightcurves", "create", "a", "--catalogue", "stars.csv", "--json").stdout)
    counted = run("lightcurves", "create", "b", "--objects", 5, "--max-epochs", 10, "--flag", "edge=4", "--limits")

    assert (made["objects"], made["columns"]) == (3, ["key", "ra", "dec", "period"])
    assert "objects" in counted.stdout
    assert LightcurveStorage.open("b").info().arrays == ("flux", "flux_err", "status", "flag", "limit")
    again = run("lightcurves", "create", "a", "--objects", 1)
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert "there is a store" in again.stderr
    assert run("lightcurves", "create", "c", "--objects", 1, "--flag", "edge").exit_code == 2


def test_ingest_says_what_became_of_rows(survey, run):
    """Every table with its epochs, and rows that found no object by name."""
    result = run("lightcurves", "ingest", "survey", *NIGHTS)

    assert result.exit_code == 0
    assert "b.csv: 1 unmatched: XX9" in result.stdout
    assert "1 unchanged" in result.stdout
    report = json.loads(run("lightcurves", "ingest", "survey", "b.csv", "--json").stdout)["tables"][0]
    assert (report["rows"]["matched"], report["rows"]["fates"]["unmatched"]["names"]) == (1, ["XX9"])
    refused = run("lightcurves", "ingest", "survey", "b.csv", "--unmatched", "error")
    assert (refused.exit_code, "the first is XX9" in refused.stderr) == (1, True)


def test_ingest_with_everything_named(files, run):
    """Columns, bands and the epoch as the command line tells them."""
    (files / "odd.csv").write_text("who,filt,brightness,err\nRR1,x,5.0,0.5\n")
    run("lightcurves", "create", "survey", "--catalogue", "stars.csv", "--measurement", "g")
    words = "--column key=who --column band=filt --column flux=brightness --column flux_err=err --band x=g"
    result = run("lightcurves", "ingest", "survey", "odd.csv", *words.split(), "--epoch", "n1", "--time", "60000.5")

    assert result.exit_code == 0, result.stderr
    curve = LightcurveStorage.open("survey").get_lightcurve("RR1")
    assert (curve["flux"].tolist(), curve["flux_err"].tolist(), curve.time.tolist()) == ([[5.0]], [[0.5]], [60_000.5])


def test_ingest_of_a_file_that_tells_little(files, run):
    """Columns without names, times counted from elsewhere, another unit: said on the command line."""
    (files / "RR1.dat").write_text("1869.5,9.5,0.25\n1871.5,10.5,0.5\n")
    run("lightcurves", "create", "survey", "--catalogue", "stars.csv", "--measurement", "V:unit=nJy")
    words = "--format ascii.no_header --column key==RR1 --column time=col1 --column flux=col2 --column flux_err=col3"
    words += " --column band==V --time-zero 49999.5 --time-scale utc --unit uJy"
    result = run("lightcurves", "ingest", "survey", "RR1.dat", *words.split())

    assert result.exit_code == 0, result.stderr
    curve = LightcurveStorage.open("survey").get_lightcurve("RR1")
    assert curve.time.tolist() == [51_869.0, 51_871.0]
    assert (curve["flux"].tolist(), curve["flux_err"].tolist()) == ([[9500.0], [10_500.0]], [[250.0], [500.0]])
    strange = run("lightcurves", "ingest", "survey", "RR1.dat", "--format", "ascii.nothing")
    assert (strange.exit_code, strange.stderr.count("\n")) == (1, 1)


def test_fits_files_with_several_tables(files, run):
    """The one that is meant is named, of a catalogue as of a night; without a name the error says how."""
    fits = pytest.importorskip("astropy.io.fits")
    table = pytest.importorskip("astropy.table").Table
    other = fits.BinTableHDU(table({"x": [1]}), name="OTHER")
    stars = fits.BinTableHDU(table({"id": ["RR1"], "ra": [1.0], "dec": [2.0]}), name="STARS")
    night = fits.BinTableHDU(table({"id": ["RR1"], "mjd": [6e4], "band": ["g"], "flux": [4.0]}), name="NIGHT")
    fits.HDUList([fits.PrimaryHDU(), other, stars, night]).writeto("all.fits")
    refused = run("lightcurves", "create", "survey", "--catalogue", "all.fits", "--measurement", "g")

    assert (refused.exit_code, "there are 3 tables: OTHER, STARS, NIGHT. Name one (hdu, --hdu)" in refused.stderr) == (
        2,
        True,
    )
    made = run("lightcurves", "create", "survey", "--catalogue", "all.fits", "--hdu", "stars", "--measurement", "g")
    assert made.exit_code == 0, made.stderr
    assert run("lightcurves", "ingest", "survey", "all.fits", "--hdu", 3).exit_code == 0
    assert LightcurveStorage.open("survey").get_lightcurve("RR1")["flux"].tolist() == [[4.0]]
    unknown = run("lightcurves", "ingest", "survey", "all.fits", "--hdu", "NIHGT")
    assert (unknown.exit_code, "'NIGHT'" in unknown.stderr) == (1, True)


def test_relayout_and_prune(survey, run):
    """What is folded is read the same afterwards."""
    before = run("lightcurves", "get", "survey", "RR2", "--json").stdout
    folded = json.loads(run("lightcurves", "relayout", "survey", "--json", "--progress", "none").stdout)
    pruned = json.loads(run("lightcurves", "prune", "survey", "--json").stdout)

    assert (folded["epochs"], pruned["epochs"]) == (2, 2)
    assert run("lightcurves", "get", "survey", "RR2", "--json").stdout == before
    assert json.loads(run("lightcurves", "info", "survey", "--json").stdout)["folded"] == 2
    shown = run("lightcurves", "info", "survey").stdout
    assert "pending" in shown
    assert "last time      MJD 60001.20000" in shown


def test_get_prints_epochs(survey, run):
    """A line per epoch, with what is missing and why; an unknown object is one line with the nearest."""
    shown = run("lightcurves", "get", "survey", "RR1").stdout
    curve = json.loads(run("lightcurves", "get", "survey", "RR1", "--array", "flux", "--json").stdout)["curves"][0]

    assert "RR1, ra 10.00000, dec -5.00000" in shown
    assert "10.5" in shown
    assert "g not observed" in shown
    assert curve["arrays"]["flux"] == [[10.5, 11.5], [None, None]]
    unknown = run("lightcurves", "get", "survey", "RR3")
    assert (unknown.exit_code, "'RR2'" in unknown.stderr) == (1, True)


def test_cone_lists_the_nearest_first(survey, run):
    """Keys, places and separations."""
    found = json.loads(run("lightcurves", "cone", "survey", 20.0, 0.5, 0.01, "--json").stdout)

    assert [row[0] for row in found["rows"]] == ["RR2", "EB1"]
    assert "2 objects" in run("lightcurves", "cone", "survey", 20.0, 0.5, 0.01).stdout
    assert run("lightcurves", "cone", "survey", "--", 10.0, -5.0, 0.01).stdout.count("RR1") == 1


def test_stats_of_every_object(survey, run):
    """The first are shown, all are kept where that is asked for."""
    words = "--statistic n --statistic mean --output statistics --progress none --json"
    found = json.loads(run("lightcurves", "stats", "survey", *words.split()).stdout)

    assert found["columns"] == ["object", "measurement", "n", "mean"]
    assert found["rows"][2] == ["RR2", "g", 2.0, 21.0]
    assert found["rows"][4] == ["EB1", "g", 0.0, None]
    import zarr

    np.testing.assert_array_equal(zarr.open_group("statistics", mode="r")["n"][:, 0], [1, 2, 0])


def test_plot_writes_a_picture(survey, run):
    """A PNG of the light curve, and one folded with a period."""
    pytest.importorskip("matplotlib")
    for more in ((), ("--period", 0.61), ("--only", "g")):
        result = run("lightcurves", "plot", "survey", "RR2", "--out", "rr2.png", *more)
        assert result.exit_code == 0, result.stderr
        assert (survey.parent / "rr2.png").read_bytes().startswith(b"\x89PNG")
    assert run("lightcurves", "plot", "survey", "EB1", "--out", "eb1.png").exit_code == 2


def test_export_to_parquet(survey, run):
    """One row per object; a file that is there is kept unless told otherwise."""
    parquet = pytest.importorskip("pyarrow.parquet")
    report = json.loads(run("lightcurves", "export", "survey", "curves.parquet", "--json").stdout)

    assert (report["objects"], report["points"]) == (3, 4)
    assert parquet.read_table("curves.parquet").column("object_id").to_pylist() == ["RR1", "RR2", "EB1"]
    assert run("lightcurves", "export", "survey", "curves.parquet").exit_code == 1
    assert run("lightcurves", "export", "survey", "curves.parquet", "--overwrite").exit_code == 0


def test_verify_ends_in_3_when_something_is_wrong(survey, run):
    """A sound store is 0; a damaged one names the key."""
    assert "sound" in run("lightcurves", "verify", "survey").stdout
    (path,) = (survey / "by_epoch").glob("60000*/*/flux/c.0.0")
    path.unlink()
    result = run("lightcurves", "verify", "survey")

    assert result.exit_code == 3
    assert "is lost" in result.stdout
    assert json.loads(run("lightcurves", "verify", "survey", "--json").stdout)["sound"] is False


def test_a_store_that_is_not_there(files, run):
    """One line that names the place."""
    result = run("lightcurves", "info", "nowhere")

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no light curves at" in result.stderr


@pytest.mark.parametrize(
    "words",
    ["--column key", "--column key=a --column key=b", "--measurement g:colour=red", "--measurement g:zero_point=x"],
    ids=["no pair", "twice", "unknown word", "no number"],
)
def test_options_that_make_no_sense(files, run, words):
    """Wrong use is exit code 2."""
    result = run("lightcurves", "create", "survey", "--catalogue", "stars.csv", *words.split())

    assert result.exit_code == 2, result.stderr
