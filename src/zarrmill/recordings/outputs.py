"""What sessions leave below the destination beside their stores: files copied and uploaded; and its removal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.keyspace import KeySpace
from zarrmill.recordings.identities import Cleaner
from zarrmill.recordings.records import SessionRecord
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_result import SessionResult
from zarrmill.store_draft import ROOT_METADATA


def put_files(session: Session, result: SessionResult, destination: KeySpace) -> tuple[str, ...]:
    """Copy and upload the files of a result; return their keys, in which the session has the id that it has outside.

    Contents are copied as they are. Raises NotFoundError for a file that is not there.
    """
    made = []
    for key, new in result.files_to_copy:
        data = session.source.get(key)
        if data is None:
            raise NotFoundError(f"{session.cleaner(f'{session.source.location}/{key}')} to copy is not there.")
        made.append(_checked(new, session.cleaner))
        destination.put(made[-1], data)
    for path, new in result.files_to_upload:
        made.append(_checked(new, session.cleaner))
        destination.put(made[-1], Path(path).read_bytes())
    return tuple(made)


def _checked(key: str, clean: Cleaner) -> str:
    if not key or key.startswith("/") or ".." in key.split("/"):
        raise InvalidInputError(f"{clean(key)!r} is no key below the destination.")
    return clean(key)


def remove_outputs(destination: KeySpace, records: Iterable[SessionRecord]) -> int:
    """Remove the stores and files that records tell of; return how many were there.

    Of a store the metadata of its root go first: from then on nothing opens.
    """
    stores: set[str] = set()
    files: set[str] = set()
    for record in records:
        stores.update(record.zarr_stores)
        files.update(record.files)
    removed = sum(_remove_store(destination, key) for key in sorted(stores) if _is_below(key))
    there = [key for key in sorted(files) if _is_below(key) and destination.head(key) is not None]
    destination.delete(there)
    return removed + len(there)


def _is_below(key: str) -> bool:
    return bool(key) and not key.startswith("/") and ".." not in key.split("/")


def _remove_store(destination: KeySpace, key: str) -> bool:
    names = destination.list_dir(key)
    if not any(names):
        return False
    destination.delete([f"{key}/{name}" for name in ROOT_METADATA if name in names[1]])
    destination.delete([info.key for info in destination.list(key)])
    return True
