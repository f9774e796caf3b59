"""zarrmill lightcurves at URLs: every command on an object store, as on a disk."""

import io
import json
import uuid

import pytest

from zarrmill.store import open_keys

CATALOGUE = "id,ra,dec,period\nRR1,10.0,-5.0,0.55\nRR2,20.0,0.5,0.61\n"
NIGHTS = {
    f"n{night}.csv": "id,mjd,band,flux,flux_err\n"
    + "".join(f"RR{star},{60_000.1 + night},{band},{star + night}.5,0.1\n" for star in (1, 2) for band in "gr")
    for night in range(7)
}


@pytest.fixture(params=["memory", "s3"])
def place(request):
    """A URL where there is nothing yet, and the words that lead there."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}", []
    options = request.getfixturevalue("storage_options")
    words = [
        word
        for key, value in options.items()
        if not isinstance(value, dict)
        for word in ("--storage-option", f"{key}={value}")
    ]
    return request.getfixturevalue("s3_bucket"), words


def test_every_command(place, run, tmp_path, monkeypatch):
    """From the catalogue to the picture: what is read is what was ingested, also when it is folded and pruned."""
    url, words = place
    monkeypatch.chdir(tmp_path)
    for name, text in {"stars.csv": CATALOGUE, **NIGHTS}.items():
        (tmp_path / name).write_text(text)

    def call(command, *args):
        result = run("lightcurves", command, f"{url}/survey", *args, *words)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    made = call("create", "--catalogue", "stars.csv", "--measurement", "g", "--measurement", "r", "--json")
    assert made["objects"] == 2
    report = call("ingest", *NIGHTS, "--json")
    assert [table["rows"]["matched"] for table in report["tables"]] == [4] * 7
    before = call("get", "RR1", "RR2", "--json")
    assert before["curves"][1]["arrays"]["flux"] == [[2.5 + night] * 2 for night in range(7)]
    assert call("relayout", "--progress", "none", "--json")["epochs"] == 7
    assert call("prune", "--json")["epochs"] == 7
    assert call("info", "--json")["folded"] == 7
    assert call("get", "RR1", "RR2", "--json") == before
    assert [row[0] for row in call("cone", 20.0, 0.5, 0.1, "--json")["rows"]] == ["RR2"]
    table = call(
        "stats", "--statistic", "n", "--output", f"memory://{uuid.uuid4().hex}", "--progress", "none", "--json"
    )
    assert [row[2] for row in table["rows"]] == [7.0] * 4
    assert call("verify", "--json")["sound"]
    pytest.importorskip("matplotlib")
    assert call("plot", "RR1", "--out", "rr1.png", "--json")["points"] == 14
    parquet = pytest.importorskip("pyarrow.parquet")
    assert call("export", f"{url}/curves.parquet", "--json")["points"] == 28
    options = dict(word.split("=", 1) for word in words if "=" in word)
    stored = open_keys(url, storage_options=options or None).get("curves.parquet")
    assert parquet.read_table(io.BytesIO(bytes(stored))).column("period").to_pylist() == [0.55, 0.61]


def test_what_is_not_there(place, run):
    """One line that names the URL."""
    url, words = place
    result = run("lightcurves", "info", f"{url}/nowhere", *words)

    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert f"{url}/nowhere" in result.stderr
