"""execute/workshop.py: what a process keeps between blocks."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from zarrmill.execute.workshop import WORKSHOP, MemoryMeter, Workshop

MIB = 2**20


@pytest.fixture
def workshop():
    made = Workshop()
    yield made
    made.clear()


def test_threads_are_kept_by_number(workshop):
    """The pool of so many threads is made once; it has the threads that were asked for."""
    assert workshop.pool(3) is workshop.pool(3)
    assert workshop.pool(3)._max_workers == 3
    assert workshop.pool(1) is not workshop.pool(3)
    assert workshop.background() is workshop.background()


def test_arenas_are_kept_until_a_larger_one_is_asked_for(workshop):
    """Tile memory is reused; it grows, and never shrinks on its own; the two slots are two memories."""
    first = workshop.arena(0, MIB)

    assert workshop.arena(0, 100) is first
    assert workshop.arena(1, 100) is not first
    larger = workshop.arena(0, 2 * MIB)
    assert larger.nbytes >= 2 * MIB
    assert workshop.arena(0, MIB) is larger


def test_released_memory_is_given_back(workshop):
    """After a run the tiles are gone, and so is their memory."""
    meter = MemoryMeter()
    workshop.arena(0, 64 * MIB).memory[:] = 1
    held = meter.now()
    workshop.release()

    assert not meter.start or held >= 60 * MIB
    assert not meter.start or meter.now() < held - 50 * MIB


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="memory is measured through Linux's /proc")
def test_meter_sees_what_came_and_went(workshop):
    """The peak stays after the memory is gone, and is forgotten at a restart."""
    meter = MemoryMeter()
    # Of the system, whatever the allocator of this process still has.
    workshop.arena(0, 32 * MIB).memory[:] = 1
    assert meter.now() >= 30 * MIB
    workshop.release()
    assert meter.peak() >= 30 * MIB
    meter.restart()

    assert meter.peak() < 16 * MIB


def test_meter_without_proc_shows_nothing(monkeypatch, tmp_path):
    """Where the system does not tell, the figures are 0 and nothing fails."""
    monkeypatch.setattr("zarrmill.execute.workshop._STATUS", tmp_path / "none")
    monkeypatch.setattr("zarrmill.execute.workshop._CLEAR_REFS", tmp_path / "no" / "such")
    meter = MemoryMeter()

    assert (meter.now(), meter.peak()) == (0, 0)


def use_pool():
    """Return what a thread of the inherited workshop computes, in a process that was forked."""
    with WORKSHOP.lock:
        return WORKSHOP.pool(1).submit(pow, 2, 10).result(timeout=20)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_processes_have_threads_of_their_own():
    """A process forked after a run, maybe while a block held the lock, does not wait for threads that it has not."""
    assert use_pool() == 1024
    with WORKSHOP.lock, ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        assert pool.submit(use_pool).result(timeout=30) == 1024
    WORKSHOP.clear()


def test_clear_ends_the_threads(workshop):
    """Nothing is left running."""
    before = threading.active_count()
    workshop.pool(2).submit(int).result()
    workshop.background().submit(int).result()
    workshop.measure()
    workshop.clear()

    assert threading.active_count() == before
    assert workshop.meter is None


def test_released_memory_is_used_by_nobody(workshop):
    """A tile that is on its way for a block that never comes is there before its memory goes."""
    begun, arrived = threading.Event(), []

    def fill():
        begun.wait(20)
        arrived.append(workshop.arena(0, 1))

    workshop.background().submit(fill)
    threading.Timer(0.05, begun.set).start()
    workshop.release()

    assert len(arrived) == 1
    assert workshop._arenas == {}


def test_who_has_a_turn_knows_that_somebody_waits(workshop):
    """A block reads nothing ahead that another run in this process would throw away."""
    seen = []

    def take_turn():
        with workshop.turn():
            seen.append(workshop.waiting)

    with workshop.turn():
        assert workshop.waiting == 0
        other = threading.Thread(target=take_turn)
        other.start()
        deadline = time.monotonic() + 20
        while not workshop.waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        assert workshop.waiting == 1
    other.join()

    assert seen == [0]
    assert workshop.waiting == 0


def test_another_operation_begins_anew():
    """In a process that serves many runs, none begins with the memory or the peak of the one before."""
    workshop = Workshop()
    workshop.begin("first")
    workshop.arena(0, 64 * MIB).memory[:] = 1
    workshop.kept["array"] = "opened"
    assert workshop.begin("first").peak() >= 60 * MIB
    assert workshop.kept == {"array": "opened"}

    assert workshop.begin("second").peak() < 32 * MIB
    assert workshop.kept == {}


def test_what_an_operation_left_is_released_when_nothing_is_at_work():
    """Neither memory of another operation nor that of a running block is taken away."""
    workshop = Workshop()
    workshop.begin("mine")
    workshop.kept["array"] = "opened"
    workshop.release_if_idle("another")
    with workshop.lock:
        workshop.release_if_idle("mine")
    assert workshop.kept == {"array": "opened"}
    workshop.release_if_idle("mine")

    assert workshop.kept == {}
    assert not workshop.lock.locked()
