"""Progress as typed messages to one callable; bars and logs are clients of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins."""

    stages: int
    """Number of stages."""
    blocks: int
    """Number of blocks of all stages."""
    weight: int
    """Sum of the weights of all blocks, bytes for array data."""
    done_blocks: int
    """Blocks that an earlier run finished."""
    done_weight: int
    """Their weight."""
    max_mem: int
    """Limit in bytes for each process that runs blocks; 0 when there is none."""
    processes: int
    """Processes that run blocks."""


@dataclass(frozen=True, slots=True)
class StageStarted:
    """The blocks of a stage begin; all of the stages before are done."""

    index: int
    """Position of the stage, from 0."""
    name: str
    """What the stage does, for people."""
    blocks: int
    """Number of blocks still to do."""


@dataclass(frozen=True, slots=True)
class BlockAdvanced:
    """Part of a block is done; sent often, and only for blocks that run in this process."""

    weight: int
    """Weight done since the last message."""
    memory: int
    """Memory above start now, in bytes."""
    peak: int
    """Largest memory above start so far, in bytes."""


@dataclass(frozen=True, slots=True)
class BlockFinished:
    """A block is done and journaled."""

    block: str
    """Id of the block."""
    weight: int
    """Weight that ``BlockAdvanced`` has not told of yet."""
    memory: int
    """Memory above start now, in bytes, in the process that ran it."""
    peak: int
    """Largest memory above start so far, in bytes, in the process that ran it."""


@dataclass(frozen=True, slots=True)
class BlockRetried:
    """A block failed and is tried again."""

    block: str
    """Id of the block."""
    attempt: int
    """The attempt that failed, from 1."""
    error: str
    """What failed, in one line."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Something beside the blocks begins: the completeness check, the publishing, the removal of what is left."""

    name: str
    """What it is, for people."""


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run is over; the result is visible."""

    seconds: float
    """Wall time of the run."""
    peak: int
    """Largest memory above start in any process that ran blocks, in bytes."""


Message = RunStarted | StageStarted | BlockAdvanced | BlockFinished | BlockRetried | StepStarted | RunFinished
Progress = Callable[[Message], None]
"""Receives every message, in the caller's process, one at a time."""


def silent(message: Message) -> None:
    """Receive progress and do nothing."""
