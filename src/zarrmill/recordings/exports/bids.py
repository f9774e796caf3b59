"""BIDS: ``events.tsv`` in seconds with a JSON sidecar that says what columns mean; ``n/a`` where nothing is known."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any, Literal

from zarrmill.errors import InvalidInputError
from zarrmill.recordings.exports.publish import check_free, publish_file
from zarrmill.recordings.exports.report import ExportReport, make_report
from zarrmill.recordings.exports.rows import TITLE, ExportRows, make_rows
from zarrmill.recordings.session_timeline import Origin, SessionTimeline, open_timeline

BIDS_VERSION = "1.10.0"
"""Version of BIDS that is followed."""
DESCRIPTION = "dataset_description.json"
MISSING = "n/a"
"""How BIDS writes what is not known."""
_LABEL = re.compile(r"[0-9A-Za-z]+")
_ORIGINS: Mapping[Origin, str] = {
    "start": "the start of the session",
    "first": "the first event of the session",
    "eeg": "the first frame of the EEG",
    "fnirs": "the first frame of the fNIRS",
}
_TEXTS: Mapping[str, str] = {
    "key": "Unique name of the task, element or segment within its kind",
    "task_type": "Type of the task, or of the task in which an element was sent",
    "element_type": "Type of the element",
    "completion_status": "How a task ended",
    "input_modality": "How a reply is given, or was",
    TITLE: "What was shown",
}
_KINDS: Mapping[str, str] = {"task": "From the start of a task to its end", "element": "From sending to the reply"}


@dataclass(frozen=True, slots=True)
class BidsName:
    """What a session is called in a BIDS dataset; each is letters and digits."""

    subject: str
    """Label of the participant, as in ``sub-01``: nothing is taken from the session's id, which may be a name."""
    task: str = "recording"
    """Label of what was done."""
    session: str | None = None
    """Label of the session, as in ``ses-01``."""
    datatype: Literal["beh", "eeg", "nirs"] = "beh"
    """Folder: beside signals that are there already, or behaviour alone."""

    def __post_init__(self) -> None:
        labels = {"subject": self.subject, "task": self.task, "session": self.session or "0"}
        for name, label in labels.items():
            if not _LABEL.fullmatch(label):
                raise InvalidInputError(f"{name} {label!r} is no label of BIDS. Use letters and digits only.")
        if self.datatype not in ("beh", "eeg", "nirs"):
            raise InvalidInputError(f"datatype {self.datatype!r} is not known. Use beh, eeg, nirs.")

    def path(self, ending: str) -> Path:
        """Return the path of a file within the dataset.

        >>> BidsName("01", session="2").path("events.tsv").as_posix()
        'sub-01/ses-2/beh/sub-01_ses-2_task-recording_events.tsv'
        """
        entities = [f"sub-{self.subject}", *([f"ses-{self.session}"] if self.session else [])]
        return Path(*entities, self.datatype, "_".join([*entities, f"task-{self.task}", ending]))


def export_bids(
    source: str | os.PathLike[str] | SessionTimeline,
    folder: str | os.PathLike[str],
    *,
    name: BidsName,
    origin: Origin = "start",
    titles: bool = False,
    overwrite: bool = False,
) -> ExportReport:
    """Write the tasks, elements and segments of a session into a BIDS dataset, which is begun where there is none.

    ``source`` is a curated file, an event store, or what ``open_timeline`` returned. Raises InvalidInputError where the
    origin is not known, AlreadyExistsError for files that are there.
    """
    export = make_rows(open_timeline(source), origin=origin, titles=titles)
    root = Path(folder)
    written = {
        root / name.path("events.json"): json.dumps(_describe(export, origin, titles), indent=2, ensure_ascii=False),
        root / name.path("events.tsv"): "\n".join(_lines(export, titles)),
    }
    for target in written:
        check_free(target, overwrite=overwrite)
    if not (root / DESCRIPTION).exists():
        written = {root / DESCRIPTION: json.dumps(_describe_dataset(), indent=2), **written}
    for target, text in written.items():
        publish_file(target, partial(_write, text=text + "\n"), overwrite=overwrite)
    return make_report(export, "bids", written)


def _write(path: Path, *, text: str) -> None:
    # Not in the machine's own encoding or line ends: BIDS has UTF-8, and this file is read elsewhere.
    path.write_text(text, encoding="utf-8", newline="\n", errors="backslashreplace")


def _lines(export: ExportRows, titles: bool) -> Iterator[str]:
    names = _text_names(titles)
    yield "\t".join(["onset", "duration", "trial_type", *names])
    for row in export.rows:
        texts = {"key": row.key, **row.texts}
        cells = [_say_number(row.onset), _say_number(row.duration), _say_text(row.category)]
        yield "\t".join([*cells, *(_say_text(texts.get(name)) for name in names)])


def _text_names(titles: bool) -> list[str]:
    return [name for name in _TEXTS if titles or name != TITLE]


def _say_number(seconds: float) -> str:
    """Return seconds to the microsecond; finer than that no epoch in milliseconds is.

    >>> _say_number(1.5), _say_number(0.0), _say_number(-2.0000004), _say_number(float("nan"))
    ('1.5', '0', '-2', 'n/a')
    """
    if isnan(seconds):
        return MISSING
    return f"{round(seconds, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def _say_text(text: str | None) -> str:
    """Return a cell: one line without tabs; a cell cannot be empty, so the empty text is ``n/a`` too."""
    return " ".join((text or "").split()) or MISSING


def _describe(export: ExportRows, origin: Origin, titles: bool) -> dict[str, Any]:
    segments = {row.category for row in export.rows if row.table == "segment"}
    levels = {**_KINDS, **{_say_text(name): "A segment: from its start to its end" for name in sorted(segments)}}
    said: dict[str, Any] = {
        "onset": {"Description": f"Time from {_ORIGINS[origin]} by the client's clock", "Units": "s"},
        "duration": {"Description": "Time from start to end; n/a where no end was recorded", "Units": "s"},
        "trial_type": {"Description": "What it is", "Levels": levels},
    }
    return {**said, **{name: {"Description": _TEXTS[name]} for name in _text_names(titles)}}


def _describe_dataset() -> dict[str, Any]:
    return {
        "Name": "Events of recordings",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "zarrmill"}],
    }
