"""Bringing a published target up to date: what of the source is new or changed since, and which blocks that means.

Each array of a target has a record of the keys that it was made from (``made_from``). A block is done again when a key
that it reads is new or has another state than then; with several passes, all blocks of the independent box are. Whole
shards are kept, or made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.changes import Print, take_prints
from zarrmill.errors import InvalidInputError
from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.grid import ChunkGrid, Coord, Region
from zarrmill.hierarchy import Hierarchy, read_hierarchy
from zarrmill.key_states import file_states, number_of
from zarrmill.keyspace.model import join
from zarrmill.layout import ArrayLayout
from zarrmill.made_from import RECORD, MadeFrom, find_changes
from zarrmill.metadata import fill_value_of, layout_of
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.model import Block
from zarrmill.plan.rechunk import ArrayBlock, RechunkPlan, RechunkStage
from zarrmill.prepare import Prepared
from zarrmill.publish import METADATA, stored_terms
from zarrmill.store import OpenedStore
from zarrmill.store_draft import listed_keys

Mask = NDArray[np.bool_]
MAKE_ANEW = "Make it anew with overwrite (--overwrite)."


@dataclass(frozen=True)
class Published:
    """A target that is there, as readers see it."""

    opened: OpenedStore
    """The store."""
    hierarchy: Hierarchy
    """Its nodes."""
    records: dict[str, MadeFrom]
    """What its arrays were made from, by path."""

    @classmethod
    def read(cls, opened: OpenedStore) -> Published:
        """Return what is at a target; raises InvalidInputError for an array without a record."""
        hierarchy, records = read_hierarchy(opened), {}
        for path in hierarchy.arrays:
            data = opened.keys.get(join(path, RECORD))
            record = None if data is None else MadeFrom.from_bytes(bytes(data))
            if record is None:
                raise InvalidInputError(
                    f"{opened.location}: {path or 'the array'} has no record of what it was made from ({RECORD}), so "
                    f"that nothing tells which blocks are up to date. {MAKE_ANEW}"
                )
            records[path] = record
        return cls(opened, hierarchy, records)

    @cached_property
    def layouts(self) -> dict[str, ArrayLayout]:
        """Layouts of its arrays by path."""
        return {path: layout_of(node) for path, node in self.hierarchy.arrays.items()}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of its records: another one as soon as a run has brought it up to date."""
        parts = [(path, found.source, found.terms, found.states.tobytes()) for path, found in self.records.items()]
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def document(self, path: str) -> dict[str, Any]:
        """Return the metadata of a node, without copies of what lies below it."""
        found = json.loads(bytes(self.opened.keys.get(join(path, METADATA)) or b"{}"))
        found.pop("consolidated_metadata", None)
        return dict(found)


@dataclass(frozen=True)
class Change:
    """What is new or changed of one array of the source."""

    mask: Mask
    """One truth value for each key of the source."""
    now: MadeFrom
    """The states of its keys, as the target's record will have them."""

    @cached_property
    def box(self) -> Region | None:
        """The box that holds all of it, None where nothing is new."""
        where = np.nonzero(np.atleast_1d(self.mask))
        if not where[0].size:
            return None
        chunks, shape = self.now.write_chunk, self.now.shape
        ends = [(int(found.min()), int(found.max()) + 1) for found in where[: len(shape)]]
        start = tuple(first * chunk for (first, _), chunk in zip(ends, chunks, strict=True))
        stop = tuple(min(last * chunk, n) for (_, last), chunk, n in zip(ends, chunks, shape, strict=True))
        return Region(start, stop)

    def touches(self, region: Region) -> bool:
        """Tell whether a box of the array reads something new."""
        box = ChunkGrid.over(self.now.shape, self.now.write_chunk).box(region)
        return bool(np.any(self.mask[box.slices]))


@dataclass(frozen=True, slots=True)
class RedoneStage(RechunkStage):
    """Those blocks of a stage that are done again."""

    update: Update
    """Tells which."""

    def __len__(self) -> int:
        return sum(1 for _ in self.blocks())

    @property
    def weight(self) -> int:
        """Bytes of its blocks."""
        return sum(block.weight for block in self.blocks())

    def blocks(self) -> Iterator[Block]:
        """Yield them in order."""
        return (block for step in self.steps for block in step.blocks() if self.update.redoes(block.payload))


