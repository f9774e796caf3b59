"""errors.py: what a program can rely on when something fails."""

from __future__ import annotations

import pickle

import pytest

import zarrmill.errors as errors
from zarrmill.errors import AlreadyExistsError, BlockFailedError, NotFoundError, VerifyError, ZarrmillError

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, ZarrmillError)]
KINDS = {
    "ZarrmillError": "error",
    "InvalidInputError": "invalid_input",
    "PlanError": "plan",
    "MemoryLimitError": "memory_limit",
    "SourceFormatError": "source_format",
    "SourceChangedError": "source_changed",
    "NotFoundError": "not_found",
    "AlreadyExistsError": "already_exists",
    "ResumeError": "resume",
    "BlockFailedError": "block_failed",
    "ClusterError": "cluster",
    "VerifyError": "verify",
    "PublishError": "publish",
}


def make(cls):
    return cls("no", block="a:0:0:1", stage="copy", attempts=2) if cls is BlockFailedError else cls("no")


def test_kinds_never_change():
    """Programs compare kinds: those that exist keep their words, and no two errors share one."""
    kinds = {cls.__name__: cls.kind for cls in CLASSES}

    assert kinds.items() >= KINDS.items()
    assert len(set(kinds.values())) == len(kinds)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidInputError", ValueError),
        ("PlanError", ValueError),
        ("MemoryLimitError", ValueError),
        ("SourceFormatError", ValueError),
        ("NotFoundError", FileNotFoundError),
        ("AlreadyExistsError", FileExistsError),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_errors_are_builtins_too(name, builtin):
    """Code that catches the builtin catches ours."""
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_message_is_shown_as_it_is(cls):
    """What a person reads is the message alone, without an error number or a tuple around it."""
    assert str(make(cls)) == "no"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_come_back_from_other_processes(cls):
    """An error that a worker raises reaches the caller with its type and message."""
    back = pickle.loads(pickle.dumps(make(cls)))

    assert (type(back), str(back), vars(back)) == (cls, "no", vars(make(cls)))


def test_block_failed_error_tells_which_block():
    """A program learns the block, the stage and the number of attempts without parsing the message."""
    error = make(BlockFailedError)

    assert (error.block, error.stage, error.attempts) == ("a:0:0:1", "copy", 2)


def test_verify_error_holds_its_findings():
    """The findings are there as values; without any there is an empty tuple."""
    assert VerifyError("no", problems=("x",)).problems == ("x",)
    assert VerifyError("no").problems == ()


@pytest.mark.parametrize("cls", [NotFoundError, AlreadyExistsError], ids=lambda cls: cls.__name__)
def test_os_errors_without_a_message_can_be_shown(cls):
    """Even an error made without arguments prints."""
    assert str(cls()) == ""
