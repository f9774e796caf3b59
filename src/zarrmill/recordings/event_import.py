"""Event files of the HDF5 version as event stores: what ``zarrmill recordings import-hdf5`` does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from zarrmill.recordings.dataset import create_dataset, create_tree
from zarrmill.recordings.identities import Cleaner, Identities
from zarrmill.recordings.import_hdf5 import import_event_file
from zarrmill.recordings.model import SourceFacts
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
    name = processed.session_id
    clean = Cleaner(name, (how.identities or Identities()).public_ids([name])[name])
    facts = SourceFacts(clean(source.name), source.nbytes, source.sha256)
    create = create_dataset if how.layout == "flat" else create_tree
    saved = save_dataset(
        create(processed, source=facts),
        store,
        overwrite=how.overwrite,
        sync=how.sync,
        clean=clean if clean.active else None,
        storage_options=options_for("target", how.storage_options),
    )
    return ImportReport(clean.session_id, saved.location, processed.counts, saved.nbytes)
