"""Tables as they come, from files or from memory: columns of values with their masks and units.

Floating-point numbers are NaN where they are masked; whole numbers stay whole, and their mask says which are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.lightcurves.nearest import unknown_name

PARQUET_ENDINGS = (".parquet", ".parq", ".pq")
"""Names of files that pyarrow reads; astropy reads the others."""
LIBRARIES = {"pandas": "DataFrame", "pyarrow": "Table", "astropy": "Table", "nested_pandas": "NestedFrame"}
"""Types of tables by the package that they come from."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The values of one column; vectors have a second axis."""

    values: NDArray[Any]
    """Numbers in the byte order of the machine, or text."""
    mask: NDArray[np.bool_] | None = None
    """Where there is no value; None where every row has one."""
    unit: str = ""
    """Unit as astropy writes it; empty where none is told."""
    scale: str = ""
    """Scale of the times, where the column is one of times: then the values are modified Julian dates."""

    def take(self, rows: Any) -> Column:
        """Return some rows."""
        return replace(self, values=self.values[rows], mask=None if self.mask is None else self.mask[rows])

    @property
    def absent(self) -> NDArray[np.bool_]:
        """Where there is no value: masked, or not a number."""
        mask = np.zeros(self.values.shape, dtype=bool) if self.mask is None else self.mask
        return mask | np.isnan(self.values) if self.values.dtype.kind == "f" else mask

    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """Return the values as a masked array of numpy."""
        return np.ma.MaskedArray(self.values, mask=self.mask if self.mask is not None else np.ma.nomask)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of equal length by name.

    >>> table = read_table({"ID": [1, 2], "FLUX": [[1.0, 2.0], [3.0, 4.0]]})
    >>> len(table), table["FLUX[1]"].values.tolist()
    (2, [2.0, 4.0])
    """

    name: str
    """Where it comes from: the name of a file, or "table"."""
    columns: Mapping[str, Column]
    """Columns in their order."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of the table as a whole: FITS keywords in capitals."""
    notes: tuple[str, ...] = ()
    """What the reader of the file warned of."""

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).values) if self.columns else 0

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._find(name) is not None

    def __getitem__(self, name: str) -> Column:
        """Return a column, whatever the case of its name; NAME[2] is an element of a vector.

        Raises UnknownNameError, a KeyError, with the nearest names.
        """
        column = self._find(name)
        if column is None:
            raise unknown_name(name, list(self.columns), what="column", where=self.name)
        return column

    def find_name(self, name: str) -> str | None:
        """Return how the table writes a name, or None where it has no such column; the exact case comes first."""
        if name in self.columns:
            return name
        return next((known for known in self.columns if known.lower() == name.lower()), None)

    def take(self, rows: Any) -> Table:
        """Return some rows."""
        return replace(self, columns={name: column.take(rows) for name, column in self.columns.items()})

    def _find(self, name: str) -> Column | None:
        if (found := self.find_name(name)) is not None:
            return self.columns[found]
        start, bracket, rest = name.partition("[")
        found = self.find_name(start) if bracket and rest[:-1].isdigit() and rest.endswith("]") else None
        if found is None:
            return None
        column, i = self.columns[found], int(rest[:-1])
        if column.values.ndim != 2 or i >= column.values.shape[1]:
            return None
        return replace(column, values=column.values[:, i], mask=None if column.mask is None else column.mask[:, i])


def read_table(source: Any, *, format: str | None = None, hdu: int | str | None = None) -> Table:
    """Return the table in a file, an astropy or pyarrow Table, a DataFrame, a structured array or a dict of arrays.

    Files are whatever astropy's Table reads (``format`` is its word where the name does not tell) and Parquet. Of a
    FITS file with several tables ``hdu`` names one. Raises NotFoundError, SourceFormatError and InvalidInputError.
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, str | Path):
        return _read_file(Path(source), format=format, hdu=hdu)
    library = type(source).__module__.split(".")[0]
    if library in ("pandas", "nested_pandas", "pyarrow"):
        from zarrmill.lightcurves.arrow_tables import from_arrow, from_pandas

        return from_arrow(source, name="table") if library == "pyarrow" else from_pandas(source)
    if hasattr(source, "colnames"):
        from zarrmill.lightcurves.astropy_tables import from_astropy

        return from_astropy(source, name="table")
    names = getattr(getattr(source, "dtype", None), "names", None) or (source if isinstance(source, Mapping) else None)
    if names is None:
        raise InvalidInputError(f"{type(source).__name__} is no table. Give a file, a Table, a DataFrame or a dict.")
    return make_table({str(name): as_column(source[name]) for name in names}, name="table")


def _read_file(path: Path, *, format: str | None, hdu: int | str | None) -> Table:
    if not path.exists():
        raise NotFoundError(f"{path}: there is no such file.")
    if format == "parquet" or (format is None and path.suffix.lower() in PARQUET_ENDINGS):
        from zarrmill.lightcurves.arrow_tables import read_parquet

        return read_parquet(path)
    from zarrmill.lightcurves.astropy_tables import read_astropy

    return read_astropy(path, format=format, hdu=hdu)


def make_table(
    columns: Mapping[str, Column], *, name: str, meta: Mapping[str, Any] | None = None, notes: Sequence[str] = ()
) -> Table:
    """Return a table; raises InvalidInputError where its columns have different lengths."""
    lengths = {key: len(column.values) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise InvalidInputError(
            f"{name}: column {shortest!r} has {lengths[shortest]} rows, {longest!r} has {lengths[longest]}. "
            f"Give columns of one length."
        )
    return Table(name, dict(columns), dict(meta or {}), tuple(notes))


def as_column(values: Any, *, unit: str = "", scale: str = "") -> Column:
    """Return values as a column: bytes as text, the byte order of the machine, NaN for masked fractions."""
    if hasattr(values, "mjd"):
        return Column(np.atleast_1d(np.ma.filled(values.mjd, np.nan)).astype(np.float64), unit="d", scale=values.scale)
    unit = unit or str(getattr(values, "unit", None) or "")
    if hasattr(values, "unmasked"):
        values = np.ma.MaskedArray(np.asarray(values.unmasked), mask=np.asarray(values.mask))
    array = np.ma.asarray(values)
    mask = np.array(np.ma.getmaskarray(array)) if np.ma.is_masked(array) else None
    plain = _as_plain(np.asarray(array.data))
    if mask is not None and plain.dtype.kind == "f":
        plain = np.where(mask, plain.dtype.type(np.nan), plain)
    return Column(plain, mask, unit, scale)


def _as_plain(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "S":
        return np.char.rstrip(np.char.decode(values, "utf-8", "replace"))
    if values.dtype.kind in "OT":
        return _from_objects(values)
    if values.dtype.kind == "M":
        return values.astype("M8[us]").astype(np.int64) / 86_400_000_000 + UNIX_EPOCH
    return values.astype(values.dtype.newbyteorder("="), copy=False)


UNIX_EPOCH = 40587.0
"""Modified Julian date of the first of January 1970."""


def _from_objects(values: NDArray[Any]) -> NDArray[Any]:
    """Return objects as text, or as numbers where all are; what is None becomes empty or NaN."""
    items = values.tolist()
    absent = "" if any(isinstance(item, str | bytes) for item in items) else np.nan
    plain = [absent if item is None else item.decode() if isinstance(item, bytes) else item for item in items]
    return np.array([str(item) for item in plain] if absent == "" else plain)
