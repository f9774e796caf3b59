"""Progress as typed messages to one callable; bars, lines and JSON are clients of it.

A client is called with every message, and is a context manager that leaves the terminal as it found it.
"""

from __future__ import annotations

from zarrmill.progress.bar import ProgressBar
from zarrmill.progress.choose import auto_progress
from zarrmill.progress.lines import JsonLines, ProgressLines
from zarrmill.progress.messages import (
    BlockAdvanced,
    BlockFinished,
    BlockRetried,
    Message,
    Progress,
    RunFinished,
    RunStarted,
    StageStarted,
    StepStarted,
    silent,
)

__all__ = [
    "BlockAdvanced",
    "BlockFinished",
    "BlockRetried",
    "JsonLines",
    "Message",
    "Progress",
    "ProgressBar",
    "ProgressLines",
    "RunFinished",
    "RunStarted",
    "StageStarted",
    "StepStarted",
    "auto_progress",
    "silent",
]
