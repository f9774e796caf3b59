"""zarrmill lightcurves: what can never work is one line that says what is wrong, and nothing is changed."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from zarrmill.cli import app
from zarrmill.lightcurves import LightcurveStorage

FILES = {
    "stars.csv": "id,ra,dec\nRR1,10.0,-5.0\nRR2,20.0,0.5\n",
    "twice.csv": "id,ra,dec\nRR1,10.0,-5.0\nRR1,20.0,0.5\n",
    "nowhere.csv": "id,ra,dec\nRR1,nan,-5.0\nRR2,20.0,0.5\n",
    "high.csv": "id,ra,dec\nRR1,10.0,-95.0\n",
    "empty.csv": "",
    "noise.bin": "\x00\x01 no table",
    "a.csv": "id,mjd,band,flux,flux_err\nRR1,60000.1,g,10.5,0.1\nRR2,60000.1,g,20.5,0.2\n",
    "other.csv": "id,mjd,band,flux,flux_err\nRR1,60000.1,g,99.5,0.1\nRR2,60000.1,g,20.5,0.2\n",
    "strange.csv": "id,mjd,band,flux,flux_err\nRR1,60001.1,H,10.5,0.1\n",
    "unknown.csv": "id,mjd,band,flux,flux_err\nXX1,60001.1,g,10.5,0.1\n",
    "text.csv": "id,mjd,band,flux,flux_err\nRR1,60001.1,g,bright,0.1\n",
    "flags.csv": "id,mjd,band,flux,flux_err,flag\nRR1,60001.1,g,1.5,0.1,5000000000\n",
    "places.csv": "ra,dec,mjd,band,flux,flux_err\n10.0,-5.0,60000.1,g,10.5,0.1\n",
    "rows.csv": "id,mjd,band,flux,flux_err\nRR1,60001.1,g,1.5,0.1\nRR1,60001.1,g,2.5,0.1\n",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a store of two stars with one night, and the files; never written to."""
    folder = tmp_path_factory.mktemp("made")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    table = pytest.importorskip("astropy.table").Table({"id": ["RR1"] * 500, "flux": np.ones(500)})
    table.write(folder / "whole.fits")
    (folder / "cut.fits").write_bytes((folder / "whole.fits").read_bytes()[:6000])
    words = "--measurement g:unit=nJy --measurement r:unit=nJy --flag edge=4 --catalogue"
    for command in (
        ["create", folder / "survey", *words.split(), folder / "stars.csv"],
        ["ingest", folder / "survey", folder / "a.csv"],
    ):
        assert CliRunner().invoke(app, ["lightcurves", *map(str, command)]).exit_code == 0
    return folder


@pytest.fixture
def survey(made, tmp_path, monkeypatch):
    """A store of two stars with one night, in the working directory with the files."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(made, tmp_path, dirs_exist_ok=True)


BAD = {
    "epoch of no index": ("ingest survey a.csv --epoch 7", "index"),
    "other content": ("ingest survey other.csv", "with other content"),
    "unknown column": ("ingest survey a.csv --column flux=fluxx", "'flux'"),
    "unknown role": ("ingest survey a.csv --column fluks=flux", "'flux'"),
    "unknown measurement": ("ingest survey a.csv --column gg.flux=flux", "'g'"),
    "unknown preset": ("ingest survey a.csv --preset ztv", "'ztf'"),
    "unknown band of a code": ("ingest survey strange.csv --band H=gg", "'g'"),
    "unknown objects": ("ingest survey unknown.csv --unmatched error", "XX1"),
    "text for numbers": ("ingest survey text.csv", "flux"),
    "cut short": ("ingest survey cut.fits", "truncated"),
    "no table": ("ingest survey noise.bin", "noise.bin"),
    "empty table": ("ingest survey empty.csv", "empty.csv"),
    "no file": ("ingest survey no.csv", "no.csv"),
    "separation": ("ingest survey places.csv --match sky --max-separation -1", "separation"),
    "sky without positions": ("ingest survey a.csv --match sky", "ra"),
    "store that is there": ("create survey --objects 3", "there is a store"),
    "keys twice": ("create new --catalogue twice.csv", "object key 'RR1' comes 2 times"),
    "NaN position": ("create new --catalogue nowhere.csv", "ra nan of object 'RR1'"),
    "dec beyond the pole": ("create new --catalogue high.csv", "dec -95.0 of object 'RR1'"),
    "no objects": ("create new", "n_objects"),
    "objects and catalogue": ("create new --objects 3 --catalogue stars.csv", "both"),
    "no catalogue": ("create new --catalogue no.csv", "no.csv"),
    "unknown catalogue column": ("create new --catalogue stars.csv --column key=idd", "'id'"),
    "measurement twice": ("create new --objects 3 --measurement g --measurement g", "'g'"),
    "time scale": ("create new --objects 3 --time-scale utx", "utx"),
    "flag of no bit": ("create new --objects 3 --flag edge=x", "--flag"),
    "unknown object": ("get survey RR3", "'RR2'"),
    "unknown array": ("get survey RR1 --array flx", "'flux'"),
    "cone outside the sky": ("cone survey 10 95 1", "dec"),
    "cone of no radius": ("cone survey 10 5 nan", "radius"),
    "unknown statistic": ("stats survey --statistic medain", "'median'"),
    "statistics over the store": ("stats survey --output survey", "survey"),
    "plot of an unknown object": ("plot survey RR3 --out a.png", "'RR2'"),
    "plot of an unknown band": ("plot survey RR1 --out a.png --only gg", "'g'"),
    "period of nothing": ("plot survey RR1 --out a.png --period 0", "period"),
    "picture of no kind": ("plot survey RR1 --out a.unknown", "Let the name end in .png"),
    "export over the store": ("export survey survey", "survey"),
    "export into no folder": ("export survey no/such/a.parquet", "no/such"),
    "executor": ("relayout survey --executor gpu", "gpu"),
}


def files_of(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("words", "said"), BAD.values(), ids=BAD)
def test_what_cannot_be(survey, run, words, said):
    """One line with the name of what is wrong, exit code 1 or 2, no traceback, no file written."""
    before = files_of(survey)
    result = run("lightcurves", *words.split())

    assert result.exit_code in (1, 2), result.stdout
    assert said in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert "unexpected" not in result.stderr
    assert files_of(survey) == before
    assert LightcurveStorage.open("survey").get_lightcurve("RR2")["flux"].tolist() == [
        [20.5, pytest.approx(np.nan, nan_ok=True)]
    ]


def test_indices_beyond_the_epochs(survey, run):
    """A store of counted epochs names the last."""
    run("lightcurves", "create", "counted", "--objects", 2, "--max-epochs", 5, "--measurement", "g")
    (survey / "n.csv").write_text("key,mjd,band,flux,flux_err\n0,60000.1,g,10.5,0.1\n")
    result = run("lightcurves", "ingest", "counted", "n.csv", "--epoch", 5)

    assert (result.exit_code, "epoch 5 is out of range" in result.stderr) == (2, True)


def test_lossy_flags_say_so(survey, run):
    """Bits that the store's type cannot hold are refused with the name of the field."""
    result = run("lightcurves", "ingest", "survey", "flags.csv")

    assert result.exit_code == 2
    assert "flag" in result.stderr


def test_two_rows_of_an_object_are_told(survey, run):
    """The first counts, the report names the other."""
    result = run("lightcurves", "ingest", "survey", "rows.csv")

    assert result.exit_code == 0
    assert "1 duplicate" in result.stdout
