"""Which column of a table is what: a preset that is named or recognised, and what the user says, which wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.photometry import Kind
from zarrmill.lightcurves.presets import (
    ALIASES,
    GENERIC,
    MISSING_MAGNITUDES,
    NOT_DETECTED_MAGNITUDES,
    PRESETS,
    Preset,
    TimeNames,
    ValueNames,
)
from zarrmill.lightcurves.tables import Column, Table

ROW_ROLES = ("key", "ra", "dec", "time", "epoch", "band")
"""What a column may tell of a row."""
VALUE_ROLES = ("flux", "flux_err", "mag", "mag_err", "flag", "limit")
"""What a column may hold of a measurement."""
AUTO = "auto"
"""The preset is recognised by the columns; generic where none is."""
KEYWORD, CONSTANT = "@", "="
"""First letter of a role that is a keyword of the table, or the same for every row."""


@dataclass(frozen=True, slots=True)
class ColumnRequest:
    """What a user says of the columns of a table; whatever is left out is found by the preset."""

    preset: str = AUTO
    """Name of a preset, or "auto"."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Column by role, ``{"key": "ID", "flux": "F1"}``; by role within a measurement, ``{"g": {"flux": "GFLUX"}}``.

    ``@WORD`` is a keyword of the table, ``=g`` the same for every row, None no column.
    """
    bands: Mapping[str, str] = field(default_factory=dict)
    """Measurement or band of the store by how the table writes it."""
    time_zero: float | None = None
    """Modified Julian date of time 0."""
    time_scale: str | None = None
    """Scale of the times as astropy calls it."""
    unit: str | None = None
    """Unit of values and errors, whatever the table says."""
    zero_point: float | None = None
    """Magnitude of a flux of one unit in the table."""
    not_detected: tuple[float, ...] | None = None
    """Values that stand for: looked at, and not seen."""
    missing: tuple[float, ...] | None = None
    """Values that stand for: no value."""


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """The columns that were found, by the names of the table."""

    values: tuple[ValueNames, ...]
    """Columns of each measurement; each has one error, flag and limit at the most, but may have many flags."""
    key: str | None = None
    """Key of the object."""
    ra: str | None = None
    """Right ascension."""
    dec: str | None = None
    """Declination."""
    time: str | None = None
    """Time of the row."""
    time_zero: float = 0.0
    """Modified Julian date of time 0."""
    time_scale: str = "utc"
    """Scale of the times."""
    epoch: str | None = None
    """What rows of one epoch have in common."""
    band: str | None = None
    """Band of the row."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """Bands by how they are written."""
    unit: str | None = None
    """Unit of values, whatever the table says."""
    zero_point: float | None = None
    """Magnitude of a flux of one unit in the table."""
    not_detected: tuple[float, ...] = ()
    """Values that stand for: looked at, and not seen."""
    missing: tuple[float, ...] = ()
    """Values that stand for: no value."""
    preset: str = GENERIC.name
    """Preset that was used."""
    notes: tuple[str, ...] = ()
    """What was found rather than said."""


def find_preset(table: Table) -> tuple[Preset, str]:
    """Return the preset whose columns a table has, generic where there is none, and a note for people.

    Raises InvalidInputError where several fit.
    """
    names = {name.lower() for name in table.columns}
    fitting = [preset for preset in PRESETS.values() if any(signature <= names for signature in preset.signatures)]
    if len(fitting) > 1:
        words = " and ".join(repr(preset.name) for preset in fitting)
        raise InvalidInputError(f"{table.name}: its columns fit the presets {words}. Name one by preset.")
    if fitting:
        return fitting[0], f"preset {fitting[0].name!r} recognised by its columns"
    return GENERIC, "no preset recognised: plain names are looked for"


def get_preset(name: str) -> Preset:
    """Return a preset by name; raises UnknownNameError, a KeyError, with the nearest."""
    lower = ALIASES.get(name.lower(), name.lower())
    if lower not in PRESETS:
        raise unknown_name(name, [*PRESETS, *ALIASES, AUTO], what="preset", where="columns")
    return PRESETS[lower]


def resolve_columns(
    table: Table, request: ColumnRequest = ColumnRequest(), *, kind: Kind = "flux", measurements: tuple[str, ...] = ()
) -> ColumnMap:
    """Return which column is what: values of ``kind`` rather than others, columns such as flux_g of ``measurements``.

    Raises UnknownNameError for an unknown role, column or preset, InvalidInputError where nothing holds values.
    """
    preset, note = find_preset(table) if request.preset == AUTO else (get_preset(request.preset), "")
    _check_roles(request, table, measurements)
    values = _Finder(table, preset, request, kind).find(measurements)
    time = _find_time(table, preset, request)
    ra, dec = (_find_role(table, preset, request, role) for role in ("ra", "dec"))
    notes: list[str] = [note] if note else []
    if len(values) == 1 and not values[0].measurement and not request.columns.keys() & {"flux", "mag"}:
        notes.append(f"values are those of {values[0].value!r}")
    not_detected, missing = _find_sentinels(preset, request, values)
    return ColumnMap(
        values=values,
        key=_find_role(table, preset, request, "key"),
        ra=ra if dec is not None else None,
        dec=dec if ra is not None else None,
        epoch=_find_role(table, preset, request, "epoch"),
        band=_find_role(table, preset, request, "band"),
        time=time.name or None,
        time_zero=0.0 if isinstance(time.zero, tuple) else float(time.zero),
        time_scale=time.scale,
        bands={**preset.bands, **{str(k): v for k, v in request.bands.items()}},
        unit=request.unit,
        zero_point=request.zero_point,
        not_detected=not_detected,
        missing=missing,
        preset=preset.name,
        notes=tuple(notes),
    )


def fetch(table: Table, name: str) -> Column:
    """Return a column, or a keyword or constant as a column.

    >>> from zarrmill.lightcurves.tables import read_table
    >>> fetch(read_table({"a": [1, 2]}), "=g").values.tolist()
    ['g', 'g']
    """
    if name.startswith(CONSTANT):
        return Column(np.full(len(table), name[1:]))
    if name.startswith(KEYWORD):
        found = _keyword(table, name)
        if found is None:
            raise unknown_name(name[1:], list(table.meta), what="keyword", where=table.name)
        return Column(np.full(len(table), found.strip() if isinstance(found, str) else found))
    return table[name]


def _keyword(table: Table, name: str) -> Any:
    return next((table.meta[key] for key in table.meta if key.lower() == name[1:].lower()), None)


def _exists(table: Table, name: str) -> bool:
    if name.startswith(KEYWORD):
        return _keyword(table, name) not in (None, "")
    return name.startswith(CONSTANT) or name in table


def _first(table: Table, names: tuple[str, ...]) -> str | None:
    """Return the first name that exists, as the table writes it."""
    found = next((name for name in names if _exists(table, name)), None)
    return found if found is None else table.find_name(found) or found


def _check_roles(request: ColumnRequest, table: Table, measurements: tuple[str, ...]) -> None:
    """Raise UnknownNameError for roles that mean nothing and columns that do not exist."""
    for role, named in request.columns.items():
        if isinstance(named, Mapping):
            if measurements and role not in measurements:
                raise unknown_name(role, measurements, what="measurement", where="columns")
            for part in named:
                if part not in VALUE_ROLES:
                    raise unknown_name(part, VALUE_ROLES, what="role", where=f"columns of {role}")
            _check_columns(table, named.values())
        elif role not in ROW_ROLES + VALUE_ROLES:
            raise unknown_name(role, [*ROW_ROLES, *VALUE_ROLES], what="role", where="columns")
        else:
            _check_columns(table, [named])


def _check_columns(table: Table, named: Any) -> None:
    for each in named:
        for name in (each,) if isinstance(each, str) else each or ():
            fetch(table, name)


def _find_role(table: Table, preset: Preset, request: ColumnRequest, role: str) -> str | None:
    if role in request.columns:
        named: str | None = request.columns[role]
        return named
    return _first(table, getattr(preset, role))


def _find_time(table: Table, preset: Preset, request: ColumnRequest) -> TimeNames:
    """Return the column of times, with its zero as a number and its scale; without a name where there is none.

    What is said comes first, then what the column tells itself, then what its name tells.
    """
    if "time" in request.columns:
        name = request.columns["time"] or ""
        known = [*preset.time, *GENERIC.time]
        found = next((t for t in known if t.name.lower() == name.lower()), TimeNames(name))
    else:
        found = next((t for t in preset.time if _exists(table, t.name)), TimeNames(""))
    if not found.name:
        return TimeNames("", scale=request.time_scale or "utc")
    scale = found.scale if found.name.startswith((KEYWORD, CONSTANT)) else table[found.name].scale or found.scale
    zero = _find_zero(table, found) if request.time_zero is None else request.time_zero
    return TimeNames(found.name, zero, request.time_scale or scale)


def _find_zero(table: Table, time: TimeNames) -> float:
    if isinstance(time.zero, float | int):
        is_time = not time.name.startswith((KEYWORD, CONSTANT)) and table[time.name].scale != ""
        return 0.0 if is_time else float(time.zero)
    parts = [_keyword(table, KEYWORD + word) for word in time.zero]
    if parts[0] is None:
        raise InvalidInputError(
            f"{table.name}: there is no keyword {time.zero[0]}, which tells when time 0 of {time.name!r} is. "
            f"Set time_zero (--time-zero)."
        )
    return sum(float(part) for part in parts if part is not None) - 2_400_000.5


@dataclass(frozen=True, slots=True)
class _Finder:
    """Finds the columns of measurements."""

    table: Table
    preset: Preset
    request: ColumnRequest
    kind: Kind

    def find(self, measurements: tuple[str, ...]) -> tuple[ValueNames, ...]:
        """Return the columns of each measurement: those that are said, such as flux_g, or those of the preset."""
        said = {role: named for role, named in self.request.columns.items() if role in VALUE_ROLES}
        nested = {name: named for name, named in self.request.columns.items() if isinstance(named, Mapping)}
        if nested:
            return tuple(self._said({**said, **named}, name) for name, named in nested.items())
        if said.get("flux") or said.get("mag"):
            return (self._said(said, ""),)
        wide = tuple(found for name in measurements if (found := self._find_wide(name)))
        return wide or (_override(self._find_preset(), said),)

    def _find_preset(self) -> ValueNames:
        fitting = [names for names in self.preset.values if _exists(self.table, names.value)]
        if not fitting:
            known = ", ".join(dict.fromkeys(names.value for names in self.preset.values))
            raise InvalidInputError(
                f"{self.table.name}: no column holds values; {self.preset.name!r} looks for {known}. Its columns are "
                f"{', '.join(self.table.columns)}. Say which by columns, as {{'flux': NAME}} "
                f"(--column flux=NAME)."
            )
        best = next((names for names in fitting if names.kind == self.kind), fitting[0])
        return _existing(self.table, best)

    def _said(self, said: Mapping[str, Any], measurement: str) -> ValueNames:
        """Return the columns that were named, with the error of a plain name where none was said."""
        role: Kind = "flux" if said.get("flux") else "magnitude"
        short = "flux" if role == "flux" else "mag"
        if not said.get(short):
            raise InvalidInputError(f"columns of {measurement}: neither flux nor mag is named. Name one.")
        name = str(said[short])
        plain = ValueNames(name, unit="mag" if short == "mag" else "")
        known = next((n for n in self.preset.values if n.value.lower() == name.lower()), plain)
        found = _existing(self.table, replace(known, value=name, kind=role, measurement=measurement))
        guessed = found.error or _tuple(_guess_error(self.table, name))
        return _override(replace(found, error=guessed), said)

    def _find_wide(self, name: str) -> ValueNames | None:
        """Return the columns of one measurement that bear its name: flux_g, g_flux, gmag with their errors."""
        order: tuple[tuple[str, Kind], ...] = (("flux", "flux"), ("mag", "magnitude"))
        for short, kind in order if self.kind == "flux" else order[::-1]:
            for value in (f"{short}_{name}", f"{name}_{short}", f"{name}{short}"):
                if value in self.table:
                    ways = (f"flag_{name}", f"{name}_flag", f"flags_{name}", f"{name}_flags", "flag", "flags")
                    limit = _first(self.table, (f"limit_{name}", f"{name}_limit"))
                    error = _tuple(_guess_error(self.table, value))
                    unit, flag = "mag" if short == "mag" else "", _tuple(_first(self.table, ways))
                    return ValueNames(value, error, kind, flag, _tuple(limit), unit, name)
        return None


def _guess_error(table: Table, value: str) -> str | None:
    ways = [f"{value}_err", f"{value}err", f"{value}_error", f"e_{value}", f"{value}_unc"]
    for old in ("flux", "mag"):
        start = value.lower().find(old)
        if start >= 0:
            stop = start + len(old)
            ways += [f"{value[:stop]}{word}{value[stop:]}" for word in ("err", "_err", "_error")]
    return _first(table, tuple(ways))


def _override(names: ValueNames, said: Mapping[str, Any]) -> ValueNames:
    error = "flux_err" if names.kind == "flux" else "mag_err"
    return replace(
        names,
        error=_tuple(said[error]) if error in said else names.error,
        flag=_tuple(said["flag"]) if "flag" in said else names.flag,
        limit=_tuple(said["limit"]) if "limit" in said else names.limit,
    )


def _tuple(named: Any) -> tuple[str, ...]:
    return () if named is None else (named,) if isinstance(named, str) else tuple(named)


def _existing(table: Table, names: ValueNames) -> ValueNames:
    error, limit = _first(table, names.error), _first(table, names.limit)
    flags = tuple(name for name in names.flag if _exists(table, name))
    # Alternatives of one column of bits; several columns of truth values are a bit each.
    are_bits = len(flags) > 1 and all(table[name].values.dtype.kind == "b" for name in flags)
    return replace(names, error=_tuple(error), limit=_tuple(limit), flag=flags if are_bits else flags[:1])


def _find_sentinels(
    preset: Preset, request: ColumnRequest, values: tuple[ValueNames, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what stands for not detected and for missing: of fluxes only what is said, since any may be real."""
    plain, fluxes = preset is GENERIC, any(names.kind == "flux" for names in values)
    not_detected = () if fluxes else NOT_DETECTED_MAGNITUDES if plain else preset.not_detected
    missing = () if fluxes else MISSING_MAGNITUDES if plain else preset.missing
    return (
        not_detected if request.not_detected is None else request.not_detected,
        missing if request.missing is None else request.missing,
    )
