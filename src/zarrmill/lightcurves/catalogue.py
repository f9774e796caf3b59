"""The objects of a store: keys, positions on the sky and whatever else there is per object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.key_index import check_keys
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.schema import decode, encode, group_document
from zarrmill.lightcurves.sizing import table_rows
from zarrmill.lightcurves.stored_column import (
    ColumnPlan,
    StoredColumn,
    as_column,
    create_column,
    open_column,
    put_document,
    resized,
)

KEY, RA, DEC = "key", "ra", "dec"
"""Names of the columns that mean something."""
KEY_NAMES = (KEY, "object", "object_id", "objid", "object_key", "source_id", "id")
"""Names by which the column of keys is known, in upper or lower case."""
GROUP = "objects"
"""Path of the table."""
COLUMNS = "zarrmill_columns"
"""Attribute of the group that lists the columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Objects by name, in the order that they have in the store.

    >>> catalogue = Catalogue.of({"id": [7, 9], "ra": [10.0, -20.0], "dec": [1.0, 2.0], "period": [0.5, 3.25]})
    >>> catalogue.keys.tolist(), catalogue.columns["ra"].tolist(), list(catalogue.columns)
    ([7, 9], [10.0, 340.0], ['ra', 'dec', 'period'])
    """

    keys: NDArray[Any]
    """Whole numbers or text, all different."""
    columns: Mapping[str, NDArray[Any]]
    """Other columns by name; ra and dec are degrees."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units of columns that have one."""
    counted: bool = False
    """Whether the keys are nothing but 0, 1, 2 …, because none were given."""

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def counting(cls, n_objects: int) -> Catalogue:
        """Return objects of which nothing is known but their number."""
        return cls(np.arange(n_objects, dtype=np.int64), {}, counted=True)

    @classmethod
    def of(cls, source: Any) -> Catalogue:
        """Return the catalogue in a mapping of columns, an astropy Table, a DataFrame or a structured array.

        The keys are in the first column of a name in KEY_NAMES; without one objects are counted. Raises
        InvalidInputError for keys that come twice, columns of unequal length and positions that are none.
        """
        if isinstance(source, cls):
            return source
        names = _column_names(source)
        found = {str(name): source[name] for name in names}
        given = _find_key(found)
        columns = {name: as_column(_in_degrees(name, values), name=name) for name, values in found.items()}
        units = {name: text for name, values in found.items() if (text := str(getattr(values, "unit", None) or ""))}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) != 1:
            raise InvalidInputError(f"the catalogue's columns have different lengths: {lengths}. Give equal ones.")
        keys = columns.pop(given) if given else np.arange(next(iter(lengths.values())), dtype=np.int64)
        check_keys(keys)
        keys = keys.astype(np.int64) if keys.dtype.kind in "iu" else keys
        made = cls(keys, _checked(columns, keys), {n: u for n, u in units.items() if n in columns}, given is None)
        return made


def _column_names(source: Any) -> list[Any]:
    names = getattr(source, "colnames", None) or getattr(getattr(source, "dtype", None), "names", None)
    names = list(source.keys() if names is None and hasattr(source, "keys") else names or ())
    if not names:
        raise InvalidInputError(f"{type(source).__name__} is no table of objects. Give columns such as key, ra, dec.")
    return names


def _find_key(columns: Mapping[str, Any]) -> str | None:
    lower = {name.lower(): name for name in reversed(list(columns))}
    return next((lower[name] for name in KEY_NAMES if name in lower), None)


def _in_degrees(name: str, values: Any) -> Any:
    """Return positions that come with another unit in degrees."""
    unit = getattr(values, "unit", None)
    if name.lower() not in (RA, DEC) or unit is None or str(unit) in ("", "deg"):
        return values
    quantity = getattr(values, "quantity", values)
    return quantity.to_value("deg")


