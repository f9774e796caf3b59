"""The commands that only read: what a store holds, whether two stores are equal, the digest of one."""

from __future__ import annotations

import typer

import zarrmill
from zarrmill.cli import options, tables
from zarrmill.cli.failures import PROBLEMS
from zarrmill.cli.output import emit, open_progress, show


def info(
    store: options.Store,
    *,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show the arrays of a store, how they are laid out, and what unfinished runs have left beside it."""
    show(
        zarrmill.info(store, storage_options=options.read_storage_options(storage_option)),
        tables.info_tables,
        as_json=json,
    )


def verify(
    a: options.StoreA,
    b: options.StoreB,
    *,
    max_mem: options.MaxMem = "256MiB",
    storage_option: options.StorageOptions = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Compare two stores value by value and name the first regions that differ; exit code 3 when they do."""
    given = options.read_storage_options(storage_option)
    with open_progress(progress) as client:
        report = zarrmill.verify(a, b, max_mem=max_mem, storage_options=given, progress=client)
    show(report, tables.verify_tables, as_json=json)
    if not report.equal:
        raise typer.Exit(PROBLEMS)


def digest(
    store: options.Store,
    *,
    array: options.Arrays = None,
    each: options.Each = False,
    storage_option: options.StorageOptions = None,
    progress: options.Progress = options.ProgressChoice.auto,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Print a digest of the values of a store, the same for every chunking of the same values."""
    given = options.read_storage_options(storage_option)
    with open_progress(progress) as client:
        report = zarrmill.digest_report(store, arrays=array, storage_options=given, progress=client)
    if json or each:
        show(report, tables.digest_tables, as_json=json)
    else:
        emit(report.digest)
