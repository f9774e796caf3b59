"""Real stars of ASAS, as the cesium wheel carries them: a file of numbers per star, through a store and out again."""

from __future__ import annotations

import csv
import importlib.metadata
import tarfile
from pathlib import Path

import numpy as np
import pytest

from zarrmill.lightcurves import ColumnRequest, CreateOptions, IngestOptions, LightcurveStorage, TableRequest
from zarrmill.lightcurves.periodogram import find_periods
from zarrmill.lightcurves.plot import plot_folded, plot_light_curve

pytest.importorskip("astropy")
pytestmark = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="cesium")), reason="cesium, which carries the stars, is absent"
)
ZERO = 49_999.5
"""Modified Julian date of 0: the files count Julian dates from 2,450,000."""
FOLDER = "cesium/tests/data"
POINTS = 80
"""Lines of each file that are taken: each is an epoch of its own."""


def locate(name: str) -> Path:
    """Return where pip put a file of the wheel; cesium itself is not imported."""
    files = importlib.metadata.files("cesium") or []
    return next(Path(str(file.locate())) for file in files if str(file) == f"{FOLDER}/{name}")


@pytest.fixture(scope="module")
def classes() -> dict[str, str]:
    """The type of each star."""
    with locate("asas_training_subset_classes_with_metadata.dat").open() as lines:
        return {row["filename"]: row["target"] for row in csv.DictReader(lines)}


@pytest.fixture
def files(tmp_path_factory) -> dict[str, Path]:
    """The file of each star: Julian date, magnitude in V and its error, without a header."""
    folder, found = tmp_path_factory.mktemp("asas"), {}
    with tarfile.open(locate("asas_training_subset.tar.gz")) as archive:
        for member in archive.getmembers():
            text = archive.extractfile(member)
            if text is not None and member.name.endswith(".dat"):
                path = folder / Path(member.name).name
                path.write_bytes(b"".join(text.readlines()[:POINTS]))
                found[path.stem] = path
    return found


@pytest.fixture
def survey(files, classes, tmp_path_factory) -> Path:
    """A store of all stars, folded and without copies of its epochs."""
    path = tmp_path_factory.mktemp("survey") / "asas"
    catalogue = {"key": list(classes), "type": list(classes.values())}
    options = CreateOptions(kind="magnitude", dtype="f8")
    storage = LightcurveStorage.create(path, catalogue=catalogue, measurements=["V"], options=options)
    request = TableRequest(sync=False, format="ascii.no_header")
    for key, file in files.items():
        roles = {"key": f"={key}", "time": "col1", "mag": "col2", "mag_err": "col3"}
        how = IngestOptions(columns=ColumnRequest(columns=roles, time_zero=ZERO), match="key")
        report = storage.ingest(file, options=how, request=request)
        assert report.rows.matched == report.rows.rows
    storage.relayout()
    storage.prune()
    return path


@pytest.mark.slow
def test_real_stars_go_through_a_store(survey, files, classes, tmp_path):
    """They are read back to the last digit, told apart by their statistics, and fold with the period that is found."""
    check_points(survey, files, classes)
    check_statistics(survey)
    check_periods(survey, tmp_path)


def check_points(survey, files, classes):
    """Seven stars of three types: times, magnitudes and errors are those of the files to the last digit."""
    storage = LightcurveStorage.open(survey)
    assert len(files) == 7
    assert files.keys() == classes.keys()
    for key, file in files.items():
        table = np.loadtxt(file, delimiter=",")
        table = table[np.argsort(table[:, 0], kind="stable")]
        curve = storage.get_lightcurve(key)
        seen = curve.detected[:, 0]
        np.testing.assert_allclose(curve.time[seen], table[:, 0] + ZERO, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(curve["flux"][seen, 0], table[:, 1])
        np.testing.assert_array_equal(curve["flux_err"][seen, 0], table[:, 2])
    assert storage.verify().sound


def check_statistics(survey):
    """Miras vary by magnitudes, eclipsing stars in contact by tenths, in one sweep over all."""
    storage = LightcurveStorage.open(survey)
    table = storage.statistics(["n", "std"])
    types = storage.objects["type"]
    scatter = {name: table["std"][types == name, 0] for name in set(types.tolist())}

    assert scatter["Mira"].min() > 2 * scatter["W_Ursae_Maj"].max()
    assert table["n"].min() == POINTS


def check_periods(survey, tmp_path):
    """With the period that is found neighbours in phase agree far better than others, and pictures show it."""
    pytest.importorskip("matplotlib")
    storage = LightcurveStorage.open(survey)
    for key in storage.objects["key"][storage.objects["type"] == "Classical_Cepheid"].tolist():
        curve = storage.get_lightcurve(key)
        curve = curve.take(curve.detected[:, 0])
        best = find_periods(curve, shortest=1.0, longest=60.0).best
        values = curve["flux"][np.argsort(curve.time % best), 0]
        steps = np.abs(np.diff(values)).mean() / np.abs(np.diff(np.random.default_rng(1).permutation(values))).mean()
        plot_light_curve(curve, tmp_path / "curve.png")
        plot_folded(curve, tmp_path / "folded.png", period=best)

        assert steps < 0.6
        assert all((tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in ("curve", "folded"))
