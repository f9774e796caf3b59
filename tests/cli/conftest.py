"""The command line in this process, with the public functions replaced by fakes that record their calls."""

import functools
import os
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import typer.testing
from typer.testing import CliRunner

import zarrmill
from zarrmill.cli import app


@dataclass
class Api:
    """The replaced public functions: what they return or raise, and how they were called."""

    answers: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)

    def make(self, name):
        def call(*args, **options):
            self.calls.append(SimpleNamespace(name=name, args=args, options=options))
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call


LIGHTCURVES = ("creation", "growth", "ingest", "optimized_copy", "relayout")
SYNCING = ("journal", "publish", *(f"lightcurves.{name}" for name in LIGHTCURVES))
"""Modules that have the disk confirm what they wrote."""


@pytest.fixture(scope="session", autouse=True)
def command_is_made_once():
    """The runner would make every command with all of its options anew at each call, which takes most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.testing._get_command))
        yield


@pytest.fixture(autouse=True)
def disk_is_not_asked(monkeypatch):
    """Nothing waits for the disk, which takes seconds on a busy machine."""
    for module in SYNCING:
        monkeypatch.setattr(f"zarrmill.{module}.sync_file_system", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def api(monkeypatch):
    """Replace the public functions; a test sets ``api.answers``."""
    made = Api()
    for name in ("rechunk", "estimate", "plan_update", "verify", "digest_report", "info", "discard"):
        monkeypatch.setattr(zarrmill, name, made.make(name), raising=False)
    return made


@pytest.fixture
def run():
    """Run a command line, with standard output and error apart."""
    runner = CliRunner()

    def call(*args):
        return runner.invoke(app, [str(arg) for arg in args], prog_name="zarrmill")

    return call
