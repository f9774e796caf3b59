"""A survey of any size made of real measurements, and its store as an observatory writes it: one epoch after the other.

An object of the survey is a real star shifted in time, with its variation stretched and its brightness moved. At each
epoch of the survey it shows the nearest real measurement with the real error, and NaN where the star was not observed
within a day. The same seed gives the same survey.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
import zarr.codecs
from numpy.typing import NDArray

from zarrmill.demo.macho import BANDS, Curve, Star
from zarrmill.errors import InvalidInputError

OBJECT_BLOCK = 5000
"""Objects in one chunk of an epoch: a chunk holds one night of one part of the sky."""
NEAR = 1.0
"""Days between an epoch and a real measurement that stands for it: the same night or one beside it."""
STRETCH = (0.7, 1.3)
"""Range of the factor on the variation of a real star."""
OFFSET = (-1.0, 1.0)
"""Range of the shift in brightness, in magnitudes."""
TITLE = "MACHO photometry scaled up by zarrmill demo"
"""Title in the attributes of the store; the demo replaces nothing that has another one."""
ARRAYS = ("magnitude", "magnitude_err")
"""Names of the two arrays of shape (object, band, epoch)."""
_MISSING = np.float32(np.nan)

Epoch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Magnitudes and their errors of one epoch, each of shape (object, band)."""
SurveyArrays = tuple["zarr.Array[Any]", "zarr.Array[Any]"]
"""The arrays of magnitudes and of their errors, each of shape (object, band, epoch)."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What every object of the survey is made of; the values follow from it."""

    stars: tuple[Star, ...]
    """Real stars."""
    times: NDArray[np.float64]
    """Modified Julian date of each epoch, all of them dates of real measurements."""
    star: NDArray[np.int16]
    """Index into ``stars`` per object."""
    shift: NDArray[np.float64]
    """Days by which the real star is shifted, per object; its time wraps around at the end of the survey."""
    stretch: NDArray[np.float64]
    """Factor on the variation of the real star about its median, per object."""
    offset: NDArray[np.float64]
    """Magnitudes added, per object."""

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return len(self.star)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Length by object, band and epoch."""
        return self.n_objects, len(BANDS), len(self.times)

    @property
    def nbytes(self) -> int:
        """Decoded bytes of the magnitudes and their errors."""
        return len(ARRAYS) * _MISSING.nbytes * math.prod(self.shape)


def plan_survey(stars: Sequence[Star], *, objects: int, epochs: int, seed: int) -> Survey:
    """Return a survey of ``objects`` drawn from real stars, at ``epochs`` spread evenly over the nights of all of them.

    Raises InvalidInputError for less than one object, or for more epochs than there are dates.
    """
    dates = np.unique(np.concatenate([curve.time for star in stars for curve in star.curves.values()]))
    if objects < 1 or not 1 <= epochs <= len(dates):
        raise InvalidInputError(
            f"a survey of {objects} objects and {epochs} epochs cannot be made. "
            f"Ask for at least one object and for 1 to {len(dates)} epochs (the real dates)."
        )
    random = np.random.default_rng(seed)
    return Survey(
        stars=tuple(stars),
        times=dates[np.linspace(0, len(dates) - 1, epochs).round().astype(int)],
        star=random.integers(len(stars), size=objects, dtype=np.int16),
        shift=random.uniform(0, np.ptp(dates), objects),
        stretch=random.uniform(*STRETCH, objects),
        offset=random.uniform(*OFFSET, objects),
    )


def observe(survey: Survey) -> Iterator[Epoch]:
    """Yield each epoch of the survey in order of time."""
    members = [np.flatnonzero(survey.star == index) for index in range(len(survey.stars))]
    for time in survey.times:
        magnitude = np.full(survey.shape[:2], _MISSING)
        error = magnitude.copy()
        for star, chosen in zip(survey.stars, members, strict=True):
            for band, curve in star.curves.items():
                where = chosen, BANDS.index(band)
                magnitude[where], error[where] = _measure(survey, curve, chosen, time)
        yield magnitude, error


def create_survey_store(path: Path, survey: Survey) -> SurveyArrays:
    """Create an empty Zarr v3 store chunked as it will be written, (block of objects, bands, one epoch).

    Returns the arrays that ``write_epoch`` fills.
    """
    group = zarr.create_group(path, attributes={"title": TITLE})
    _put_column(group, "time", survey.times, dim="epoch", attributes={"units": "d", "long_name": "MJD"})
    _put_column(group, "star", survey.star, dim="object", attributes={"names": [star.name for star in survey.stars]})
    said = ("instrumental magnitude", "standard deviation of the magnitude")
    magnitude, error = (_put_cube(group, name, survey, long_name=text) for name, text in zip(ARRAYS, said, strict=True))
    return magnitude, error


def write_epoch(arrays: SurveyArrays, index: int, epoch: Epoch) -> None:
    """Write one epoch into a survey store."""
    for array, values in zip(arrays, epoch, strict=True):
        array[:, :, index] = values


def _measure(survey: Survey, curve: Curve, chosen: NDArray[np.intp], time: float) -> Epoch:
    """Return what the chosen objects, all made of this curve, show at a time."""
    start, length = survey.times[0], max(np.ptp(survey.times), 1.0)
    wanted = start + (time - start + survey.shift[chosen]) % length
    nearest = np.searchsorted((curve.time[1:] + curve.time[:-1]) / 2, wanted)
    seen = np.abs(curve.time[nearest] - wanted) <= NEAR
    middle = np.median(curve.magnitude)
    magnitude = middle + (curve.magnitude[nearest] - middle) * survey.stretch[chosen] + survey.offset[chosen]
    return (
        np.where(seen, magnitude.round(3).astype(np.float32), _MISSING),
        np.where(seen, curve.error[nearest].astype(np.float32), _MISSING),
    )


def _put_cube(group: zarr.Group, name: str, survey: Survey, *, long_name: str) -> zarr.Array[Any]:
    return group.create_array(
        name,
        shape=survey.shape,
        chunks=(min(OBJECT_BLOCK, survey.n_objects), len(BANDS), 1),
        dtype="float32",
        fill_value=_MISSING,
        compressors=zarr.codecs.ZstdCodec(level=3),
        dimension_names=("object", "band", "epoch"),
        attributes={"units": "mag", "long_name": long_name, "bands": list(BANDS)},
    )


def _put_column(
    group: zarr.Group, name: str, values: NDArray[np.generic], *, dim: str, attributes: dict[str, Any]
) -> None:
    group.create_array(name, data=values, chunks=values.shape, dimension_names=(dim,), attributes=attributes)
