"""The errors of zarrmill: grouped by what a caller does about them, each also the builtin that it resembles.

``kind`` is a stable word for programs; the list of kinds only ever grows.
"""

from __future__ import annotations

from functools import partial
from typing import Any


class ZarrmillError(Exception):
    """Whatever zarrmill raises on purpose; its message says what, where, both numbers and the remedy."""

    kind = "error"


class InvalidInputError(ZarrmillError, ValueError):
    """A request that can never work: an unknown dimension, a chunk of 0, a target inside its source."""

    kind = "invalid_input"


class PlanError(ZarrmillError, ValueError):
    """A valid request for which there is no plan."""

    kind = "plan"


class MemoryLimitError(PlanError):
    """No plan fits into ``max_mem``; the message names the smallest limit that would do."""

    kind = "memory_limit"


class SourceFormatError(ZarrmillError, ValueError):
    """What was read is not what its metadata promise: not Zarr, corrupt, truncated, or of an unknown codec."""

    kind = "source_format"


class SourceChangedError(ZarrmillError):
    """The source was written to while it was being read."""

    kind = "source_changed"


class NotFoundError(ZarrmillError, FileNotFoundError):
    """There is nothing at the given location."""

    kind = "not_found"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class UnknownNameError(ZarrmillError, KeyError):
    """Nothing goes by this name or key here; the message names the nearest that exist."""

    kind = "unknown_name"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AlreadyExistsError(ZarrmillError, FileExistsError):
    """There is something at the target already, and nothing was said about overwriting it."""

    kind = "already_exists"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StoreAccessError(ZarrmillError, PermissionError):
    """A store refused a request: credentials that are missing, wrong or expired, or that do not allow it."""

    kind = "store_access"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class StoreUnavailableError(ZarrmillError, ConnectionError):
    """A store could not be reached or could not answer, however often it was asked; it may at another time."""

    kind = "store_unavailable"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class ResumeError(ZarrmillError):
    """A draft of another request, or of another source, lies where this run would write."""

    kind = "resume"


class LockedError(ZarrmillError):
    """Somebody else is changing the store at this moment; what was asked for was not begun."""

    kind = "locked"


class BlockFailedError(ZarrmillError):
    """A block failed for good; ``__cause__`` says why, and the same command continues after the finished blocks."""

    kind = "block_failed"

    def __init__(self, message: str, *, block: str, stage: str, attempts: int) -> None:
        super().__init__(message)
        self.block = block
        self.stage = stage
        self.attempts = attempts

    def __reduce__(self) -> tuple[Any, ...]:
        # The builtin way back calls the class with the message alone.
        return partial(type(self), block=self.block, stage=self.stage, attempts=self.attempts), self.args


class ClusterError(ZarrmillError):
    """A cluster cannot be reached, has no workers, or lacks zarrmill; a run that it held is resumable."""

    kind = "cluster"


class VerifyError(ZarrmillError):
    """What was written is not what was read; ``problems`` lists the findings."""

    kind = "verify"

    def __init__(self, message: str, *, problems: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class PublishError(ZarrmillError):
    """A draft could not be made visible; it is still there, and still a draft."""

    kind = "publish"
