"""Files that astropy's Table reads: FITS, VOTable, ECSV, CSV, IPAC, SExtractor and the rest."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.tables import Column, Table, as_column, make_table

FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz", ".ldac")
"""Names of files that are looked into as FITS."""
LDAC_OBJECTS = "LDAC_OBJECTS"
"""Table of a FITS_LDAC file of SExtractor that holds the objects; the one before it holds the image header."""
FORMAT_BY_ENDING = {".vot": "votable", ".votable": "votable", ".xml": "votable", ".ecsv": "ascii.ecsv", ".csv": "csv"}
SNIFFED = ((re.compile(rb"#\s+1\s+\S+"), "ascii.sextractor"), (re.compile(rb"[\\|]"), "ascii.ipac"))
"""Formats of text that are told by their first line."""


def read_astropy(path: Path, *, format: str | None, hdu: int | str | None) -> Table:
    """Return the table of a file; what astropy warns of becomes notes.

    Raises SourceFormatError for what cannot be read, InvalidInputError where one of several tables must be named.
    """
    lower = path.name.lower()
    # Its first import sends warnings to a log of its own, past those who record them.
    load("astropy.table")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if format == "fits" or (format is None and lower.endswith(FITS_ENDINGS)):
                table, meta = _read_fits(path, hdu)
            else:
                table, meta = load("astropy.table").Table.read(path, format=format or _find_format(path)), {}
        except (SourceFormatError, InvalidInputError, KeyError):
            raise
        except Exception as error:  # whatever a parser of some format raises
            reason = "; ".join(_say(each) for each in [*(warned.message for warned in caught[:1]), error])
            raise SourceFormatError(
                f"{path}: no table can be read ({reason}). Get the file again, or give its format (--format)."
            ) from error
        notes = dict.fromkeys(_say(each.message) for each in caught)
    return from_astropy(table, name=path.name, meta=meta, notes=tuple(notes))


def _say(problem: object) -> str:
    """Return a warning or an error in one line."""
    return " ".join(str(problem).split())[:200]


def _find_format(path: Path) -> str | None:
    if path.suffix.lower() in FORMAT_BY_ENDING:
        return FORMAT_BY_ENDING[path.suffix.lower()]
    with path.open("rb") as file:
        start = file.read(200)
    known = next((format for pattern, format in SNIFFED if pattern.match(start)), None)
    if known is None and b"\0" not in start and not start.startswith((b"\x1f\x8b", b"BZh", b"\x89HDF", b"<?xml")):
        return "ascii"
    return known


def _read_fits(path: Path, hdu: int | str | None) -> tuple[Any, dict[str, Any]]:
    """Return a table of a FITS file, and the keywords of its first header, which tell of the object."""
    fits = load("astropy.io.fits")
    with fits.open(path, memmap=False, checksum=True) as hdus:
        tables = {
            each.name or str(i): i for i, each in enumerate(hdus) if isinstance(each, fits.BinTableHDU | fits.TableHDU)
        }
        number = _choose_hdu(tables, hdu, where=path.name)
        meta = {key: value for key, value in hdus[0].header.items() if key and key not in ("COMMENT", "HISTORY")}
        return load("astropy.table").Table.read(hdus, hdu=number, format="fits"), meta


def _choose_hdu(tables: Mapping[str, int], hdu: int | str | None, *, where: str) -> int:
    if not tables:
        raise SourceFormatError(f"{where}: none of its extensions is a table. Give a file with a table.")
    if hdu is not None:
        number = hdu if isinstance(hdu, int) else tables.get(hdu.upper(), -1)
        if number not in tables.values():
            raise unknown_name(hdu, [*tables, *tables.values()], what="table", where=where)
        return number
    if LDAC_OBJECTS in tables:
        return tables[LDAC_OBJECTS]
    if len(tables) > 1:
        raise InvalidInputError(f"{where}: there are {len(tables)} tables: {', '.join(tables)}. Name one (hdu, --hdu).")
    return next(iter(tables.values()))


def from_astropy(table: Any, *, name: str, meta: Mapping[str, Any] | None = None, notes: tuple[str, ...] = ()) -> Table:
    """Return the columns of an astropy Table: sky positions as NAME.ra and NAME.dec in degrees, times as MJD."""
    columns: dict[str, Column] = {}
    for key in table.colnames:
        column = table[key]
        if hasattr(column, "icrs"):
            place = column.icrs
            columns[f"{key}.ra"] = Column(np.asarray(place.ra.deg, dtype=np.float64), unit="deg")
            columns[f"{key}.dec"] = Column(np.asarray(place.dec.deg, dtype=np.float64), unit="deg")
        else:
            columns[str(key)] = as_column(column)
    said = {key: value for key, value in table.meta.items() if isinstance(value, str | int | float | bool)}
    return make_table(columns, name=name, meta={**(meta or {}), **said}, notes=notes)
