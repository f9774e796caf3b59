"""A file appears whole or not at all: it is written beside its place under its own name, then moved there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from zarrmill.errors import AlreadyExistsError, InvalidInputError


def publish_file(target: Path, write: Callable[[Path], object], *, overwrite: bool) -> None:
    """Have a file written and put it into its place, whose folder is made.

    Raises AlreadyExistsError for what is there already, unless it is to be replaced.
    """
    check_free(target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".zarrmill-", dir=target.parent) as folder:
        # Under its own name, as libraries choose the format by it.
        draft = Path(folder) / target.name
        write(draft)
        os.replace(draft, target)


def check_free(target: Path, *, overwrite: bool) -> None:
    """Raise AlreadyExistsError for a file that is there and not to be replaced, InvalidInputError for a folder."""
    if target.is_dir():
        raise InvalidInputError(f"{target} is a folder. Name a file.")
    if target.exists() and not overwrite:
        raise AlreadyExistsError(f"{target} exists already. Choose another name, or say overwrite (--overwrite).")
