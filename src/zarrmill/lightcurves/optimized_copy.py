"""A copy of a store in the object layout alone: what is read most, without the epochs as they came in."""

from __future__ import annotations

from dataclasses import replace

from zarrmill.errors import InvalidInputError
from zarrmill.execute.executors import Placement
from zarrmill.execute.run import NoJournal
from zarrmill.grid import round_up
from zarrmill.journal import sync_file_system
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.catalogue import KEY, Catalogue
from zarrmill.lightcurves.creation import new_store, publish_store, write_store
from zarrmill.lightcurves.epoch_groups import settle_addressing
from zarrmill.lightcurves.epoch_table import FoldedEpochs, load_table, put_table
from zarrmill.lightcurves.fold import FoldedBlock, FoldOperation, FoldPlan, FoldStage
from zarrmill.lightcurves.fold_run import run_fold
from zarrmill.lightcurves.options import check_length
from zarrmill.lightcurves.record import Record, put_record
from zarrmill.lightcurves.relayout import assign, finish_block
from zarrmill.lightcurves.snapshot import Snapshot
from zarrmill.lightcurves.view import View
from zarrmill.progress import Progress


def copy_by_object(
    view: View, target: KeySpace, *, n_epochs: int | None, placement: Placement, progress: Progress
) -> None:
    """Write a copy with every epoch folded, or those of the first ``n_epochs`` positions; visible when it is whole.

    Raises InvalidInputError where the target is, lies in or holds the store itself, AlreadyExistsError.
    """
    check_length(n_epochs, what="n_epochs")
    check_apart(view.keys, target)
    snapshot = view.refresh()
    copy = _Copy(view, target, snapshot, n_epochs)
    with new_store(target):
        copy.write(placement, progress)


def check_apart(source: KeySpace, target: KeySpace) -> None:
    """Raise InvalidInputError for a target that is the source, lies inside it or holds it."""
    a, b = (_real(keys) + "/" for keys in (source, target))
    if a == b:
        raise InvalidInputError(f"output path {target.location} is the store itself. Write to another location.")
    if a.startswith(b) or b.startswith(a):
        where = "inside" if b.startswith(a) else "around"
        raise InvalidInputError(f"output path {target.location} lies {where} the store. Write beside it.")


def _real(keys: KeySpace) -> str:
    return str(keys.path.resolve()) if isinstance(keys, LocalKeys) else keys.location.rstrip("/")


class _Copy:
    """One copy under way."""

    def __init__(self, view: View, target: KeySpace, snapshot: Snapshot, n_epochs: int | None) -> None:
        self._view = view
        self._target = target
        self._by_index = snapshot.by_index
        self._source = snapshot.record
        placed = [
            (place, epoch) for place, epoch in assign(snapshot, view.keys) if n_epochs is None or place < n_epochs
        ]
        self._placed = placed
        last = max([place + 1 for place, _ in placed], default=0)
        length = view.schema.sizes.epoch_block
        kept = [
            c for c in range(self._source.n_epochs) if self._source.mask()[c] and (n_epochs is None or c < n_epochs)
        ]
        self._kept = kept
        whole = max(n_epochs or view.schema.max_epochs or 0, last, kept[-1] + 1 if kept else 0)
        self._n_epochs = round_up(whole, length)
        self._schema = replace(view.schema, max_epochs=n_epochs or view.schema.max_epochs)

    def write(self, placement: Placement, progress: Progress) -> None:
        """Write everything, the root last."""
        record = write_store(self._target, self._schema, self._catalogue())
        record = replace(record, positions=0 if self._by_index else len(self._kept) + len(self._placed))
        if self._kept or self._placed:
            settle_addressing(self._target, by_index=self._by_index)
            put_table(self._target, self._table())
        record = self._fold(record, placement, progress)
        if isinstance(self._target, LocalKeys):
            sync_file_system(self._target.path)
        put_record(self._target, record)
        publish_store(self._target, self._schema)

    def _catalogue(self) -> Catalogue:
        objects = self._view.objects()
        columns = {name: objects[name] for name in objects.names if name != KEY}
        return Catalogue(objects[KEY], columns, counted=self._schema.key_kind == "range")

    def _table(self) -> FoldedEpochs:
        source = load_table(self._view.keys, length=self._source.n_epochs)
        table = source.with_epochs(self._placed, length=max(self._n_epochs, self._source.n_epochs))
        return FoldedEpochs(*(getattr(table, name)[: self._n_epochs] for name in ("key", "time", "digest")))

    def _fold(self, record: Record, placement: Placement, progress: Progress) -> Record:
        plan, made = self._plan(record), [record]
        blocks = {stage.block.number: stage.block for stage in plan.stages}
        operation = FoldOperation(self._view.keys, self._target, self._schema, record.n_objects, blocks)

        def block_done(stage: FoldStage, journal: NoJournal) -> None:
            made.append(finish_block(self._with_shares(made[-1], stage), stage, journal, self._target))

        run_fold(plan, operation, placement=placement, progress=progress, block_done=block_done)
        return made[-1]

    def _plan(self, record: Record) -> FoldPlan:
        length = self._schema.sizes.epoch_block
        stages = []
        for number in range(self._n_epochs // length):
            kept = tuple(c - number * length for c in self._kept if c // length == number)
            coming = [(place % length, epoch) for place, epoch in self._placed if place // length == number]
            if kept or coming:
                block = FoldedBlock(number, kept, self._source.block(number).objects, tuple(coming))
                stages.append(FoldStage(block, self._schema, record.n_objects))
        return FoldPlan(tuple(stages))

    def _with_shares(self, record: Record, stage: FoldStage) -> Record:
        """Return the record with what the source knows of a block, where the copy keeps all of it."""
        number, length = stage.block.number, self._schema.sizes.epoch_block
        before = self._source.block(number)
        if len(stage.block.kept) != len(self._source.folded_in(number, length)):
            before = replace(before, shares={})
        blocks = [record.block(i) for i in range(max(len(record.blocks), number + 1))]
        blocks[number] = replace(before, generation=0)
        return replace(record, blocks=tuple(blocks))
