"""``zarrmill recordings``: curated sessions from what is in them to what was made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import typer

from zarrmill.cli import options, recording_options, recording_tables
from zarrmill.cli.failures import PROBLEMS, CommandGroup
from zarrmill.cli.output import Shown, show
from zarrmill.cli.session_lines import open_session_progress

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Recordings: curated HDF5 sessions into Zarr stores.")


@app.command()
def inspect(
    location: recording_options.FileOrStore,
    *,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what is in a curated file, or in a store that was made from one."""
    from zarrmill.recordings import inspect_recording

    found = inspect_recording(location, storage_options=options.read_storage_options(storage_option))
    show(found, recording_tables.recording_tables, as_json=json)


@app.command()
def validate(
    files: recording_options.Files,
    *,
    event_types: recording_options.EventTypes = None,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """List everything that is wrong with curated files; exit code 3 when something is."""
    from zarrmill.recordings import validate_files

    settings, stored = recording_options.read_event_types(event_types), options.read_storage_options(storage_option)
    reports = validate_files(files, settings=settings, storage_options=stored)
    shown = {"sound": all(r.sound for r in reports), "files": [r.to_json() for r in reports]}
    show(Shown(shown), recording_tables.validation_tables, as_json=json)
    if not shown["sound"]:
        raise typer.Exit(PROBLEMS)


@app.command()
def events(
    source: recording_options.Recordings,
    destination: recording_options.Destination = None,
    *,
    layout: recording_options.Layout = recording_options.LayoutChoice.flat,
    event_types: recording_options.EventTypes = None,
    only: recording_options.Only = None,
    session: recording_options.Sessions = None,
    max_items: recording_options.MaxItems = None,
    id_map: recording_options.IdMap = None,
    hash_ids: recording_options.HashIds = False,
    hash_key_file: recording_options.HashKey = None,
    dry_run: recording_options.DryRun = False,
    keep_local: recording_options.KeepLocal = None,
    reset: recording_options.Reset = False,
    reset_outputs: recording_options.ResetOutputs = False,
    executor: options.Executor = None,
    workers: options.Workers = None,
    sync: options.Sync = True,
    storage_option: options.StorageOptions = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Write the tables of every session to a Zarr store: tasks, elements, segments, raw events and issues.

    Exit code 1 when any session failed, 2 when nothing matched. Example: zarrmill recordings events s3://lab --hash-ids
    """
    from zarrmill.recordings import EventTransform, TransformOptions

    transform = EventTransform(
        source,
        destination,
        layout=layout.value,
        settings=recording_options.read_event_types(event_types),
        options=TransformOptions(
            identities=recording_options.read_identities(id_map, hash_ids, hash_key_file),
            keep_local=keep_local,
            sync=sync,
            storage_options=options.read_storage_options(storage_option),
        ),
    )
    how = RunRequest(dry_run, reset or reset_outputs, reset_outputs, executor, workers, progress, json)
    run_transform(transform, recording_options.read_selection(only, session, max_items), how)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the options of every transform say about a run."""

    dry_run: bool
    """Whether only to show what would be done."""
    reset: bool
    """Whether to remove records instead."""
    outputs: bool
    """Whether to remove stores with them."""
    executor: str | None
    """Where sessions run."""
    workers: int | None
    """How many at once."""
    progress: options.ProgressChoice
    """How progress is shown."""
    as_json: bool
    """Whether the report is printed as JSON."""


def run_transform(transform: Any, selection: Any, how: RunRequest) -> None:
    """Run a transform, or plan or reset it, print its report and end with its exit code."""
    if how.reset:
        asked = selection if selection.is_explicit else None
        report = transform.reset(asked, outputs=how.outputs)
        show(report, recording_tables.reset_tables, as_json=how.as_json)
    elif how.dry_run:
        report = transform.plan(selection)
        show(report, recording_tables.plan_tables, as_json=how.as_json)
    else:
        with open_session_progress(how.progress) as (client, tell):
            report = transform.run(
                selection, executor=how.executor, workers=how.workers, progress=client, on_session=tell
            )
        show(report, recording_tables.run_tables, as_json=how.as_json)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@app.command()
def records(
    destination: recording_options.Records,
    *,
    session: recording_options.Sessions = None,
    transform: recording_options.Transform = None,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show where every session stands, and every record of those named with --session."""
    from zarrmill.recordings import report_records

    stored = options.read_storage_options(storage_option)
    found = report_records(destination, names=tuple(session or ()), transform=transform, storage_options=stored)
    show(found, recording_tables.record_tables, as_json=json)
    if not found.sessions:
        raise typer.Exit(2)


@app.command()
def verify(
    source: recording_options.File,
    store: recording_options.EventStore,
    *,
    id_map: recording_options.IdMap = None,
    hash_ids: recording_options.HashIds = False,
    hash_key_file: recording_options.HashKey = None,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Make the tables of a curated file again and compare every row of its store; exit code 3 when one differs."""
    from zarrmill.recordings.event_verify import verify_events
    from zarrmill.recordings.identities import cleaner_of

    clean = cleaner_of(source, recording_options.read_identities(id_map, hash_ids, hash_key_file))
    report = verify_events(source, store, clean=clean, storage_options=options.read_storage_options(storage_option))
    show(report, recording_tables.difference_tables, as_json=json)
    if not report.ok:
        raise typer.Exit(PROBLEMS)


@app.command("import-hdf5")
def import_hdf5(
    old: recording_options.OldEvents,
    store: recording_options.NewStore,
    *,
    layout: recording_options.Layout = recording_options.LayoutChoice.flat,
    id_map: recording_options.IdMap = None,
    hash_ids: recording_options.HashIds = False,
    hash_key_file: recording_options.HashKey = None,
    overwrite: options.Overwrite = False,
    sync: options.Sync = True,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Bring an event file that the HDF5 version wrote into an event store."""
    from zarrmill.recordings.event_import import ImportOptions, import_store

    how = ImportOptions(
        layout=layout.value,
        identities=recording_options.read_identities(id_map, hash_ids, hash_key_file),
        overwrite=overwrite,
        sync=sync,
        storage_options=options.read_storage_options(storage_option),
    )
    show(import_store(old, store, options=how), recording_tables.fact_tables, as_json=json)
