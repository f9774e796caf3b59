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
ENDS = ("start_ms", "end_ms")
MOST_STRETCHES = 20
"""Stretches of windows that are not valid that a table shows."""


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
    resume: options.Resume = True,
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
        threads=_threads(executor, workers),
        resume=resume,
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
    """Show which windows a curated file would give, which are not valid, when and why, from its timestamps alone."""
    from zarrmill.recordings import open_recording
    from zarrmill.recordings.windows.coverage import stretches_of_plan
    from zarrmill.recordings.windows.window_plan import plan_devices

    with open_recording(file, storage_options=options.read_storage_options(storage_option)) as recording:
        plan = plan_devices(recording.devices, read_settings(settings, assign))
    stretches = [stretch.to_json() for stretch in stretches_of_plan(plan)]
    show(Shown({**plan.to_json(), "stretches": stretches}), plan_tables, as_json=json)


def _threads(executor: str | None, workers: int | None) -> int | None:
    """Return the threads of one session: those asked for, one beside other processes, else one per core."""
    if executor in (None, "threads"):
        return workers
    return 1


def read_settings(path: str | None, assignments: list[str] | None) -> Any:
    """Return the settings of a TOML file with those of ``--set``, the usual ones without either."""
    from zarrmill.recordings import WindowSettings

    return WindowSettings.load(path, assignments or ())


def plan_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return figures, reasons by device, when windows are not valid, and notes of a plan."""
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
        _stretch_table(data),
        Table([[note] for note in data["notes"]]),
    ]


def _stretch_table(data: Mapping[str, Any]) -> Table:
    """Return when windows are not valid, in seconds from the first one."""
    from zarrmill.recordings.windows.validity_lanes import NAMES

    found = [s for s in data["stretches"] if s["reason"] not in ("valid", "no_device")]
    rows = []
    for stretch in found[:MOST_STRETCHES]:
        seconds = [f"{(stretch[end] - data['start_ms']) / 1000:,.2f}" for end in ENDS]
        rows.append([NAMES[stretch["device"]], stretch["reason"], *seconds, f"{stretch['windows']:,}"])
    if len(found) > MOST_STRETCHES:
        rows.append(["", f"and {len(found) - MOST_STRETCHES:,} more (--json)", "", "", ""])
    return Table(rows, ("device", "reason", "from s", "to s", "windows"), frozenset({"from s", "to s", "windows"}))


def _say_ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f} ms"
