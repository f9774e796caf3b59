"""More objects: their columns, a new key index and longer arrays, and then one put of the record that tells of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from zarrmill.errors import InvalidInputError
from zarrmill.journal import sync_file_system
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.catalogue import KEY, Catalogue, ObjectTable, append_objects, check_addition
from zarrmill.lightcurves.creation import write_index
from zarrmill.lightcurves.lock import Lock
from zarrmill.lightcurves.record import Record, load_record, put_record
from zarrmill.lightcurves.relayout import put_cube_documents
from zarrmill.lightcurves.view import View, index_path


def add_objects(view: View, source: Any, *, wait: float = 0.0) -> int:
    """Add the objects of a catalogue after those that are there; return how many.

    Raises InvalidInputError for keys that are there already and for columns that do not fit, LockedError.
    """
    keys, schema = view.keys, view.schema
    with Lock(keys, wait=wait) as lock:
        view.forget()
        record = load_record(keys)
        catalogue = _read(source, record, counted=schema.key_kind == "range")
        if not len(catalogue):
            return 0
        table = ObjectTable(keys, count=record.n_objects)
        check_addition(table, catalogue)
        if schema.key_kind != "range":
            _check_kind(catalogue, schema.key_kind)
            _check_new(view, record, catalogue)
        append_objects(keys, catalogue, count=record.n_objects, names=table.names)
        grown = replace(record, generation=record.generation + 1, n_objects=record.n_objects + len(catalogue))
        if schema.key_kind != "range":
            grown = replace(grown, index=record.index + 1)
            write_index(keys, grown.index, np.concatenate([table[KEY], catalogue.keys]))
        put_cube_documents(keys, schema, grown)
        if isinstance(keys, LocalKeys):
            sync_file_system(keys.path)
        lock.check()
        put_record(keys, grown)
        # The one before the last is asked for by nobody any more.
        if record.index:
            keys.delete([info.key for info in keys.list(index_path(record.index - 1))])
    view.forget()
    return len(catalogue)


def _read(source: Any, record: Record, *, counted: bool) -> Catalogue:
    """Return the new objects; those of a store that counts its objects go on counting."""
    if counted and isinstance(source, int) and not isinstance(source, bool):
        source = Catalogue.counting(source)
    catalogue = Catalogue.of(source)
    if not counted:
        return catalogue
    start = record.n_objects
    expected = np.arange(start, start + len(catalogue), dtype=np.int64)
    if not catalogue.counted and not np.array_equal(catalogue.keys, expected):
        raise InvalidInputError(
            f"the objects of this store are counted, the next is {start}. Give their number, or keys from there on."
        )
    return replace(catalogue, keys=expected)


def _check_kind(catalogue: Catalogue, kind: str) -> None:
    found = "text" if catalogue.keys.dtype.kind == "U" else "int"
    if found != kind or catalogue.counted:
        said = "none" if catalogue.counted else found
        raise InvalidInputError(f"the keys of the new objects are {said}, those of the store are {kind}. Convert them.")


def _check_new(view: View, record: Record, catalogue: Catalogue) -> None:
    there = view.index(record).find_known(catalogue.keys) >= 0
    if there.any():
        raise InvalidInputError(
            f"{int(there.sum())} of the {len(there)} new objects are in the store already, the first is "
            f"{catalogue.keys[int(np.argmax(there))].item()!r}. Leave them out."
        )
