"""Magnitudes and fluxes, there and back: zero points, errors, and units whose zero point is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError

Kind = Literal["flux", "magnitude"]
KINDS: tuple[Kind, ...] = ("flux", "magnitude")
"""What the values of a measurement are."""
POGSON = 2.5 / np.log(10)
"""Magnitudes in one unit of relative flux error: 1.0857."""
AB_ZERO_POINTS = {"Jy": 8.9, "mJy": 16.4, "uJy": 23.9, "nJy": 31.4}
"""AB magnitude of one unit of flux density, to the 0.001 by which m_AB = 8.90 itself is rounded (Oke & Gunn 1983)."""
Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One of the things measured at every epoch: a band, or one aperture of a band."""

    name: str
    """What it is selected by: "g", "g_ap2"."""
    band: str = ""
    """Filter; several measurements may share one. The name where nothing is said."""
    kind: Kind = "flux"
    """Whether values are fluxes or magnitudes."""
    unit: str = ""
    """Unit of the values as CF and astropy write it: "nJy", "mag", "electron s-1"; empty where unknown."""
    zero_point: float | None = None
    """Magnitude of a flux of one unit; None where the fluxes are not calibrated."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInputError(f"measurement {self.name!r}: kind {self.kind!r} is not one of {', '.join(KINDS)}.")
        if not self.name:
            raise InvalidInputError("a measurement has no name. Name each of them: Measurement('g').")
        object.__setattr__(self, "band", self.band or self.name)

    def find_zero_point(self) -> float:
        """Return the zero point that is given, or else that of the unit; raises InvalidInputError without one.

        >>> Measurement("g", unit="nJy").find_zero_point()
        31.4
        """
        zero_point = AB_ZERO_POINTS.get(self.unit) if self.zero_point is None else self.zero_point
        if zero_point is None:
            raise InvalidInputError(
                f"measurement {self.name!r}: no zero point, and none is known for the unit {self.unit!r}. "
                f"Set zero_point."
            )
        return float(zero_point)


def to_magnitude(flux: Numbers, error: Numbers, *, zero_point: float) -> tuple[Numbers, Numbers]:
    """Return magnitudes and their errors of fluxes; NaN for a flux that is not positive, which has none.

    >>> [round(float(x), 3) for x in to_magnitude(np.array(100.0), np.array(1.0), zero_point=25)]
    [20.0, 0.011]
    """
    bright = np.where(flux > 0, flux, np.nan)
    return zero_point - 2.5 * np.log10(bright), POGSON * error / bright


def to_flux(magnitude: Numbers, error: Numbers, *, zero_point: float) -> tuple[Numbers, Numbers]:
    """Return fluxes and their errors of magnitudes; the inverse of ``to_magnitude``.

    >>> [round(float(x), 3) for x in to_flux(np.array(20.0), np.array(0.1), zero_point=25)]
    [100.0, 9.21]
    """
    flux = 10 ** ((zero_point - magnitude) / 2.5)
    return flux, error * flux / POGSON