class Update:
    """What an update does again of a published target, and what it keeps."""

    def __init__(self, published: Published, prepared: Prepared, prints: Mapping[str, Print]) -> None:
        self.published = published
        self.prints = dict(prints)
        """Listings of the source's arrays in stores, which the states come from."""
        self._prepared = prepared
        self.changes = {path: self._find(path) for path in prepared.stored}
        """What is new, by path of the array."""
        self._plans: dict[str, ArrayPlan] = {}
        self.stages: tuple[RedoneStage, ...] = ()
        """What is done, once it is planned."""
        self.n_blocks = self.kept_blocks = 0
        """Blocks that are done again, and those that are kept."""

    @classmethod
    def find(cls, published: Published, prepared: Prepared) -> Update:
        """Compare a source with what a target was made from; raises InvalidInputError where no update is possible."""
        for path in published.records:
            if path not in prepared.stored:
                raise InvalidInputError(
                    f"{published.opened.location} holds the array {path!r}, which is not asked for. {MAKE_ANEW}"
                )
        return cls(published, prepared, take_prints(prepared.stored))

    def _find(self, path: str) -> Change:
        array, before = self._prepared.stored[path], self.published.records.get(path)
        states = self.prints[path].states if path in self.prints else file_states(array)
        layout, source = array.layout, self._prepared.source.location
        if states is None:
            raise InvalidInputError(
                f"{source}: {path or 'the array'} lies where nothing tells a changed key from an old one, so that it "
                f"cannot be updated. {MAKE_ANEW}"
            )
        now = MadeFrom(source, layout.shape, layout.write_chunk, states, 0)
        if before is None or not self._keeps_layout(path):
            return Change(np.ones(ChunkGrid.over(layout.shape, layout.write_chunk).counts, dtype=bool), now)
        return Change(find_changes(before, now), now)

    def _keeps_layout(self, path: str) -> bool:
        """Tell whether an array is to be as it is, False for one of a single key, which is made again; raises else."""
        old, new = self.published.layouts[path], self._prepared.jobs[path].target
        before, document = self.published.hierarchy.nodes[path].metadata, self._prepared.documents[path]
        looks = ("chunks", "shards", "dtype", "codecs")
        other = [name for name in looks if getattr(old, name) != getattr(new, name)]
        if before["chunk_key_encoding"] != document["chunk_key_encoding"]:
            other.append("key encoding")
        if fill_value_of(before).tobytes() != fill_value_of(document).tobytes():
            other.append("fill value")
        if not other and len(old.shape) == len(new.shape):
            return True
        if _is_whole(old) and _is_whole(new):
            return False
        name = (other or ["shape"])[0]
        was, wanted = getattr(old, name, "the one there"), getattr(new, name, "another")
        raise InvalidInputError(
            f"{path or 'array'}: the target {self.published.opened.location} has the {name} {was}, asked for is "
            f"{wanted}. An update keeps the layout: repeat the command that made it, with lengths that do not grow "
            f"with the source (no -1). {MAKE_ANEW}"
        )

    def hint(self) -> Prepared:
        """Return the request with what has changed, so that plans are made which redo little else."""
        jobs = {
            path: replace(job, changed=box)
            if (box := self.changes[path].box) != Region.whole(job.source.shape)
            else job
            for path, job in self._prepared.jobs.items()
        }
        hierarchy = self._prepared.hierarchy
        kept = replace(hierarchy, consolidated=hierarchy.consolidated or self.published.hierarchy.consolidated)
        return replace(self._prepared, jobs=jobs, hierarchy=kept)

    # --- blocks -----------------------------------------------------------------------------------------------------

    def take_plan(self, plan: RechunkPlan) -> None:
        """Settle the blocks."""
        self._plans = {array.path: array for array in plan.arrays}
        self.stages = tuple(RedoneStage(stage.name, stage.steps, self) for stage in plan.stages)
        self.n_blocks = sum(map(len, self.stages))
        self.kept_blocks = plan.n_blocks - self.n_blocks

    def redoes(self, payload: ArrayBlock) -> bool:
        """Tell whether a block is done again."""
        several = len(self._plans[payload.array].passes) > 1
        return self.changes[payload.array].touches(payload.domain if several else payload.region)

    def is_current(self, plan: RechunkPlan) -> bool:
        """Tell whether nothing is to be done: no key of the source is new, and no metadata are."""
        if self.n_blocks or set(dict(plan.documents)) != set(self.published.hierarchy.nodes):
            return False
        return all(
            self.published.document(path) == json.loads(json.dumps(document))
            for path, document in self._prepared.documents.items()
        )

    def identity(self) -> dict[str, Any]:
        """Return what tells this update from another: what is there, and what the source has now."""
        states = hashlib.blake2b(digest_size=16)
        for path, change in self.changes.items():
            states.update(path.encode() + b"\0" + change.now.states.tobytes())
        return {"of": self.published.fingerprint, "to": states.hexdigest(), "blocks": self.n_blocks}

    # --- keys -------------------------------------------------------------------------------------------------------

    def kept_keys(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of an array of the published target that stay, with their sizes."""
        if path not in self.published.records:
            return
        plan = self._plans[path]
        grid = ChunkGrid.over(plan.target.shape, plan.target.write_chunk)
        keys, redone = KeyEncoding.of(self._prepared.documents[path]), self._redone(plan, grid).reshape(-1)
        for key, nbytes in listed_keys(self.published.opened.keys, path):
            number = number_of(keys, key, grid)
            if number is not None and not redone[number]:
                yield key, nbytes

    def _redone(self, plan: ArrayPlan, grid: ChunkGrid) -> Mask:
        """Return which write chunks of the target are made again."""
        redone = np.zeros(grid.counts, dtype=bool)
        whole = Region.whole(plan.source.shape)
        boxes = plan.domains() if len(plan.passes) > 1 else plan.block_grid(0, whole)
        change = self.changes[plan.path]
        for coord in self._boxes_to_look_at(boxes, change):
            region = boxes.region(coord)
            if change.touches(region):
                redone[grid.box(region).slices] = True
        return redone

    def _boxes_to_look_at(self, boxes: ChunkGrid, change: Change) -> Iterator[Coord]:
        return iter(()) if change.box is None else boxes.coords(change.box)

    def kept_terms(self, path: str) -> int:
        """Return the fingerprint of the keys that stay."""
        total = 0
        for key, nbytes in self.kept_keys(path):
            total = add_terms(total, key_term(f"{path}/{key}", nbytes))
        return total

    def check_published(self) -> None:
        """Raise InvalidInputError where a key of the published target is not as it was when that was published."""
        opened = self.published.opened
        for path, record in self.published.records.items():
            if stored_terms(listed_keys(opened.keys, path), path) != record.terms:
                raise InvalidInputError(
                    f"{opened.location}: keys of {path or 'the array'} were changed, added or lost since it was "
                    f"published, so that what is there cannot be kept. {MAKE_ANEW}"
                )


def _is_whole(layout: ArrayLayout) -> bool:
    """Tell whether an array is one chunk, whatever its length, such as the times of a cube."""
    return layout.shards is None and layout.n_chunks <= 1
