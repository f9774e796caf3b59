"""Damages of what events are stored as: texts, ids, times, shapes and the metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.recordings.hdf5 import load_h5py
from zarrmill.testing.damage_model import Damage
from zarrmill.testing.edits import (
    change_row,
    corrupt_chunk,
    corrupt_heap,
    new_group,
    open_file,
    replace,
    times_of,
    write_text,
    write_time,
)
from zarrmill.testing.timeline import START

_SENT, _STARTED = "events/element_sent", "events/task_started"
_ROW = 1
"""The row that is damaged."""


def _problem(code: str, path: str, row: int = -1) -> tuple[tuple[str, str, int], ...]:
    return ((code, path, row),)


def _text(says: str, text: bytes, code: str) -> Damage:
    """Return the damage that puts a text in place of a row of ``element_sent``."""
    apply = partial(write_text, event_type="element_sent", row=_ROW, text=text)
    return Damage(says, apply, _problem(code, f"{_SENT}/data", _ROW))


def _title(says: str, title: str, code: str | None) -> Damage:
    """Return the damage that puts JSON text in place of a title; escapes in it stay escapes in the file."""

    def apply(path: Path) -> None:
        change_row(path, "element_sent", _ROW, lambda data: data["element_content"].update(title="TITLE"))
        with open_file(path) as file:
            text = file[f"{_SENT}/data"][_ROW]
        write_text(path, "element_sent", _ROW, text.replace(b"TITLE", title.encode("ascii")))

    return Damage(says, apply, _problem(code, f"{_SENT}/data", _ROW) if code else ())


def _latin_title(path: Path) -> None:
    change_row(path, "element_sent", _ROW, lambda data: data["element_content"].update(title="TITLE"))
    with open_file(path) as file:
        text = file[f"{_SENT}/data"][_ROW]
    write_text(path, "element_sent", _ROW, text.replace(b"TITLE", b"caf\xe9"))


def _array(says: str, dataset: str, make: Callable[[Any], Any], problem: tuple[tuple[str, str, int], ...]) -> Damage:
    """Return the damage that puts something made from a dataset's values in its place."""

    def apply(path: Path) -> None:
        with open_file(path) as file:
            replace(file, dataset, make(file[dataset][:]))

    return Damage(says, apply, problem)


def _time(says: str, column: int, time: float, code: str) -> Damage:
    apply = partial(write_time, dataset=f"{_SENT}/timestamps", place=(_ROW, column), time=time)
    return Damage(says, apply, _problem(code, f"{_SENT}/timestamps", _ROW))


def _start(says: str, value: Any, code: str | None = None) -> Damage:
    """Return the damage that puts another value in place of start_time; None removes it."""

    def apply(path: Path) -> None:
        with open_file(path) as file:
            del file["metadata"].attrs["start_time"]
            if value is not None:
                file["metadata"].attrs["start_time"] = value

    return Damage(says, apply, _problem(code, "metadata") if code else ())


def _bad_row_unused(path: Path) -> None:
    time = times_of(path, "element_sent")[0]
    new_group(path, "unused_type", [({}, "unused-0", time), (b"{not json", "unused-1", time)])


def _sequence(path: Path) -> None:
    with open_file(path) as file:
        replace(file, "events/pause_event/event_ids", None)
        rows = len(file["events/pause_event/data"])
        file["events/pause_event/sequence_numbers"] = np.arange(rows, dtype=np.int32)


def _remove(path: Path, *names: str) -> None:
    with open_file(path) as file:
        for name in names:
            del file[name]


def _empty_session(path: Path) -> None:
    with open_file(path) as file:
        for name in list(file["events"]):
            del file["events"][name]


def _dataset_for_group(path: Path) -> None:
    with open_file(path) as file:
        file["events/unused_type"] = np.zeros(3)


def _group_for_dataset(path: Path) -> None:
    with open_file(path) as file:
        replace(file, f"{_SENT}/event_ids", None)
        file.create_group(f"{_SENT}/event_ids")


def _broken_link(path: Path) -> None:
    with open_file(path) as file:
        replace(file, f"{_SENT}/event_ids", None)
        file[f"{_SENT}/event_ids"] = load_h5py().SoftLink("/nowhere")


_TIMES, _IDS, _DATA = f"{_SENT}/timestamps", f"{_SENT}/event_ids", f"{_SENT}/data"

