"""The operation of a rechunk: one block of one pass, tile by tile."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from zarrmill.execute.bytes_mover import BytesMover
from zarrmill.execute.fence import Fences, check_mark
from zarrmill.execute.intermediates import Intermediates, TilePlace
from zarrmill.execute.mill import TileMill
from zarrmill.execute.opening import (
    StoredArray,
    open_reader,
    open_tile_writer,
)
from zarrmill.execute.readers import ReadTiles, Tally
from zarrmill.execute.records import Records
from zarrmill.execute.request_meter import BlockMeter
from zarrmill.execute.scratch import ScratchReader, ScratchWriter, scratch_name
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.execute.writers import WriteTiles, Written
from zarrmill.execute.written_check import compare_checksums, compare_shares, digest_written
from zarrmill.grid import ChunkGrid, Region
from zarrmill.plan.array_plan import ArrayPlan, Pass
from zarrmill.plan.model import Advance, Block, BlockResult
from zarrmill.plan.rechunk import ArrayBlock


@dataclass(frozen=True, slots=True)
class ArrayCopy:
    """One array to copy: where it is read, where its draft is written, and the plan between."""

    plan: ArrayPlan
    """The passes."""
    source: StoredArray
    """What is read."""
    target: StoredArray
    """What is written: an array of the draft, without metadata yet."""
    scratch: Intermediates
    """Folder of its intermediates."""
    fences: Fences | None = None
    """Where blocks make files that may still be at work when their run is over; None where none can be."""
    source_mark: str = ""
    """What tells the source from another at the same path, see ``mark_of``; "" where it does not matter."""


@dataclass(frozen=True)
class CopyOperation:
    """Copies blocks of array data; picklable, and the same in every process."""

    arrays: dict[str, ArrayCopy]
    """The arrays by path."""
    verify: str
    """"full": what was written is read back and digested; "written": its checksums are compared; "none"."""
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Tells the operation from others in a process that ran one before."""

    def __call__(self, block: Block, advance: Advance, /) -> BlockResult:
        """Copy one block."""
        payload: ArrayBlock = block.payload
        with WORKSHOP.turn():
            meter = WORKSHOP.begin(self.token)
            copier = _copier(self, payload.array)
            requests = BlockMeter(*(end.keys if end.root is None else None for end in copier.ends))
            # Whoever waits for a turn has it next, and would throw away what is read ahead.
            following = None if WORKSHOP.waiting else block.following
            counts, facts = copier.run(payload, advance, following=following)
            facts |= {"memory": str(meter.now()), "peak": str(meter.peak())} | requests.facts()
            counts |= requests.counts()
            return BlockResult(block.id, counts, facts)

    def part_for(self, block: Block) -> CopyOperation:
        """Return what a process needs for one block, a few kilobytes however many arrays there are."""
        array = block.payload.array
        return replace(self, arrays={array: self.arrays[array]})


def _copier(operation: CopyOperation, array: str) -> Copier:
    """Return an array opened; one is kept only, because each holds buffers for every thread."""
    key = (operation.token, array)
    if key not in WORKSHOP.kept:
        WORKSHOP.kept.clear()
        WORKSHOP.kept[key] = Copier(operation.arrays[array], verify=operation.verify)
    copier: Copier = WORKSHOP.kept[key]
    return copier


