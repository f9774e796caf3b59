"""The choice of a client."""

import io
import subprocess
import sys

import pytest

import zarrmill.progress
from zarrmill.progress import ProgressBar, ProgressLines, auto_progress


def test_bar_for_a_terminal(terminal):
    """A stream that is a terminal gets a bar."""
    assert isinstance(auto_progress(terminal), ProgressBar)


@pytest.mark.parametrize("term", ["dumb", None], ids=["dumb", "unset"])
def test_lines_for_a_terminal_that_cannot_redraw(terminal, monkeypatch, term):
    """A dumb terminal gets lines."""
    if term:
        monkeypatch.setenv("TERM", term)
    else:
        monkeypatch.delenv("TERM")
    assert isinstance(auto_progress(terminal), ProgressLines)


def test_lines_for_a_file():
    """Whatever is no terminal gets lines."""
    assert isinstance(auto_progress(io.StringIO()), ProgressLines)


def test_default_is_standard_error(capsys, script):
    """Without a stream the choice is for, and the lines go to, standard error."""
    with auto_progress() as progress:
        progress(script[0])
    assert capsys.readouterr().err == "4 blocks, 8.0 MiB\n"


@pytest.mark.parametrize("name", zarrmill.progress.__all__)
def test_public_names_are_there(name):
    """Messages and clients are names of zarrmill.progress."""
    assert hasattr(zarrmill.progress, name)


def test_rich_is_imported_only_for_a_bar():
    """A process that runs blocks does not pay for rich."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; import zarrmill.progress; assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
