"""plan/summary.py: what people are told of a plan is what the plan does."""

from __future__ import annotations

import json

import pytest

from zarrmill.layout import ArrayLayout
from zarrmill.plan.arrays import Job, Limits, plan_array
from zarrmill.plan.cost import Rates
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.plan.summary import codec_word, estimate_seconds, summarize

MIB = 2**20
KEYS = {
    "requests",
    "source", "target", "max_mem", "processes", "threads", "projected_mem", "scratch_bytes", "bytes_read",
    "bytes_written", "keys_written", "reread", "blocks", "estimated_seconds", "stages", "arrays", "notes",
}  # fmt: skip
ARRAY_KEYS = {
    "path", "shape", "dtype", "chunks_before", "shards_before", "chunks", "shards", "codecs", "route", "passes",
    "reread", "keys", "scratch_bytes", "nbytes",
}  # fmt: skip
PASS_KEYS = {"reads", "writes", "kind", "tile", "block", "blocks", "buffers", "threads", "projected_mem"}


def layout(shape, chunks, shards=None, *, dtype="float32", codecs=()):
    itemsize = {"float32": 4, "float64": 8}[dtype]
    return ArrayLayout(shape=shape, dtype=dtype, itemsize=itemsize, chunks=chunks, shards=shards, codecs=codecs)


SMALL = Job("flux", layout((500, 20), (500, 1)), layout((500, 20), (1, 20), (500, 20)))
COPIED = Job("mask", layout((64, 8), (8, 8)), layout((64, 8), (8, 8), (64, 8)), "bytes", "bytes")
GLOBE = Job("t2m", layout((960, 721, 1440), (1, 721, 1440)), layout((960, 721, 1440), (960, 20, 20), (960, 20, 360)))
BOXES = Job("cube", layout((20_500, 1000, 1000), (1, 1000, 1000)), layout((20_500, 1000, 1000), (1000, 10, 10)))
EMPTY = Job("none", layout((0, 5), (1, 5)), layout((0, 5), (1, 5)))
POINT = Job("", layout((), ()), layout((), ()))


def made(*jobs, max_mem=256 * MIB, processes=1, threads=2, verify="full", notes=()):
    limits = Limits(max_mem, threads=threads, workers=processes)
    arrays = tuple(plan_array(job, limits) for job in jobs)
    return RechunkPlan("a.zarr", "b.zarr", arrays, max_mem, processes, threads, verify, notes=notes)


PLANS = {
    "one tile": made(SMALL),
    "encoded chunks": made(COPIED),
    "two passes": made(GLOBE, max_mem=512 * MIB),
    "two passes in many boxes": made(BOXES),
    "nothing": made(EMPTY),
    "0-d": made(POINT),
    "several arrays": made(SMALL, COPIED, BOXES, EMPTY, POINT),
    "processes": made(SMALL, GLOBE, max_mem=512 * MIB, processes=4, threads=1),
    "no arrays": made(),
}
plans = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


def test_the_figures_of_one_pass_follow_from_the_shapes():
    """A source that is read once and written into one shard has these bytes, blocks and keys."""
    report = summarize(PLANS["one tile"])

    assert (report.bytes_read, report.bytes_written, report.reread) == (40_000, 40_000, 1.0)
    assert (report.blocks, report.keys_written, report.scratch_bytes) == (1, 1, 0)
    (array,) = report.arrays
    assert (array.chunks_before, array.shards_before) == ((500, 1), None)
    assert (array.chunks, array.shards, array.keys, array.nbytes) == ((1, 20), (500, 20), 1, 40_000)
    assert array.route == "driver"
    assert [(p.kind, p.blocks) for p in array.passes] == [("source to target", 1)]


def test_an_intermediate_is_counted_as_written_and_read():
    """Two passes write and read all bytes twice, and both are told apart."""
    report = summarize(PLANS["two passes"])

    nbytes = 960 * 721 * 1440 * 4
    assert (report.bytes_read, report.bytes_written) == (2 * nbytes, 2 * nbytes)
    assert [p.kind for p in report.arrays[0].passes] == ["source to scratch", "scratch to target"]
    assert report.scratch_bytes >= nbytes


