"""The command line in this process, with the public functions replaced by fakes that record their calls."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
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
