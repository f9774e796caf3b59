"""The commands for drafts: what runs have written and not published."""

from __future__ import annotations

import zarrmill
from zarrmill.cli import options, tables
from zarrmill.cli.output import show


def discard(
    target: options.Target,
    *,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Remove what an unfinished run to TARGET has left: its draft, journal and intermediates; never TARGET itself."""
    report = zarrmill.discard(target, storage_options=options.read_storage_options(storage_option))
    show(report, tables.discard_tables, as_json=json)
