"""execute/futures.py: results in order, a few at a time, and nothing left running after a failure."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from zarrmill.execute.futures import collect


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as made:
        yield made


def test_results_come_in_order(pool):
    """Slow calls do not change places with quick ones."""

    def call(i):
        time.sleep(0.002 * (i % 3))
        return i

    assert list(collect(pool, (partial(call, i) for i in range(20)))) == list(range(20))


def test_no_calls_give_no_results(pool):
    """Nothing to do is done at once."""
    assert list(collect(pool, [])) == []


@pytest.mark.parametrize("in_flight", [1, 3, None], ids=str)
def test_few_calls_are_under_way(pool, in_flight):
    """No more calls are taken than may be under way, so that results do not pile up."""
    taken = []

    def calls():
        for i in range(30):
            taken.append(i)
            yield partial(int, i)

    for result in collect(pool, calls(), in_flight=in_flight):
        assert len(taken) <= result + 1 + (in_flight or 4)


def test_failure_waits_for_what_runs_and_cancels_the_rest(pool):
    """After a failure nothing writes any more, and calls that had not begun never do."""
    ended = []

    def call(i):
        if i == 1:
            raise ValueError("broken")
        time.sleep(0.05)
        ended.append(i)

    with pytest.raises(ValueError, match="broken"):
        list(collect(pool, (partial(call, i) for i in range(50)), in_flight=10))
    now = list(ended)
    time.sleep(0.1)

    assert ended == now
    assert len(ended) < 10


def test_stopping_early_leaves_nothing_running(pool):
    """A caller that takes one result and stops waits for the running ones."""
    running = threading.Semaphore(0)

    def call(i):
        time.sleep(0.01)
        running.release()
        return i

    results = collect(pool, (partial(call, i) for i in range(50)), in_flight=6)
    assert next(results) == 0
    results.close()
    done = running._value
    time.sleep(0.05)

    assert running._value == done <= 6
