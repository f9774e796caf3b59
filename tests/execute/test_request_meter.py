"""execute/request_meter.py: requests of a run, wherever its blocks run, are counted once."""

from __future__ import annotations

import itertools

import pytest

from zarrmill.execute.request_meter import BlockMeter, RunMeter
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import Requests
from zarrmill.plan.model import BlockResult
from zarrmill.store import open_keys

NAMES = itertools.count()


@pytest.fixture
def keys() -> KeySpace:
    """Keys in memory."""
    return open_keys(f"memory://meter-{next(NAMES)}")


def block(source: KeySpace | None, target: KeySpace | None, name: str, puts: int) -> BlockResult:
    """Return the result of a block that writes some keys."""
    meter = BlockMeter(source, target)
    for number in range(puts):
        assert target is not None
        target.put(f"{name}/{number}", b"1234")
    return BlockResult(name, meter.counts(), meter.facts())


def test_a_block_counts_what_it_asks(keys: KeySpace) -> None:
    """Not what was asked before, and nothing of an end on the local disk."""
    keys.put("a", b"1")

    result = block(None, keys, "x", 2)

    assert result.counts == {"target.puts": 2, "target.bytes_written": 8}
    assert block(None, None, "y", 0) == BlockResult("y")


def test_own_requests_count_once(keys: KeySpace) -> None:
    """What blocks bring from this process is in its counts already, of keys below these too."""
    meter = RunMeter(None, keys)
    meter.start([])
    results = [block(None, keys.below("deep"), "x", 3)]
    keys.put("zarr.json", b"{}")

    assert meter.made(results) == {"target": Requests(puts=4, bytes_written=14)}
    assert meter.earlier is None


def test_requests_from_elsewhere_are_added(keys: KeySpace) -> None:
    """Another connection to the same store has counts of its own."""
    meter = RunMeter(keys, keys)
    meter.start([])
    other = open_keys(keys.location)

    made = meter.made([block(other, other, "x", 3)])

    assert made == {name: Requests(puts=3, bytes_written=12) for name in ("source", "target")}


def test_requests_of_an_earlier_run_are_apart(keys: KeySpace) -> None:
    """They stay in the journal and are no requests of this run."""
    before = [block(None, open_keys(keys.location), "x", 3)]
    meter = RunMeter(None, keys)
    meter.start(before)
    now = [*before, block(None, keys, "y", 1), block(None, open_keys(keys.location), "z", 2)]

    assert meter.made(now) == {"target": Requests(puts=3, bytes_written=12)}
    assert meter.earlier == Requests(puts=3, bytes_written=12)


def test_what_was_asked_before_the_run_is_left_out(keys: KeySpace) -> None:
    """A store that was open already has counts."""
    keys.put("a", b"1")
    meter = RunMeter(None, keys)
    meter.leave_out("target", keys.counts.snapshot())
    meter.leave_out("source", keys.counts.snapshot())
    keys.put("b", b"1")

    assert meter.made([]) == {"target": Requests(puts=1, bytes_written=1)}


def test_results_of_an_older_version_count_nothing(keys: KeySpace) -> None:
    """A journal without requests is no error."""
    meter = RunMeter(None, keys)
    meter.start([BlockResult("x", {"keys_written": 3}, {"terms": "0"})])

    assert meter.made([]) == {"target": Requests()}