@plans
def test_blocks_are_those_of_the_plan(plan):
    """The blocks of the report, of its stages and of its passes are the blocks that the plan enumerates."""
    report = summarize(plan)

    assert report.blocks == plan.n_blocks
    assert sum(stage.blocks for stage in report.stages) == plan.n_blocks
    assert sum(stage.bytes for stage in report.stages) == sum(stage.weight for stage in plan.stages)


def test_the_stages_of_many_boxes_are_told_as_one():
    """A plan with a stage for each pass of each independent box is told in one line for each pass."""
    plan = PLANS["two passes in many boxes"]

    stages = summarize(plan).stages

    assert len(plan.stages) > 10
    assert [stage.name for stage in stages] == [
        f"cube: pass {i} of 2, in each of {len(plan.stages) // 2} independent boxes" for i in (1, 2)
    ]


@plans
def test_the_report_is_json(plan):
    """Every figure that people are promised is in the JSON, as values that JSON has."""
    data = summarize(plan, rates=Rates()).to_json()

    assert set(data) == KEYS
    assert json.loads(json.dumps(data)) == data
    assert all(set(array) == ARRAY_KEYS for array in data["arrays"])
    assert all(set(one) == PASS_KEYS for array in data["arrays"] for one in array["passes"])


@plans
def test_limits_and_memory_are_those_of_the_plan(plan):
    """What a process may use, and what it is projected to use, comes from the plan."""
    report = summarize(plan)

    assert (report.max_mem, report.projected_mem) == (plan.max_mem, plan.projected_mem)
    assert report.scratch_bytes == plan.scratch_bytes


def test_without_rates_there_is_no_estimate():
    """Seconds are told only where something was measured."""
    assert summarize(PLANS["one tile"]).estimated_seconds is None


@plans
def test_seconds_are_in_proportion_to_the_rates(plan):
    """A machine on which everything takes twice as long takes twice as long."""
    twice = Rates(**{name: 2 * getattr(Rates(), name) for name in Rates.__slots__})

    assert estimate_seconds(plan, twice) == pytest.approx(2 * estimate_seconds(plan, Rates()))


@pytest.mark.parametrize("job", [SMALL, COPIED, GLOBE, BOXES], ids=["small", "encoded", "globe", "boxes"])
def test_reading_back_takes_time(job):
    """verify="full" costs the decoding of the target."""
    full, none = (made(job, max_mem=512 * MIB, verify=verify) for verify in ("full", "none"))

    assert estimate_seconds(full, Rates()) > estimate_seconds(none, Rates())


def test_encoded_chunks_that_move_as_they_are_cost_no_encoding():
    """Only the digest has them decoded."""
    plan = made(COPIED, verify="none")

    assert estimate_seconds(plan, Rates(encode=1.0, decode=1.0)) == estimate_seconds(plan, Rates())


def test_processes_share_the_work():
    """Four processes take about a quarter of the time of one that has as many threads."""
    one = made(GLOBE, max_mem=512 * MIB, processes=1, threads=1)
    four = made(GLOBE, max_mem=512 * MIB, processes=4, threads=1)
    cpu = Rates(scratch=0, segment=0, tile=0)

    assert estimate_seconds(four, cpu) == pytest.approx(estimate_seconds(one, cpu) / 4, rel=0.1)


def test_notes_are_passed_on():
    """What the plan has to say is said."""
    assert summarize(made(SMALL, notes=("flux: fill_value null became 0.0",))).notes == (
        "flux: fill_value null became 0.0",
    )


WORDS = {
    "level": ('{"name":"zstd","configuration":{"level":5,"checksum":false}}', "zstd:5"),
    "blosc": ('{"name":"blosc","configuration":{"cname":"lz4","clevel":3,"shuffle":"shuffle"}}', "blosc:lz4:3"),
    "numcodecs": ('{"name":"numcodecs.zlib","configuration":{"level":1}}', "zlib:1"),
    "none": ('{"name":"crc32c"}', "crc32c"),
}


@pytest.mark.parametrize(("codec", "word"), WORDS.values(), ids=WORDS)
def test_codecs_are_told_in_the_words_of_requests(codec, word):
    """A codec is named as people ask for it."""
    assert codec_word(codec) == word
