"""``zarrmill lightcurves``: a survey from its catalogue to its pictures."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import typer

from zarrmill.cli import curve_options, curve_tables, options
from zarrmill.cli.failures import PROBLEMS, CommandGroup
from zarrmill.cli.output import Shown, open_progress, show

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Light curves: written epoch by epoch, read by object.")


def _open(store: str, storage_option: list[str] | None) -> Any:
    from zarrmill.lightcurves import LightcurveStorage

    return LightcurveStorage.open(store, storage_options=options.read_storage_options(storage_option))


@app.command()
def create(
    store: curve_options.Survey,
    *,
    objects: curve_options.Objects = None,
    catalogue: curve_options.CatalogueFile = None,
    column: curve_options.Roles = None,
    keep: curve_options.Keep = None,
    format: curve_options.Format = None,
    hdu: curve_options.Hdu = None,
    measurement: curve_options.Measurements = None,
    magnitudes: curve_options.Magnitudes = False,
    unit: curve_options.Unit = "",
    max_epochs: curve_options.MaxEpochs = None,
    flag: curve_options.Flags = None,
    limits: curve_options.Limits = False,
    time_offsets: curve_options.TimeOffsets = False,
    time_scale: curve_options.TimeScale = "utc",
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Make a store for a number of objects, or for those in a catalogue."""
    from zarrmill.lightcurves import CreateOptions, LightcurveStorage
    from zarrmill.lightcurves.catalogue_files import read_catalogue
    from zarrmill.lightcurves.tables import read_table

    settings = CreateOptions(
        kind="magnitude" if magnitudes else "flux",
        unit=unit,
        flags=curve_options.read_flags(flag),
        limits=limits,
        time_offsets=time_offsets,
        time_scale=time_scale,
        storage_options=options.read_storage_options(storage_option),
    )
    roles = curve_options.read_pairs(column, option="--column")
    table = None if catalogue is None else read_table(catalogue, format=format, hdu=curve_options.read_hdu(hdu))
    found = None if table is None else read_catalogue(table, columns=roles, keep=keep)
    names = [curve_options.read_measurement(text) for text in measurement or ()] or None
    made = LightcurveStorage.create(
        store, n_objects=objects, catalogue=found, max_epochs=max_epochs, measurements=names, options=settings
    )
    show(made.info(), curve_tables.fact_tables, as_json=json)


