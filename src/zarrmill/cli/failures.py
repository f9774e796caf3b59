"""What a failure looks like on the command line: one line on standard error, and an exit code."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from zarrmill.cli.options import VERBOSE
from zarrmill.errors import BlockFailedError, InvalidInputError, VerifyError, ZarrmillError

FAILED, USAGE, PROBLEMS, INTERRUPTED = 1, 2, 3, 130
MAX_PROBLEMS = 10
"""Problems of a VerifyError that are listed below its line."""


class CommandGroup(TyperGroup):
    """Ends every failure of its commands in one line and an exit code; ``-v`` adds the traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit; a wrong use of it is one line as well."""
        alone = extra.get("standalone_mode", True)
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except typer.Abort:
            code = INTERRUPTED
        except Exception as error:
            if not alone or not hasattr(error, "format_message"):
                raise
            code = USAGE
            _print_line(f"error: {_say_usage(error)}")
        if not alone:
            return code
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Run one command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            _print_line(" ".join(["interrupted.", *getattr(error, "__notes__", ())]))
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort):
                raise
            line, code = explain(error)
            if ctx.meta.get(VERBOSE):
                traceback.print_exception(error)
            _print_line(f"error: {line}")
            for problem in getattr(error, "problems", ())[:MAX_PROBLEMS]:
                _print_line(f"  {_say_problem(problem)}")
            raise typer.Exit(code) from None


def explain(error: Exception) -> tuple[str, int]:
    """Return one line about an error, and the exit code."""
    if isinstance(error, ZarrmillError):
        line = _one_line(error)
        cause = _one_line(error.__cause__) if isinstance(error, BlockFailedError) and error.__cause__ else ""
        if cause not in line:
            line = f"{line.rstrip('. ')}: {cause}"
        code = PROBLEMS if isinstance(error, VerifyError) else USAGE if isinstance(error, InvalidInputError) else FAILED
        return line, code
    if isinstance(error, MemoryError):
        return "out of memory. Use a smaller --max-mem, or fewer processes.", FAILED
    if isinstance(error, OSError) and error.errno:
        where = f": {error.filename}" if error.filename is not None else ""
        advice = ". Free some space, then run the same command again." if error.errno == errno.ENOSPC else ""
        return f"{error.strerror}{where}{advice}", FAILED
    if isinstance(error, ImportError):
        return _one_line(error), FAILED
    return f"unexpected {type(error).__name__}: {_one_line(error)} (-v shows the traceback)", FAILED


@contextmanager
def resumable(*, resume: bool, target: str = "") -> Iterator[None]:
    """Have an interruption within say that, and how, the work goes on later."""
    try:
        yield
    except KeyboardInterrupt as error:
        if target.startswith("icechunk://"):
            error.add_note("Nothing was committed; the same command starts again.")
            raise
        how = "The same command" if resume else "The same command without --no-resume"
        error.add_note(f"{how} continues after the finished blocks; zarrmill discard removes them.")
        raise


def _say_usage(error: Any) -> str:
    message = _one_line(error.format_message())
    path = error.ctx.command_path if getattr(error, "ctx", None) else "zarrmill"
    return f"{message.rstrip('.')}{'' if message.endswith('?') else '.'} See {path} --help."


def _say_problem(problem: Any) -> str:
    parts = (getattr(problem, "code", ""), getattr(problem, "path", ""), getattr(problem, "message", str(problem)))
    return "  ".join(_one_line(part) for part in parts if part)


def _one_line(text: object) -> str:
    return " ".join(str(text).split()) or type(text).__name__


def _print_line(line: str) -> None:
    """Write to standard error; a closed one has no reader to disappoint."""
    with suppress(BrokenPipeError):
        typer.echo(line, err=True)
