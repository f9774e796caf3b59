"""Parquet files and other tables of Arrow; nested ones, with a list per object, become one row per element."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.errors import SourceFormatError
from zarrmill.lightcurves.optional import load
from zarrmill.lightcurves.tables import Column, Table, as_column, make_table

UNIT_KEYS = (b"unit", b"units")
"""Metadata of a field that tells its unit."""


def read_parquet(path: Path) -> Table:
    """Return the table of a Parquet file or folder; raises SourceFormatError for what is none."""
    arrow = load("pyarrow")
    try:
        table = load("pyarrow.parquet").read_table(path)
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceFormatError(f"{path}: no Parquet table can be read ({reason}). Write it again.") from error
    return from_arrow(table, name=path.name)


def from_pandas(frame: Any) -> Table:
    """Return the columns of a DataFrame, its named index among them."""
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(named) if named else frame
    return from_arrow(load("pyarrow").Table.from_pandas(frame, preserve_index=False), name="table")


def from_arrow(table: Any, *, name: str) -> Table:
    """Return the columns of an Arrow table: fields of structs as STRUCT.FIELD, lists with one row per element."""
    units = dict(each for field in table.schema for each in _find_units(field, field.name))
    table = _unnest(table, name=name)
    columns = {key: _as_column(table[key], units.get(key, "")) for key in table.column_names}
    return make_table(columns, name=name)


def _find_units(field: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield the names and units of a field and of those inside it."""
    known = field.metadata or {}
    yield name, next((known[key].decode() for key in UNIT_KEYS if key in known), "")
    types = load("pyarrow.types")
    inner = field.type.value_type if types.is_list(field.type) or types.is_large_list(field.type) else field.type
    if types.is_struct(inner):
        for i in range(inner.num_fields):
            yield from _find_units(inner.field(i), f"{name}.{inner.field(i).name}")


def _unnest(table: Any, *, name: str) -> Any:
    """Return a table without structs and lists."""
    types = load("pyarrow.types")

    def is_list(kind: Any) -> bool:
        return bool(types.is_list(kind) or types.is_large_list(kind))

    while any(types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    lists = [field.name for field in table.schema if is_list(field.type)]
    if not lists:
        return table
    table = table.combine_chunks()
    compute = load("pyarrow.compute")
    lengths = {key: np.asarray(compute.fill_null(compute.list_value_length(table[key]), 0)) for key in lists}
    first = lengths[lists[0]]
    for key in lists[1:]:
        if (wrong := np.flatnonzero(lengths[key] != first)).size:
            row = int(wrong[0])
            raise SourceFormatError(
                f"{name}: row {row} has {first[row]} elements of {lists[0]!r} and {lengths[key][row]} of {key!r}. "
                f"Lists of one row have one length."
            )
    parents = np.repeat(np.arange(len(table)), first)
    arrays = {
        key: compute.list_flatten(table[key]) if key in lists else table[key].take(load("pyarrow").array(parents))
        for key in table.column_names
    }
    return _unnest(load("pyarrow").table(arrays), name=name)


def _as_column(chunked: Any, unit: str) -> Column:
    types = load("pyarrow.types")
    kind = chunked.type
    if types.is_dictionary(kind):
        chunked = chunked.cast(kind.value_type)
        kind = chunked.type
    if types.is_decimal(kind):
        chunked = chunked.cast(load("pyarrow").float64())
    if types.is_fixed_size_list(kind):
        flat = chunked.combine_chunks().flatten()
        return as_column(np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, kind.list_size), unit=unit)
    null = chunked.is_null().to_numpy() if chunked.null_count else None
    if null is not None and (types.is_integer(kind) or types.is_boolean(kind)):
        # Otherwise whole numbers would become floating-point ones, and large keys other keys.
        chunked = load("pyarrow.compute").fill_null(chunked, False if types.is_boolean(kind) else 0)
    values = chunked.to_numpy()
    masked = values if null is None else np.ma.MaskedArray(values, mask=null)
    return as_column(masked, unit="d" if types.is_temporal(kind) else unit)
