"""How a report reaches standard output: as tables for people, or as JSON; and progress reaches standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from zarrmill.cli.options import ProgressChoice
from zarrmill.progress import JsonLines, Progress, ProgressBar, ProgressLines, auto_progress, silent

if TYPE_CHECKING:
    from rich.table import Table as RichTable


class Report(Protocol):
    """What a verb returns."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command prints that is no report of its own."""

    data: dict[str, Any]
    """JSON values."""

    def to_json(self) -> dict[str, Any]:
        """Return them."""
        return self.data


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under headings."""

    rows: Sequence[Sequence[str]]
    """Cells; every row as long as ``columns``, where there are any."""
    columns: Sequence[str] = ()
    """Headings; none for labels with values, and for sentences."""
    right: frozenset[str] = frozenset()
    """Headings of the columns that hold numbers."""


def show(report: Report, tables: Callable[[dict[str, Any]], Sequence[Table]], *, as_json: bool) -> None:
    """Print a report: as JSON, as rich tables on a terminal, as aligned text elsewhere."""
    if as_json:
        emit_json(report)
        return
    filled = [table for table in tables(report.to_json()) if table.rows]
    emit(draw([_rich_table(table) for table in filled]) if sys.stdout.isatty() else format_plain(filled))


def emit_json(report: Report) -> None:
    """Print a report as JSON."""
    emit(json.dumps(report.to_json(), indent=2))


def emit(text: str) -> None:
    """Write text to standard output; where nobody reads it any more, go on in silence."""
    try:
        sys.stdout.write(text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def open_progress(choice: ProgressChoice) -> AbstractContextManager[Progress]:
    """Return the client of ``--progress``, to be entered."""
    clients: dict[ProgressChoice, Callable[[], AbstractContextManager[Progress]]] = {
        ProgressChoice.auto: auto_progress,
        ProgressChoice.bar: ProgressBar,
        ProgressChoice.lines: ProgressLines,
        ProgressChoice.json: JsonLines,
        ProgressChoice.none: lambda: nullcontext(silent),
    }
    return clients[choice]()


def format_plain(tables: Sequence[Table]) -> str:
    """Return tables as aligned text, with an empty line between them.

    >>> print(format_plain([Table(rows=[["flux", "8"], ["time", "10"]], columns=["array", "keys"])]))
    array  keys
    flux   8
    time   10
    """
    return "\n\n".join("\n".join(_plain_lines(table)) for table in tables)


def _plain_lines(table: Table) -> list[str]:
    rows = [list(table.columns), *map(list, table.rows)] if table.columns else list(map(list, table.rows))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    right = [name in table.right for name in table.columns] or [False] * len(widths)
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def draw(tables: Sequence[RichTable]) -> str:
    """Return tables as rich draws them on this standard output."""
    from rich.console import Console

    console = Console()
    with console.capture() as capture:
        for number, table in enumerate(tables):
            if number:
                console.print()
            console.print(table)
    return capture.get()


def _rich_table(table: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    if not table.columns:
        grid = RichTable.grid(padding=(0, 2))
        for row in table.rows:
            styles = ["bold", *[""] * len(row)] if len(row) > 1 else [""]
            grid.add_row(*(Text(cell, style=style) for cell, style in zip(row, styles, strict=False)))
        return grid
    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in table.columns:
        number = name in table.right
        drawn.add_column(name, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn
