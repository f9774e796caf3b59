"""``zarrmill recordings plot`` and ``export``: a session as a picture, and as what other programs read."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zarrmill.cli import options, recording_options
from zarrmill.cli.output import Shown, Table, show
from zarrmill.errors import InvalidInputError

if TYPE_CHECKING:
    from zarrmill.recordings import Identities
    from zarrmill.recordings.exports.bids import BidsName

_BIDS = "BIDS"


class OriginChoice(StrEnum):
    """When seconds count from."""

    start = "start"
    first = "first"
    eeg = "eeg"
    fnirs = "fnirs"


class DatatypeChoice(StrEnum):
    """Folder of a BIDS dataset."""

    beh = "beh"
    eeg = "eeg"
    nirs = "nirs"


Picture = Annotated[str, typer.Argument(metavar="PNG", help="Picture that is written.")]
Title = Annotated[str | None, typer.Option("--title", help="Text above the picture; none unless said.")]
Windows = Annotated[
    str | None,
    typer.Option(
        "--windows",
        metavar="STORE",
        help="Store of windows whose validity is drawn; of a curated file without one, the windows it would give.",
    ),
]
Bids = Annotated[str | None, typer.Option("--bids", metavar="DIR", help="BIDS dataset: events.tsv and its sidecar.")]
Mne = Annotated[str | None, typer.Option("--mne", metavar="FILE", help="MNE Annotations: …-annot.fif or .csv.")]
Nwb = Annotated[str | None, typer.Option("--nwb", metavar="FILE", help="NWB file of TimeIntervals.")]
Origin = Annotated[
    OriginChoice,
    typer.Option(
        "--origin", help="Seconds count from the start of the session, its first event, or a device's first frame."
    ),
]
Titles = Annotated[bool, typer.Option("--titles", help="Also export what was shown (BIDS and NWB).")]
Subject = Annotated[
    str | None, typer.Option("--subject", metavar="LABEL", help="Who it was, as in sub-01.", rich_help_panel=_BIDS)
]
BidsSession = Annotated[
    str | None,
    typer.Option("--bids-session", metavar="LABEL", help="Which session, as in ses-01.", rich_help_panel=_BIDS),
]
BidsTask = Annotated[
    str, typer.Option("--bids-task", metavar="LABEL", help="What was done, as in task-rest.", rich_help_panel=_BIDS)
]
Datatype = Annotated[DatatypeChoice, typer.Option("--datatype", help="Folder of the events.", rich_help_panel=_BIDS)]


def plot(
    location: recording_options.FileOrStore,
    picture: Picture,
    *,
    title: Title = None,
    windows: Windows = None,
    event_types: recording_options.EventTypes = None,
    overwrite: options.Overwrite = False,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Draw a curated file or an event store as PNG: tasks, elements, segments, pauses, devices, windows by validity."""
    from zarrmill.recordings.timeline import plot_timeline
    from zarrmill.recordings.windows.validity_lanes import open_stretches

    timeline = _open(location, event_types, storage_option)
    shown = windows or (location if timeline.coverage else None)
    stored = options.read_storage_options(storage_option)
    stretches = () if shown is None else open_stretches(shown, storage_options=stored)
    plot_timeline(timeline, picture, title=title, windows=stretches, overwrite=overwrite)
    show(Shown({"written": [picture]}), _written_tables, as_json=json)


def export(
    location: recording_options.FileOrStore,
    *,
    bids: Bids = None,
    mne: Mne = None,
    nwb: Nwb = None,
    origin: Origin = OriginChoice.start,
    titles: Titles = False,
    subject: Subject = None,
    bids_session: BidsSession = None,
    bids_task: BidsTask = "recording",
    datatype: Datatype = DatatypeChoice.beh,
    event_types: recording_options.EventTypes = None,
    id_map: recording_options.IdMap = None,
    hash_ids: recording_options.HashIds = False,
    hash_key_file: recording_options.HashKey = None,
    overwrite: options.Overwrite = False,
    storage_option: options.StorageOptions = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> None:
    """Export a session for other programs; gaps of devices are in curated files alone.

    Example: zarrmill recordings export s-01.h5 --bids study --subject 01 --mne s-01-annot.fif
    """
    if bids is None and mne is None and nwb is None:
        raise InvalidInputError("nothing to export to. Give --bids, --mne, --nwb, or several of them.")
    identities = recording_options.read_identities(id_map, hash_ids, hash_key_file)
    timeline = _open(location, event_types, storage_option, identities)
    how: dict[str, Any] = {"origin": origin.value, "overwrite": overwrite}
    made = []
    if bids is not None:
        from zarrmill.recordings.exports.bids import export_bids

        name = _read_name(subject, bids_session, bids_task, datatype)
        made.append(export_bids(timeline, bids, name=name, titles=titles, **how))
    if mne is not None:
        from zarrmill.recordings.exports.mne import export_mne

        made.append(export_mne(timeline, mne, **how))
    if nwb is not None:
        from zarrmill.recordings.exports.nwb import export_nwb

        made.append(export_nwb(timeline, nwb, subject=subject, titles=titles, **how))
    show(Shown({"exports": [report.to_json() for report in made]}), _export_tables, as_json=json)


def _open(
    location: str, event_types: str | None, storage_option: list[str] | None, identities: Identities | None = None
) -> Any:
    from zarrmill.recordings.identities import cleaner_of
    from zarrmill.recordings.session_timeline import open_timeline

    suffix = ".h5" if location.endswith(".h5") else "_events.zarr"
    return open_timeline(
        location,
        settings=recording_options.read_event_types(event_types),
        clean=None if identities is None else cleaner_of(location, identities, suffix=suffix),
        storage_options=options.read_storage_options(storage_option),
    )


def _read_name(subject: str | None, session: str | None, task: str, datatype: DatatypeChoice) -> BidsName:
    from zarrmill.recordings.exports.bids import BidsName

    if subject is None:
        raise InvalidInputError(
            "--bids needs a label of the participant, as the session's id may be a name. Give --subject 01."
        )
    return BidsName(subject, task=task, session=session, datatype=datatype.value)


def _written_tables(data: Mapping[str, Any]) -> list[Table]:
    return [Table([["written", path] for path in data["written"]])]


def _export_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return what was written, and what of the session could not be said."""
    tables = []
    for made in data["exports"]:
        counts = {**made["rows"], **{f"{device} gap": count for device, count in made["gaps"].items()}}
        facts = [["written", path] for path in made["written"]]
        facts += [["rows", ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"]]
        missing = {"without start": made["without_onset"], "without end": made["without_end"]}
        facts += [[name, f"{count:,}"] for name, count in missing.items() if count]
        tables.append(Table(facts))
    return tables
