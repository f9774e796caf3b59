"""Progress as lines: for people where there is no terminal, and as JSON for programs."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import fields
from types import TracebackType
from typing import Self, TextIO

from zarrmill.progress.messages import (
    BlockAdvanced,
    BlockFinished,
    BlockRetried,
    Message,
    RunFinished,
    RunStarted,
    StageStarted,
)
from zarrmill.progress.tally import Clock, Tally, say_blocks
from zarrmill.units import format_bytes

LINE_SECONDS = 5.0
"""Least time between two lines about blocks: a log stays readable."""
MAX_STAGES = 10
"""In a run of more stages than this, a line per stage would be no summary; they wait their turn like blocks."""
JSON_SECONDS = 0.1
"""Least time between two ``block_advanced`` lines; those in between are added into one."""


class LineStream:
    """Writes whole lines to a stream, and goes on in silence once nobody reads them: a run outlives its log."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._broken = False

    def write(self, line: str) -> None:
        """Write one line; to the ``sys.stderr`` of the moment where no stream was given."""
        if self._broken:
            return
        stream = self._stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except BrokenPipeError:
            self._broken = True


class ProgressLines:
    """Writes a line per stage and step, and one about the blocks every five seconds at most.

    >>> from zarrmill.progress.messages import StepStarted
    >>> with ProgressLines(sys.stdout) as progress:
    ...     progress(StepStarted(name="publish"))
    publish
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Clock = time.monotonic) -> None:
        self._lines = LineStream(stream)
        self._clock = clock
        self._tally = Tally(clock=clock)
        self._written = float("-inf")

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Say how far the run came when an exception passes through a run that has begun."""
        tally = self._tally
        if error is not None and tally.run.blocks and not tally.finished:
            self._lines.write(f"stopped at {tally.percent} %, {tally.blocks:,} of {say_blocks(tally.run.blocks)}")

    def __call__(self, message: Message) -> None:
        """Write what the message is worth saying."""
        self._tally(message)
        now = self._clock()
        often = isinstance(message, BlockAdvanced | BlockFinished)
        often = often or (isinstance(message, StageStarted) and self._tally.run.stages > MAX_STAGES)
        if often and now - self._written < LINE_SECONDS:
            return
        self._written = now
        self._lines.write(self._say(message))

    def _say_blocks(self) -> str:
        tally = self._tally
        size = f"{format_bytes(tally.weight)} of {format_bytes(tally.run.weight)}"
        parts = (f"{tally.percent:3d} %  {size}", tally.say_rate(), tally.say_left(), tally.say_memory())
        return "  ".join(part for part in parts if part)

    def _say(self, message: Message) -> str:
        tally = self._tally
        if isinstance(message, RunStarted):
            done = f", {message.done_blocks:,} of them done before" if message.done_blocks else ""
            return f"{say_blocks(message.blocks)}, {format_bytes(message.weight)}{done}"
        if isinstance(message, StageStarted):
            return f"{tally.say_stage()}: {say_blocks(message.blocks)}"
        if isinstance(message, BlockRetried):
            return say_retry(message)
        if isinstance(message, BlockAdvanced | BlockFinished):
            return self._say_blocks()
        if isinstance(message, RunFinished):
            return ", ".join(filter(None, (f"done {tally.say_left()}", tally.say_rate(), tally.say_memory())))
        return tally.say_stage()


class JsonLines:
    """Writes every message as one line of JSON, ``{"message": "block_finished", …}`` with the fields of its class.

    Only ``block_advanced`` is thinned, to ten per second; the weights of those between are added, so sums stay right.

    >>> from zarrmill.progress.messages import StepStarted
    >>> JsonLines(sys.stdout)(StepStarted(name="publish"))
    {"message": "step_started", "name": "publish"}
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Clock = time.monotonic) -> None:
        self._lines = LineStream(stream)
        self._clock = clock
        self._written = float("-inf")
        self._held: BlockAdvanced | None = None

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Write what was held back."""
        self._release()

    def __call__(self, message: Message) -> None:
        """Write the message, or hold it back for a moment."""
        if not isinstance(message, BlockAdvanced):
            self._release()
            self._lines.write(encode(message))
            return
        weight = message.weight + (self._held.weight if self._held else 0)
        self._held = BlockAdvanced(weight=weight, memory=message.memory, peak=message.peak)
        now = self._clock()
        if now - self._written >= JSON_SECONDS:
            self._written = now
            self._release()

    def _release(self) -> None:
        if self._held:
            self._lines.write(encode(self._held))
            self._held = None


def say_retry(message: BlockRetried) -> str:
    """Return a retried block in one line."""
    return f"block {message.block} failed (attempt {message.attempt}), trying again: {message.error}"


def encode(message: Message) -> str:
    """Return a message as one line of JSON, named by its class in snake case."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(message).__name__).lower()
    return json.dumps({"message": name} | {field.name: getattr(message, field.name) for field in fields(message)})
