"""``LightcurveStorage``: the one class that people use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.execute.executors import place
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.catalogue import ObjectTable
from zarrmill.lightcurves.creation import check_sizes, new_store, plan_store, publish_store, write_store
from zarrmill.lightcurves.curves import build_curve, build_curves, build_range
from zarrmill.lightcurves.growth import add_objects
from zarrmill.lightcurves.ingest import EpochReport, IngestRequest, populate
from zarrmill.lightcurves.inspection import StoreCheck, StoreInfo, check, describe
from zarrmill.lightcurves.light_curve import LightCurve
from zarrmill.lightcurves.light_curves import LightCurves
from zarrmill.lightcurves.opening import Location, open_keys
from zarrmill.lightcurves.optimized_copy import copy_by_object
from zarrmill.lightcurves.options import CreateOptions, MeasurementsRequest, ObjectKey
from zarrmill.lightcurves.photometry import Measurement
from zarrmill.lightcurves.prune import PruneReport, prune
from zarrmill.lightcurves.relayout import RelayoutReport, relayout
from zarrmill.lightcurves.schema import Schema, read_schema
from zarrmill.lightcurves.snapshot import Snapshot
from zarrmill.lightcurves.view import View
from zarrmill.progress import Progress, silent
from zarrmill.progress.choose import auto_progress


class LightcurveStorage:
    """A survey, written epoch by epoch and read object by object, in plain Zarr. It pickles, and threads may share it.

    >>> import tempfile
    >>> storage = LightcurveStorage.create(f"{tempfile.mkdtemp()}/survey", n_objects=3, max_epochs=2)
    >>> report = storage.populate_epoch(0, {"flux": np.array([1.0, 2.0, 3.0]), "flux_err": np.full(3, 0.1)})
    >>> storage.get_lightcurve(object_id=1)["flux"].tolist(), storage.relayout().epochs
    ([[2.0]], 1)
    """

    def __init__(self, keys: KeySpace, schema: Schema) -> None:
        self._view = View(keys, schema)

    def __reduce__(self) -> tuple[Any, ...]:
        return LightcurveStorage, (self._view.keys, self._view.schema)

    @classmethod
    def create(
        cls,
        path: Location,
        *,
        n_objects: int | None = None,
        max_epochs: int | None = None,
        chunks: Mapping[str, int] | None = None,
        measurements: MeasurementsRequest | None = None,
        catalogue: Any = None,
        options: CreateOptions | None = None,
    ) -> LightcurveStorage:
        """Make a new store of ``n_objects`` that are counted, or of those in a catalogue.

        Args:
            path: where, on a disk or an object store.
            n_objects: number of objects, whose keys are 0, 1, 2 …
            max_epochs: number of epochs that can be added by index; None for any.
            chunks: objects in one chunk of an epoch, ``{"object": 1000}``. An epoch is always written alone; without
                ``measurements`` the length along ``measurement`` is their number.
            measurements: names of the bands, a number, or Measurements; by default one.
            catalogue: mapping, Table or DataFrame with a column of keys, maybe ra and dec in degrees, and others.
            options: everything else.

        Raises InvalidInputError, AlreadyExistsError.
        """
        options = options or CreateOptions()
        objects, keys = check_sizes(n_objects, catalogue), open_keys(path, storage_options=options.storage_options)
        remote = not isinstance(keys, LocalKeys)
        schema = plan_store(
            objects, max_epochs=max_epochs, chunks=chunks, measurements=measurements, options=options, remote=remote
        )
        with new_store(keys):
            write_store(keys, schema, objects)
            publish_store(keys, schema)
        return cls(keys, schema)

    @classmethod
    def open(cls, path: Location, *, storage_options: Mapping[str, Any] | None = None) -> LightcurveStorage:
        """Open a store. Raises NotFoundError, SourceFormatError."""
        keys = open_keys(path, storage_options=storage_options)
        return cls(keys, read_schema(keys.get("zarr.json"), where=keys.location))

    def populate_epoch(
        self,
        epoch_idx: Any,
        epoch_data: Any,
        *,
        time: Any = None,
        replace: bool = False,
        unmatched: str = "error",
        sync: bool = True,
    ) -> EpochReport:
        """Add one epoch, whole or not at all; the same again does nothing, other content needs ``replace``.

        Args:
            epoch_idx: index, key of text, or an astropy Time that makes the key; the first epoch settles which.
            epoch_data: mapping of arrays, Table or DataFrame: flux, flux_err, and where the store has them flag, limit,
                time_offset; each (object, measurement), or a mapping by name of the measurement. With a column of
                keys (``object``) the rows are those objects, else all. Missing values are NaN or masked.
            time: an astropy Time, or a modified Julian date in the store's scale.
            replace: let other content that is there give way.
            unmatched: "error" refuses rows of unknown objects, "report" leaves them out and says so, "add" adds them.
            sync: have a local disk confirm.

        Raises InvalidInputError, UnknownNameError, AlreadyExistsError; nothing is changed then.
        """
        request = IngestRequest(time, replace, unmatched, sync)
        return populate(self._view, epoch_idx, epoch_data, request)

    populate_epoch_v2 = populate_epoch

    def get_lightcurve(self, object_id: ObjectKey, *, arrays: Sequence[str] | None = None) -> LightCurve:
        """Return the light curve of one object, all arrays or some. Raises UnknownNameError, a KeyError."""
        return build_curve(self._view, object_id, arrays)

    def get_lightcurves(self, object_ids: Any, *, arrays: Sequence[str] | None = None) -> LightCurves:
        """Return the light curves of many objects, in the order asked for."""
        return build_curves(self._view, object_ids, arrays)

    def add_objects(self, catalogue: Any) -> int:
        """Add objects, as a catalogue or, where they are counted, as a number; return how many."""
        return add_objects(self._view, catalogue)

    def relayout(
        self, *, executor: str | Executor | None = None, workers: int | None = None, progress: Progress | None = None
    ) -> RelayoutReport:
        """Fold the epochs that came in into the object layout; readers and writers may go on meanwhile."""
        placement = place(executor, workers=workers)
        try:
            return relayout(
                self._view.keys,
                self._view.schema,
                placement=placement,
                progress=progress or silent,
                fresh=self._view.fresh,
            )
        finally:
            self._view.forget()
            placement.close()
            WORKSHOP.release()

    def rechunk_to_object_optimized(
        self, output_path: Location, *, n_epochs: int | None = None, progress: bool | Progress = False
    ) -> LightcurveStorage:
        """Write a copy in the object layout alone, of the first ``n_epochs`` or of all, and return it opened."""
        target = open_keys(output_path)
        client = progress if callable(progress) else (auto_progress() if progress else silent)
        placement = place(None)
        try:
            copy_by_object(self._view, target, n_epochs=n_epochs, placement=placement, progress=client)
        finally:
            placement.close()
            WORKSHOP.release()
        return LightcurveStorage.open(output_path)

    def prune(self, *, verify: bool = True) -> PruneReport:
        """Remove the epochs' own copies where they are folded, proving that first unless ``verify`` is False."""
        return prune(self._view, verify=verify)

    def info(self) -> StoreInfo:
        """Return what the store holds."""
        return describe(self._view)

    def verify(self) -> StoreCheck:
        """Read everything and return what is wrong."""
        return check(self._view)

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

    def indices_of(self, object_ids: Any) -> NDArray[np.int64]:
        """Return the positions of objects. Raises UnknownNameError."""
        return self._view.index().find_all(object_ids)

    def parts(self) -> list[range]:
        """Return ranges of objects that are best read together: those of one shard each."""
        size = self._view.schema.sizes.shard_objects
        return [range(i, min(i + size, self.n_objects)) for i in range(0, self.n_objects, size)]

    def read_range(self, start: int, stop: int, *, arrays: Sequence[str] | None = None) -> LightCurves:
        """Return the light curves of objects that follow each other, reading whole shards."""
        return build_range(self._view, start, stop, arrays)

    def refresh(self) -> Snapshot:
        """Look now for what other processes have added, which otherwise takes up to a second (10 s elsewhere)."""
        return self._view.refresh()
