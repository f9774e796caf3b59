"""Catalogues from files: which columns are keys and positions, and which others are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.catalogue import DEC, KEY, RA, Catalogue
from zarrmill.lightcurves.options import check_choice
from zarrmill.lightcurves.presets import GENERIC
from zarrmill.lightcurves.row_matching import DEGREES
from zarrmill.lightcurves.tables import Column, Table, read_table

ROLES = (KEY, RA, DEC)
"""Columns that mean something."""


def read_catalogue(
    source: Any, *, columns: Mapping[str, str] | None = None, keep: Sequence[str] | None = None
) -> Catalogue:
    """Return the catalogue in a file or table.

    ``columns`` names the columns of key, ra and dec where their names do not tell; ``keep`` names the other columns
    wanted, by default all. Raises UnknownNameError for columns that there are not, InvalidInputError for columns that
    cannot be kept.

    >>> read_catalogue({"star": ["a"], "RA": [1.0], "DEC": [2.0]}, columns={"key": "star"}).keys.tolist()
    ['a']
    """
    table = read_table(source)
    for role in columns or {}:
        check_choice(role, ROLES, what="role of a catalogue's column")
    roles = {role: name for role in ROLES if (name := _find(table, role, columns or {})) is not None}
    others = [name for name in table.columns if name not in roles.values()] if keep is None else list(keep)
    data = {role: _plain(table[name], name, table, degrees=role != KEY) for role, name in roles.items()}
    if not data and not others:
        raise InvalidInputError(f"{table.name}: there are no columns. Give a table of objects.")
    data |= {name: _plain(table[name], name, table) for name in others}
    units = {name: table[name].unit for name in others if table[name].unit}
    made = Catalogue.of(data)
    return Catalogue(made.keys, made.columns, units, made.counted)


def _find(table: Table, role: str, columns: Mapping[str, str]) -> str | None:
    """Return how the table writes the column of a role, None where it has none."""
    if role in columns:
        _ = table[columns[role]]
        return table.find_name(columns[role])
    known: tuple[str, ...] = getattr(GENERIC, role)
    return next((found for name in known if (found := table.find_name(name)) is not None), None)


def _plain(column: Column, name: str, table: Table, *, degrees: bool = False) -> NDArray[Any]:
    values = column.values
    if values.ndim != 1:
        raise InvalidInputError(
            f"{table.name}: column {name!r} has {values.ndim} axes. Name the columns that are wanted (--keep)."
        )
    if column.mask is not None and column.mask.any():
        return np.ma.MaskedArray(values, mask=column.mask)
    return values * DEGREES.get(column.unit, 1.0) if degrees else values
