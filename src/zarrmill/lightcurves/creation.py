"""New stores: everything is written first, the root's ``zarr.json`` last, so that nothing looks whole before it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.grid import round_up
from zarrmill.journal import sync_file_system
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.catalogue import Catalogue, create_objects
from zarrmill.lightcurves.epoch_groups import GROUP as BY_EPOCH
from zarrmill.lightcurves.epoch_table import create_table
from zarrmill.lightcurves.key_index import create_index
from zarrmill.lightcurves.lock import FOLDER, HIDDEN, HOLDER, Lock
from zarrmill.lightcurves.options import CreateOptions, MeasurementsRequest, check_length
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.record import Record, put_record
from zarrmill.lightcurves.relayout import put_cube_documents
from zarrmill.lightcurves.schema import ATTRIBUTE, Schema, encode, group_document, make_fields
from zarrmill.lightcurves.sizing import Sizes, choose_sizes, read_chunks
from zarrmill.lightcurves.stored_column import ColumnPlan, as_column, create_column
from zarrmill.lightcurves.view import INDEX, index_path

ROOT = "zarr.json"
TITLE = "light curves"
MARK = f"{HIDDEN}/creation"
"""Key that tells a store whose creation was killed from something else."""


def plan_store(
    catalogue: Catalogue,
    *,
    max_epochs: int | None,
    chunks: Mapping[str, int] | None,
    measurements: MeasurementsRequest | None,
    options: CreateOptions,
    remote: bool,
) -> Schema:
    """Return what a new store will be like. Raises InvalidInputError."""
    check_length(max_epochs, what="max_epochs")
    epoch_chunk, implied = read_chunks(chunks)
    made = options.measurements(implied or 1 if measurements is None else measurements)
    fields = make_fields(options, made)
    asked = Sizes(options.epoch_block or 0, options.shard_objects or 0, epoch_chunk)
    sizes = choose_sizes(
        n_objects=len(catalogue),
        max_epochs=max_epochs,
        record=len(made) * fields[0].type.itemsize,
        asked=asked,
        remote=remote,
    )
    return Schema(
        fields=fields,
        measurements=made,
        key_kind=_key_kind(catalogue),
        time_scale=options.time_scale,
        sizes=sizes,
        max_epochs=max_epochs,
        codecs=_as_names(options.codecs),
        epoch_codecs=_as_names(options.epoch_codecs),
    )


def _key_kind(catalogue: Catalogue) -> str:
    if catalogue.counted:
        return "range"
    return "text" if catalogue.keys.dtype.kind == "U" else "int"


def _as_names(codecs: Any) -> tuple[str, ...]:
    return (codecs,) if isinstance(codecs, str) else tuple(codecs)


@contextmanager
def new_store(keys: KeySpace) -> Iterator[None]:
    """Hold the place of a new store, emptied of what a killed creation left.

    Raises AlreadyExistsError where there is something, LockedError where another creation is under way.
    """
    _check_free(keys)
    with Lock(keys):
        _check_free(keys)
        keys.put(MARK, b"a store is being made here")
        keys.delete([info.key for info in keys.list() if not info.key.startswith(f"{HIDDEN}/")])
        yield


def _check_free(keys: KeySpace) -> None:
    """Raise AlreadyExistsError where there is anything but what a creation leaves that was killed."""
    folders, names = keys.list_dir()
    if ROOT in names or ((names or folders) and keys.get(MARK) is None and not _is_only_lock(keys)):
        what = "a store" if ROOT in names else f"something ({[*names, *folders][0]})"
        raise AlreadyExistsError(f"{keys.location}: there is {what}. Choose another place, or remove it first.")


def _is_only_lock(keys: KeySpace) -> bool:
    return all(info.key == HOLDER or info.key.startswith(f"{FOLDER}/") for info in keys.list())


def write_store(keys: KeySpace, schema: Schema, catalogue: Catalogue) -> Record:
    """Write everything but the root of a new store; return its record."""
    n_epochs = round_up(schema.max_epochs or 0, schema.sizes.epoch_block)
    record = Record(generation=1, n_objects=len(catalogue), n_epochs=n_epochs)
    create_objects(keys, catalogue)
    if schema.key_kind != "range":
        keys.put(f"{INDEX}/zarr.json", encode(group_document({"long_name": "objects in order of their keys"})))
        write_index(keys, 0, catalogue.keys)
    _write_measurements(keys, schema.measurements)
    create_table(keys, length=n_epochs, time_scale=schema.time_scale)
    keys.put(f"{BY_EPOCH}/zarr.json", encode(group_document({"long_name": "epochs as they came in"})))
    put_cube_documents(keys, schema, record)
    put_record(keys, record)
    return record


def write_index(keys: KeySpace, number: int, object_keys: Any) -> None:
    """Write a key index under a number of its own."""
    create_index(keys, index_path(number), object_keys)
    keys.put(f"{index_path(number)}/zarr.json", encode(group_document({})))


def publish_store(keys: KeySpace, schema: Schema) -> None:
    """Make a new store visible: its root is put last."""
    if isinstance(keys, LocalKeys):
        sync_file_system(keys.path)
    keys.put(ROOT, encode(group_document({"title": TITLE, ATTRIBUTE: schema.to_json()})))


def _write_measurements(keys: KeySpace, measurements: tuple[Measurement, ...]) -> None:
    columns = {
        "name": [m.name for m in measurements],
        "band": [m.band for m in measurements],
        "kind": [m.kind for m in measurements],
        "unit": [m.unit for m in measurements],
        "zero_point": [float("nan") if m.zero_point is None else float(m.zero_point) for m in measurements],
    }
    said = {"zero_point": {"long_name": "magnitude of a flux of one unit", "units": "mag"}}
    plan = ColumnPlan(len(measurements), ("measurement",), {})
    for name, values in columns.items():
        column = as_column(values, name=name)
        create_column(keys, f"measurements/{name}", column, plan=replace(plan, attributes=said.get(name, {})))
    keys.put("measurements/zarr.json", encode(group_document({"long_name": "what is measured at each epoch"})))


def check_sizes(n_objects: Any, catalogue: Any) -> Catalogue:
    """Return the catalogue of a new store, which is given, or counted. Raises InvalidInputError."""
    if (n_objects is None) == (catalogue is None):
        both = "both" if catalogue is not None else "neither"
        raise InvalidInputError(f"n_objects and catalogue: {both} given. Give the number of objects, or what they are.")
    if catalogue is not None:
        return Catalogue.of(catalogue)
    if n_objects != 0:
        check_length(n_objects, what="n_objects")
    return Catalogue.counting(int(n_objects))
