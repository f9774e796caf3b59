"""The real light curves through ``LightcurveStorage``: ingested epoch by epoch, folded, read back, drawn."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.demo.macho import BANDS, Star
from zarrmill.errors import AlreadyExistsError, VerifyError, ZarrmillError
from zarrmill.lightcurves import CreateOptions, LightCurve, LightcurveStorage, TableRequest
from zarrmill.lightcurves.plot import plot_light_curve
from zarrmill.progress import Progress

PORTRAIT = "10.4279.1493"
"""Star of the picture: well observed in both bands, and it changes."""
READS = 20
"""Times that a light curve is read to time one; the median counts."""
COMMENT = "MACHO photometry by zarrmill demo"
"""What marks the objects of the demo's store, which replaces nothing else."""


@dataclass(frozen=True, slots=True)
class CurveFigures:
    """What the store of the real light curves took, by measurement."""

    path: str
    """Where it lies."""
    objects: int
    """Stars."""
    points: int
    """Measurements, every one of them compared with what was read back."""
    epochs: int
    """Exposures, each added as an epoch of its own."""
    ingest_seconds: float
    """Wall time of adding them."""
    relayout_seconds: float
    """Wall time of folding them into the object layout, digests compared."""
    read_seconds: float
    """Median wall time to read one star in both bands from the opened store."""
    picture: str
    """Path of the PNG of one light curve, drawn from the store."""


def check_curves(path: Path) -> None:
    """Raise AlreadyExistsError for a path that holds something else than the store of an earlier demo."""
    if path.exists() and not _is_ours(path):
        raise AlreadyExistsError(
            f"{path}: there is something that no demo has made. Choose another folder, or move it away."
        )


def _is_ours(path: Path) -> bool:
    try:
        return bool((LightcurveStorage.open(path).objects["comment"] == COMMENT).all())
    except (ZarrmillError, OSError):
        return False


def keep_curves(stars: Sequence[Star], path: Path, picture: Path, *, progress: Progress) -> CurveFigures:
    """Make the store of some stars, read every measurement back, and draw one star.

    Raises VerifyError for a measurement that is not what was ingested.
    """
    if path.exists():
        shutil.rmtree(path)
    storage = _create(stars, path)
    begun = time.perf_counter()
    report = storage.ingest(make_table(stars), request=TableRequest(unmatched="error", sync=False))
    ingested = time.perf_counter()
    folded = storage.relayout(progress=progress)
    storage.prune()
    opened = LightcurveStorage.open(path)
    points = sum(_check(opened.get_lightcurve(star.name), star) for star in stars)
    names = [star.name for star in stars]
    portrait = PORTRAIT if PORTRAIT in names else names[0]
    plot_light_curve(opened.get_lightcurve(portrait), picture)
    return CurveFigures(
        path=str(path),
        objects=len(stars),
        points=points,
        epochs=len(report.epochs),
        ingest_seconds=ingested - begun,
        relayout_seconds=folded.seconds,
        read_seconds=_time_reads(opened, names),
        picture=str(picture),
    )


def _create(stars: Sequence[Star], path: Path) -> LightcurveStorage:
    catalogue = {
        "key": [star.name for star in stars],
        "ra": [star.ra for star in stars],
        "dec": [star.dec for star in stars],
        "comment": [COMMENT] * len(stars),
    }
    options = CreateOptions(kind="magnitude", dtype="f8")
    return LightcurveStorage.create(path, catalogue=catalogue, measurements=BANDS, options=options)


def make_table(stars: Sequence[Star]) -> dict[str, Any]:
    """Return all measurements as one table, a row each, as a survey publishes them."""
    curves = [(star, band, curve) for star in stars for band, curve in star.curves.items()]
    return {
        "id": np.repeat([star.name for star, _, _ in curves], [len(curve) for _, _, curve in curves]),
        "band": np.repeat([band for _, band, _ in curves], [len(curve) for _, _, curve in curves]),
        "mjd": np.concatenate([curve.time for _, _, curve in curves]),
        "mag": np.concatenate([curve.magnitude for _, _, curve in curves]),
        "mag_err": np.concatenate([curve.error for _, _, curve in curves]),
    }


def _check(found: LightCurve, star: Star) -> int:
    """Return the points of a star; raises VerifyError where they are not those of its archive."""
    points = 0
    for i, band in enumerate(BANDS):
        seen = found.detected[:, i]
        curve = star.curves.get(band)
        wanted = (curve.time, curve.magnitude, curve.error) if curve else (np.empty(0),) * 3
        read = (found.time[seen], found["flux"][seen, i], found["flux_err"][seen, i])
        if not all(np.array_equal(a, b) for a, b in zip(read, wanted, strict=True)):
            raise VerifyError(f"{star.name}: {band} is not what was ingested. Check memory and disks, then run again.")
        points += len(wanted[0])
    return points


def _time_reads(storage: LightcurveStorage, names: Sequence[str]) -> float:
    taken = []
    for number in range(READS + 1):
        begun = time.perf_counter()
        storage.get_lightcurve(names[number % len(names)])
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])
