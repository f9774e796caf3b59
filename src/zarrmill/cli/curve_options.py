"""Every option of ``zarrmill lightcurves``, once, and what its text means."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zarrmill.errors import InvalidInputError

if TYPE_CHECKING:
    from zarrmill.lightcurves import Measurement

_WHAT = "What it holds"
_ROWS = "Rows and their objects"
_FILES = "Files"
_SAFETY = "Safety"


class MatchChoice(StrEnum):
    """How rows find their objects."""

    auto = "auto"
    key = "key"
    sky = "sky"


class UnmatchedChoice(StrEnum):
    """What becomes of rows of unknown objects."""

    report = "report"
    error = "error"
    add = "add"


Survey = Annotated[str, typer.Argument(metavar="STORE", help="Store of light curves, on a disk or an object store.")]
Tables = Annotated[
    list[str], typer.Argument(metavar="TABLE", help="Files: FITS, VOTable, ECSV, CSV, SExtractor, Parquet.")
]
ObjectKey = Annotated[str, typer.Argument(metavar="OBJECT", help="Key of the object.")]
ObjectKeys = Annotated[list[str], typer.Argument(metavar="OBJECT", help="Keys of the objects.")]
Ra = Annotated[float, typer.Argument(metavar="RA", help="Right ascension of the centre in degrees.")]
Dec = Annotated[float, typer.Argument(metavar="DEC", help="Declination of the centre in degrees.")]
Radius = Annotated[float, typer.Argument(metavar="RADIUS", help="Radius in degrees.")]
ParquetFile = Annotated[str, typer.Argument(metavar="FILE", help="Parquet file that is made.")]

Objects = Annotated[
    int | None,
    typer.Option("--objects", min=0, metavar="N", help="Number of objects, whose keys are 0, 1 …"),
]
CatalogueFile = Annotated[
    str | None,
    typer.Option("--catalogue", metavar="FILE", help="Table of the objects: keys, ra, dec, and other columns."),
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=NAME",
        help="Which column is what: key, ra, dec, time, epoch, band, flux, flux_err, mag, mag_err, flag, limit; "
        "g.flux=NAME for one measurement; @WORD is a keyword of the table, =g the same for every row. Repeat it.",
        rich_help_panel=_ROWS,
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option("--keep", metavar="NAME", help="Only this other column of the catalogue; repeat it for more."),
]
Measurements = Annotated[
    list[str] | None,
    typer.Option(
        "--measurement",
        metavar="NAME[:unit=…,band=…,zero_point=…,kind=…]",
        help="A band, or an aperture of one; repeat it for more.",
        rich_help_panel=_WHAT,
    ),
]
Magnitudes = Annotated[
    bool, typer.Option("--magnitudes", help="Measurements are magnitudes, not fluxes.", rich_help_panel=_WHAT)
]
Unit = Annotated[str, typer.Option("--unit", metavar="UNIT", help="Unit of the measurements.", rich_help_panel=_WHAT)]
MaxEpochs = Annotated[
    int | None,
    typer.Option(
        "--max-epochs", min=1, metavar="N", help="Epochs that an index can address; any unless said.",
        rich_help_panel=_WHAT,
    ),
]  # fmt: skip
Flags = Annotated[
    list[str] | None,
    typer.Option(
        "--flag", metavar="MEANING=BIT", help="Keep quality flags; repeat it for each bit.", rich_help_panel=_WHAT
    ),
]
Limits = Annotated[
    bool, typer.Option("--limits", help="Keep upper limits of what was not detected.", rich_help_panel=_WHAT)
]
TimeOffsets = Annotated[
    bool, typer.Option("--time-offsets", help="Keep a time offset per object and epoch.", rich_help_panel=_WHAT)
]
TimeScale = Annotated[
    str, typer.Option("--time-scale", metavar="SCALE", help="Scale of the times.", rich_help_panel=_WHAT)
]
Epoch = Annotated[
    str | None,
    typer.Option("--epoch", metavar="EPOCH", help="Index or key of the one epoch that each table is."),
]
Time = Annotated[
    float | None, typer.Option("--time", metavar="MJD", help="Time of that epoch, in the scale of the store.")
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="Names of columns: sextractor, photutils, ztf, rubin, kepler, tess, generic; recognised unless said.",
        rich_help_panel=_ROWS,
    ),
]
Bands = Annotated[
    list[str] | None,
    typer.Option("--band", metavar="CODE=NAME", help="Measurement by how the table writes it.", rich_help_panel=_ROWS),
]
Match = Annotated[
    MatchChoice, typer.Option("--match", help="By key, by position, or as the table allows.", rich_help_panel=_ROWS)
]
MaxSeparation = Annotated[
    float,
    typer.Option(
        "--max-separation", metavar="ARCSEC", help="Distance between a row and its object.", rich_help_panel=_ROWS
    ),
]
Tolerance = Annotated[
    float,
    typer.Option("--tolerance", metavar="DAYS", help="Time between two rows of one epoch.", rich_help_panel=_ROWS),
]
Unmatched = Annotated[
    UnmatchedChoice,
    typer.Option("--unmatched", help="Rows of unknown objects: leave out, refuse, or add.", rich_help_panel=_ROWS),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="WORD",
        help="Format of the files as astropy calls it, where their names do not tell: ascii.no_header.",
        rich_help_panel=_FILES,
    ),
]
Hdu = Annotated[
    str | None,
    typer.Option(
        "--hdu",
        metavar="NAME",
        help="Table of FITS files that have several, by name or number.",
        rich_help_panel=_FILES,
    ),
]
TimeZero = Annotated[
    float | None,
    typer.Option(
        "--time-zero", metavar="MJD", help="Modified Julian date of time 0 of the tables.", rich_help_panel=_ROWS
    ),
]
TableScale = Annotated[
    str | None,
    typer.Option("--time-scale", metavar="SCALE", help="Scale of the times of the tables.", rich_help_panel=_ROWS),
]
TableUnit = Annotated[
    str | None,
    typer.Option("--unit", metavar="UNIT", help="Unit of values and errors, whatever is told.", rich_help_panel=_ROWS),
]
ZeroPoint = Annotated[
    float | None,
    typer.Option(
        "--zero-point", metavar="MAG", help="Magnitude of a flux of one unit in the tables.", rich_help_panel=_ROWS
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Replace an epoch that has other content.", rich_help_panel=_SAFETY)
]
Prove = Annotated[
    bool,
    typer.Option("--verify/--no-verify", help="Prove the copies before anything is removed.", rich_help_panel=_SAFETY),
]
ArrayNames = Annotated[
    list[str] | None, typer.Option("--array", metavar="NAME", help="Only this array; repeat it for more.")
]
StatisticNames = Annotated[
    list[str] | None, typer.Option("--statistic", metavar="NAME", help="Only this one; repeat it for more.")
]
Output = Annotated[str | None, typer.Option("--output", metavar="STORE", help="Keep the result as plain Zarr.")]
Head = Annotated[int, typer.Option("--head", min=0, metavar="N", help="Objects that are shown.")]
Picture = Annotated[str, typer.Option("--out", metavar="PNG", help="File of the picture.")]
Period = Annotated[float | None, typer.Option("--period", metavar="DAYS", help="Fold with this period.")]
Only = Annotated[str | None, typer.Option("--only", metavar="NAME", help="Only this measurement or band.")]
DetectedOnly = Annotated[bool, typer.Option("--detected-only", help="Leave out what was not detected.")]


def read_pairs(texts: Sequence[str] | None, *, option: str) -> dict[str, str]:
    """Return NAME=VALUE texts as a mapping.

    >>> read_pairs(["key=ID", "band==g"], option="--column")
    {'key': 'ID', 'band': '=g'}
    """
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InvalidInputError(f"{option} {text!r} is no pair. Write {option} NAME=VALUE.")
        if name.strip() in pairs:
            raise InvalidInputError(f"{option} is given twice for {name.strip()!r}. Give it once.")
        pairs[name.strip()] = value.strip()
    return pairs


def read_roles(texts: Sequence[str] | None) -> dict[str, Any]:
    """Return columns by role, and by role within a measurement.

    >>> read_roles(["key=ID", "g.flux=FLUX_G"])
    {'key': 'ID', 'g': {'flux': 'FLUX_G'}}
    """
    roles: dict[str, Any] = {}
    for name, value in read_pairs(texts, option="--column").items():
        measurement, dot, role = name.rpartition(".")
        if dot:
            roles.setdefault(measurement, {})[role] = value
        else:
            roles[name] = value
    return roles


def read_measurement(text: str) -> str | Measurement:
    """Return a measurement given as text.

    >>> read_measurement("g"), read_measurement("r:unit=nJy,zero_point=31.4").zero_point
    ('g', 31.4)
    """
    name, colon, rest = text.partition(":")
    if not colon:
        return name
    given: dict[str, Any] = dict(read_pairs(rest.split(","), option="--measurement"))
    known = ("band", "kind", "unit", "zero_point")
    for word in given:
        if word not in known:
            raise InvalidInputError(f"--measurement {text!r}: {word!r} is not known. Use some of {', '.join(known)}.")
    from zarrmill.lightcurves import Measurement

    if "zero_point" in given:
        given["zero_point"] = read_number(given["zero_point"], option="--measurement")
    return Measurement(name, **given)


def read_flags(texts: Sequence[str] | None) -> dict[str, int] | bool:
    """Return the bit of each meaning, False without any.

    >>> read_flags(["saturated=4"]), read_flags(None)
    ({'saturated': 4}, False)
    """
    pairs = read_pairs(texts, option="--flag")
    if not pairs:
        return False
    try:
        return {name: int(value, 0) for name, value in pairs.items()}
    except ValueError as error:
        raise InvalidInputError(f"--flag: {error}. Give the value of the bit, such as 4.") from error


def read_number(text: str, *, option: str) -> float:
    """Return a number given as text."""
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInputError(f"{option}: {text!r} is no number.") from error


def read_hdu(text: str | None) -> int | str | None:
    """Return a table of a FITS file: a number where the text is one, else a name.

    >>> read_hdu("2"), read_hdu("LIGHTCURVE"), read_hdu(None)
    (2, 'LIGHTCURVE', None)
    """
    return int(text) if text is not None and text.isdigit() else text


def read_epoch(text: str | None) -> int | str | None:
    """Return an epoch: an index where the text is a whole number, else a key.

    >>> read_epoch("12"), read_epoch("2024-01-03"), read_epoch(None)
    (12, '2024-01-03', None)
    """
    return int(text) if text is not None and text.isdigit() else text
