"""The reading half of ``LightcurveStorage``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.execute.executors import place
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.catalogue import ObjectTable
from zarrmill.lightcurves.curves import build_curve, build_curves, build_range
from zarrmill.lightcurves.inspection import StoreCheck, StoreInfo, check, describe
from zarrmill.lightcurves.light_curve import LightCurve
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.opening import Location
from zarrmill.lightcurves.options import ObjectKey
from zarrmill.lightcurves.parquet import ParquetOptions, ParquetReport, write_parquet
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.schema import Schema
from zarrmill.lightcurves.snapshot import Snapshot
from zarrmill.lightcurves.sweep import StatisticsTable, sweep_statistics
from zarrmill.lightcurves.view import View
from zarrmill.progress import Progress, silent


class ReadableCurves:
    """What can be read of a store of light curves."""

    def __init__(self, keys: KeySpace, schema: Schema) -> None:
        self._view = View(keys, schema)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._view.keys, self._view.schema)

    @property
    def location(self) -> str:
        """Where the store is."""
        return self._view.keys.location

    @property
    def objects(self) -> ObjectTable:
        """The objects, column by column."""
        return self._view.objects()

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What is measured at each epoch."""
        return self._view.schema.measurements

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return self._view.snapshot().record.n_objects

    def get_lightcurve(self, object_id: ObjectKey, *, arrays: Sequence[str] | None = None) -> LightCurve:
        """Return the light curve of one object, all arrays or some. Raises UnknownNameError, a KeyError."""
        return build_curve(self._view, object_id, arrays)

    def get_lightcurves(self, object_ids: Any, *, arrays: Sequence[str] | None = None) -> LightCurves:
        """Return the light curves of many objects, in the order asked for. Raises UnknownNameError, a KeyError."""
        return build_curves(self._view, object_ids, arrays)

    def cone(self, ra: float, dec: float, radius: float) -> dict[str, NDArray[Any]]:
        """Return key, ra, dec and separation of the objects within a radius, the nearest first; all in degrees."""
        positions, separation = self._view.places().cone(ra, dec, radius)
        columns = {name: self.objects[name][positions] for name in ("key", "ra", "dec")}
        return {**columns, "separation": separation}

    def indices_of(self, object_ids: Any) -> NDArray[np.int64]:
        """Return the positions of objects. Raises UnknownNameError."""
        return self._view.index().find_all(object_ids)

    def parts(self) -> list[range]:
        """Return ranges of objects that are best read together: those of one shard each."""
        size, count = self._view.schema.sizes.shard_objects, self.n_objects
        return [range(i, min(i + size, count)) for i in range(0, count, size)]

    def read_range(self, start: int, stop: int, *, arrays: Sequence[str] | None = None) -> LightCurves:
        """Return the light curves of objects that follow each other, reading whole shards."""
        return build_range(self._view, start, stop, arrays)

    def statistics(
        self,
        names: Sequence[str] | None = None,
        *,
        output: Location | None = None,
        executor: str | Executor | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> StatisticsTable:
        """Return statistics of every object in one sweep; ``output`` keeps them as plain Zarr.

        Processes on other machines need an ``output`` that all of them reach.
        """
        placement = place(executor, workers=workers)
        try:
            return sweep_statistics(self._view, names, output=output, placement=placement, progress=progress or silent)
        finally:
            placement.close()
            WORKSHOP.release()

    def to_parquet(self, path: Any, *, options: ParquetOptions | None = None) -> ParquetReport:
        """Write all light curves to a Parquet file of one row per object with nested points."""
        batches = (self.read_range(part.start, part.stop) for part in self.parts())
        return write_parquet(path, batches, options=options or ParquetOptions())

    def info(self) -> StoreInfo:
        """Return what the store holds."""
        return describe(self._view)

    def verify(self) -> StoreCheck:
        """Read everything and return what is wrong."""
        return check(self._view)

    def refresh(self) -> Snapshot:
        """Look now for what other processes have added, which otherwise takes up to a second (10 s elsewhere)."""
        return self._view.refresh()
