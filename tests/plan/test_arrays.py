"""plan/arrays.py: which strategy is chosen, and what an error says when none fits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from zarrmill.errors import MemoryLimitError
from zarrmill.grid import Region
from zarrmill.layout import ArrayLayout
from zarrmill.plan.array_plan import count_open
from zarrmill.plan.arrays import MOST_OPEN, Job, Limits, plan_array
from zarrmill.plan.memory import Remote

MIB = 2**20

SIZES = {
    "S": ((500, 20, 2), 8, (500, 1, 2), (1, 20, 2), (500, 20, 2)),
    "M": ((10_000, 500, 2), 8, (1000, 1, 2), (1, 500, 2), (1000, 500, 2)),
    "L": ((50_000, 1200, 8, 2), 4, (5000, 1, 8, 2), (1, 1200, 8, 2), (1000, 1200, 8, 2)),
    "G": ((960, 721, 1440), 4, (1, 721, 1440), (960, 20, 20), (960, 20, 360)),
    "years": ((350_640, 721, 1440), 4, (1, 721, 1440), (350_640, 5, 5), (350_640, 5, 20)),
}
"""The sizes of specs/rechunk.md: shape, bytes a value, source chunk, target chunk, shard."""


def job(shape, itemsize, source, target, shards=None, *, read="driver", write="driver", dtype="float32"):
    return Job(
        "flux",
        ArrayLayout(shape, dtype, itemsize, source),
        ArrayLayout(shape, dtype, itemsize, target, shards),
        read,
        write,
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mem", [512, 4096], ids=str)
def test_plans_of_the_specified_sizes_fit(size, mem):
    """Each size has a plan at half a gigabyte, even 1.4 TB, and the plan keeps the limit."""
    plan = plan_array(job(*SIZES[size]), Limits(mem * MIB, 2))

    assert plan.projected_mem <= mem * MIB


@pytest.mark.parametrize(("size", "mem"), [("S", 64), ("M", 256), ("L", 512), ("G", 4096)], ids=str)
def test_a_source_chunk_is_decoded_once_where_memory_allows(size, mem):
    """One pass without reading again is always best, and it is found."""
    plan = plan_array(job(*SIZES[size]), Limits(mem * MIB, 2))

    assert (len(plan.passes), plan.reread) == (1, 1.0)


def test_reading_again_is_bounded():
    """An array that does not fit is read again a few times, or goes through an intermediate; never dozens of times."""
    plan = plan_array(job(*SIZES["G"]), Limits(512 * MIB, 2))

    assert plan.reread <= 20


def test_decades_of_the_globe_take_few_passes():
    """1.4 TB within a gigabyte: a few passes of large tiles, each source chunk decoded once."""
    plan = plan_array(job(*SIZES["years"]), Limits(1024 * MIB, 2))

    assert 2 <= len(plan.passes) <= 3
    assert plan.reread == 1.0


def test_small_arrays_are_one_tile():
    """What fits easily is not searched for: one tile, one buffer."""
    plan = plan_array(job(*SIZES["S"]), Limits(256 * MIB, 2))

    assert plan.passes[0].tile == (500, 20, 2)
    assert plan.passes[0].buffers == 1


def test_fewer_threads_before_no_plan():
    """Threads that memory does not allow for are left idle."""
    big = job((100, 1000, 1000), 8, (1, 1000, 1000), (100, 10, 1000))
    threads = {mem: plan_array(big, Limits(mem * MIB, 8)).passes[0].threads for mem in (64, 1024)}

    assert threads[64] < 8
    assert threads[1024] == 8


def test_limit_error_names_array_numbers_and_remedy():
    """The message has the array, both chunks, what is needed, what is allowed, and the limit that would do."""
    with pytest.raises(MemoryLimitError) as caught:
        plan_array(job(*SIZES["years"]), Limits(64 * MIB, 2))
    text = str(caught.value)
    needed = int(re.search(r"Raise max_mem to (\d+)MiB", text)[1])

    assert text.startswith("flux: reading a chunk of 1x721x1440 and writing one of 350640x5x5 needs")
    assert "max_mem is 64.0 MiB" in text
    assert plan_array(job(*SIZES["years"]), Limits(needed * MIB, 2)).projected_mem <= needed * MIB


@pytest.mark.parametrize(
    "case",
    [
        ((3000, 50, 10_000), 4, (1, 50, 100), (1, 10, 1), (100, 10, 10)),
        ((3000, 1000, 200), 8, (100, 10, 1), (1, 1, 1), (5, 100, 10)),
        ((50, 10_000, 200), 8, (50, 10, 1), (50, 1, 10), (50, 5, 200)),
        ((10_000, 10_000), 4, (10, 10_000), (10, 10), (1000, 10)),
    ],
    ids=str,
)
@pytest.mark.parametrize("mem", [64, 256, 1024], ids=str)
def test_open_shards_are_few_and_counted(case, mem):
    """A block holds fewer shards open than a process may have files, and the projection has the index of each."""
    plan = plan_array(job(*case), Limits(mem * MIB, 2))
    last, shards = plan.passes[-1], case[4]
    held = count_open(case[0], last.tile, last.block, shards)
    per_shard = 2 * 16
    for s, c in zip(shards, case[3], strict=True):
        per_shard *= s // c

    assert held <= MOST_OPEN
    assert last.projected_mem >= held * per_shard


def test_moving_bytes_holds_no_tile():
    """Encoded chunks that move as they are need memory for a few runs only, however large the shards."""
    moved = job((10_000, 10_000), 8, (100, 100), (100, 100), (10_000, 10_000), read="bytes", write="bytes")

    assert plan_array(moved, Limits(64 * MIB, 2)).projected_mem <= 64 * MIB


def test_strings_take_one_pass():
    """Values of variable length do not lie in an intermediate: what does not fit is read again."""
    text = job((20_000, 1000), 64, (1, 1000), (20_000, 1), dtype="string", read="zarr", write="zarr")

    assert len(plan_array(text, Limits(128 * MIB, 2)).passes) == 1


def test_each_process_gets_blocks():
    """With several processes, blocks are small enough that each gets some."""
    grid = plan_array(job(*SIZES["L"]), Limits(512 * MIB, 1, workers=8))

    assert len(grid.block_grid(0, grid.domains().region((0, 0, 0, 0)))) >= 8


@pytest.mark.parametrize("workers", [2, 8], ids=str)
@pytest.mark.parametrize("mem", [512, 4096, 65_536], ids=str)
def test_no_process_is_idle_because_one_could_do_it_all(mem, workers):
    """Memory for the whole array in one tile is no reason to have one process do all of the work."""
    plan = plan_array(job(*SIZES["G"]), Limits(mem * MIB, 1, workers=workers))
    domain = plan.domains().region((0, 0, 0))

    assert all(len(plan.block_grid(i, domain)) >= workers for i in range(len(plan.passes)))


@pytest.mark.parametrize("shape", [(), (0,), (5, 0, 3)], ids=str)
def test_arrays_without_values_have_a_plan(shape):
    """No axes and no length are planned like everything else."""
    ones = tuple(1 for _ in shape)
    plan = plan_array(job(shape, 8, ones, ones), Limits(64 * MIB, 2))

    assert plan.chunks_read == (0 if shape else 1)


def test_an_update_redoes_the_blocks_that_changed() -> None:
    """One epoch more: blocks are one block of epochs, and all objects together, as their chunks are."""
    whole = job((20_000, 1000), 4, (20_000, 1), (1, 100), (1000, 100))
    epoch = replace(whole, changed=Region((0, 321), (20_000, 322)))
    (one,) = plan_array(epoch, Limits(512 * MIB, 2)).passes
    assert (one.tile, one.block) == ((20_000, 100), (20_000, 100))
    objects = replace(whole, source=replace(whole.source, chunks=(1000, 100)), changed=Region((0, 0), (1000, 1000)))
    assert plan_array(objects, Limits(512 * MIB, 2)).redone_share(Region((0, 0), (1000, 1000))) == 0.05


def test_an_update_in_stores_redoes_no_more() -> None:
    """However little data it is: what costs fewer requests would write again what has not changed."""
    small = job((400, 40), 4, (400, 1), (1, 8), (40, 8))
    remote = replace(small, remote=Remote(source=True, target=True), changed=Region((0, 17), (400, 18)))
    plan = plan_array(remote, Limits(64 * MIB, 2))
    assert plan.redone_share(Region((0, 17), (400, 18))) == 0.2
