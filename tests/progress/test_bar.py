"""The bar on a terminal."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from zarrmill.progress import BlockAdvanced, ProgressBar, RunStarted

MIB = 2**20
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def visible(text):
    """Return what is drawn, without what moves the cursor or colours; every drawing starts on a new line."""
    return re.sub(r"\n+", "\n", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n"))


def test_bar_ends_with_the_whole_and_the_cursor(script, terminal):
    """The last drawing says what was done in what time and memory, and the cursor is visible again."""
    with ProgressBar(terminal) as progress:
        for message in script:
            progress(message)
    text = terminal.getvalue()
    last = visible(text).splitlines()[-2:]
    assert last[0].startswith("done ")
    assert last[0].split(" 100 %")[1].split() == ["4.0", "MiB/s", "in", "2.00", "s"]
    assert last[1] == "4 of 4 blocks, memory peak 21.0 MiB of 64.0 MiB"
    assert text.count(HIDE) == text.count(SHOW) == 1
    assert text.rindex(SHOW) > text.rindex(HIDE)


def test_bar_shows_stage_share_rate_time_left_and_memory(terminal):
    """In the middle of a run everything that one wants to know is there."""
    now = [0.0]
    progress = ProgressBar(terminal, clock=lambda: now[0])
    run = RunStarted(stages=1, blocks=8, weight=80 * MIB, done_blocks=0, done_weight=0, max_mem=64 * MIB, processes=1)
    progress(run)
    now[0] = 10.0
    progress(BlockAdvanced(weight=20 * MIB, memory=30 * MIB, peak=40 * MIB))
    progress.stop()
    upper, lower = visible(terminal.getvalue()).splitlines()[-2:]
    assert upper.startswith("starting ")
    assert upper.endswith("25 % 2.0 MiB/s 30 s left")
    assert lower == "0 of 8 blocks, memory 30.0 MiB now, peak 40.0 MiB of 64.0 MiB"


def test_retry_stands_above_the_bar(script, terminal):
    """A retried block leaves a line, brackets and all."""
    with ProgressBar(terminal) as progress:
        for message in script:
            progress(message)
    assert "block 0-1 failed (attempt 1), trying again: [reset] by peer\n" in visible(terminal.getvalue())


def test_exception_gives_the_cursor_back(script, terminal):
    """An exception that passes through leaves the bar where it stood, and a usable terminal."""
    with pytest.raises(KeyError), ProgressBar(terminal) as progress:  # noqa: PT012
        for message in script[:4]:
            progress(message)
        raise KeyError
    assert terminal.getvalue().endswith(SHOW)
    assert " 25 %" in visible(terminal.getvalue()).splitlines()[-2]


def test_standard_streams_are_as_before(script, terminal):
    """Whatever rich redirects during the run is given back."""
    before = sys.stdout, sys.stderr
    with pytest.raises(KeyError), ProgressBar(terminal) as progress:  # noqa: PT012
        progress(script[0])
        raise KeyError
    assert (sys.stdout, sys.stderr) == before


def test_bar_serves_without_a_context_and_twice(script, terminal):
    """The end of a run ends the bar, the next run draws another."""
    progress = ProgressBar(terminal)
    for message in script * 2:
        progress(message)
    text = terminal.getvalue()
    assert text.count(HIDE) == text.count(SHOW) == 2
    assert visible(text).count("done ") == 2


def test_many_messages_are_few_drawings(script, terminal):
    """Twenty thousand messages draw no more often than the clock allows."""
    with ProgressBar(terminal) as progress:
        for message in script[:2]:
            progress(message)
        before, started = terminal.writes, time.perf_counter()
        for _ in range(20_000):
            progress(BlockAdvanced(weight=1, memory=0, peak=0))
        seconds = time.perf_counter() - started
        assert terminal.writes - before <= 10 * seconds + 2


@pytest.mark.parametrize("columns", [30, 60, 200], ids=str)
def test_no_line_is_wider_than_the_terminal(script, terminal, monkeypatch, columns):
    """A narrow terminal cuts text rather than wrap it, and leaves room for the ^C that it echoes."""
    monkeypatch.setenv("COLUMNS", str(columns))
    with ProgressBar(terminal) as progress:
        for message in [script[0], *script[5:]]:
            progress(message)
    upper, lower = visible(terminal.getvalue()).splitlines()[-2:]
    assert len(upper) <= columns
    assert len(lower) <= columns - 3


def test_interrupt_on_a_real_terminal_gives_the_cursor_back():
    """Ctrl-C in a process on a pseudo-terminal: the last word to the terminal is to show the cursor."""
    code = """
from zarrmill.progress import *
with auto_progress() as progress:
    assert isinstance(progress, ProgressBar)
    progress(RunStarted(stages=1, blocks=8, weight=8, done_blocks=0, done_weight=0, max_mem=0, processes=1))
    raise KeyboardInterrupt
"""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], stderr=theirs, env=environment, check=False)
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert "KeyboardInterrupt" in text
    assert text.index(HIDE) < text.index(SHOW)
    assert text.count(HIDE) == text.count(SHOW) == 1
