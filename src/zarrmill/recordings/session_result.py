"""What a transform made of one session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zarrmill.recordings.problems import InputProblem

Status = Literal["success", "failed", "skipped"]
"""``skipped``: there was nothing to make of it, which is no failure."""
STORAGE_FORMAT = "zarr_xarray"
"""What the stores of transforms are, as the later stages of a pipeline ask for it."""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What ``process_session`` returns."""

    status: Status = "success"
    """How it ended."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Figures for the record, as JSON values: task_count, element_count …"""
    zarr_stores: tuple[str, ...] = ()
    """Keys of stores that were written otherwise than by ``save_dataset_to_s3_zarr``, which notes its own."""
    files_to_copy: tuple[tuple[str, str], ...] = ()
    """Keys below the source to copy below the destination, each with its new key."""
    files_to_upload: tuple[tuple[str, str], ...] = ()
    """Files of the local disk to write below the destination, each with its key."""
    problems: tuple[InputProblem, ...] = ()
    """What was found wrong in the input."""
    message: str = ""
    """Why it failed or was skipped, in one line."""


class SessionFailedError(Exception):
    """Raised in ``process_session`` to fail a session with what was found wrong in its input."""

    def __init__(self, message: str, *, problems: tuple[InputProblem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems
