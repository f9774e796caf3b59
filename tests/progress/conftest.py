"""A scripted run, and streams to watch."""

import io

import pytest

from zarrmill.progress import (
    BlockAdvanced,
    BlockFinished,
    BlockRetried,
    RunFinished,
    RunStarted,
    StageStarted,
    StepStarted,
)

MIB = 2**20


@pytest.fixture
def script():
    """The messages of a run of two stages with two blocks each, one of them retried."""
    blocks = [
        [
            BlockAdvanced(weight=MIB, memory=10 * MIB, peak=20 * MIB),
            BlockFinished(block=f"{stage}-{block}", weight=MIB, memory=10 * MIB, peak=20 * MIB),
        ]
        for stage in range(2)
        for block in range(2)
    ]
    return [
        RunStarted(stages=2, blocks=4, weight=8 * MIB, done_blocks=0, done_weight=0, max_mem=64 * MIB, processes=1),
        StageStarted(index=0, name="read", blocks=2),
        *blocks[0],
        BlockRetried(block="0-1", attempt=1, error="[reset] by peer"),
        *blocks[1],
        StageStarted(index=1, name="write", blocks=2),
        *blocks[2],
        *blocks[3],
        StepStarted(name="publish"),
        RunFinished(seconds=2.0, peak=21 * MIB),
    ]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, and counts how often it is written to."""

    writes = 0

    def isatty(self):
        return True

    def write(self, text):
        self.writes += 1
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()
