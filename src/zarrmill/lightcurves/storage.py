"""``LightcurveStorage``: the one class that people use."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Any

from zarrmill.execute.executors import place
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.creation import check_sizes, new_store, plan_store, publish_store, write_store
from zarrmill.lightcurves.epochs import IngestOptions
from zarrmill.lightcurves.growth import add_objects
from zarrmill.lightcurves.ingest import EpochReport, IngestRequest, populate
from zarrmill.lightcurves.opening import Location, open_keys
from zarrmill.lightcurves.optimized_copy import copy_by_object
from zarrmill.lightcurves.options import CreateOptions, MeasurementsRequest
from zarrmill.lightcurves.prune import PruneReport, prune
from zarrmill.lightcurves.readable import ReadableCurves
from zarrmill.lightcurves.relayout import RelayoutReport, relayout
from zarrmill.lightcurves.schema import read_schema
from zarrmill.lightcurves.table_ingest import TableReport, TableRequest, ingest_table
from zarrmill.progress import Progress, silent
from zarrmill.progress.choose import auto_progress


class LightcurveStorage(ReadableCurves):
    """A survey, written epoch by epoch and read object by object, in plain Zarr. It pickles, and threads may share it.

    >>> import numpy as np, tempfile
    >>> storage = LightcurveStorage.create(f"{tempfile.mkdtemp()}/survey", n_objects=3, max_epochs=2)
    >>> report = storage.populate_epoch(0, {"flux": np.array([1.0, 2.0, 3.0]), "flux_err": np.full(3, 0.1)})
    >>> storage.get_lightcurve(object_id=1)["flux"].tolist(), storage.relayout().epochs
    ([[2.0]], 1)
    """

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

    def ingest(
        self, source: Any, *, options: IngestOptions | None = None, request: TableRequest | None = None
    ) -> TableReport:
        """Add the epochs of a table: a file that astropy or pyarrow reads, a Table, a DataFrame or a mapping.

        ``options`` say which column is what and how rows find their objects, by key or by position; ``request`` says
        which epoch it is where no column does, and what becomes of rows of unknown objects. The report has the fate of
        every row.
        """
        return ingest_table(self._view, source, options or IngestOptions(), request or TableRequest())

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
