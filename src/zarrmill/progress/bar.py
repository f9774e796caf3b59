"""Progress as a bar on a terminal: stage, share done, rate, time left, and memory now, peak and limit."""

from __future__ import annotations

import atexit
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from zarrmill.progress.lines import say_retry
from zarrmill.progress.messages import BlockRetried, Message, RunFinished, RunStarted
from zarrmill.progress.tally import Clock, Tally, say_blocks

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

REFRESH_PER_SECOND = 5
"""Redraws per second, by a thread of rich: a message only adds to numbers, however many there are."""


class ProgressBar:
    """Draws a bar from the start of a run to its end, or until the context is left.

    Without ``with`` it works as well; a run that fails then leaves the bar until the interpreter ends.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._tally = Tally(clock=clock)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Return the client itself; the bar appears with the run."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the bar where it stands and give the cursor back."""
        self.stop()

    def __call__(self, message: Message) -> None:
        """Take note of the message; the next redraw shows it."""
        self._tally(message)
        if isinstance(message, RunStarted):
            self.stop()
            self._start()
        elif isinstance(message, BlockRetried) and self._live:
            self._live.console.print(say_retry(message), markup=False, highlight=False)
        elif isinstance(message, RunFinished):
            self.stop()

    def stop(self) -> None:
        """Draw the bar a last time and give the cursor back; harmless when there is no bar."""
        live, self._live = self._live, None
        if live:
            atexit.unregister(self.stop)
            live.stop()

    def _start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        stream = self._stream or sys.stderr
        console = Console(file=stream)
        # Lines printed during the run go above the bar, but never what was meant for a file or a pipe.
        self._live = Live(
            console=console,
            get_renderable=lambda: self.render(console),
            refresh_per_second=REFRESH_PER_SECOND,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=stream is sys.stderr,
        )
        self._live.start()
        atexit.register(self.stop)

    def render(self, console: Console) -> Group:
        """Return the two lines: the bar with rate and time left, and below it blocks and memory."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar as Bar
        from rich.table import Table
        from rich.text import Text

        tally = self._tally
        upper = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, 1, None, None, None):
            upper.add_column(ratio=ratio, no_wrap=True)
        upper.add_row(
            Text(tally.say_stage(), style="bold"),
            Bar(total=100, completed=tally.percent),
            Text(f"{tally.percent:3d} %"),
            Text(tally.say_rate(), style="cyan"),
            Text(tally.say_left(), style="green"),
        )
        over = tally.run.max_mem and tally.peak > tally.run.max_mem
        below = (f"{tally.blocks:,} of {say_blocks(tally.run.blocks)}", tally.say_memory())
        lower = Text(", ".join(filter(None, below)), style="red" if over else "dim")
        # Were the last line full, the "^C" that a terminal echoes would wrap and put the next redraw a line off.
        lower.truncate(max(1, console.width - len("^C") - 1), overflow="ellipsis")
        return Group(upper, lower)