class Copier:
    """One array with its readers and writers open."""

    def __init__(self, copy: ArrayCopy, *, verify: str) -> None:
        self._plan = copy.plan
        self._source = copy.source
        self._target = copy.target
        self._scratch = copy.scratch
        self._fences = copy.fences or Fences()
        self._verify = verify
        self._fences.check()
        if copy.source_mark and copy.source.root is not None:
            check_mark(copy.source.root, copy.source_mark)
        self._records = self._choose_records()
        self._mill: TileMill | None = None
        self._mill_place: _Place | None = None

    @property
    def ends(self) -> tuple[StoredArray, StoredArray]:
        """The array that is read and the one that is written."""
        return self._source, self._target

    def _choose_records(self) -> Records:
        plan, dtype, shape = self._plan, self._source.dtype, self._source.layout.shape
        if "zarr" in (plan.read_route, plan.write_route):
            return Records(len(shape), dtype)
        clipped = [tuple(min(t, n) for t, n in zip(p.tile, shape, strict=True)) for p in plan.passes]
        return Records.of(dtype, shape, [plan.source.chunks, plan.target.chunks, *clipped])

    @cached_property
    def _stored_reader(self) -> ReadTiles:
        return open_reader(self._source, records=self._records, digest=self._verify == "full")

    @cached_property
    def _stored_writer(self) -> WriteTiles:
        return open_tile_writer(
            self._target, records=self._records, checksums=self._verify == "written", fence=self._fences.target
        )

    @cached_property
    def _bytes_mover(self) -> BytesMover:
        return BytesMover(self._source, self._target, verify=self._verify, fence=self._fences.target)

    def run(
        self, block: ArrayBlock, advance: Advance, *, following: ArrayBlock | None = None
    ) -> tuple[dict[str, int], dict[str, str]]:
        """Copy a block, and begin to read the following one; return the figures that add up and the others."""
        this_pass = self._plan.passes[block.pass_index]
        pool = WORKSHOP.pool(this_pass.threads)
        if self._plan.read_route == "bytes":
            read, written = self._bytes_mover.move(block.region, pool, advance)
        else:
            read, written = self._move(block, advance, following)
        facts = {"terms": f"{written.terms:016x}"}
        if this_pass.reads == "stored" and self._verify == "full":
            facts["source_share"] = read.share.to_json()
        if this_pass.writes == "stored" and self._verify == "full":
            facts["target_share"] = digest_written(self._target, block.region, pool, this_pass.threads).to_json()
            compare_shares(self._target, block.region, facts)
        if this_pass.writes == "stored" and self._verify == "written":
            compare_checksums(self._target, written)
        counts = {"chunks_read": read.chunks, "bytes_read": read.nbytes, "bytes_written": written.nbytes}
        if this_pass.writes == "stored":
            counts |= {"target_bytes": written.nbytes, "keys_written": written.keys, "keys_empty": written.empty}
        return counts, facts

    def _move(self, block: ArrayBlock, advance: Advance, following: ArrayBlock | None) -> tuple[Tally, Written]:
        """Read and write the tiles of a block."""
        mill, first = self._mill_of(block), None
        if following is not None and _place_of(following) == _place_of(block):
            first = next(self._tiles_of(following), None)
        try:
            moved = partial(_advance_tile, advance, self._records)
            read = mill.run(list(self._tiles_of(block)), moved, following=first)
            return read, mill.finish()
        except BaseException:
            mill.abandon()
            raise

    def _mill_of(self, block: ArrayBlock) -> TileMill:
        """Return the mill of a pass; there is one at a time, as it may be reading ahead."""
        place = _place_of(block)
        if self._mill_place != place:
            if self._mill is not None:
                self._mill.stop()
            self._mill_place, self._mill = place, self._new_mill(block)
        assert self._mill is not None
        return self._mill

    def _new_mill(self, block: ArrayBlock) -> TileMill:
        this_pass = self._plan.passes[block.pass_index]
        reader, writer = self._ends(block, this_pass)
        pool = WORKSHOP.pool(this_pass.threads)
        return TileMill(reader, writer, records=self._records, pool=pool, buffers=this_pass.buffers)

    def _tiles_of(self, block: ArrayBlock) -> Iterator[Region]:
        """Yield the tiles of a block, as boxes of records."""
        grid = self._plan.tile_grid(block.pass_index, block.domain)
        tiles = (self._records.region(grid.region(coord)) for coord in grid.coords(block.region))
        return (tile for tile in tiles if tile.size or not tile.shape)

    def _ends(self, block: ArrayBlock, this_pass: Pass) -> tuple[ReadTiles, WriteTiles]:
        i = block.pass_index
        reader: ReadTiles = self._stored_reader
        writer: WriteTiles = self._stored_writer
        if this_pass.reads == "scratch":
            place = self._place(block.domain, i - 1)
            tiles, previous = self._tiles(i, block.domain), self._tiles(i - 1, block.domain)
            reader = ScratchReader(place, tiles=tiles, previous=previous, dtype=self._records.dtype)
        if this_pass.writes == "scratch":
            place = self._place(block.domain, i)
            tiles, following = self._tiles(i, block.domain), self._tiles(i + 1, block.domain)
            writer = ScratchWriter(place, tiles=tiles, next_tiles=following)
        return reader, writer

    def _tiles(self, pass_index: int, domain: Region) -> ChunkGrid:
        """Return the tiles of a pass as boxes of records."""
        grid = self._plan.tile_grid(pass_index, domain)
        return ChunkGrid(self._records.region(domain), self._records.shape(grid.chunks))

    def _place(self, domain: Region, pass_index: int) -> TilePlace:
        return self._scratch.place(scratch_name(self._plan.path, domain, pass_index), self._fences.scratch)


_Place = tuple[str, int, Region]
"""Array, pass and independent box: what blocks have in common that are read and written at the same places."""


def _place_of(block: ArrayBlock) -> _Place:
    return block.array, block.pass_index, block.domain


def _advance_tile(advance: Advance, records: Records, region: Region, half: int) -> None:
    nbytes = region.size * records.dtype.itemsize
    advance(nbytes // 2 if half == 0 else nbytes - nbytes // 2)
