"""execute/mill.py: which tile is read when, and what becomes of one that nobody asks for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zarrmill.execute.mill import TileMill, _Ahead
from zarrmill.execute.readers import Tally
from zarrmill.execute.records import Records
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.execute.writers import Written
from zarrmill.grid import Region

POOL = ThreadPoolExecutor(1)
WAIT = 20
"""Seconds after which a thread that should have come is missed."""


def tile(number: int) -> Region:
    return Region((10 * number,), (10 * number + 10,))


class Numbers:
    """Reads tiles whose values are their indices, and remembers which; reading one of them may fail once."""

    def __init__(self, broken: Region | None = None) -> None:
        self.filled: list[Region] = []
        self.come = threading.Semaphore(0)
        self._broken = broken

    def piece_grid(self, region):
        return None

    def fill(self, tile, pool, threads):
        self.filled.append(tile.region)
        if tile.region == self._broken:
            self._broken = None
            raise OSError("unreadable")
        tile.put(tile.region, np.arange(tile.region.start[0], tile.region.stop[0], dtype="i8"))
        self.come.release()
        return Tally(chunks=1)


class Collected:
    """Keeps what it is given; while a tile is written the reader must come to ``ahead`` tiles in all."""

    def __init__(self, reader: Numbers, ahead: list[int] | None = None) -> None:
        self.values: list[int] = []
        self.abandoned = 0
        self._reader = reader
        self._ahead = ahead or []

    def piece_grid(self, region):
        return None

    def write(self, tile, pool):
        for _ in range(self._ahead.pop(0) if self._ahead else 0):
            assert self._reader.come.acquire(timeout=WAIT), "no tile was read while this one was written"
        (values,) = tile.pieces.values()
        self.values += values.tolist()

    def finish(self):
        return Written(keys=len(self.values))

    def abandon(self):
        self.abandoned += 1


@pytest.fixture(autouse=True)
def released():
    yield
    WORKSHOP.release()


def mill(reader, writer, buffers=2):
    return TileMill(reader, writer, records=Records(1, np.dtype("i8")), pool=POOL, buffers=buffers)


def ignore(region, half):
    """Take progress."""


def test_next_tile_is_read_while_one_is_written():
    """With two arenas a write sees the next tile come, and all values arrive in order."""
    reader = Numbers()
    writer = Collected(reader, ahead=[2, 1, 0])
    read = mill(reader, writer).run([tile(0), tile(1), tile(2)], ignore)

    assert writer.values == list(range(30))
    assert read.chunks == 3


def test_first_tile_of_the_next_call_is_read_while_the_last_is_written():
    """A block of one tile still overlaps with its successor, which finds its tile there, and nothing is read twice."""
    reader = Numbers()
    writer = Collected(reader, ahead=[2, 1, 0])
    moving = mill(reader, writer)
    counts = [moving.run([tile(i)], ignore, following=tile(i + 1) if i < 2 else None).chunks for i in range(3)]

    assert writer.values == list(range(30))
    assert reader.filled == [tile(0), tile(1), tile(2)]
    assert counts == [1, 1, 1]


def test_tile_that_is_not_the_one_asked_for_is_dropped():
    """A block that is tried again, or another one, never gets the values of the tile that was read ahead."""
    reader = Numbers()
    writer = Collected(reader)
    moving = mill(reader, writer)
    moving.run([tile(0)], ignore, following=tile(1))
    moving.run([tile(0)], ignore, following=tile(1))
    moving.run([tile(5), tile(6)], ignore)

    assert writer.values == [*range(10), *range(10), *range(50, 70)]


def test_one_arena_reads_nothing_ahead():
    """Where memory allows one tile, it is written before another is read."""
    reader = Numbers()
    writer = Collected(reader)
    mill(reader, writer, buffers=1).run([tile(0)], ignore, following=tile(1))

    assert reader.filled == [tile(0)]


def test_failure_of_a_tile_read_ahead_is_that_of_its_own_block():
    """The block before is done all the same; the next attempt reads anew."""
    reader = Numbers(broken=tile(1))
    writer = Collected(reader)
    moving = mill(reader, writer)
    moving.run([tile(0)], ignore, following=tile(1))
    with pytest.raises(OSError, match="unreadable"):
        moving.run([tile(1)], ignore)
    moving.run([tile(1)], ignore)

    assert writer.values == list(range(20))


def test_abandoned_mill_is_at_work_no_more():
    """Whoever gives up a block knows that no thread reads into the arenas, and the writer lets go too."""
    reader = Numbers()
    writer = Collected(reader)
    moving = mill(reader, writer)
    moving.run([tile(0)], ignore, following=tile(1))
    moving.abandon()

    assert WORKSHOP.background().submit(int).result(timeout=WAIT) == 0
    assert writer.abandoned == 1
    moving.run([tile(1)], ignore)
    assert moving.finish().keys == 20
    assert writer.values == list(range(20))


class Interrupted:
    """A future that is waited for by somebody who presses Ctrl-C."""

    def __init__(self) -> None:
        self.dropped = 0

    def result(self):
        raise KeyboardInterrupt

    def cancel(self):
        self.dropped += 1
        return True


def test_interrupt_while_a_tile_is_waited_for_still_drops_it():
    """What is read ahead is remembered until it is there, so that whoever gives up can see to it."""
    reader = Numbers()
    writer = Collected(reader)
    moving = mill(reader, writer)
    waited = Interrupted()
    moving._ahead = _Ahead(tile(0), waited)
    with pytest.raises(KeyboardInterrupt):
        moving.run([tile(0)], ignore)
    moving.abandon()

    assert (waited.dropped, writer.abandoned) == (1, 1)


def test_interrupt_while_a_tile_is_dropped_still_lets_the_writer_go():
    """Open shards and requests under way are given up, however impatient somebody is."""
    writer = Collected(Numbers())
    moving = mill(Numbers(), writer)
    moving._ahead = _Ahead(tile(0), Impatient())
    with pytest.raises(KeyboardInterrupt):
        moving.abandon()

    assert writer.abandoned == 1


class Impatient:
    """A future that is under way while somebody presses Ctrl-C again."""

    def cancel(self):
        return False

    def exception(self):
        raise KeyboardInterrupt
