"""Keeping the object layout up to date: the epochs that came in are folded, block of epochs by block of epochs.

The order is what makes a crash harmless and every reader right. First the axis of epochs is made long enough, and the
table of epochs tells of the new ones, which no reader asks for yet. Then the shards of one block are replaced, whose
values that readers know do not change. When all are there and verified, one put of the record says so, and only then do
readers take these epochs from the object layout; until then they find them where they came in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from zarrmill.digest import Share
from zarrmill.errors import VerifyError
from zarrmill.execute.executors import Placement
from zarrmill.execute.run import NoJournal
from zarrmill.journal import sync_file_system
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.epoch_groups import EpochGroup
from zarrmill.lightcurves.epoch_table import load_table, put_table
from zarrmill.lightcurves.fold import FoldedBlock, FoldOperation, FoldPlan, FoldStage, fill_share, lifted
from zarrmill.lightcurves.fold_run import run_fold
from zarrmill.lightcurves.lock import Lock
from zarrmill.lightcurves.record import BlockRecord, Record, find_runs, put_record
from zarrmill.lightcurves.schema import Field, Schema, encode, field_document
from zarrmill.lightcurves.snapshot import Snapshot, take_snapshot
from zarrmill.progress import Progress

SLACK_SECONDS = 0.5
"""Seconds beyond the age up to which a snapshot is believed."""


@dataclass(frozen=True, slots=True)
class RelayoutReport:
    """What a relayout did."""

    location: str
    """The store."""
    epochs: int
    """Epochs folded."""
    blocks: int
    """Blocks of epochs that changed."""
    shards: int
    """Shards written."""
    bytes_read: int
    """Decoded bytes read."""
    bytes_written: int
    """Stored bytes written."""
    seconds: float
    """Wall time."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def relayout(
    keys: KeySpace, schema: Schema, *, placement: Placement, progress: Progress, fresh: float
) -> RelayoutReport:
    """Fold every epoch that came in. Raises LockedError, VerifyError, SourceFormatError and BlockFailedError."""
    begun = time.perf_counter()
    with Lock(keys) as lock:
        snapshot = take_snapshot(keys, schema)
        epochs = assign(snapshot, keys)
        if not epochs:
            return RelayoutReport(keys.location, 0, 0, 0, 0, 0, time.perf_counter() - begun)
        _wait_for_readers(snapshot.record, fresh)
        work = _Relayout(keys, schema, lock, snapshot, epochs)
        work.prepare()
        return work.run(placement, progress, begun)


def assign(snapshot: Snapshot, keys: KeySpace) -> list[tuple[int, EpochGroup]]:
    """Return the epochs that came in with their positions along the axis of epochs.

    An index is its own position. Epochs added by key follow those that are there in order of time; one that was
    replaced keeps its position.
    """
    pending = [epoch for _, epoch in snapshot.pending]
    if snapshot.by_index:
        return [(epoch.index or 0, epoch) for epoch in pending]
    record = snapshot.record
    table = load_table(keys, length=record.n_epochs)
    known = {str(name): place for place, name in enumerate(table.key[: record.positions])}
    free = iter(range(record.positions, record.positions + len(pending)))
    return [(known[epoch.name] if epoch.name in known else next(free), epoch) for epoch in pending]


def _wait_for_readers(record: Record, fresh: float) -> None:
    """Wait until no reader believes a record any more in which an epoch was folded that was taken back since."""
    left = record.taken_back + fresh + SLACK_SECONDS - time.time()
    if 0 < left <= fresh + SLACK_SECONDS:
        time.sleep(left)