@app.command()
def ingest(
    store: curve_options.Survey,
    tables: curve_options.Tables,
    *,
    epoch: curve_options.Epoch = None,
    time: curve_options.Time = None,
    preset: curve_options.Preset = "auto",
    column: curve_options.Roles = None,
    band: curve_options.Bands = None,
    match: curve_options.Match = curve_options.MatchChoice.auto,
    max_separation: curve_options.MaxSeparation = 1.0,
    tolerance: curve_options.Tolerance = 0.0,
    time_zero: curve_options.TimeZero = None,
    time_scale: curve_options.TableScale = None,
    unit: curve_options.TableUnit = None,
    zero_point: curve_options.ZeroPoint = None,
    format: curve_options.Format = None,
    hdu: curve_options.Hdu = None,
    unmatched: curve_options.Unmatched = curve_options.UnmatchedChoice.report,
    replace: curve_options.Replace = False,
    sync: options.Sync = True,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Add the epochs of tables, and say what became of every row."""
    from zarrmill.lightcurves.columns import ColumnRequest
    from zarrmill.lightcurves.epochs import IngestOptions
    from zarrmill.lightcurves.table_ingest import TableRequest

    bands = curve_options.read_pairs(band, option="--band")
    columns = ColumnRequest(
        preset=preset,
        columns=curve_options.read_roles(column),
        bands=bands,
        time_zero=time_zero,
        time_scale=time_scale,
        unit=unit,
        zero_point=zero_point,
    )
    how = IngestOptions(columns=columns, match=match.value, max_separation=max_separation, tolerance=tolerance)
    name, table = curve_options.read_epoch(epoch), curve_options.read_hdu(hdu)
    request = TableRequest(name, time, replace, unmatched.value, sync, format, table)
    storage = _open(store, storage_option)
    reports = [storage.ingest(file, options=how, request=request).to_json() for file in tables]
    show(Shown({"tables": reports}), curve_tables.ingest_tables, as_json=json)


@app.command()
def relayout(
    store: curve_options.Survey,
    *,
    executor: options.Executor = None,
    workers: options.Workers = None,
    progress: options.Progress = options.ProgressChoice.auto,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Fold the epochs that came in into the object layout; reading and adding may go on meanwhile."""
    with open_progress(progress) as client:
        report = _open(store, storage_option).relayout(executor=executor, workers=workers, progress=client)
    show(report, curve_tables.fact_tables, as_json=json)


@app.command()
def prune(
    store: curve_options.Survey,
    *,
    verify: curve_options.Prove = True,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Remove the copies of epochs that are folded, once that is proved."""
    show(_open(store, storage_option).prune(verify=verify), curve_tables.fact_tables, as_json=json)


@app.command()
def info(
    store: curve_options.Survey,
    *,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what a store holds."""
    show(_open(store, storage_option).info(), curve_tables.fact_tables, as_json=json)


@app.command()
def get(
    store: curve_options.Survey,
    objects: curve_options.ObjectKeys,
    *,
    array: curve_options.ArrayNames = None,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Print light curves."""
    storage = _open(store, storage_option)
    curves = [storage.get_lightcurve(storage.key_of(text), arrays=array) for text in objects]
    show(Shown({"curves": [_describe_curve(curve) for curve in curves]}), curve_tables.curve_tables, as_json=json)


def _describe_curve(curve: Any) -> dict[str, Any]:
    known = math.isfinite(curve.ra)
    return {
        "key": curve.key,
        "ra": curve.ra if known else None,
        "dec": curve.dec if known else None,
        "scale": curve.scale,
        "measurements": list(curve.names),
        "epoch": curve.epoch.tolist(),
        "time": _finite(curve.time.tolist()),
        "arrays": {name: _finite(values.tolist()) for name, values in curve.arrays.items()},
        "status": curve.status.tolist(),
    }


def _finite(values: list[Any]) -> list[Any]:
    """Return values as JSON has them: None where there is none."""
    return [_finite(value) if isinstance(value, list) else None if value != value else value for value in values]


@app.command()
def cone(
    store: curve_options.Survey,
    ra: curve_options.Ra,
    dec: curve_options.Dec,
    radius: curve_options.Radius,
    *,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """List the objects within a radius, the nearest first; all in degrees. Write a negative DEC after ``--``."""
    found = _open(store, storage_option).cone(ra, dec, radius)
    rows = [list(row) for row in zip(*(values.tolist() for values in found.values()), strict=True)]
    count = f"{len(rows):,} object{'' if len(rows) == 1 else 's'}"
    show(Shown({"columns": list(found), "rows": rows, "notes": [count]}), curve_tables.row_tables, as_json=json)


@app.command()
def stats(
    store: curve_options.Survey,
    *,
    statistic: curve_options.StatisticNames = None,
    output: curve_options.Output = None,
    head: curve_options.Head = 20,
    executor: options.Executor = None,
    workers: options.Workers = None,
    progress: options.Progress = options.ProgressChoice.auto,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Compute statistics of every object in one sweep, and show the first."""
    with open_progress(progress) as client:
        table = _open(store, storage_option).statistics(
            statistic, output=output, executor=executor, workers=workers, progress=client
        )
    rows = [
        [key, name, *(float(values[i, j]) for values in table.columns.values())]
        for i, key in enumerate(table.keys[:head].tolist())
        for j, name in enumerate(table.measurements)
    ]
    notes = [f"{len(table.keys):,} objects in {table.seconds:.1f} s"]
    notes += [f"written to {table.location}"] if table.location else []
    data = {"columns": ["object", "measurement", *table.columns], "rows": _finite(rows), "notes": notes}
    show(Shown({**table.to_json(), **data}), curve_tables.row_tables, as_json=json)


@app.command()
def plot(
    store: curve_options.Survey,
    key: curve_options.ObjectKey,
    *,
    out: curve_options.Picture,
    period: curve_options.Period = None,
    only: curve_options.Only = None,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw a light curve, or fold it with a period."""
    from zarrmill.lightcurves.plot import plot_folded, plot_light_curve

    storage = _open(store, storage_option)
    curve = storage.get_lightcurve(storage.key_of(key))
    curve = curve if only is None else curve.select(only)
    if period is None:
        plot_light_curve(curve, out)
    else:
        plot_folded(curve, out, period=period)
    facts = {"object": curve.key, "points": int(curve.detected.sum()), "picture": out}
    show(Shown(facts), curve_tables.fact_tables, as_json=json)


@app.command()
def export(
    store: curve_options.Survey,
    file: curve_options.ParquetFile,
    *,
    detected_only: curve_options.DetectedOnly = False,
    overwrite: options.Overwrite = False,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Write all light curves to a Parquet file: one row per object, its points nested."""
    from zarrmill.lightcurves.parquet import ParquetOptions

    given = options.read_storage_options(storage_option)
    settings = ParquetOptions(detected_only=detected_only, overwrite=overwrite, storage_options=given)
    report = _open(store, storage_option).to_parquet(file, options=settings)
    show(Shown(asdict(report)), curve_tables.fact_tables, as_json=json)


@app.command()
def verify(
    store: curve_options.Survey,
    *,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Read everything and name what is lost, damaged, or not what was ingested; exit code 3 when there is something."""
    check = _open(store, storage_option).verify()
    show(check, curve_tables.check_tables, as_json=json)
    if not check.sound:
        raise typer.Exit(PROBLEMS)
