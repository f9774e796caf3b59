"""What is settled when a store is created: its measurements and everything that ``create`` leaves to options."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.photometry import Kind, Measurement

TIME_SCALES = ("utc", "tai", "tt", "tdb", "tcb", "tcg", "ut1", "local")
"""Scales that astropy knows."""
FLAG_TYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")
"""Types that a ``flag`` array may have."""
ObjectKey = int | str
"""What an object is called by its users."""
MeasurementsRequest = int | str | Measurement | Iterable[str | Measurement]
"""A number of measurements, their names, or what they are."""


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What a new store is like beside its size; every field has a default that serves.

    >>> CreateOptions(flags={"saturated": 1, "edge": 2}, limits=True).flag_masks
    {'saturated': 1, 'edge': 2}
    """

    kind: Kind = "flux"
    """Whether measurements that are given by name are fluxes or magnitudes."""
    unit: str = ""
    """Unit of measurements that are given by name; "mag" for magnitudes where nothing is said."""
    dtype: str = "f4"
    """Type of the values: "f4" or "f8"."""
    flags: Mapping[str, int] | bool = False
    """Bit of each meaning in the ``flag`` array, True for an array without meanings, False for none."""
    flag_dtype: str = "u4"
    """Integer type of the ``flag`` array."""
    limits: bool = False
    """Whether there is a ``limit`` array with upper limits of what was not detected."""
    time_offsets: bool = False
    """Whether there is a ``time_offset`` array, in seconds per object and epoch."""
    time_scale: str = "utc"
    """Scale of the times of the epochs, as astropy names it."""
    codecs: str | Sequence[str] = "blosc:zstd:5:shuffle"
    """Codecs of the object layout, as for ``zarrmill.rechunk``."""
    epoch_codecs: str | Sequence[str] = "blosc:zstd:1:shuffle"
    """Codecs of epochs, which are read seldom and written against the clock."""
    epoch_block: int | None = None
    """Epochs in one chunk of the object layout; None for up to 512, spread evenly."""
    shard_objects: int | None = None
    """Objects in one shard of the object layout; None for what ``sizing`` finds."""
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False)
    """Options of the object store."""

    def __post_init__(self) -> None:
        check_choice(self.kind, ("flux", "magnitude"), what="kind")
        check_choice(self.dtype, ("f4", "f8"), what="dtype")
        check_choice(self.flag_dtype, FLAG_TYPES, what="flag_dtype")
        check_choice(self.time_scale, TIME_SCALES, what="time scale")
        for name in ("epoch_block", "shard_objects"):
            check_length(getattr(self, name), what=name)

    @property
    def flag_masks(self) -> dict[str, int]:
        """Bit by meaning; empty without meanings."""
        return dict(self.flags) if isinstance(self.flags, Mapping) else {}

    def measurements(self, request: MeasurementsRequest) -> tuple[Measurement, ...]:
        """Return measurements that are given as a count, by name, or as they are. Raises InvalidInputError.

        >>> [m.name for m in CreateOptions().measurements(2)]
        ['m0', 'm1']
        """
        unit = self.unit or ("mag" if self.kind == "magnitude" else "")
        made = tuple(
            m if isinstance(m, Measurement) else Measurement(str(m), kind=self.kind, unit=unit)
            for m in _each_measurement(request)
        )
        names = [m.name for m in made]
        if not names:
            raise InvalidInputError("there are no measurements. Name at least one band.")
        for name in names:
            if names.count(name) > 1:
                raise InvalidInputError(f"measurement {name!r} comes {names.count(name)} times. Names must differ.")
        return made


def _each_measurement(request: object) -> Iterable[object]:
    count = whole_number(request)
    if count is not None:
        check_length(count, what="measurements")
        return [f"m{i}" for i in range(count)]
    if isinstance(request, str | Measurement):
        return (request,)
    if not isinstance(request, Iterable):
        raise InvalidInputError(f"measurements {request!r} are neither a number nor names. Give ['g', 'r'], or 2.")
    return request


def whole_number(value: object) -> int | None:
    """Return a whole number of any type, numpy's included, as an int; None for anything else, True among it.

    >>> whole_number(7), whole_number(7.0), whole_number(True)
    (7, None, None)
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def check_choice(value: object, known: Sequence[str], *, what: str) -> None:
    """Raise InvalidInputError for a word that is not one of the known ones."""
    if value not in known:
        raise InvalidInputError(f"{what} {value!r} is not known.{did_you_mean(value, known)} Use one of {list(known)}.")


def check_length(value: object, *, what: str) -> None:
    """Raise InvalidInputError for a number, if there is one, that is not a whole number of 1 or more."""
    number = whole_number(value)
    if value is not None and (number is None or number < 1):
        raise InvalidInputError(f"{what} {value!r} is no whole number of 1 or more. Give one, or leave it out.")


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name, beginning with a space, or nothing.

    >>> did_you_mean("fluxx", ["flux", "flux_err"])
    " Did you mean 'flux'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
