"""The sum of the messages of a run."""

import pytest

from zarrmill.progress import BlockAdvanced, BlockFinished, RunFinished, RunStarted, StageStarted, StepStarted
from zarrmill.progress.tally import MAX_SAMPLES, Tally

MIB = 2**20


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tally(clock):
    return Tally(clock=clock)


def start(tally, *, weight=100 * MIB, done=0, blocks=10, max_mem=512 * MIB, processes=1, stages=1):
    tally(
        RunStarted(
            stages=stages,
            blocks=blocks,
            weight=weight,
            done_blocks=0,
            done_weight=done,
            max_mem=max_mem,
            processes=processes,
        )
    )


def advance(tally, clock, *, seconds, weight, steps=1):
    for _ in range(steps):
        clock.now += seconds
        tally(BlockAdvanced(weight=weight, memory=MIB, peak=2 * MIB))


def test_steady_rate_and_time_left(tally, clock):
    """10 MiB/s for 4 of 100 MiB leaves six seconds."""
    start(tally)
    advance(tally, clock, seconds=0.5, weight=5 * MIB, steps=8)
    assert tally.rate == pytest.approx(10 * MIB)
    assert tally.seconds_left == pytest.approx(6.0)
    assert (tally.percent, tally.say_left(), tally.say_rate()) == (40, "6 s left", "10.0 MiB/s")


def test_resumed_weight_counts_as_done_but_not_as_rate(tally, clock):
    """What an earlier run did is in the share done only."""
    start(tally, done=50 * MIB)
    advance(tally, clock, seconds=1, weight=10 * MIB)
    assert tally.percent == 60
    assert tally.rate == pytest.approx(10 * MIB)
    assert tally.seconds_left == pytest.approx(4.0)


def test_rate_follows_a_run_that_slows_down(tally, clock):
    """After a while at a tenth of the speed, the fast start is forgotten."""
    start(tally, weight=10_000 * MIB)
    advance(tally, clock, seconds=1, weight=100 * MIB, steps=10)
    advance(tally, clock, seconds=1, weight=10 * MIB, steps=60)
    assert tally.rate == pytest.approx(10 * MIB, rel=0.05)


def test_rate_of_rare_large_blocks_is_their_mean(tally, clock):
    """Blocks of other processes arrive whole, every 20 seconds, and do not make the rate jump."""
    start(tally, weight=2000 * MIB)
    rates = []
    for _ in range(10):
        clock.now += 20
        tally(BlockFinished(block="b", weight=100 * MIB, memory=MIB, peak=MIB))
        rates.append(tally.rate)
    assert rates == pytest.approx([5 * MIB] * 10)


def test_time_left_runs_down_between_messages(tally, clock):
    """While nothing arrives, the time left falls, and never below zero."""
    start(tally)
    advance(tally, clock, seconds=10, weight=50 * MIB)
    clock.now += 4
    assert tally.seconds_left == pytest.approx(6.0)
    clock.now += 100
    assert tally.seconds_left == 0.0


def test_nothing_is_claimed_before_anything_is_done(tally, clock):
    """No rate and no time left without a block."""
    start(tally)
    clock.now += 5
    assert (tally.rate, tally.seconds_left, tally.say_rate(), tally.say_left()) == (0.0, None, "", "")


def test_percent_stays_within_bounds_when_a_retry_counts_twice(tally, clock):
    """More weight than there is shows as 100 %, and no negative time."""
    start(tally)
    advance(tally, clock, seconds=1, weight=130 * MIB)
    assert (tally.percent, tally.seconds_left) == (100, 0.0)


def test_percent_is_rounded_down(tally, clock):
    """100 % means all."""
    start(tally)
    advance(tally, clock, seconds=1, weight=100 * MIB - 1)
    assert tally.percent == 99


@pytest.mark.parametrize("weight", [0, 100], ids=["empty", "with data"])
def test_run_that_is_over_is_at_100_percent(tally, weight):
    """An empty array has no weight and ends all the same."""
    start(tally, weight=weight)
    assert tally.percent == 0
    tally(RunFinished(seconds=2.0, peak=0))
    assert (tally.percent, tally.say_stage(), tally.say_left()) == (100, "done", "in 2.00 s")


def test_final_rate_is_that_of_the_whole_run(tally, clock):
    """At the end: bytes of this run by its wall time."""
    start(tally, done=20 * MIB)
    advance(tally, clock, seconds=1, weight=80 * MIB)
    tally(RunFinished(seconds=4.0, peak=0))
    assert tally.rate == pytest.approx(20 * MIB)


def test_samples_are_bounded(tally, clock):
    """A run of days keeps no more samples than a run of minutes, and its rate stays right."""
    start(tally, weight=10**6 * MIB)
    advance(tally, clock, seconds=1, weight=MIB, steps=20 * MAX_SAMPLES)
    assert len(tally._times) <= MAX_SAMPLES
    assert tally.rate == pytest.approx(MIB, rel=0.01)


def test_memory_is_the_latest_and_peak_the_largest(tally):
    """Messages of several processes: the peak is the largest of all, the limit stands beside it."""
    start(tally, processes=2)
    tally(BlockFinished(block="a", weight=0, memory=30 * MIB, peak=90 * MIB))
    tally(BlockFinished(block="b", weight=0, memory=40 * MIB, peak=50 * MIB))
    assert tally.say_memory() == "memory 40.0 MiB now, peak 90.0 MiB of 512.0 MiB, 2 processes"
    assert tally.blocks == 2


def test_stage_then_step_then_done(tally):
    """The name is that of the stage with its place, then of the step, then done."""
    start(tally, stages=2)
    names = [tally.say_stage()]
    for message in (
        StageStarted(index=1, name="write shards", blocks=3),
        StepStarted(name="publish"),
        RunFinished(seconds=1, peak=0),
    ):
        tally(message)
        names.append(tally.say_stage())
    assert names == ["starting", "write shards (2/2)", "publish", "done"]


def test_second_run_starts_afresh(tally, clock):
    """One client may serve two runs."""
    start(tally)
    advance(tally, clock, seconds=1, weight=100 * MIB)
    tally(RunFinished(seconds=1, peak=9 * MIB))
    start(tally, max_mem=0)
    assert (tally.percent, tally.peak, tally.blocks, tally.say_memory()) == (0, 0, 0, "")
