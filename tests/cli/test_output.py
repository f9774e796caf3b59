"""Tables and JSON on standard output."""

import io
import json
import os
import subprocess
import sys

import pytest

from zarrmill.cli.options import ProgressChoice
from zarrmill.cli.output import Table, emit, format_plain, open_progress, show
from zarrmill.progress import JsonLines, ProgressBar, ProgressLines, silent

TABLES = [
    Table(rows=[["flux", "8"], ["[red]", "1,000"]], columns=["array", "keys"], right=frozenset({"keys"})),
    Table(rows=[["time", "3 s"], ["verified", "yes"]]),
]


class Made:
    def to_json(self):
        return {"keys": 8, "name": "[red]"}


def test_plain_tables_are_aligned():
    """Numbers flush right, no trailing blanks, an empty line between tables."""
    assert format_plain(TABLES) == "array   keys\nflux       8\n[red]  1,000\n\ntime      3 s\nverified  yes"


def test_a_pipe_gets_plain_text(capsys):
    """Not a terminal: no box, no colour."""
    show(Made(), lambda data: TABLES, as_json=False)
    assert capsys.readouterr().out == format_plain(TABLES) + "\n"


def test_a_terminal_gets_rich_tables(monkeypatch):
    """Cells are text, never markup."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", stream)
    show(Made(), lambda data: TABLES, as_json=False)
    assert "─" in stream.getvalue()
    assert "[red]" in stream.getvalue()
    assert "1,000" in stream.getvalue()


def test_empty_tables_are_left_out(capsys):
    """A report without notes has no empty lines for them."""
    show(Made(), lambda data: [Table([]), *TABLES, Table([], columns=["x"])], as_json=False)
    assert capsys.readouterr().out == format_plain(TABLES) + "\n"


def test_json_is_the_report(capsys):
    """--json prints what to_json gives, and nothing else."""
    show(Made(), lambda data: TABLES, as_json=True)
    assert json.loads(capsys.readouterr().out) == Made().to_json()


def test_a_reader_that_leaves_is_no_error():
    """`zarrmill … | head -0`: no traceback, no complaint at the end, and the command's own exit code."""
    code = "import sys; from zarrmill.cli.output import emit; emit('x' * 10**6); emit('y'); sys.exit(3)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (3, b"")


def test_text_ends_with_one_newline(capsys):
    """Whatever ends the text."""
    emit("a\n\n")
    assert capsys.readouterr().out == "a\n"


@pytest.mark.parametrize(
    ("choice", "kind"),
    [("auto", ProgressLines), ("bar", ProgressBar), ("lines", ProgressLines), ("json", JsonLines)],
)
def test_progress_choice(choice, kind):
    """Each choice is its client; auto is lines where standard error is no terminal."""
    with open_progress(ProgressChoice(choice)) as progress:
        assert isinstance(progress, kind)


def test_no_progress():
    """none is silence."""
    with open_progress(ProgressChoice.none) as progress:
        assert progress is silent
