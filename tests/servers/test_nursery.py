"""servers/nursery.py: forked processes behave as started ones do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import zarrmill
from tests.servers.nursery import get_nursery
from tests.servers.process import ROOT
from tests.servers.test_process import await_end

ENDS = {
    "done": ("pass", 0, ""),
    "exit": ("raise SystemExit(3)", 3, ""),
    "error": ("1 / 0", 1, "ZeroDivisionError"),
    "interrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
    "kill": ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
}


@pytest.mark.parametrize(("text", "code", "said"), ENDS.values(), ids=ENDS)
def test_a_child_ends_as_a_script_does(text: str, code: int, said: str) -> None:
    """Its exit code is the interpreter's own, and a traceback is on stderr."""
    child = get_nursery().start(["-c", text])
    _, err = child.communicate()

    assert child.returncode == code
    assert said in err
    assert bool(err) == bool(said)


def test_streams_are_the_childs_own() -> None:
    """What is written to its stdin comes, and what it says is read, of several at once."""
    children = [get_nursery().start(["-c", "import sys; print(sys.stdin.read() + sys.argv[1])", name]) for name in "ab"]
    for child in children:
        child.stdin.write("to ")

    assert [child.communicate() for child in children] == [("to a\n", ""), ("to b\n", "")]
    assert children[0].communicate() == ("", "")


def test_a_child_is_killed_alone() -> None:
    """It runs until then, in a session of its own, and its sibling goes on."""
    text = "import os; print(os.getsid(0) == os.getpid(), flush=True); input()"
    killed, left = (get_nursery().start(["-c", text]) for _ in range(2))
    assert killed.stdout.readline() == "True\n"
    assert killed.poll() is None
    killed.kill()
    killed.communicate()
    left.stdin.write("\n")
    left.communicate()

    assert (killed.returncode, left.returncode) == (-signal.SIGKILL, 0)


def test_a_file_runs_as_the_main_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the present folder, with its arguments, and with the environment of the moment."""
    text = "import json, os, sys\nprint(json.dumps([__name__, sys.argv, os.getcwd(), os.environ['WORD']]))"
    (tmp_path / "script.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    out, err = get_nursery().start(["script.py", "a", "b"], WORD="said").communicate()

    assert err == ""
    assert json.loads(out) == ["__main__", ["script.py", "a", "b"], str(tmp_path), "said"]


def test_a_module_runs_as_the_main_module() -> None:
    """As with `python -m`."""
    out, _ = get_nursery().start(["-m", "zarrmill", "--version"]).communicate()

    assert zarrmill.__version__ in out


def test_the_nursery_ends_with_its_parent() -> None:
    """When the process of tests is killed, nobody is left who forks."""
    text = (
        "from tests.servers.nursery import get_nursery\n"
        "child = get_nursery().start(['-c', 'import os; print(os.getppid())'])\n"
        "print(child.communicate()[0], flush=True)\n"
        "input()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()

    await_end(number)
