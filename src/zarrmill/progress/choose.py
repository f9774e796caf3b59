"""Which client suits a stream."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from zarrmill.progress.bar import ProgressBar
from zarrmill.progress.lines import ProgressLines


def auto_progress(stream: TextIO | None = None) -> ProgressBar | ProgressLines:
    """Return a bar for a terminal that can redraw a line, plain lines for anything else.

    The default stream is ``sys.stderr``.
    """
    stream = stream or sys.stderr
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return ProgressBar(stream)
    return ProgressLines(stream)
