"""The code blocks of the README and of the pages in ``docs`` run, in order, each page in a folder of its own.

``python`` blocks of a page share their names; of ``sh``, ``bash`` and ``console`` blocks those lines run that call
``zarrmill``. A block that cannot run here has a comment above it that says why: ``<!-- not run: needs a bucket -->``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.servers.nursery import get_nursery

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = {"sh", "bash", "shell", "console"}
FENCE = re.compile(
    r"""
    ^ (?P<skip> <!--\ not\ run:\ (?!-->) [^\n]+ --> \n+ )?
    ^ (?P<indent> \ *) ``` (?P<language> \w+) [^\n]* \n
    (?P<text> .*?)
    ^ (?P=indent) ``` $
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
COMMAND_SECONDS = 120
SHELL_SIGNS = r"[|&;<>$`*~#!(){}\[\]]"
"""What makes a command more than words."""
PRELOADED = {
    "recordings": (
        "dask.array", "h5py", "matplotlib.backends.backend_agg", "matplotlib.figure", "xarray",
        "zarrmill.recordings.event_reader", "zarrmill.recordings.event_transform", "zarrmill.recordings.session_run",
        "zarrmill.recordings.exports", "zarrmill.recordings.windows",
    ),
    "lightcurves": ("matplotlib.backends.backend_agg", "matplotlib.figure", "zarrmill.lightcurves"),
}  # fmt: skip
"""What commands import beside what all do, by their first word."""
OF_TYPER = ("typer.main", *(["pydantic.type_adapter", "pydantic.types"] if find_spec("pydantic") else []))
"""What typer imports when it meets the first option: newer releases parse with pydantic."""


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block of a page."""

    language: str
    text: str
    line: int
    """Line of the page on which its text begins, from 1."""


def find_blocks(page: str) -> list[CodeBlock]:
    """Return the blocks of a page that are to run."""
    return [
        CodeBlock(
            language=found["language"],
            text=re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            line=page.count("\n", 0, found.start("text")) + 1,
        )
        for found in FENCE.finditer(page)
        if not found["skip"]
    ]


def find_commands(block: CodeBlock) -> Iterator[str]:
    """Yield the calls of zarrmill in a shell block, each with the lines that continue it."""
    for line in block.text.replace("\\\n", " ").splitlines():
        command = line.strip().removeprefix("$ ")
        if re.match(r"zarrmill\b", command):
            yield command


def run_page(page: str, *, name: str) -> None:
    """Run the blocks of a page in the present folder; raise where one fails, with its line."""
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in find_blocks(page):
        if block.language == "python":
            # The empty lines give a traceback the line numbers of the page.
            exec(compile("\n" * (block.line - 1) + block.text, name, "exec"), names)
        elif block.language in SHELL:
            for command in find_commands(block):
                run_command(command, place=f"{name}:{block.line}")


def run_command(command: str, *, place: str) -> None:
    """Run one shell command: a call of zarrmill that needs no shell as `python -m zarrmill`, which starts at once."""
    simple = command.startswith("zarrmill ") and not re.search(SHELL_SIGNS, command)
    code, said = call_module(command) if simple else call_shell(command)
    if code:
        raise AssertionError(f"{place}: `{command}` ended with {code}\n{said}")


def call_module(command: str) -> tuple[int | None, str]:
    """Return the exit code of a call of zarrmill, and what it said."""
    words = shlex.split(command)
    child = get_nursery().start(["-m", *words], preload=(*OF_TYPER, *PRELOADED.get(words[1], ())))
    out, err = child.communicate(COMMAND_SECONDS)
    return child.returncode, out + err


def call_shell(command: str) -> tuple[int, str]:
    """Return the exit code of a command of the shell, with the scripts of this environment first on the path."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        capture_output=True,
        check=False,
        env=os.environ | {"PATH": path},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page tells its reader to run works as it stands."""
    if not page.exists():
        pytest.skip(f"{page.name} is not written yet")
    monkeypatch.chdir(tmp_path)

    run_page(page.read_text(encoding="utf-8"), name=page.name)


def test_blocks_of_a_page_share_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later block sees what an earlier one made."""
    monkeypatch.chdir(tmp_path)

    run_page(
        "```python\nx = 1\n```\ntext\n```python\nfrom pathlib import Path\nPath('x').write_text(str(x))\n```\n",
        name="page",
    )

    assert (tmp_path / "x").read_text() == "1"


def test_a_failing_python_block_fails_with_its_line() -> None:
    """The traceback points at the line of the page."""
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("# Title\n\n```python\nx = 1\nx / 0\n```\n", name="page.md")

    last = caught.traceback[-1]
    assert (Path(str(last.path)).name, last.lineno + 1) == ("page.md", 5)


def test_a_failing_command_fails_with_its_output() -> None:
    """The message has the place, the command, the exit code and what the command said."""
    with pytest.raises(AssertionError, match=r"(?s)page:2: `false; echo said >&2; exit 7` ended with 1"):
        run_command("false; echo said >&2; exit 7", place="page:2")


def test_the_script_is_the_module() -> None:
    """What a page calls `zarrmill` is what the pages' commands are run as."""
    script, module = call_shell("zarrmill --version"), call_module("zarrmill --version")

    assert script == module
    assert script[0] == 0


def test_only_calls_of_zarrmill_are_run() -> None:
    """Cloning, installing and making are left to the reader; continued lines are joined."""
    block = CodeBlock("sh", "git clone x\nmake demo\n$ zarrmill info a\nzarrmillion\nzarrmill plan a \\\n  --json\n", 1)

    assert [" ".join(command.split()) for command in find_commands(block)] == [
        "zarrmill info a",
        "zarrmill plan a --json",
    ]


def test_a_block_with_a_reason_is_not_run() -> None:
    """The comment right above a block takes it out, and only that block, and only with a reason."""
    page = "<!-- not run: needs a bucket -->\n```python\n1 / 0\n```\n\n<!-- not run: -->\n```python\nx = 1\n```\n"

    assert [block.text for block in find_blocks(page)] == ["x = 1\n"]


def test_blocks_in_lists_lose_their_indent() -> None:
    """A block in a list item is code like any other."""
    assert find_blocks("- item\n\n  ```python\n  if x:\n      y\n  ```\n")[0].text == "if x:\n    y\n"
