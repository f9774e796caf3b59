"""Adding one epoch: whole or not at all, and twice without harm."""

from __future__ import annotations

import time as clock
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.journal import sync_file_system
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.catalogue import Catalogue
from zarrmill.lightcurves.epoch_groups import (
    EpochGroup,
    commit_epoch,
    describe_epoch,
    epoch_name,
    load_epoch,
    replace_epoch,
    settle_addressing,
)
from zarrmill.lightcurves.epoch_values import EpochRows, EpochValues, check_twice, read_rows, spread, time_to_mjd
from zarrmill.lightcurves.growth import add_objects
from zarrmill.lightcurves.lock import Lock
from zarrmill.lightcurves.options import check_choice
from zarrmill.lightcurves.record import Record, load_record, put_record
from zarrmill.lightcurves.view import View

UNMATCHED = ("error", "report", "add")
"""What becomes of rows of objects that are not in the store."""
NAMED = 10
"""Keys of unmatched rows that a report names."""
LOCK_SECONDS = 60.0
"""Seconds to wait for the lock when an epoch is replaced, or objects are added on the way."""


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What became of one epoch."""

    epoch: str
    """Name of the epoch."""
    outcome: str
    """"added", "unchanged" (it was there with the same content) or "replaced"."""
    rows: int
    """Rows that came in."""
    matched: int
    """Rows of objects that are in the store."""
    unmatched: int
    """Rows of objects that were not, and that were left out unless they were added."""
    unmatched_keys: tuple[Any, ...]
    """The first of their keys."""
    added_objects: int
    """Objects that were added to the store."""
    seconds: float
    """Wall time."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """How an epoch comes in."""

    time: Any = None
    """Its time: an astropy Time, or a modified Julian date in the scale of the store."""
    replace: bool = False
    """Whether other content that is there gives way."""
    unmatched: str = "error"
    """One of UNMATCHED."""
    sync: bool = True
    """Whether a local disk must confirm before the epoch becomes visible."""


def populate(view: View, epoch: Any, data: Any, request: IngestRequest) -> EpochReport:
    """Add an epoch.

    Raises InvalidInputError and UnknownNameError for what makes no sense, AlreadyExistsError when the epoch is there
    with other content, also when another writer was faster; nothing is changed then.
    """
    begun = clock.perf_counter()
    check_choice(request.unmatched, UNMATCHED, what="unmatched")
    schema = view.schema
    name, index = epoch_name(epoch, max_epochs=schema.max_epochs)
    where = f"epoch {name}"
    if request.time is None and hasattr(epoch, "mjd"):
        request = replace(request, time=epoch)
    rows = read_rows(data, schema, where=where)
    positions, record, report = _match(view, rows, request, where)
    values = spread(rows, positions, schema, count=record.n_objects)
    told = rows.time if request.time is None else request.time
    values = EpochValues(values.arrays, time_to_mjd(told, schema.time_scale))
    _check_addressing(view, by_index=index is not None, where=where)
    group = describe_epoch(values, name, index)
    outcome = _Writing(view, group, request).write(values)
    view.forget()
    return replace(report, outcome=outcome, seconds=clock.perf_counter() - begun)


def _match(
    view: View, rows: EpochRows, request: IngestRequest, where: str
) -> tuple[NDArray[np.int64] | None, Record, EpochReport]:
    """Return the objects of the rows, dropping from them those that are to be left out, and the account of it."""
    name, record = where.removeprefix("epoch "), load_record(view.keys)
    if rows.keys is None:
        return None, record, EpochReport(name, "", record.n_objects, record.n_objects, 0, (), 0, 0.0)
    positions, added = view.index(record).find_known(rows.keys), 0
    unknown = positions < 0
    if unknown.any() and request.unmatched == "error":
        view.index(record).find(rows.keys[int(np.argmax(unknown))].item())
    if unknown.any() and request.unmatched == "add":
        added = add_objects(view, _new_objects(rows, unknown), wait=LOCK_SECONDS)
        record = load_record(view.keys)
        positions = view.index(record).find_known(rows.keys)
    known = positions >= 0
    check_twice(rows.keys[known], positions[known], where=where)
    for column, values in rows.columns.items():
        rows.columns[column] = _take(values, known)
    missing = tuple(rows.keys[unknown][:NAMED].tolist())
    counts = (len(positions), int(known.sum()), int(unknown.sum()))
    return positions[known], record, EpochReport(name, "", *counts, missing, added, 0.0)


def _take(values: Any, known: NDArray[np.bool_]) -> Any:
    if known.all():
        return values
    if isinstance(values, dict):
        return {name: _take(column, known) for name, column in values.items()}
    array = values if hasattr(values, "dtype") and hasattr(values, "__getitem__") else np.asarray(values)
    return array[known]


def _new_objects(rows: EpochRows, unknown: NDArray[np.bool_]) -> Catalogue:
    assert rows.keys is not None
    columns = {name: np.asarray(values)[unknown] for name, values in rows.positions.items()}
    return Catalogue.of({"key": rows.keys[unknown], **columns})


def _check_addressing(view: View, *, by_index: bool, where: str) -> None:
    if view.by_index is None:
        view.by_index = settle_addressing(view.keys, by_index=by_index)
    if view.by_index != by_index:
        used, asked = ("key", "an index") if by_index else ("index", "a key")
        raise InvalidInputError(f"{where} is given by {asked}, the epochs of this store by {used}. Use one of them.")


class _Writing:
    """One epoch while it is written."""

    def __init__(self, view: View, group: EpochGroup, request: IngestRequest) -> None:
        self._view = view
        self._keys = view.keys
        self._schema = view.schema
        self._group = group
        self._request = request

    def write(self, values: EpochValues) -> str:
        """Write the epoch unless it is there; return what became of it."""
        group, keys = self._group, self._keys
        there, folded = load_epoch(keys, group.name), self._folded_digest()
        known = folded if there is None else there.digest
        if known == group.digest and folded in (None, group.digest):
            return "unchanged"
        if known not in (None, group.digest) and not self._request.replace:
            raise self._exists(known)
        self._view.writer.write(group, values)
        self._sync()
        if known is None and (outcome := self._commit()) is not None:
            return outcome
        self._replace()
        return "replaced"

    def _commit(self) -> str | None:
        """Make a new epoch visible; return None where another writer was faster and is to give way."""
        if commit_epoch(self._keys, self._group):
            self._sync_commit()
            return "added"
        there = load_epoch(self._keys, self._group.name)
        if there is not None and there.digest == self._group.digest:
            return "unchanged"
        if self._request.replace:
            return None
        raise self._exists(None if there is None else there.digest)

    def _replace(self) -> None:
        """Put the new content first, and then take the old one back from the record where it is folded.

        The lock keeps a relayout away that has read the old content and would record that as folded.
        """
        with Lock(self._keys, wait=LOCK_SECONDS) as lock:
            replace_epoch(self._keys, self._group)
            self._sync_commit()
            record = load_record(self._keys)
            folded = self._view.folded(record).get(self._group.name)
            if folded is not None:
                lock.check()
                put_record(self._keys, record.take_back(folded[0], epoch_block=self._schema.sizes.epoch_block))

    def _folded_digest(self) -> str | None:
        """Return the digest of the content that is folded, None where the epoch is not."""
        folded = self._view.folded(load_record(self._keys)).get(self._group.name)
        return None if folded is None else folded[1]

    def _exists(self, digest: str | None) -> AlreadyExistsError:
        return AlreadyExistsError(
            f"epoch {self._group.name} is in {self._keys.location} with other content (digest {digest}, not "
            f"{self._group.digest}). Leave it, or say replace=True (--replace)."
        )

    def _sync(self) -> None:
        if self._request.sync and isinstance(self._keys, LocalKeys):
            sync_file_system(self._keys.path)

    def _sync_commit(self) -> None:
        """Have a local disk confirm the one file that makes the epoch visible."""
        if self._request.sync and isinstance(self._keys, LocalKeys):
            sync_path(self._keys, f"by_epoch/{self._group.name}")


def sync_path(keys: LocalKeys, folder: str) -> None:
    """Have the disk confirm the names in a folder and the one metadata file of it."""
    import os

    for path in (keys.path / folder / "zarr.json", keys.path / folder):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
