"""Event files of the HDF5 version as event stores: what ``zarrmill recordings import-hdf5`` does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zarrmill.recordings.dataset import create_dataset, create_tree
from zarrmill.recordings.encoded_dataset import Clean
from zarrmill.recordings.identities import Cleaner, Identities
from zarrmill.recordings.import_hdf5 import ImportedEvents, import_event_file
from zarrmill.recordings.save import save_dataset
from zarrmill.store import options_for


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How an old event file becomes a store."""

    layout: Literal["flat", "tree"] = "flat"
    """One Dataset, or a group for each table."""
    identities: Identities | None = None
    """What the session is called outside; None for as it is."""
    overwrite: bool = False
    """Whether a store that is there is replaced, once the new one is whole."""
    sync: bool = True
    """Whether a local disk confirms the store before it is shown."""
    storage_options: Mapping[str, Any] | None = None
    """Options of stores at URLs: of both ends, or below "source" and "target" of one."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported."""

    session_id: str
    """What the session is called."""
    location: str
    """The store."""
    counts: Mapping[str, int]
    """Rows by table, and problems by code."""
    stored_bytes: int
    """Bytes of the chunks."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def import_store(
    old: str | os.PathLike[str], store: str | os.PathLike[str], *, options: ImportOptions | None = None
) -> ImportReport:
    """Write the tables of an event file of the HDF5 version to an event store, all or nothing.

    Raises NotFoundError, SourceFormatError for what is no such file, and AlreadyExistsError unless it may be replaced.
    """
    how = options or ImportOptions()
    imported = import_event_file(old, storage_options=options_for("source", how.storage_options))
    processed, source = imported.processed, imported.source
    session_id, clean = _replacement(imported, how.identities or Identities())
    create = create_dataset if how.layout == "flat" else create_tree
    saved = save_dataset(
        create(processed, source=source),
        store,
        overwrite=how.overwrite,
        sync=how.sync,
        clean=clean,
        storage_options=options_for("target", how.storage_options),
    )
    return ImportReport(session_id, saved.location, processed.counts, saved.nbytes)


def _replacement(imported: ImportedEvents, identities: Identities) -> tuple[str, Clean | None]:
    """Return what the session is called outside, and what replaces both of its ids: its attribute and its file's name.

    A list of ids may have it by either of them.
    """
    told, named = imported.processed.session_id, imported.file_id
    if not identities.replaces:
        return told, None
    listed = named if identities.names is not None and told not in identities.names else told
    public = identities.public_ids([listed])[listed]
    cleaners = [Cleaner(name, public) for name in dict.fromkeys((told, named))]

    def clean(text: str) -> str:
        for cleaner in cleaners:
            text = cleaner(text)
        return text

    return public, clean
