"""What a store holds, and whether it is whole: every key that should be there is, and holds what was ingested."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zarrmill.errors import SourceFormatError
from zarrmill.lightcurves.catalogue import KEY
from zarrmill.lightcurves.epoch_groups import EpochGroup, load_epoch, read_array
from zarrmill.lightcurves.epoch_values import epoch_share
from zarrmill.lightcurves.prune import block_shares, folded_blocks
from zarrmill.lightcurves.snapshot import Snapshot
from zarrmill.lightcurves.view import View


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What a store of light curves holds."""

    location: str
    """Where it is."""
    objects: int
    """Number of objects."""
    columns: tuple[str, ...]
    """Columns of the objects."""
    measurements: tuple[str, ...]
    """Names of the measurements."""
    arrays: tuple[str, ...]
    """Names of the arrays."""
    max_epochs: int | None
    """Number of epochs that an index can address; None for any."""
    epochs: int
    """Epochs that can be read."""
    folded: int
    """Those of them in the object layout."""
    pending: int
    """Those that are not folded yet: more than 32 make reading slow."""
    time_scale: str
    """Scale of the times."""
    first_time: float | None
    """Earliest modified Julian date; None where no time is known."""
    last_time: float | None
    """Latest modified Julian date."""
    epoch_block: int
    """Epochs in one chunk of the object layout."""
    shard_objects: int
    """Objects in one shard of the object layout."""

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """One finding."""

    code: str
    """Stable word: unreadable, digest, replaced_not_folded."""
    path: str
    """What it is about."""
    message: str
    """What is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """The outcome of a check."""

    location: str
    """The store."""
    problems: tuple[StoreProblem, ...]
    """The findings; none when all is well."""
    blocks: int
    """Blocks of epochs of the object layout that were read."""
    epochs: int
    """Epochs that were read where they came in."""
    seconds: float
    """Wall time."""

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {**asdict(self), "sound": self.sound}


def describe(view: View) -> StoreInfo:
    """Return what a store holds; only metadata are read."""
    snapshot, schema = view.refresh(), view.schema
    known = snapshot.time[~np.isnan(snapshot.time)]
    return StoreInfo(
        location=view.keys.location,
        objects=snapshot.record.n_objects,
        columns=view.objects().names,
        measurements=tuple(m.name for m in schema.measurements),
        arrays=schema.field_names,
        max_epochs=schema.max_epochs,
        epochs=snapshot.n_rows,
        folded=snapshot.n_rows - len(snapshot.pending),
        pending=len(snapshot.pending),
        time_scale=schema.time_scale,
        first_time=float(known.min()) if len(known) else None,
        last_time=float(known.max()) if len(known) else None,
        epoch_block=schema.sizes.epoch_block,
        shard_objects=schema.sizes.shard_objects,
    )


def check(view: View) -> StoreCheck:
    """Read everything and return what is wrong: lost or damaged keys, and values that are not what was ingested."""
    begun, snapshot = time.perf_counter(), view.refresh()
    blocks = folded_blocks(snapshot.record, view.schema.sizes.epoch_block)
    problems = [*_table_problems(view), *_block_problems(view, snapshot, blocks), *_epoch_problems(view, snapshot)]
    seconds = time.perf_counter() - begun
    return StoreCheck(view.keys.location, tuple(problems), len(blocks), len(snapshot.pending), seconds)


def _table_problems(view: View) -> Iterator[StoreProblem]:
    objects = view.objects()
    for name in objects.names:
        try:
            objects[name]
        except SourceFormatError as error:
            yield StoreProblem("unreadable", f"objects/{name}", str(error))
    try:
        keys = objects[KEY]
        wrong = np.flatnonzero(view.index().find_known(keys) != np.arange(len(keys)))
    except SourceFormatError as error:
        yield StoreProblem("unreadable", "key_index", str(error))
        return
    if len(wrong):
        message = f"the key index finds {len(wrong)} objects where they are not, the first {keys[wrong[0]].item()!r}"
        yield StoreProblem("digest", "key_index", f"{message}. Restore it from a copy.")


def _block_problems(view: View, snapshot: Snapshot, blocks: list[int]) -> Iterator[StoreProblem]:
    for number in blocks:
        try:
            for name, found, expected in block_shares(view.keys, view.schema, snapshot.record, number):
                if expected is not None and found != expected:
                    message = f"block {number} has the digest {found.to_json()}, was {expected.to_json()} when folded"
                    yield StoreProblem("digest", f"by_object/{name}", f"{message}. Ingest its epochs again.")
        except SourceFormatError as error:
            yield StoreProblem("unreadable", "by_object", str(error))


def _epoch_problems(view: View, snapshot: Snapshot) -> Iterator[StoreProblem]:
    for _, epoch in snapshot.pending:
        yield from _array_problems(view, epoch)
    for name, (_, digest) in view.folded(snapshot.record).items():
        there = load_epoch(view.keys, name)
        if there is not None and there.digest != digest:
            message = f"epoch {name} was replaced, but its old content is still what is read"
            yield StoreProblem("replaced_not_folded", f"by_epoch/{name}", f"{message}. Repeat the replacement.")


def _array_problems(view: View, epoch: EpochGroup) -> Iterator[StoreProblem]:
    for field in view.schema.fields:
        try:
            values = read_array(view.keys, view.schema, epoch, field)
        except SourceFormatError as error:
            yield StoreProblem("unreadable", f"{epoch.folder}/{field.name}", str(error))
            continue
        found = epoch_share(values)
        if found != epoch.share(field.name):
            message = f"the digest is {found.to_json()}, that of what was ingested {epoch.shares[field.name]}"
            yield StoreProblem("digest", f"{epoch.folder}/{field.name}", f"{message}. Ingest the epoch again.")
