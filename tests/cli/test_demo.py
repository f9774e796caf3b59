"""The command demo."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.cli.reports import Report


@pytest.fixture
def demo(monkeypatch):
    """A demo that records its calls and takes no time."""
    from rich.table import Table

    calls = []

    def run_demo(out, **options):
        calls.append((out, {name: value for name, value in options.items() if name != "progress"}))
        table = Table("", "after", title="survey")
        table.add_row("keys", "21")
        return Report({"objects": 5}, to_table=lambda: table)

    module = ModuleType("zarrmill.demo")
    module.run_demo = run_demo
    monkeypatch.setitem(sys.modules, "zarrmill.demo", module)
    return calls


def test_demo_leaves_defaults_to_the_function(run, demo):
    """What is not said is not passed."""
    done = run("demo")
    assert done.exit_code == 0, done.stderr
    assert demo == [(Path("zarrmill-demo"), {})]
    assert "21" in done.stdout


def test_demo_passes_its_options(run, demo):
    """Each option is one argument."""
    run("demo", "--out", "x", "--objects", "9", "--epochs", "4", "--seed", "0", "--max-mem", "64MiB")
    assert demo == [(Path("x"), {"objects": 9, "epochs": 4, "seed": 0, "max_mem": "64MiB"})]


def test_demo_json(run, demo):
    """--json is the report."""
    assert json.loads(run("demo", "--json").stdout) == {"objects": 5}