class _Relayout:
    """One relayout under way."""

    def __init__(
        self,
        keys: KeySpace,
        schema: Schema,
        lock: Lock,
        snapshot: Snapshot,
        epochs: list[tuple[int, EpochGroup]],
    ) -> None:
        self._keys = keys
        self._schema = schema
        self._lock = lock
        self._epochs = epochs
        self._length = schema.sizes.epoch_block
        last = max(place for place, _ in epochs) + 1
        self._before = snapshot.record
        self._record = snapshot.record.grown(last, epoch_block=self._length)
        if not snapshot.by_index:
            self._record = replace(self._record, positions=max(last, self._record.positions))
        self._plan = plan_fold(self._record, self._epochs, schema)

    def prepare(self) -> None:
        """Make the axis of epochs long enough, and tell the table of what comes."""
        if self._record.n_epochs > self._before.n_epochs:
            put_cube_documents(self._keys, self._schema, self._record)
        table = load_table(self._keys, length=self._before.n_epochs)
        put_table(self._keys, table.with_epochs(self._epochs, length=self._record.n_epochs))

    def run(self, placement: Placement, progress: Progress, begun: float) -> RelayoutReport:
        """Fold block by block, and record each."""
        blocks = {stage.block.number: stage.block for stage in self._plan.stages}
        operation = FoldOperation(self._keys, self._keys, self._schema, self._record.n_objects, blocks)
        done = run_fold(
            self._plan,
            operation,
            lock=self._lock,
            placement=placement,
            progress=progress,
            block_done=self._finish_block,
        )
        return RelayoutReport(
            location=self._keys.location,
            epochs=len(self._epochs),
            blocks=len(blocks),
            shards=done.shards,
            bytes_read=done.bytes_read,
            bytes_written=done.bytes_written,
            seconds=time.perf_counter() - begun,
        )

    def _finish_block(self, stage: FoldStage, journal: NoJournal) -> None:
        """Check the digests of a block's arrays and record that its epochs are folded."""
        self._record = finish_block(self._record, stage, journal, self._keys)
        if isinstance(self._keys, LocalKeys):
            sync_file_system(self._keys.path)
        self._lock.check()
        put_record(self._keys, self._record)


def plan_fold(record: Record, epochs: Iterable[tuple[int, EpochGroup]], schema: Schema) -> FoldPlan:
    """Return the plan that folds epochs at their positions."""
    length = schema.sizes.epoch_block
    by_block: dict[int, list[tuple[int, EpochGroup]]] = {}
    for place, epoch in epochs:
        by_block.setdefault(place // length, []).append((place % length, epoch))
    stages = []
    for number, members in sorted(by_block.items()):
        coming = {column for column, _ in members}
        kept = tuple(c for c in record.folded_in(number, length).tolist() if c not in coming)
        block = FoldedBlock(number, kept, record.block(number).objects, tuple(members))
        stages.append(FoldStage(block, schema, record.n_objects))
    return FoldPlan(tuple(stages))


def finish_block(record: Record, stage: FoldStage, journal: NoJournal, keys: KeySpace) -> Record:
    """Return the record after a block. Raises VerifyError when its digests are not those of what was ingested."""
    shares: dict[str, Share] = {field.name: Share.zero() for field in stage.schema.fields}
    for block in stage.blocks():
        result = journal.get(block.id)
        assert result is not None
        shares[block.payload.field] += Share.from_json(result.facts["share"])
    for field in stage.schema.fields:
        expected = expected_share(record, stage, field)
        if expected is not None and expected != shares[field.name]:
            raise VerifyError(
                f"{keys.location}: block {stage.block.number} of {field.name} has the digest "
                f"{shares[field.name].to_json()}, what was ingested has {expected.to_json()}. Nothing was recorded: "
                f"reads still take these epochs from where they came in. Check memory and disks, then run again."
            )
    number, length = stage.block.number, stage.schema.sizes.epoch_block
    made = BlockRecord(
        record.block(number).generation + 1, record.n_objects, {n: share.to_json() for n, share in shares.items()}
    )
    return record.with_block(number, made, (number * length + stage.block.columns).tolist())


def expected_share(record: Record, stage: FoldStage, field: Field) -> Share | None:
    """Return the digest share that a block must have by what was known of it and its epochs; None if that is not known.

    Objects that came later have the fill value in the epochs before.
    """
    block, schema, n_objects = stage.block, stage.schema, record.n_objects
    before, origin = record.block(block.number), block.number * schema.sizes.epoch_block
    axes = 3 if field.per_measurement else 2
    if not block.kept:
        total = Share.zero()
    elif field.name in before.shares:
        total = Share.from_json(before.shares[field.name])
        mask = np.zeros(schema.sizes.epoch_block, dtype=bool)
        mask[list(block.kept)] = True
        for low, high in find_runs(mask):
            grown = (before.objects, n_objects)
            total += fill_share(field, schema, objects=grown, epochs=(origin + low, origin + high))
    else:
        return None
    for column, epoch in block.epochs:
        place = origin + column
        total += lifted(epoch.share(field.name), field, axes=axes, position=place)
        total += fill_share(field, schema, objects=(epoch.rows, n_objects), epochs=(place, place + 1))
    return total


def put_cube_documents(keys: KeySpace, schema: Schema, record: Record) -> None:
    """Write the metadata of the arrays of the object layout: one put each."""
    for field in schema.fields:
        layout = schema.cube_layout(field, n_objects=record.n_objects, n_epochs=record.n_epochs)
        keys.put(f"by_object/{field.name}/zarr.json", encode(field_document(field, layout)))
