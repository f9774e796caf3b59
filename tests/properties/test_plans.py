"""What every plan promises, for any shapes, layouts, routes and limits, from the smallest that is accepted upward."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.checks import check_plan
from zarrmill.errors import MemoryLimitError
from zarrmill.layout import ArrayLayout
from zarrmill.plan import arrays
from zarrmill.plan.arrays import Job, Limits, plan_array
from zarrmill.plan.rechunk import RechunkPlan

MIB = 2**20
ROUTES = [("driver", "driver"), ("driver", "zarr"), ("zarr", "driver"), ("zarr", "zarr")]


@st.composite
def jobs(draw, *, path="x", longest=12):
    shape = tuple(draw(st.lists(st.integers(0, longest), max_size=3)))

    def chunk():
        return tuple(draw(st.integers(1, max(1, n) + 2)) for n in shape)

    def shards(chunks):
        return tuple(c * draw(st.integers(1, 6)) for c in chunks) if draw(st.booleans()) else None

    source, target = chunk(), tuple(min(c, max(1, n)) for c, n in zip(chunk(), shape, strict=True))
    itemsize, dtype = draw(st.sampled_from([(1, "uint8"), (8, "float64"), (24, "<U6"), (64, "string")]))
    read, write = draw(st.sampled_from(ROUTES))
    if draw(st.integers(0, 5)) == 0:
        source = target
        read = write = "bytes"
    return Job(
        path,
        ArrayLayout(shape, dtype, itemsize, source, shards(source), dims=("a", None, "b")[: len(shape)]),
        ArrayLayout(shape, dtype, itemsize, target, shards(target), codecs=('{"name":"bytes"}',)),
        read,
        write,
        verify=draw(st.booleans()),
    )


def smallest_limit(job, threads, workers):
    """Return the limit that the planner itself names."""
    with pytest.raises(MemoryLimitError) as caught:
        plan_array(job, Limits(MIB, threads, workers))
    return int(re.search(r"Raise max_mem to (\d+)MiB", str(caught.value))[1]) * MIB


def plan_of(plans, limits):
    return RechunkPlan("/s", "/t", tuple(plans), limits.max_mem, limits.workers, limits.threads, "full")


@given(
    jobs=st.lists(jobs(), max_size=3),
    threads=st.integers(1, 5),
    workers=st.integers(1, 3),
    more=st.sampled_from([0, 1, 10**6, 10**9]),
)
def test_every_plan_keeps_its_promises(jobs, threads, workers, more):
    """Any arrays within the smallest limit that all accept, and above it."""
    named = [Job(f"group/{i}", j.source, j.target, j.read_route, j.write_route, j.verify) for i, j in enumerate(jobs)]
    least = max((smallest_limit(job, threads, workers) for job in named), default=MIB)
    limits = Limits(least + more, threads, workers)

    check_plan(plan_of((plan_array(job, limits) for job in named), limits))


@given(job=jobs(longest=2000), threads=st.integers(1, 4))
def test_the_limit_that_an_error_names_would_do(job, threads):
    """Raising max_mem to what the message says is enough, and a little less is not."""
    least = smallest_limit(job, threads, 1)

    assert plan_array(job, Limits(least, threads)).projected_mem <= least
    with pytest.raises(MemoryLimitError):
        plan_array(job, Limits(least - 3 * MIB, threads))


@st.composite
def large_jobs(draw):
    """Arrays of 50 MB to 50 GB of which both layouts have chunks of at most a megabyte."""
    ndim = draw(st.integers(2, 3))
    shape = tuple(draw(st.integers(100, 5000)) for _ in range(ndim))

    def chunk():
        left, lengths = 10**6 // 8, []
        for axis in draw(st.permutations(range(ndim))):
            length = min(shape[axis], draw(st.sampled_from([1, 7, 32, 10**6])), max(1, left))
            lengths.append((axis, length))
            left //= length
        return tuple(length for _, length in sorted(lengths))

    source, target = chunk(), chunk()
    shards = draw(st.one_of(st.none(), st.just(tuple(c * draw(st.integers(1, 20)) for c in target))))
    return Job(
        "big", ArrayLayout(shape, "float64", 8, source), ArrayLayout(shape, "float64", 8, target, shards), verify=True
    )


@given(job=large_jobs(), mem=st.sampled_from([40, 64, 256, 1024]), threads=st.integers(1, 8))
def test_large_arrays_stay_within_the_limit(job, mem, threads):
    """Whatever the strategy, memory is within the limit, and few enough shards are open at once for any system."""
    limits = Limits(mem * MIB, threads)
    try:
        plan = plan_array(job, limits)
    except MemoryLimitError:
        return

    assert plan.projected_mem <= limits.max_mem
    last, domain = plan.passes[-1], plan.domains().region((0,) * len(plan.domain))
    held = arrays.count_open(domain.shape, last.tile, last.block, job.target.write_chunk)
    assert held <= arrays.MOST_OPEN


LARGE = [
    ((300, 250, 100), (1, 250, 100), (300, 10, 10), (300, 50, 50)),
    ((5000, 2000), (1, 2000), (5000, 1), None),
    ((200, 210, 220), (1, 210, 220), (200, 1, 220), None),
    ((60, 70, 80, 30), (1, 70, 80, 1), (60, 1, 1, 30), (60, 7, 8, 30)),
]


@pytest.mark.parametrize("case", LARGE, ids=str)
@pytest.mark.parametrize("passes", [2, 4], ids=str)
def test_plans_of_several_passes_keep_their_promises(case, passes, prefer_passes):
    """Plans of two and more passes cover the target once, share no keys and fit."""
    prefer_passes(passes)
    shape, source, target, shards = case
    job = Job("x", ArrayLayout(shape, "float64", 8, source), ArrayLayout(shape, "float64", 8, target, shards))
    limits = Limits({2: 52, 4: 46}[passes] * MIB, 2)
    plan = plan_of([plan_array(job, limits)], limits)

    check_plan(plan)
    assert len(plan.arrays[0].passes) in ({2} if passes == 2 else {3, 4})
