"""plan/cost.py: the scale on which plans are compared."""

from __future__ import annotations

import pytest

from zarrmill.plan.cost import RATES, Rates, pass_seconds, scratch_seconds

BASE = {"threads": 2, "decoded": 10**9, "touches": 1000, "encoded": 10**9, "keys": 100, "tiles": 10}


@pytest.mark.parametrize("what", ["decoded", "touches", "encoded", "keys", "tiles"])
def test_more_work_takes_longer(what):
    """Each figure of a pass costs something."""
    assert pass_seconds(RATES, **{**BASE, what: 2 * BASE[what]}) > pass_seconds(RATES, **BASE)


def test_threads_share_the_work_but_not_the_waiting():
    """Twice the threads halve all but the ends of tiles."""
    waiting = BASE["tiles"] * RATES.tile
    one, two = (pass_seconds(RATES, **{**BASE, "threads": threads}) - waiting for threads in (1, 2))

    assert one == pytest.approx(2 * two)


def test_scratch_costs_bytes_and_seeks():
    """An intermediate costs its bytes and its segments."""
    rates = Rates(scratch=1e-9, segment=1e-3)

    assert scratch_seconds(rates, nbytes=10**9, segments=500) == pytest.approx(1.5)


def test_default_rates_are_positive():
    """No rate is 0, for then something would be free that is not."""
    assert all(getattr(RATES, name) > 0 for name in Rates.__dataclass_fields__)
