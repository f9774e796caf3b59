"""What the messages of a run add up to: share done, rate, time left, memory; the part that every client shares."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable

from zarrmill.progress.messages import (
    BlockAdvanced,
    BlockFinished,
    Message,
    RunFinished,
    RunStarted,
    StageStarted,
    StepStarted,
)
from zarrmill.units import format_bytes, format_seconds

Clock = Callable[[], float]
"""Returns seconds from an arbitrary start."""

SAMPLE_SECONDS = 0.2
"""Least time between two samples of what is done: two blocks that end together are no rate."""
MAX_SAMPLES = 512
"""More samples than this are thinned to half, so that a run of days keeps no more than a run of minutes."""
RATE_SECONDS = 15.0
"""Least span over which a rate is taken; beyond twice this it is the later half of the run, longer than any block."""


class Tally:
    """Adds up the messages of a run.

    >>> tally = Tally(clock=iter([0.0, 10.0, 10.0]).__next__)
    >>> tally(RunStarted(stages=1, blocks=4, weight=400, done_blocks=1, done_weight=100, max_mem=0, processes=1))
    >>> tally(BlockFinished(block="b1", weight=100, memory=0, peak=0))
    >>> tally.percent, tally.rate, tally.seconds_left
    (50, 10.0, 20.0)
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._reset(RunStarted(stages=0, blocks=0, weight=0, done_blocks=0, done_weight=0, max_mem=0, processes=1), 0.0)

    def _reset(self, run: RunStarted, now: float) -> None:
        self.run = run
        self.stage: StageStarted | None = None
        self.step: StepStarted | None = None
        self.finished: RunFinished | None = None
        self.weight = run.done_weight
        self.blocks = run.done_blocks
        self.memory = 0
        self.peak = 0
        self.started = now
        self._times = [now]
        self._weights = [run.done_weight]

    def __call__(self, message: Message) -> None:
        """Add a message; the first branch is taken hundreds of times per second and only adds."""
        if isinstance(message, BlockAdvanced | BlockFinished):
            self.weight += message.weight
            self.memory = message.memory
            self.peak = max(self.peak, message.peak)
            self.blocks += isinstance(message, BlockFinished)
            self._sample(self.clock())
        elif isinstance(message, RunStarted):
            self._reset(message, self.clock())
        elif isinstance(message, StageStarted):
            self.stage, self.step = message, None
        elif isinstance(message, StepStarted):
            self.step = message
        elif isinstance(message, RunFinished):
            self.finished = message
            self.peak = max(self.peak, message.peak)

    def _sample(self, now: float) -> None:
        if now - self._times[-1] < SAMPLE_SECONDS:
            if len(self._times) > 1:
                self._weights[-1] = self.weight
            return
        if len(self._times) >= MAX_SAMPLES:
            del self._times[1::2], self._weights[1::2]
        self._times.append(now)
        self._weights.append(self.weight)

    @property
    def percent(self) -> int:
        """Share done, rounded down, so that 100 means all; between 0 and 100 even when a retry counted twice."""
        if self.finished or not self.run.weight:
            return 100 if self.finished or self.step else 0
        return max(0, min(100, 100 * self.weight // self.run.weight))

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self.finished.seconds if self.finished else self.clock() - self.started

    @property
    def rate(self) -> float:
        """Weight per second of late, of this run alone; 0.0 while nothing is known."""
        if self.finished:
            return (self.weight - self.run.done_weight) / max(self.finished.seconds, 1e-9)
        now, last = self._times[-1], self._weights[-1]
        since = min(now - RATE_SECONDS, (now + self.started) / 2)
        start = max(0, bisect_right(self._times, since) - 1)
        span = now - self._times[start]
        return max(0.0, (last - self._weights[start]) / span) if span > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last block is done at the present rate; None while there is no rate."""
        rate = self.rate
        if not rate:
            return None
        waited = self.clock() - self._times[-1]
        return max(0.0, (self.run.weight - self._weights[-1]) / rate - waited)

    def say_stage(self) -> str:
        """Return what is being done."""
        if self.finished:
            return "done"
        if self.step:
            return self.step.name
        if not self.stage:
            return "starting"
        place = f" ({self.stage.index + 1}/{self.run.stages})" if self.run.stages > 1 else ""
        return self.stage.name + place

    def say_rate(self) -> str:
        """Return the rate, or nothing while there is none."""
        return f"{format_bytes(round(self.rate))}/s" if self.rate else ""

    def say_left(self) -> str:
        """Return the time left, at the end the time taken, and nothing while neither is known."""
        if self.finished:
            return f"in {format_seconds(self.seconds)}"
        left = None if self.step else self.seconds_left
        if left is None:
            return ""
        return f"{format_seconds(max(1, round(left)))} left".replace(".00", "")

    def say_memory(self) -> str:
        """Return memory now, peak and limit; nothing for a run that measures none."""
        if not self.peak and not self.run.max_mem:
            return ""
        now = "" if self.finished else f"{format_bytes(self.memory)} now, "
        limit = f" of {format_bytes(self.run.max_mem)}" if self.run.max_mem else ""
        each = f", {self.run.processes} processes" if self.run.processes > 1 else ""
        return f"memory {now}peak {format_bytes(self.peak)}{limit}{each}"


def say_blocks(number: int) -> str:
    """Return a number of blocks.

    >>> say_blocks(1), say_blocks(1200)
    ('1 block', '1,200 blocks')
    """
    return f"{number:,} block{'' if number == 1 else 's'}"
