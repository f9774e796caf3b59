"""Statistics of every object in one sweep over the shards, each read once, by any executor."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import AlreadyExistsError, SourceFormatError
from zarrmill.execute.executors import Placement
from zarrmill.execute.run import run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.layout import ArrayLayout
from zarrmill.lightcurves.catalogue import KEY
from zarrmill.lightcurves.curves import build_range
from zarrmill.lightcurves.light_curve import ERROR, FLUX
from zarrmill.lightcurves.nearest import unknown_name
from zarrmill.lightcurves.opening import Location, open_keys
from zarrmill.lightcurves.schema import STATUS, Schema, array_document, encode, group_document
from zarrmill.lightcurves.statistics import STATISTICS, describe
from zarrmill.lightcurves.stored_column import ColumnPlan, StoredColumn, create_column
from zarrmill.lightcurves.view import View
from zarrmill.metadata import codecs_from_request
from zarrmill.plan.model import Advance, Block, BlockResult
from zarrmill.progress import Progress, RunFinished, RunStarted

CODECS = ("blosc:zstd:3:shuffle", "crc32c")


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """One stage of one block per shard of objects; a block owns the chunks of its objects in the result."""

    ranges: tuple[tuple[int, int], ...]
    """First object and the one after the last of each block."""
    object_bytes: int
    """Decoded bytes of one object that are read."""

    @property
    def stages(self) -> tuple[SweepPlan]:
        """The only stage."""
        return (self,)

    @property
    def name(self) -> str:
        """What the stage does, for people."""
        return "statistics"

    @property
    def weight(self) -> int:
        """Decoded bytes."""
        return sum(stop - start for start, stop in self.ranges) * self.object_bytes

    def __len__(self) -> int:
        return len(self.ranges)

    def blocks(self) -> Iterator[Block]:
        """Yield a block per shard of objects."""
        for start, stop in self.ranges:
            yield Block(f"objects:{start}", (start, stop), (stop - start) * self.object_bytes)


@dataclass(frozen=True, slots=True)
class SweepOperation:
    """Computes the statistics of one block of objects and writes them. Picklable, and idempotent."""

    source: KeySpace
    """The store of light curves."""
    schema: Schema
    """What it is like."""
    target: KeySpace
    """Where the statistics go."""
    names: tuple[str, ...]
    """Which statistics."""
    rows: int
    """Objects of a block, and of a chunk of the result."""

    def __call__(self, block: Block, advance: Advance, /) -> BlockResult:
        """Compute and write one block."""
        start, stop = block.payload
        with WORKSHOP.turn():
            found = describe(build_range(View(self.source, self.schema), start, stop, [ERROR]), names=self.names)
            for name, values in found.items():
                self.column(name, self.rows).write(start, values.astype(np.float64))
            advance(block.weight)
            return BlockResult(block.id, {"objects": stop - start})

    def column(self, name: str, length: int) -> StoredColumn:
        """Return the column (object, measurement) of a statistic."""
        shape = (length, len(self.schema.measurements))
        chunk = (self.rows, shape[1])
        bare = ArrayLayout(shape, "float64", 8, chunk, dims=("object", "measurement"))
        codecs = tuple(json.dumps(codec) for codec in codecs_from_request(CODECS, bare) or ())
        layout = ArrayLayout(shape, "float64", 8, chunk, None, bare.dims, codecs)
        said = {"long_name": STATISTICS[name].about}
        return StoredColumn(self.target, name, array_document(layout, fill=float("nan"), attributes=said))


@dataclass(frozen=True, slots=True, eq=False)
class StatisticsTable:
    """Statistics of every object."""

    keys: NDArray[Any]
    """Key of each object."""
    measurements: tuple[str, ...]
    """Names of the measurements."""
    columns: dict[str, NDArray[np.float64]]
    """Values (object, measurement) by name of the statistic."""
    location: str | None
    """Where they were written; None where nobody asked for it."""
    seconds: float
    """Wall time."""

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return one statistic; raises UnknownNameError with the nearest."""
        if name not in self.columns:
            raise unknown_name(name, list(self.columns), what="statistic", where="statistics")
        return self.columns[name]

    def to_json(self) -> dict[str, Any]:
        """Return what was computed, without the values of each object."""
        said = {name: value for name, value in asdict(self).items() if name not in ("keys", "columns")}
        return said | {"objects": len(self.keys), "statistics": list(self.columns)}


def sweep_statistics(
    view: View,
    names: Sequence[str] | None,
    *,
    output: Location | None,
    placement: Placement,
    progress: Progress,
) -> StatisticsTable:
    """Return the statistics of every object, written to ``output`` as plain Zarr where that is given.

    Raises UnknownNameError, AlreadyExistsError where there is something at the output.
    """
    wanted = tuple(STATISTICS if names is None else names)
    for name in wanted:
        if name not in STATISTICS:
            raise unknown_name(name, list(STATISTICS), what="statistic", where="statistics")
    if output is not None:
        return _sweep(view, wanted, open_keys(output), placement, progress, kept=True)
    with tempfile.TemporaryDirectory(prefix="zarrmill-statistics-") as folder:
        return _sweep(view, wanted, open_keys(folder), placement, progress, kept=False)


def _sweep(
    view: View, names: tuple[str, ...], target: KeySpace, placement: Placement, progress: Progress, *, kept: bool
) -> StatisticsTable:
    begun, snapshot, rows = time.perf_counter(), view.refresh(), view.schema.sizes.shard_objects
    count = snapshot.record.n_objects
    if any(target.list_dir()):
        raise AlreadyExistsError(f"{target.location}: there is something already. Choose another output.")
    values = snapshot.n_rows * view.schema.n_measurements
    object_bytes = values * sum(view.schema.field(name).type.itemsize for name in (FLUX, ERROR, STATUS))
    plan = SweepPlan(tuple((start, min(start + rows, count)) for start in range(0, count, rows)), object_bytes)
    operation = SweepOperation(view.keys, view.schema, target, names, rows)
    progress(RunStarted(1, len(plan), plan.weight, 0, 0, 0, placement.processes))
    run(plan, operation, placement=placement, progress=progress)
    columns = {name: operation.column(name, count).read(0, count) for name in names}
    if kept:
        _publish(view, operation, target, count)
    seconds = time.perf_counter() - begun
    progress(RunFinished(seconds, 0))
    measurements = tuple(m.name for m in view.schema.measurements)
    keys = view.objects()[KEY]
    return StatisticsTable(keys, measurements, columns, target.location if kept else None, seconds)


def _publish(view: View, operation: SweepOperation, target: KeySpace, count: int) -> None:
    """Write keys, measurements and metadata, those of the root last."""
    for name in operation.names:
        column = operation.column(name, count)
        target.put(f"{name}/zarr.json", encode(column.document))
    keys, names = view.objects()[KEY], np.array([m.name for m in view.schema.measurements])
    for name, values, dim in ((KEY, keys, "object"), ("measurement", names, "measurement")):
        create_column(target, name, values, plan=ColumnPlan(max(1, len(values)), (dim,), {}))
    if len(target.list_dir()[0]) < len(operation.names) + 2:
        raise SourceFormatError(f"{target.location}: columns were removed while they were written. Run again.")
    target.put("zarr.json", encode(group_document({"title": "statistics of light curves"})))
