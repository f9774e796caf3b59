"""Light curves as Parquet: one row per object, its points in a struct of lists, as nested-pandas and HATS take it.

Objects are written batch by batch, so that memory holds one batch; the file has its name when it is whole.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.keyspace.object_store import ObjectKeys, put_file
from zarrmill.lightcurves.light_curve import FLAG, PER_VALUE, Status
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.optional import load
from zarrmill.store import is_local, local_path, open_keys

MOST_POINTS = 2**21
"""Points of one row group, which is made in memory: about 100 MB of them."""
DAY = 86_400.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class ParquetOptions:
    """How light curves are written."""

    key: str = "object_id"
    """Column of the keys."""
    nested: str = "lightcurve"
    """Column of the points."""
    detected_only: bool = False
    """Whether points that were not detected, which have a limit at best, are left out."""
    compression: str = "zstd"
    """Codec of the pages."""
    overwrite: bool = False
    """Whether a file that is there is replaced."""
    storage_options: Mapping[str, Any] | None = None
    """Options of the object store for a file at a URL."""


@dataclass(frozen=True, slots=True)
class ParquetReport:
    """What was written."""

    path: str
    """The file, or its URL."""
    objects: int
    """Rows."""
    points: int
    """Points in all rows."""
    nbytes: int
    """Bytes of the file."""


def write_parquet(
    path: str | Path, batches: Iterable[LightCurves], *, options: ParquetOptions = ParquetOptions()
) -> ParquetReport:
    """Write light curves, a row group per batch at least, and return what was written.

    A file for an object store is made on this disk (TMPDIR) and sent when it is whole.

    Raises AlreadyExistsError where there is a file, InvalidInputError without any batch or with batches that differ.
    """
    text = os.fspath(path)
    if not is_local(text):
        folder, _, name = text.rstrip("/").rpartition("/")
        keys = open_keys(folder, storage_options=options.storage_options)
        if isinstance(keys, ObjectKeys):
            return _send(keys, name, batches, options)
    target = local_path(text)
    _check_free(target.exists(), str(target), options)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        objects, points = _write(part, batches, options, str(target))
        nbytes = part.stat().st_size
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return ParquetReport(str(target), objects, points, nbytes)


def _check_free(there: bool, place: str, options: ParquetOptions) -> None:
    if there and not options.overwrite:
        raise AlreadyExistsError(
            f"{place}: there is a file already. Choose another name, or say overwrite (--overwrite)."
        )


def _send(keys: ObjectKeys, name: str, batches: Iterable[LightCurves], options: ParquetOptions) -> ParquetReport:
    """Make the file on this disk and put it into a store."""
    place = f"{keys.location}/{name}"
    keys.link.check_writer()
    _check_free(keys.head(name) is not None, place, options)
    with tempfile.TemporaryDirectory(prefix="zarrmill-") as folder:
        part = Path(folder, name)
        objects, points = _write(part, batches, options, place)
        nbytes = part.stat().st_size
        put_file(keys, name, part)
    return ParquetReport(place, objects, points, nbytes)


def _write(part: Path, batches: Iterable[LightCurves], options: ParquetOptions, name: str) -> tuple[int, int]:
    writer, objects, points = None, 0, 0
    try:
        for lcs in batches:
            for rows in split_objects(lcs, options):
                table, n = make_table(lcs, rows, options=options)
                if writer is None:
                    writer = load("pyarrow.parquet").ParquetWriter(part, table.schema, compression=options.compression)
                elif table.schema != writer.schema:
                    raise InvalidInputError(
                        f"{name}: batches have different columns or types. Give those of one store."
                    )
                writer.write_table(table, row_group_size=max(1, len(table)))
                objects, points = objects + len(table), points + n
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise InvalidInputError(f"{name}: there are no light curves to write. Give at least one batch.")
    return objects, points


def split_objects(lcs: LightCurves, options: ParquetOptions) -> Iterator[slice]:
    """Yield stretches of objects with MOST_POINTS points at the most, or of one object."""
    ends = np.cumsum(_is_kept(lcs, slice(None), options).sum(axis=(1, 2)))
    start, done = 0, 0
    while start < len(lcs) or start == 0:
        stop = max(start + 1, int(np.searchsorted(ends, done + MOST_POINTS, side="right")))
        yield slice(start, min(stop, len(lcs)))
        if stop >= len(lcs):
            return
        start, done = stop, int(ends[stop - 1])


def _is_kept(lcs: LightCurves, rows: slice, options: ParquetOptions) -> NDArray[np.bool_]:
    least = Status.DETECTED if options.detected_only else Status.NOT_DETECTED
    return np.asarray(lcs.status[rows] >= least)


def make_table(lcs: LightCurves, rows: slice, *, options: ParquetOptions) -> tuple[Any, int]:
    """Return an Arrow table of some objects, and how many points it has; points are in order of time."""
    arrow = load("pyarrow")
    in_time = np.argsort(lcs.time, kind="stable")
    kept = _is_kept(lcs, rows, options)[:, in_time]
    objects, epochs, measurements = np.nonzero(kept)
    epochs = in_time[epochs]
    offsets = arrow.array(np.concatenate([[0], np.cumsum(kept.sum(axis=(1, 2)))]).astype(np.int32))
    names = arrow.array(list(lcs.names), arrow.string()).take(arrow.array(measurements))
    bands = arrow.array([m.band for m in lcs.measurements], arrow.string()).take(arrow.array(measurements))
    time = lcs.time[epochs]
    if lcs.offset is not None:
        time = time + np.nan_to_num(lcs.offset[rows][objects, epochs]) / DAY
    points: dict[str, Any] = {"time": time, "measurement": names, "band": bands}
    points |= {name: values[rows][objects, epochs, measurements] for name, values in lcs.arrays.items()}
    points["status"] = lcs.status[rows][objects, epochs, measurements]
    lists = {name: arrow.ListArray.from_arrays(offsets, arrow.array(values)) for name, values in points.items()}
    fields = [arrow.field(name, each.type, metadata=_describe(name, lcs)) for name, each in lists.items()]
    if taken := {options.key, options.nested} & set(lcs.columns):
        raise InvalidInputError(
            f"the column {taken.pop()!r} of the objects has the name of one of the file. Choose others (key, nested)."
        )
    columns = {options.key: lcs.keys[rows], **{name: values[rows] for name, values in lcs.columns.items()}}
    arrays = [arrow.array(_plain(values)) for values in columns.values()]
    outer = [arrow.field(name, each.type) for name, each in zip(columns, arrays, strict=True)]
    nested = arrow.StructArray.from_arrays(list(lists.values()), fields=fields)
    schema = arrow.schema([*outer, arrow.field(options.nested, nested.type)])
    return arrow.Table.from_arrays([*arrays, nested], schema=schema), len(objects)


def _plain(values: NDArray[Any]) -> Any:
    """Return text of numpy as a list, which Arrow takes whatever its width."""
    return values.tolist() if values.dtype.kind in "UTO" else values


def _describe(name: str, lcs: LightCurves) -> dict[str, str] | None:
    """Return the unit of an array, where all measurements share one, and the scale of times."""
    if name == "time":
        return {"unit": "d", "description": f"modified Julian date, {lcs.scale}"}
    units = {m.unit for m in lcs.measurements}
    if name in PER_VALUE and len(units) == 1 and units != {""}:
        return {"unit": next(iter(units))}
    if name == "status":
        return {"description": ", ".join(f"{s.value} {s.name.lower()}" for s in Status)}
    return {"description": ", ".join(f"{bit} {word}" for word, bit in lcs.flag_masks.items())} if name == FLAG else None
