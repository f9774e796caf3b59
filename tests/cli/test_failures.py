"""One line per failure, and its exit code."""

import errno
from types import SimpleNamespace

import pytest

from zarrmill.errors import (
    AlreadyExistsError,
    BlockFailedError,
    InvalidInputError,
    MemoryLimitError,
    NotFoundError,
    VerifyError,
)

FAILURES = {
    "invalid": (InvalidInputError("no dimension 'epok'"), 2, "error: no dimension 'epok'"),
    "limit": (MemoryLimitError("flux: 3.1 GiB of 2.0 GiB"), 1, "error: flux: 3.1 GiB of 2.0 GiB"),
    "absent": (NotFoundError("a.zarr: nothing there"), 1, "error: a.zarr: nothing there"),
    "exists": (AlreadyExistsError("b.zarr exists"), 1, "error: b.zarr exists"),
    "many lines": (MemoryLimitError("one\n  two\n"), 1, "error: one two"),
    "no message": (MemoryLimitError(), 1, "error: MemoryLimitError"),
    "memory": (MemoryError(), 1, "error: out of memory. Use a smaller --max-mem, or fewer processes."),
    "no space": (
        OSError(errno.ENOSPC, "No space left on device", "/x/y"),
        1,
        "error: No space left on device: /x/y. Free some space, then run the same command again.",
    ),
    "permission": (PermissionError(errno.EACCES, "Permission denied", "/x"), 1, "error: Permission denied: /x"),
    "import": (ImportError("pip install 'zarrmill[demo]'"), 1, "error: pip install 'zarrmill[demo]'"),
    "bug": (TypeError("bad operand"), 1, "error: unexpected TypeError: bad operand (-v shows the traceback)"),
}


@pytest.mark.parametrize(("error", "code", "line"), FAILURES.values(), ids=FAILURES)
def test_failure_is_one_line_and_a_code(run, api, error, code, line):
    """The line is on standard error, standard output is empty."""
    api.answers["info"] = error
    done = run("info", "a.zarr")
    assert (done.exit_code, done.stderr, done.stdout) == (code, line + "\n", "")


def test_verbose_adds_the_traceback(run, api):
    """With -v the traceback comes first, the line last."""
    api.answers["info"] = TypeError("bad operand")
    done = run("info", "a.zarr", "-v")
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1].startswith("error: unexpected TypeError")


def test_verbose_is_forgotten_by_the_next_command(run, api):
    """No state outlives a command."""
    api.answers["info"] = TypeError("bad operand")
    run("info", "a.zarr", "-v")
    assert "Traceback" not in run("info", "a.zarr").stderr


def test_failed_block_names_its_cause(run, api):
    """What made the block fail is in the same line."""
    error = BlockFailedError("block f-3 failed 3 times.", block="f-3", stage="copy", attempts=3)
    error.__cause__ = OSError(errno.EIO, "Input/output error", "c/0/1")
    api.answers["rechunk"] = error
    done = run("rechunk", "a", "b")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr == "error: block f-3 failed 3 times: [Errno 5] Input/output error: 'c/0/1'\n"


def test_verify_error_lists_problems(run, api):
    """What was written is not what was read: exit code 3, and the first ten problems."""
    problems = tuple(SimpleNamespace(code="values", path="flux", message=f"chunk {n}") for n in range(12))
    api.answers["rechunk"] = VerifyError("the target differs", problems=problems)
    done = run("rechunk", "a", "b")
    lines = done.stderr.splitlines()
    assert (done.exit_code, lines[0], lines[1], len(lines)) == (
        3,
        "error: the target differs",
        "  values  flux  chunk 0",
        11,
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [((), "The same command continues"), (("--no-resume",), "The same command without --no-resume continues")],
    ids=["resume", "no resume"],
)
def test_interrupted_rechunk_says_how_it_goes_on(run, api, options, says):
    """Ctrl-C: one line, exit code 130."""
    api.answers["rechunk"] = KeyboardInterrupt()
    done = run("rechunk", "a", "b", *options)
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr.startswith(f"interrupted. {says} after the finished blocks")
    assert done.stderr.count("\n") == 1


def test_interrupted_verify_promises_nothing(run, api):
    """Only a rechunk can be continued."""
    api.answers["verify"] = KeyboardInterrupt()
    done = run("verify", "a", "b")
    assert (done.exit_code, done.stderr) == (130, "interrupted.\n")


@pytest.mark.parametrize(
    ("args", "start", "command"),
    [
        (("rechunk", "a"), "error: Missing argument 'TARGET'", "zarrmill rechunk"),
        (("rechnk",), "error: No such command 'rechnk'", "zarrmill"),
        (("--bogus",), "error: No such option", "zarrmill"),
        (("info", "a", "--max-mem", "1GiB"), "error: No such option", "zarrmill info"),
    ],
    ids=["argument", "command", "option", "option of another command"],
)
def test_wrong_use_is_one_line(run, api, args, start, command):
    """Exit code 2, and where to look."""
    done = run(*args)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(start)
    assert done.stderr.endswith(f" See {command} --help.\n")


@pytest.mark.parametrize("option", ["--executor", "--verify", "--progress", "--workers"])
def test_wrong_choice_is_refused_before_anything_runs(run, api, option):
    """A value that is not one of the choices never reaches the API."""
    done = run("rechunk", "a", "b", option, "sideways")
    assert (done.exit_code, api.calls) == (2, [])
    assert f"'{option}'" in done.stderr


def test_wrong_executor_is_one_line(run, api):
    """What can be given is named, addresses with an example."""
    done = run("rechunk", "a", "b", "--executor", "host:8786")
    assert (done.exit_code, api.calls, done.stderr.count("\n")) == (2, [], 1)
    assert "'host:8786' is not one of serial, threads, processes or an address such as tcp://host:8786." in done.stderr
