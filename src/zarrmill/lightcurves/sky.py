"""Positions on the sphere: exact separations, and cone search through bands of declination.

Objects are sorted into bands that hold about equally many, so that a narrow field is searched as fast as the whole sky.
A cone reads the bands that it touches, which are one contiguous range, and nothing else: the arrays of an index may be
numpy arrays or anything that is read by slices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
FULL_TURN = 360.0
MARGIN = 1e-8
"""Degrees by which a first selection is wider than the cone, well above rounding errors; separations then decide."""
POLE_MARGIN = 1e-3
"""Degrees from a pole within which a cone is taken to hold it: there right ascensions say nothing."""
LEAST_BAND = 64
"""Objects of a band at the least: fewer cost more to find than to compute."""
NAMED = 5
"""Rows that a message names."""


class Sliceable(Protocol):
    """An array in memory or in a store."""

    def __getitem__(self, index: Any) -> Any:
        """Return a stretch."""


def check_positions(ra: Any, dec: Any, *, where: str = "positions") -> tuple[Floats, Floats]:
    """Return positions in degrees, right ascensions in [0, 360).

    Raises InvalidInputError that names the first rows without a place on the sphere.
    """
    ras, decs = (np.ma.filled(np.ma.asarray(each, dtype=np.float64), np.nan) for each in (ra, dec))
    ras, decs = np.atleast_1d(ras), np.atleast_1d(decs)
    if ras.shape != decs.shape or ras.ndim != 1:
        raise InvalidInputError(f"{where}: ra has shape {ras.shape}, dec {decs.shape}. Give one of each per row.")
    wrong = np.flatnonzero(~(np.isfinite(ras) & (np.abs(decs) <= 90)))
    if len(wrong):
        rows = ", ".join(f"{i} (ra {ras[i]:g}, dec {decs[i]:g})" for i in wrong[:NAMED].tolist())
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise InvalidInputError(
            f"{where}: {len(wrong)} of {len(ras)} rows have no position: {rows}{more}. Give finite degrees with dec "
            f"from -90 to 90, or leave those rows out."
        )
    return wrap(ras), decs


def wrap(ra: Floats) -> Floats:
    """Return right ascensions in [0, 360).

    >>> wrap(np.array([-10.0, 360.0, -1e-20])).tolist()
    [350.0, 0.0, 0.0]
    """
    turned = np.mod(ra, FULL_TURN)
    # The remainder of a tiny negative number rounds up to a full turn.
    return np.asarray(np.where(turned == FULL_TURN, 0.0, turned))


def find_separation(ra: Any, dec: Any, ra2: Any, dec2: Any) -> Floats:
    """Return great-circle distances in degrees, accurate from 0 to 180 (Vincenty's formula on a sphere).

    >>> round(find_separation(359.0, 0.0, 1.0, 0.0).item(), 9), find_separation(10.0, 90.0, 200.0, -90.0).item()
    (2.0, 180.0)
    """
    turn = np.radians(np.asarray(ra2, dtype=np.float64) - ra)
    one, two = np.radians(dec), np.radians(np.asarray(dec2, dtype=np.float64))
    sin1, cos1, sin2, cos2 = np.sin(one), np.cos(one), np.sin(two), np.cos(two)
    across = np.hypot(cos2 * np.sin(turn), cos1 * sin2 - sin1 * cos2 * np.cos(turn))
    return np.asarray(np.degrees(np.arctan2(across, sin1 * sin2 + cos1 * cos2 * np.cos(turn))))


@dataclass(frozen=True, slots=True, eq=False)
class PositionIndex:
    """Objects sorted by band of declination, and by right ascension within a band.

    >>> index = PositionIndex.build([359.95, 0.1, 180.0], [0.0, 0.0, 0.0])
    >>> index.cone(0.0, 0.0, 0.2)[0].tolist()
    [0, 1]
    """

    start: Indices
    """First row of each band, and the number of rows at the end."""
    low: Floats
    """Smallest declination of each band."""
    high: Floats
    """Largest declination of each band."""
    order: Sliceable
    """Position in the catalogue of each row."""
    ra: Sliceable
    """Right ascension of each row in degrees, in [0, 360)."""
    dec: Sliceable
    """Declination of each row in degrees."""

    @classmethod
    def build(cls, ra: Any, dec: Any) -> PositionIndex:
        """Return the index of positions in degrees; raises InvalidInputError for those that are none."""
        ras, decs = check_positions(ra, dec, where="objects")
        n = len(ras)
        start = np.append(np.arange(0, n, max(LEAST_BAND, int(np.sqrt(n)))), n).astype(np.int64)
        by_dec = np.argsort(decs, kind="stable")
        band = np.repeat(np.arange(len(start) - 1), np.diff(start))
        order = by_dec[np.lexsort((ras[by_dec], band))]
        low, high = decs[by_dec[start[:-1]]], decs[by_dec[start[1:] - 1]]
        return cls(start, low, high, order, ras[order], decs[order])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is to be stored: 1-D arrays by name, three small ones and three as long as the catalogue."""
        return {name: np.asarray(getattr(self, name)) for name in ("start", "low", "high", "order", "ra", "dec")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> PositionIndex:
        """Return the index that was stored; the arrays ``order``, ``ra`` and ``dec`` are read by slices."""
        small = {name: np.asarray(arrays[name][:]) for name in ("start", "low", "high")}
        return cls(**small, order=arrays["order"], ra=arrays["ra"], dec=arrays["dec"])

    def __len__(self) -> int:
        return int(self.start[-1])

    def cone(self, ra: float, dec: float, radius: float) -> tuple[Indices, Floats]:
        """Return catalogue positions and separations of the objects within a radius, the nearest first; all in degrees.

        The border belongs to the cone. Raises InvalidInputError for a centre or a radius that is none.
        """
        if not 0 <= radius <= 180:
            raise InvalidInputError(f"radius {radius!r}: a cone has from 0 to 180 degrees. Give one of those.")
        (centre_ra,), (centre_dec,) = check_positions(ra, dec, where="centre")
        rows = self._rows(float(centre_dec), radius)
        ras = np.asarray(self.ra[rows])
        near = np.flatnonzero(_within_turn(ras, float(centre_ra), _half_width(float(centre_dec), radius)))
        decs, order = np.asarray(self.dec[rows])[near], np.asarray(self.order[rows])[near]
        separation = find_separation(centre_ra, centre_dec, ras[near], decs)
        inside = np.flatnonzero(separation <= radius)
        nearest = inside[np.lexsort((order[inside], separation[inside]))]
        return order[nearest].astype(np.int64), separation[nearest]

    def _rows(self, dec: float, radius: float) -> slice:
        """Return the rows of the bands that a cone touches."""
        touched = np.flatnonzero((self.high >= dec - radius - MARGIN) & (self.low <= dec + radius + MARGIN))
        return slice(int(self.start[touched[0]]), int(self.start[touched[-1] + 1])) if len(touched) else slice(0, 0)


def _half_width(dec: float, radius: float) -> float:
    """Return how far right ascensions of a cone differ from that of its centre, in degrees."""
    if abs(dec) + radius > 90 - POLE_MARGIN:
        return FULL_TURN
    return float(np.degrees(np.arcsin(np.sin(np.radians(radius)) / np.cos(np.radians(dec))))) + MARGIN


def _within_turn(ra: Floats, centre: float, half_width: float) -> NDArray[np.bool_]:
    apart = np.abs(ra - centre)
    return np.asarray(np.minimum(apart, FULL_TURN - apart) <= half_width)
