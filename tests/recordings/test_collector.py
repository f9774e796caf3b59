"""The collector of cycles is still where it is told to be, and only there."""

from __future__ import annotations

import gc
import multiprocessing

import pytest

from zarrmill.recordings.collector import paused_collector


def test_the_collector_is_still_meanwhile():
    """And goes on afterwards, whatever happens."""

    def fail() -> None:
        with paused_collector():
            assert not gc.isenabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_one_pause_within_another_does_not_end_it():
    """The outer one does."""
    with paused_collector():
        with paused_collector():
            pass
        assert not gc.isenabled()


def test_a_collector_that_somebody_turned_off_stays_off():
    """A program may have reasons of its own."""
    gc.disable()
    try:
        with paused_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_meanwhile_has_it():
    """There nobody would ever start it again."""
    context = multiprocessing.get_context("fork")
    with paused_collector(), context.Pool(1) as pool:
        assert pool.apply(gc.isenabled)