def _checked(columns: Mapping[str, NDArray[Any]], keys: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns with positions under their names, as float64, and in range."""
    made = {name.lower() if name.lower() in (RA, DEC) else name: column for name, column in columns.items()}
    if (RA in made) != (DEC in made):
        raise InvalidInputError(f"the catalogue has only one of {RA} and {DEC}. Give both, or none.")
    for name in (RA, DEC) if RA in made else ():
        if made[name].dtype.kind not in "fiu":
            raise InvalidInputError(f"column {name!r} is {made[name].dtype}. Give degrees as numbers.")
        degrees = made[name].astype(np.float64)
        wrong = ~np.isfinite(degrees) | ((np.abs(degrees) > 90) if name == DEC else False)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise InvalidInputError(
                f"{int(wrong.sum())} of {len(degrees)} positions are none, the first {name} {degrees[first]} of object "
                f"{keys[first].item()!r}. Give finite degrees, dec from -90 to 90, or leave those objects out."
            )
        made[name] = degrees % 360 if name == RA else degrees
    return made


class ObjectTable(Mapping[str, NDArray[Any]]):
    """The columns of the objects of a store, each read when it is first asked for."""

    def __init__(self, keys: KeySpace, *, count: int) -> None:
        self._keys = keys
        self._count = count
        self._held: dict[str, NDArray[Any]] = {}
        self._chunks: dict[tuple[str, int], NDArray[Any]] = {}
        self._rows: dict[str, int] = {}
        self._names: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, the keys first."""
        if self._names is None:
            where = f"{GROUP}/zarr.json"
            data = self._keys.get(where)
            if data is None:
                raise SourceFormatError(f"{self._keys.location}/{where} is lost. Restore it from a copy.")
            self._names = tuple(decode(data, where=where)["attributes"][COLUMNS])
        return self._names

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return self._count

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column; raises UnknownNameError with the nearest."""
        column = self._held.get(name)
        if column is None:
            stored = self._open(name)
            column = stored.read(0, self._count)
            column = column.astype("U") if stored.is_text else column
            column.flags.writeable = False
            self._held[name] = column
        return column

    def value(self, name: str, position: int) -> Any:
        """Return one value of a column, of which one chunk is read and kept."""
        column = self._held.get(name)
        if column is not None:
            return column[position]
        rows = self._rows.get(name) or 1
        chunk = self._chunks.get((name, position // rows)) if name in self._rows else None
        if chunk is None:
            stored = self._open(name)
            rows = self._rows[name] = stored.chunk[0]
            chunk = self._chunks[name, position // rows] = stored.read_chunk(position // rows)
        return chunk[position % rows]

    def _open(self, name: str) -> StoredColumn:
        stored = open_column(self._keys, f"{GROUP}/{name}") if name in self.names else None
        if stored is None:
            raise unknown_name(name, self.names, what="column", where=f"objects of {self._keys.location}")
        return stored

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names


def create_objects(keys: KeySpace, catalogue: Catalogue) -> None:
    """Write the table of the objects of a new store."""
    columns = {KEY: catalogue.keys, **catalogue.columns}
    rows = table_rows(len(catalogue))
    for name, values in columns.items():
        plan = ColumnPlan(rows, ("object",), _describe(name, catalogue.units))
        create_column(keys, f"{GROUP}/{name}", values, plan=plan)
    keys.put(f"{GROUP}/zarr.json", encode(group_document({COLUMNS: list(columns)})))


def _describe(name: str, units: Mapping[str, str]) -> dict[str, Any]:
    known = {
        KEY: {"long_name": "key of the object"},
        RA: {"long_name": "right ascension", "standard_name": "right_ascension", "units": "deg"},
        DEC: {"long_name": "declination", "standard_name": "declination", "units": "deg"},
    }
    return known.get(name) or ({"units": units[name]} if name in units else {})


def check_addition(table: ObjectTable, catalogue: Catalogue) -> None:
    """Raise InvalidInputError for objects whose columns are not those of the store."""
    extra = [name for name in catalogue.columns if name not in table.names]
    if extra:
        raise unknown_name(extra[0], table.names, what="column", where="objects of the store")
    known = [name for name in (RA, DEC) if name in table.names and name not in catalogue.columns]
    if known:
        raise InvalidInputError(f"the new objects have no {known[0]}, those of the store do. Give their positions.")


def append_objects(keys: KeySpace, catalogue: Catalogue, *, count: int, names: tuple[str, ...]) -> None:
    """Write objects after the ``count`` that are there; readers see them when the record tells of them."""
    for name in names:
        stored = open_column(keys, f"{GROUP}/{name}")
        if stored is None:
            raise SourceFormatError(f"{keys.location}/{GROUP}/{name} is lost. Restore it from a copy.")
        values = catalogue.keys if name == KEY else catalogue.columns.get(name)
        grown = resized(stored, count + len(catalogue))
        grown.write(count, _fitting(values, stored, len(catalogue), name=name))
        put_document(grown)


def _fitting(values: NDArray[Any] | None, stored: StoredColumn, length: int, *, name: str) -> NDArray[Any]:
    """Return new rows in the type of the column, missing ones as NaN or empty text."""
    if stored.is_text:
        return np.full(length, "", dtype=object) if values is None else values.astype("U").astype(object)
    dtype = np.dtype(stored.document["data_type"])
    if values is None:
        if dtype.kind != "f":
            raise InvalidInputError(f"the new objects have no {name!r}, a column of {dtype}. Give its values.")
        return np.full(length, np.nan, dtype=dtype)
    if not np.can_cast(values.dtype, dtype, casting="same_kind"):
        raise InvalidInputError(f"column {name!r} is {values.dtype}, in the store it is {dtype}. Convert it first.")
    return values.astype(dtype)
