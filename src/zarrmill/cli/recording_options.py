"""Every option of ``zarrmill recordings``, once, and what its text means."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zarrmill.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from zarrmill.recordings import Identities, Selection

_SESSIONS = "Which sessions"
_IDS = "Ids of sessions"
_SAFETY = "Safety"


class OnlyChoice(StrEnum):
    """Sessions by how they stand."""

    new = "new"
    failed = "failed"
    skipped = "skipped"
    all = "all"


class LayoutChoice(StrEnum):
    """How the tables of a session lie in its store."""

    flat = "flat"
    tree = "tree"


Recordings = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Folder or prefix of curated files, or one of them. Without DESTINATION a place with curated-h5/ in it.",
    ),
]
Destination = Annotated[
    str | None,
    typer.Argument(metavar="DESTINATION", help="Where the stores go; processed/event/ of SOURCE unless said."),
]
Records = Annotated[str, typer.Argument(metavar="DESTINATION", help="Where the stores and their records lie.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="Curated HDF5 file, on a disk or an object store.")]
Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Curated HDF5 files.")]
FileOrStore = Annotated[str, typer.Argument(metavar="FILE|STORE", help="Curated file, or a store made from one.")]
EventStore = Annotated[str, typer.Argument(metavar="STORE", help="Event store of one session.")]
NewStore = Annotated[str, typer.Argument(metavar="STORE", help="Event store that is made.")]
OldEvents = Annotated[str, typer.Argument(metavar="OLD", help="Event file that the HDF5 version wrote.")]

Only = Annotated[
    list[OnlyChoice] | None,
    typer.Option(
        "--only",
        help="Sessions by how they stand; new and failed unless said. Repeat it for more.",
        rich_help_panel=_SESSIONS,
    ),
]
Sessions = Annotated[
    list[str] | None,
    typer.Option("--session", metavar="ID", help="Only this session; repeat it for more.", rich_help_panel=_SESSIONS),
]
MaxItems = Annotated[
    int | None,
    typer.Option("--max-items", min=1, metavar="N", help="Only the first N of them.", rich_help_panel=_SESSIONS),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; nothing is computed or written.")]
KeepLocal = Annotated[
    str | None,
    typer.Option("--keep-local", metavar="DIR", help="Keep downloaded inputs and a copy of every store in a folder."),
]
Reset = Annotated[
    bool,
    typer.Option("--reset", help="Remove records instead, so that sessions are new again.", rich_help_panel=_SAFETY),
]
ResetOutputs = Annotated[
    bool, typer.Option("--reset-outputs", help="Remove records and stores.", rich_help_panel=_SAFETY)
]
IdMap = Annotated[
    str | None,
    typer.Option(
        "--id-map",
        metavar="FILE",
        help="Replace ids in all that is written: two columns (CSV, TSV) or a JSON object.",
        rich_help_panel=_IDS,
    ),
]
HashIds = Annotated[
    bool, typer.Option("--hash-ids", help="Replace ids by hashes in all that is written.", rich_help_panel=_IDS)
]
HashKey = Annotated[
    str | None,
    typer.Option(
        "--hash-key-file",
        metavar="FILE",
        help="Secret of the hashes, without which whoever guesses a name can check the guess.",
        rich_help_panel=_IDS,
    ),
]
Layout = Annotated[
    LayoutChoice, typer.Option("--layout", help="flat is one table of names with prefixes, tree a group per table.")
]
EventTypes = Annotated[
    str | None,
    typer.Option("--event-types", metavar="FILE", help="Which event types mean what, as TOML."),
]
Transform = Annotated[
    str | None, typer.Option("--transform", metavar="NAME", help="Only the records of this transform.")
]


def read_identities(id_map: str | None, hash_ids: bool, hash_key_file: str | None) -> Identities:
    """Return what the options say of ids. Raises InvalidInputError where they contradict each other."""
    from zarrmill.recordings import Identities, read_id_map

    if id_map is not None and (hash_ids or hash_key_file is not None):
        raise InvalidInputError("--id-map and --hash-ids are two ways to replace ids. Give one of them.")
    if hash_key_file is not None and not hash_ids:
        raise InvalidInputError("--hash-key-file is of no use without --hash-ids. Give both.")
    if id_map is not None:
        return Identities(names=read_id_map(_existing(id_map, "--id-map")))
    key = "" if hash_key_file is None else _existing(hash_key_file, "--hash-key-file").read_text("utf-8").strip()
    if hash_key_file is not None and not key:
        raise InvalidInputError(f"--hash-key-file {hash_key_file} is empty. Write a secret into it.")
    return Identities(hashed=hash_ids, key=key)


def read_selection(only: list[OnlyChoice] | None, session: list[str] | None, max_items: int | None) -> Selection:
    """Return the sessions that the options ask for."""
    from zarrmill.recordings import Selection

    return Selection(only=tuple(choice.value for choice in only or ()), names=tuple(session or ()), max_items=max_items)


def read_event_types(path: str | None) -> Any:
    """Return the type map of a TOML file, the usual one without it. Raises InvalidInputError."""
    from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventSettings

    if path is None:
        return DEFAULT_SETTINGS
    try:
        return EventSettings.from_json(tomllib.loads(_existing(path, "--event-types").read_text("utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"--event-types {path} is no TOML: {error}.") from error


def _existing(path: str, option: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(f"{option}: there is no file {path}.")
    return file
