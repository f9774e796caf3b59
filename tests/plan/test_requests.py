"""plan/requests.py: requests are counted from shapes, and have a cost."""

from __future__ import annotations

import math

import pytest

from zarrmill.errors import InvalidInputError
from zarrmill.layout import ArrayLayout
from zarrmill.plan.arrays import Job, Limits, plan_array
from zarrmill.plan.memory import FETCH_BYTES, Remote
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.plan.requests import BUNDLE_BLOCKS, PAGE_KEYS, EndRequests, check_prices, cost_of, plan_requests


def layout(shape, chunks, shards=None):
    return ArrayLayout(shape=shape, dtype="float64", itemsize=8, chunks=chunks, shards=shards)


def make(source, target, *, remote, verify="full", max_mem=2**28, route="driver"):
    job = Job("flux", source, target, route, route, verify=verify == "full", remote=remote)
    array = plan_array(job, Limits(max_mem, threads=2))
    documents = (("flux", "{}"), ("", "{}"))
    return RechunkPlan("a", "b", (array,), max_mem, 1, 2, verify, documents=documents, remote=remote)


EPOCHS, OBJECTS = layout((1000, 50), (100, 1)), layout((1000, 50), (1, 50), (500, 50))
BOTH = Remote(source=True, target=True)


def test_local_plans_ask_nothing():
    """Where both ends are on the local disk there is nothing to tell, whatever requests cost."""
    plan = make(EPOCHS, OBJECTS, remote=Remote())

    assert plan_requests(plan) is None
    assert plan_requests(plan, prices={"get": 1}) is None


def test_only_remote_ends_are_told():
    """A local end has no requests."""
    found = plan_requests(make(EPOCHS, OBJECTS, remote=Remote(source=True)))

    assert found is not None
    assert (found.target, found.cost) == (None, None)


def test_a_chunk_is_one_get_and_a_shard_one_put():
    """Two nodes are read and written; of 500 chunks each comes once, and two shards go and are read back."""
    found = plan_requests(make(EPOCHS, OBJECTS, remote=BOTH))

    assert found is not None
    assert found.source == EndRequests(gets=2 + 500, lists=1 + 1 + 2, bytes_read=400_000)
    assert found.target is not None
    assert (found.target.puts, found.target.gets) == (2 + 2 + 1 + 1, 4 + 2 + 2)


@pytest.mark.parametrize(("verify", "gets"), [("full", 4), ("written", 2), ("none", 0)])
def test_reading_back_depends_on_verify(verify, gets):
    """In full with index and chunks of each shard, for checksums whole, or not at all."""
    found = plan_requests(make(EPOCHS, OBJECTS, remote=BOTH, verify=verify))

    assert found is not None
    assert found.target is not None
    assert found.target.gets == 4 + gets


def test_chunks_that_move_as_they_are_come_twice_when_they_are_digested():
    """Once encoded, and once to be decoded for the digest."""
    target = layout((1000, 50), (100, 1), (1000, 50))
    gets = []
    for verify in ("full", "none"):
        found = plan_requests(make(EPOCHS, target, remote=Remote(source=True), verify=verify, route="bytes"))
        assert found is not None
        assert found.source is not None
        gets.append(found.source.gets - 2)

    assert gets == [1000, 500]


def test_large_shards_come_in_pieces():
    """A request brings no more than FETCH_BYTES of decoded chunks."""
    shape = (16 * FETCH_BYTES // 8,)
    source = layout(shape, (FETCH_BYTES // 32,), shape)
    found = plan_requests(make(source, layout(shape, (FETCH_BYTES // 8,)), remote=Remote(source=True)))

    assert found is not None
    assert found.source is not None
    assert 2 + 1 + 16 <= found.source.gets <= 2 + 1 + 32


def test_parts_of_a_shard_that_lie_far_apart_are_asked_for_apart():
    """A column of large chunks costs a request a chunk, one of small chunks one in all."""
    small = layout((64, 64), (1, 1), (64, 64))
    large = layout((2048, 2048), (32, 2048 // 64), (2048, 2048))
    wide = layout((4096, 4096), (512, 512), (4096, 4096))
    counts = []
    for source in (small, large, wide):
        target = layout(source.shape, (source.shape[0], source.chunks[1]))
        found = plan_requests(make(source, target, remote=Remote(source=True), verify="none"))
        assert found is not None
        assert found.source is not None
        counts.append(found.source.gets)

    assert counts[0] < counts[1] <= counts[2]


def test_listings_have_pages():
    """A thousand keys are one page, and what follows another."""
    n = 5 * PAGE_KEYS
    target = layout((n,), (1,))
    found = plan_requests(make(layout((n,), (n,)), target, remote=Remote(target=True), verify="none"))

    assert found is not None
    assert found.target is not None
    assert found.target.lists == 5 + n // PAGE_KEYS + 1
    assert found.target.puts == n + 2 + 1 + 1


def test_many_blocks_are_journaled_in_bundles():
    """One key for a hundred blocks."""
    plan = make(layout((2**22,), (2**14,)), layout((2**22,), (2**13,)), remote=BOTH, max_mem=2**28)
    found = plan_requests(plan)

    assert found is not None
    assert found.target is not None
    assert found.target.puts == 2**9 + 2 + 1 + 1 + plan.n_blocks // BUNDLE_BLOCKS


def test_requests_have_a_cost():
    """By thousands, by kind; what has no price is free, but a HEAD costs what a GET does, and bytes count by the GB."""
    asked = EndRequests(gets=2000, puts=1000, lists=500, heads=1000, deletes=9999, bytes_read=2 * 10**9)

    assert cost_of(asked, {}) == 0
    assert math.isclose(cost_of(asked, {"get": 0.5, "put": 5, "list": 5}), 1 + 5 + 2.5 + 0.5)
    assert math.isclose(cost_of(asked, {"get": 0.5, "head": 0.0, "transfer": 0.09}), 1 + 0.18)


def test_both_ends_cost():
    """The cost of a plan is that of its ends."""
    plan = make(EPOCHS, OBJECTS, remote=BOTH)
    found = plan_requests(plan, prices={"put": 1000, "get": 1000})

    assert found is not None
    assert found.source is not None
    assert found.target is not None
    assert found.cost == found.source.gets + found.target.gets + found.target.puts


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        ({"gets": 1}, "price 'gets' is not known. Known are get, put, list, head, delete, transfer."),
        ({"get": -1}, "price get=-1 is no price"),
        ({"put": "5"}, "price put='5' is no price"),
        ({"put": float("nan")}, "price put=nan is no price"),
    ],
    ids=["unknown", "negative", "text", "nan"],
)
def test_wrong_prices(prices, says):
    """One line names the price."""
    with pytest.raises(InvalidInputError, match=says):
        check_prices(prices)


def test_the_ends_survive_json():
    """A plan that was stored knows which ends are remote; one of before knows none."""
    plan = make(EPOCHS, OBJECTS, remote=Remote(target=True))
    data = plan.to_json()

    assert RechunkPlan.from_json(data).remote == Remote(target=True)
    del data["remote"]
    assert RechunkPlan.from_json(data).remote == Remote()
