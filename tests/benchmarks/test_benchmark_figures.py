"""Rows, ratios and the checklist are computed from the runs as the report says."""

import contextlib
import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.blocks import block_shape, blocks
from benchmarks.checklist import check_targets
from benchmarks.floor.arena import Arena
from benchmarks.measure import measured
from benchmarks.protocol import Measurement
from benchmarks.records import Run, summarise

MIB = 1 << 20


def runs_of(size, layout, contender, *seconds, role="peer", peak=0):
    """One run per time."""
    blank = Run(size, layout, contender, role, 256 * MIB, 0.0, equal=True)
    return [dataclasses.replace(blank, measurement=Measurement(second, second, peak, 0, 0)) for second in seconds]


def test_the_floor_is_its_minimum_and_everybody_else_a_median():
    """A floor is what was possible; a figure is what is usual."""
    rows = summarise(
        [*runs_of("M", "shards", "floor", 3, 1, 2, role="floor"), *runs_of("M", "shards", "dask", 3, 1, 2.5)]
    )
    assert [row.seconds for row in rows] == [1, 2.5]


@pytest.mark.parametrize(("ours", "passed"), [(2.4, True), (2.6, False)], ids=["within", "beyond"])
def test_a_target_is_judged_by_its_ratio(ours, passed):
    """M in shards may take 2.5 times the floor."""
    runs = [
        *runs_of("M", "shards", "floor", 1, role="floor"),
        *runs_of("M", "shards", "zarrmill", ours, role="ours"),
    ]
    check = next(check for check in check_targets(summarise(runs)) if "M: shards within 2.5" in check.wanted)
    assert check.passed is passed


@pytest.mark.parametrize(("seconds", "passed"), [(1.2, True), (1.4, False)], ids=["within", "beyond"])
def test_the_cluster_is_compared_with_the_threads(seconds, passed):
    """On L and G the dask path may take 1.3 times the local threads, and each worker has the limit for itself."""
    runs = [
        *runs_of("L", "shards", "zarrmill", 1, role="ours"),
        *runs_of("L", "shards", "zarrmill-dask", seconds, role="ours", peak=255 * MIB if passed else 257 * MIB),
    ]
    checks = [check for check in check_targets(summarise(runs)) if "dask" in check.wanted and "L:" in check.wanted]
    assert [check.passed for check in checks if check.passed is not None] == [passed, passed]


def test_time_that_the_host_took_is_told_beside_the_time_of_a_run():
    """The median over the runs: a figure that another guest of the host made is to be seen as such."""
    runs = [
        dataclasses.replace(run, measurement=dataclasses.replace(run.measurement, stolen_seconds=stolen))
        for run, stolen in zip(runs_of("L", "shards", "zarrmill", 30, 31, 40, role="ours"), (0.5, 1, 9), strict=True)
    ]
    (row,) = summarise(runs)
    assert (row.seconds, row.stolen_seconds) == (31, 1)


@pytest.mark.slow
def test_a_peak_is_of_all_processes_or_of_the_largest():
    """Two children of 60 MB each: together for a limit of the whole, the larger of them for one of each process."""
    child = "import sys; sys.stdin.readline(); x = bytearray(60 << 20); print(len(x), flush=True); sys.stdin.readline()"
    peaks = {}
    for per_process in (False, True):
        with contextlib.ExitStack() as stack:
            made = [
                stack.enter_context(
                    subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                )
                for _ in range(2)
            ]
            peaks[per_process] = measured(lambda made=made: list(map(grow, made)), per_process=per_process)[1].peak
            for process in made:
                process.communicate(b"\n")
    assert 60 * MIB <= peaks[True] < 100 * MIB
    assert 120 * MIB <= peaks[False] < 180 * MIB


def grow(process):
    """Have a child take its memory."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()


def test_a_target_without_its_runs_is_not_measured():
    """A missing peer neither passes nor fails a target."""
    assert {check.passed for check in check_targets([])} == {None}


def test_blocks_grow_to_where_both_layouts_meet_within_the_budget():
    """(5000, 1, 8, 2) to shards of 1000 objects meets every 5000 objects, 384 MB."""
    layout = ((50_000, 1200, 8, 2), (5000, 1, 8, 2), (1000, 1200, 8, 2))
    assert block_shape(*layout, itemsize=4, budget=400 * MIB) == (5000, 1200, 8, 2)
    assert block_shape(*layout, itemsize=4, budget=200 * MIB) == (2000, 1200, 8, 2)


def test_blocks_cover_the_array_once():
    """Every value lies in one block, at the edges too."""
    seen = np.zeros((7, 5), "i4")
    for region in blocks(seen.shape, (3, 2)):
        seen[region] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("chunk", [(1, 9, 2), (4, 4, 2), (3, 2, 1), (7, 9, 2)], ids=str)
def test_the_arena_holds_each_chunk_contiguously(chunk):
    """Regions of any start and extent land where the chunks of the target want them."""
    values = np.arange(7 * 9 * 2, dtype="f4").reshape(7, 9, 2)
    arena = Arena(values.shape, chunk, "f4")
    arena.pad()
    for region in blocks(values.shape, (5, 2, 2)):
        arena.place(values[region], tuple(part.start for part in region))
    for index in np.ndindex(*arena.grid):
        part = values[tuple(slice(i * step, (i + 1) * step) for i, step in zip(index, chunk, strict=True))]
        held = arena.values[index]
        assert (held[tuple(map(slice, part.shape))] == part).all()
        held[tuple(map(slice, part.shape))] = np.nan
        assert np.isnan(held).all()
