"""Removing what nobody needs: copies of epochs that are folded, once that is proved, and what killed writers left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zarrmill.digest import Share
from zarrmill.errors import VerifyError
from zarrmill.keyspace import KeyInfo, KeySpace
from zarrmill.lightcurves.cube import CubeArray, count_shards
from zarrmill.lightcurves.epoch_groups import GROUP, load_epoch
from zarrmill.lightcurves.fold import share_of_columns
from zarrmill.lightcurves.lock import Lock
from zarrmill.lightcurves.record import Record, load_record
from zarrmill.lightcurves.schema import Schema
from zarrmill.lightcurves.view import View

ABANDONED_SECONDS = 3600.0
"""Age at which what no epoch tells of counts as left by a writer that is dead."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was removed."""

    location: str
    """The store."""
    epochs: int
    """Folded epochs whose own copy was removed."""
    abandoned: int
    """Folders that writers had left which were killed, or whose content was replaced."""
    keys: int
    """Keys removed."""
    nbytes: int
    """Bytes removed; 0 where the store does not tell them."""
    seconds: float
    """Wall time."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def prune(view: View, *, verify: bool = True) -> PruneReport:
    """Remove the copies of epochs that are folded; with ``verify`` only after their blocks were read and proved.

    Raises LockedError, and VerifyError with nothing removed when a block is not what was folded.
    """
    begun, keys = time.perf_counter(), view.keys
    with Lock(keys):
        record = load_record(keys)
        folded = view.folded(record)
        by_epoch: dict[str, list[KeyInfo]] = {}
        for info in keys.list(GROUP):
            if info.key != f"{GROUP}/zarr.json":
                by_epoch.setdefault(info.key.split("/")[1], []).append(info)
        done = [name for name in by_epoch if name in folded and _is_folded(keys, name, folded[name][1])]
        if verify and done:
            length = view.schema.sizes.epoch_block
            check_blocks(keys, view.schema, record, {folded[name][0] // length for name in done})
        taken = [_take_folded(by_epoch, name, folded[name][1]) for name in done]
        gone = [info for infos in taken for info in infos]
        left = list(_abandoned(keys, by_epoch))
        keys.delete(info.key for info in [*gone, *left])
    view.forget()
    folders = {"/".join(info.key.split("/")[:3]) for info in left}
    nbytes = sum(info.nbytes or 0 for info in [*gone, *left])
    seconds = time.perf_counter() - begun
    return PruneReport(keys.location, sum(map(bool, taken)), len(folders), len(gone) + len(left), nbytes, seconds)


def _is_folded(keys: KeySpace, name: str, digest: str) -> bool:
    """Tell whether the epoch that is there is the one that is folded; a part of one that was being removed is, too."""
    epoch = load_epoch(keys, name)
    return epoch is None or epoch.digest == digest


def _take_folded(by_epoch: dict[str, list[KeyInfo]], name: str, digest: str) -> list[KeyInfo]:
    """Take out the keys of content that is folded, the metadata first, so that what is half removed looks not whole.

    Other content stays: a writer that is about to replace the epoch may have put it a moment ago.
    """
    own, folder = f"{GROUP}/{name}/zarr.json", f"{GROUP}/{name}/{digest}/"
    infos = by_epoch.pop(name)
    by_epoch[name] = [info for info in infos if info.key != own and not info.key.startswith(folder)]
    taken = [info for info in infos if info.key == own or info.key.startswith(folder)]
    return sorted(taken, key=lambda info: info.key != own)


def _abandoned(keys: KeySpace, by_epoch: dict[str, list[KeyInfo]]) -> Iterator[KeyInfo]:
    """Yield the keys of content that no epoch tells of, and that was written so long ago that its writer is dead."""
    for name, infos in by_epoch.items():
        epoch = load_epoch(keys, name)
        by_folder: dict[str, list[KeyInfo]] = {}
        for info in infos:
            if info.key.count("/") > 2:
                by_folder.setdefault(info.key.split("/")[2], []).append(info)
        for digest, members in by_folder.items():
            if (epoch is None or epoch.digest != digest) and _is_old(members):
                yield from members


def _is_old(infos: Iterable[KeyInfo]) -> bool:
    times = [info.modified_ns for info in infos]
    known = [t for t in times if t is not None]
    return len(known) == len(times) and time.time() - max(known) / 1e9 > ABANDONED_SECONDS


def check_blocks(keys: KeySpace, schema: Schema, record: Record, numbers: Iterable[int]) -> None:
    """Raise VerifyError when the values of a block have not the digest that they had when they were folded."""
    for number in sorted(numbers):
        for name, found, expected in block_shares(keys, schema, record, number):
            if expected is not None and found != expected:
                raise VerifyError(
                    f"{keys.location}: block {number} of {name} has the digest {found.to_json()}, what was folded has "
                    f"{expected.to_json()}. Nothing was removed. Ingest its epochs again with replace=True."
                )


def block_shares(
    keys: KeySpace, schema: Schema, record: Record, number: int
) -> Iterator[tuple[str, Share, Share | None]]:
    """Yield for each array the digest share of a block as it is stored, and the one recorded, None without one."""
    block, length = record.block(number), schema.sizes.epoch_block
    columns = record.folded_in(number, length)
    for field in schema.fields:
        cube, total = CubeArray(keys, schema, field), Share.zero()
        for shard in range(count_shards(block.objects, cube.shard_objects)):
            start = shard * cube.shard_objects
            values = cube.read_shard(shard, number, rows=min(cube.shard_objects, block.objects - start))
            total += share_of_columns(values, columns, start=start, origin=number * length)
        expected = Share.from_json(block.shares[field.name]) if field.name in block.shares else None
        yield field.name, total, expected


def folded_blocks(record: Record, epoch_block: int) -> list[int]:
    """Return the numbers of the blocks in which an epoch is folded."""
    return [int(number) for number in np.unique(np.flatnonzero(record.mask()) // epoch_block)]