INPUT_DAMAGES: Mapping[str, Damage] = {
    "bad_json": _text("a row that is no JSON", b'{"element_id": "el-00002", ', "bad_json"),
    "empty_json": _text("a row without text", b"", "bad_json"),
    "deep_json": _text("a row of brackets alone", b"[" * 200_000, "bad_json"),
    "json_array": _text("a row that is an array", b"[1, 2]", "not_an_object"),
    "null_payload": _text("a row that is null", b"null", "null_payload"),
    "bad_json_unused": Damage(
        "a row that is no JSON, in a group that nobody uses",
        _bad_row_unused,
        _problem("bad_json", "events/unused_type/data", 1),
    ),
    "id_not_utf8": Damage(
        "an event id that is not UTF-8",
        partial(write_text, event_type="element_sent", row=_ROW, text=b"ev-\xff\\x", name="event_ids"),
        _problem("not_utf8", _IDS, _ROW),
    ),
    "payload_not_utf8": Damage("a title in Latin-1", _latin_title, _problem("not_utf8", _DATA, _ROW)),
    "lone_surrogate": _title("a title with half of a pair", "half \\ud83d", "lone_surrogate"),
    "trailing_nul": _title("a title that ends with NUL", "end\\u0000", "nul_in_text"),
    "non_bmp": _title("a title outside of the basic plane", "clef \\ud834\\udd1e", None),
    "short_timestamps": _array("timestamps for 3 rows", _TIMES, lambda v: v[:3], _problem("too_short", _TIMES, 3)),
    "long_timestamps": Damage(
        "timestamps for two rows more",
        lambda path: _lengthen(path, _TIMES),
        _problem("too_long", _TIMES, 24),
    ),
    "one_column": _array("timestamps of one clock", _TIMES, lambda v: v[:, :1], _problem("wrong_shape", _TIMES)),
    "flat_timestamps": _array("timestamps in a row", _TIMES, lambda v: v[:, 1], _problem("wrong_shape", _TIMES)),
    "text_timestamps": _array(
        "timestamps as text", _TIMES, lambda v: [b"soon"] * len(v), _problem("wrong_type", _TIMES)
    ),
    "no_timestamps": Damage("no timestamps", lambda path: _remove(path, _TIMES), _problem("no_timestamps", _TIMES)),
    "nan_time": _time("a client time of NaN", 1, np.nan, "missing_time"),
    "infinite_time": _time("a client time without end", 1, np.inf, "missing_time"),
    "zero_time": _time("a client time of 0", 1, 0.0, "missing_time"),
    "nan_server_time": _time("a server time of NaN", 0, np.nan, "missing_time"),
    "time_in_seconds": _time("a client time in seconds", 1, START / 1000, "odd_time"),
    "short_ids": _array("ids for 2 rows", _IDS, lambda v: list(v[:2]), _problem("too_short", _IDS, 2)),
    "no_ids": Damage(
        "sequence numbers in place of ids", _sequence, _problem("no_event_ids", "events/pause_event/event_ids")
    ),
    "short_data": _array("JSON for 2 rows", _DATA, lambda v: list(v[:2]), _problem("too_short", _DATA, 2)),
    "no_data": Damage("no JSON at all", lambda path: _remove(path, _DATA), _problem("no_payloads", _DATA)),
    "numbers_for_text": _array("numbers for JSON", _DATA, lambda v: np.arange(len(v)), _problem("wrong_type", _DATA)),
    "square_data": _array(
        "JSON in two columns", f"{_STARTED}/data", lambda v: np.stack([v.astype("S"), v.astype("S")], axis=1),
        _problem("wrong_shape", f"{_STARTED}/data"),
    ),
    "damaged_chunk": Damage(
        "a damaged chunk of JSON", partial(corrupt_chunk, dataset=_DATA, number=1, rows=4),
        _problem("unreadable", _DATA, 4),
    ),
    "damaged_heap": Damage(
        "the texts of the first rows are damaged", partial(corrupt_heap, dataset=_DATA),
        _problem("unreadable", _DATA, 0),
    ),
    "damaged_times": Damage(
        "a damaged chunk of times", partial(corrupt_chunk, dataset=_TIMES, number=0, rows=4),
        _problem("unreadable", _TIMES, 0),
    ),
    "empty_group": Damage(
        "a group without datasets", lambda path: _remove(path, _DATA, _IDS, _TIMES), _problem("empty_group", _SENT)
    ),
    "dataset_for_group": Damage(
        "a dataset where a group should be", _dataset_for_group, _problem("wrong_kind", "events/unused_type")
    ),
    "group_for_dataset": Damage("a group where ids should be", _group_for_dataset, _problem("wrong_kind", _IDS)),
    "broken_link": Damage("a link that leads nowhere", _broken_link, _problem("unreadable", _IDS)),
    "empty_session": Damage("no event at all", _empty_session),
    "no_events": Damage("no group of events", lambda path: _remove(path, "events"), _problem("no_events", "events")),
    "no_metadata": Damage("no metadata", lambda path: _remove(path, "metadata"), _problem("no_start_time", "metadata")),
    "start_in_seconds": _start("a start in seconds", START / 1000),
    "start_in_microseconds": _start("a start in microseconds", int(START) * 1000),
    "start_as_iso": _start("a start in ISO form", "2025-06-15T15:06:40+00:00"),
    "start_as_bytes": _start("a start as digits", np.bytes_(b"1750000000.0")),
    "start_without_zone": _start("a start without a zone", "2025-06-15T15:06:40", "start_time_without_zone"),
    "start_missing": _start("no start", None, "no_start_time"),
    "start_nonsense": _start("a start that is no time", "soon", "bad_start_time"),
    "start_far": _start("a start two days late", START + 2 * 86_400_000, "start_time_disagrees"),
}  # fmt: skip
"""Damages that opening the file reports."""


def _lengthen(path: Path, dataset: str) -> None:
    with open_file(path) as file:
        values = file[dataset][:]
        replace(file, dataset, np.concatenate((values, values[-2:])))
