"""``zarrmill recordings windows`` and ``window-plan``: EEG and fNIRS of sessions as windows on one clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from zarrmill.cli import options, recording_options
from zarrmill.cli.output import Shown, Table, show
from zarrmill.cli.recordings import RunRequest, run_transform

SettingsFile = Annotated[
    str | None, typer.Option("--settings", metavar="FILE", help="Settings of the windows, as TOML.")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One setting, such as window_ms=420, filter=false, filter.low_hz=1 or modules=1-8,13; repeat it for more.",
    ),
]
LayoutFile = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="FILE",
        help="Where sources and detectors are: CSV of kind,module,number,x,y,z (mm), or JSON. Without it all channels "
        "that ever hold a value are kept, for which every file is read once more.",
    ),
]


def windows(
    source: recording_options.Recordings,
    destination: recording_options.Destination = None,
    *,
    settings: SettingsFile = None,
    assign: Assignments = None,
    layout: LayoutFile = None,
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
    """Write EEG and fNIRS of every session as windows to a Zarr store, in processed/windows/ of SOURCE unless said.

    Exit code 1 when any session failed, 2 when nothing matched. Example: zarrmill recordings windows lab
    """
    from zarrmill.recordings import TransformOptions, WindowTransform

    transform = WindowTransform(
        source,
        destination,
        settings=read_settings(settings, assign),
        layout=layout,
        threads=workers if executor in (None, "serial", "threads") else None,
        options=TransformOptions(
            identities=recording_options.read_identities(id_map, hash_ids, hash_key_file),
            keep_local=keep_local,
            sync=sync,
            storage_options=options.read_storage_options(storage_option),
        ),
    )
    how = RunRequest(dry_run, reset or reset_outputs, reset_outputs, executor, workers, progress, json)
    run_transform(transform, recording_options.read_selection(only, session, max_items), how)


def window_plan(
    file: recording_options.File,
    *,
    settings: SettingsFile = None,
    assign: Assignments = None,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Show which windows a curated file would give and why others are not valid, from its timestamps alone."""
    from zarrmill.recordings import open_recording, plan_windows

    with open_recording(file, storage_options=options.read_storage_options(storage_option)) as recording:
        times = {name: device.times for name, device in recording.devices.items()}
    plan = plan_windows(eeg=times.get("eeg"), fnirs=times.get("fnirs"), settings=read_settings(settings, assign))
    show(Shown(plan.to_json()), plan_tables, as_json=json)


def read_settings(path: str | None, assignments: list[str] | None) -> Any:
    """Return the settings of a TOML file with those of ``--set``, the usual ones without either."""
    from zarrmill.recordings import WindowSettings

    return WindowSettings.load(path, assignments or ())


def plan_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return figures, reasons by device, and notes of a plan."""
    figures = {
        "windows": data["windows"],
        "window": f"{data['period_ms']:.3f} ms, {data['frames_per_window']} EEG frames",
        "EEG frame": _say_ms(data["eeg_period_ms"]),
        "fNIRS frame": _say_ms(data["fnirs_period_ms"]),
        "common": f"{data['common'][0]} to {data['common'][1]}",
    }
    reasons = dict.fromkeys([*data["eeg"], *data["fnirs"]])
    rows = [[reason, str(data["eeg"].get(reason, 0)), str(data["fnirs"].get(reason, 0))] for reason in reasons]
    return [
        Table([[name, str(value)] for name, value in figures.items()]),
        Table(rows, ("reason", "EEG", "fNIRS"), frozenset({"EEG", "fNIRS"})),
        Table([[note] for note in data["notes"]]),
    ]


def _say_ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f} ms"
