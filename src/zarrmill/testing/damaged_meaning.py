"""Damages of what events mean: starts without ends, repeated ids, null and missing values. The file itself is sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zarrmill.testing.damage_model import Damage
from zarrmill.testing.edits import (
    add_row,
    change_group,
    change_row,
    change_rows,
    drop_row,
    new_group,
    open_file,
    times_of,
)

EARLY_MS, LATE_MS = 2000.0, 500.0
"""How long before the send, and after the first reply, the extra replies come."""


def _drop(event_type: str, row: int) -> Callable[[Path], None]:
    return lambda path: change_group(path, event_type, drop_row(row))


def _change(event_type: str, row: int, change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    return lambda path: change_row(path, event_type, row, change)


def _several_replies(path: Path) -> None:
    """Reply to the second element before it was sent, and once more after its first reply."""
    sent, replied = times_of(path, "element_sent")[1], times_of(path, "element_replied")[1]
    data = {"element_id": "el-00002", "input_modality": "touch"}
    change_group(path, "element_replied", add_row(data, event_id="extra-0", time=sent - EARLY_MS))
    change_group(path, "element_replied", add_row(data, event_id="extra-1", time=replied + LATE_MS))


def _repeated_task(path: Path) -> None:
    """Give the second task the id of the first, at both ends."""
    for event_type in ("task_started", "task_completed"):
        change_row(path, event_type, 1, lambda data: data.update(task_id="task-001"))


def _repeated_element(path: Path) -> None:
    change_row(path, "element_replied", 2, lambda data: data.update(element_id="el-00002"))

    def rename(data: dict[str, Any]) -> None:
        data["element_id"] = data["element_content"]["element_id"] = "el-00002"

    change_row(path, "element_sent", 2, rename)


def _repeated_event(path: Path) -> None:
    def repeat(rows: Any) -> Any:
        rows.ids[3] = rows.ids[2]
        return rows

    change_group(path, "element_sent", repeat)


def _span_elements(path: Path) -> None:
    """Record from the middle of the second element to the middle of the third."""
    sent, replied = times_of(path, "element_sent"), times_of(path, "element_replied")
    start, end = (sent[1] + replied[1]) / 2 + 1, (sent[2] + replied[2]) / 2 + 1
    _set_segments(path, [(start, end)])


def _record_outside(path: Path) -> None:
    """Record between two elements and in none of them."""
    start, end = times_of(path, "element_replied")[1] + 10, times_of(path, "element_sent")[2] - 10
    _set_segments(path, [(start, end)])


def _nest_elements(path: Path) -> None:
    """Let the second element begin within the first, and record in both: the inner one is the place."""
    sent = times_of(path, "element_sent")
    replied = times_of(path, "element_replied")
    with open_file(path) as file:
        file["events/element_sent/timestamps"][1] = (sent[0] + 1040, sent[0] + 1000)
    _set_segments(path, [(sent[0] + 1500, replied[0] - 500)])


def _set_segments(path: Path, times: list[tuple[float, float]]) -> None:
    """Put recordings at these times in place of all others."""
    new_group(path, "recording_start", [({}, f"rec-{k}", start) for k, (start, _) in enumerate(times)])
    new_group(path, "recording_stop", [({}, f"end-{k}", end) for k, (_, end) in enumerate(times)])


def _unending_segment(path: Path) -> None:
    """Stop no recording but the first, so that the counts differ."""
    with open_file(path) as file:
        rows = len(file["events/recording_stop/data"])
    for _ in range(rows - 1):
        change_group(path, "recording_stop", drop_row(-1))


def _skip(data: dict[str, Any], place: str) -> Callable[[Path], None]:
    """Return the damage that skips a task: 100 ms before the second one starts, or 100 ms after that."""

    def apply(path: Path) -> None:
        start = times_of(path, "task_started")[1]
        new_group(path, "skip_task", [(data, "skip-0", start + (-100 if place == "before" else 100))])

    return apply


def _skip_open(path: Path) -> None:
    change_group(path, "task_completed", drop_row(1))
    _skip({}, "within")(path)


def _skip_unstarted(path: Path) -> None:
    """Skip the second task by name before it starts; it never starts."""
    time = times_of(path, "task_started")[1] - 100
    new_group(path, "skip_task", [({"task_id": "task-002"}, "skip-0", time)])


def _null_metadata(data: dict[str, Any]) -> None:
    data["element_content"]["task_metadata"] = None


def _null_inner_config(data: dict[str, Any]) -> None:
    data["element_content"]["task_metadata"]["config"] = None


def _zero_and_empty(data: dict[str, Any]) -> None:
    data["element_content"].update(response_time_seconds=0, audio_mode="", title="")


def _missing_values(data: dict[str, Any]) -> None:
    for name in ("response_time_seconds", "audio_mode", "title", "is_instruction"):
        data["element_content"].pop(name)


def _no_audio_mode(data: dict[str, Any]) -> None:
    data["element_content"].pop("audio_mode")


def _wrong_types(data: dict[str, Any]) -> None:
    data["element_content"].update(response_time_seconds="soon", is_instruction="perhaps", title=5)


MEANING_DAMAGES: Mapping[str, Damage] = {
    "task_without_end": Damage("the second task never ends", _drop("task_completed", 1)),
    "last_task_without_end": Damage("the last task never ends", _drop("task_completed", -1)),
    "task_without_start": Damage("the second task only ends", _drop("task_started", 1)),
    "element_without_reply": Damage("nobody replies to the second element", _drop("element_replied", 1)),
    "element_without_send": Damage("the second element was never sent", _drop("element_sent", 1)),
    "segment_without_end": Damage("recordings after the first never stop", _unending_segment),
    "segment_without_start": Damage("the second recording only stops", _drop("recording_start", 1)),
    "several_replies": Damage("three replies, one of them before the send", _several_replies),
    "repeated_task_id": Damage("two tasks of one id", _repeated_task),
    "repeated_element_id": Damage("two elements of one id", _repeated_element),
    "repeated_event_id": Damage(
        "two events of one id", _repeated_event, (("repeated_event_id", "events/element_sent/event_ids", 3),)
    ),
    "null_config": Damage("a config that is null", _change("task_started", 1, lambda data: data.update(config=None))),
    "null_element_content": Damage(
        "an element_content that is null", _change("element_sent", 1, lambda data: data.update(element_content=None))
    ),
    "null_task_metadata": Damage("a task_metadata that is null", _change("element_sent", 1, _null_metadata)),
    "null_inner_config": Damage("a task_metadata whose config is null", _change("element_sent", 1, _null_inner_config)),
    "missing_values": Damage("an element without values", _change("element_sent", 1, _missing_values)),
    "missing_column": Damage(
        "no element has an audio_mode", lambda path: change_rows(path, "element_sent", _no_audio_mode)
    ),
    "zero_and_empty": Damage("values of 0 and ''", _change("element_sent", 1, _zero_and_empty)),
    "wrong_types": Damage("values of another type", _change("element_sent", 1, _wrong_types)),
    "spanning_segment": Damage("a recording in two elements", _span_elements),
    "segment_outside": Damage("a recording in no element", _record_outside),
    "nested_elements": Damage("an element within another", _nest_elements),
    "skip_by_id": Damage("a skip that names the third task", _skip({"task_id": "task-003"}, "within")),
    "skip_running": Damage("a skip without a name while a task runs", _skip({}, "within")),
    "skip_next": Damage("a skip without a name before a task", _skip({}, "before")),
    "skip_open": Damage("a skip of a task that never ends", _skip_open),
    "skip_unstarted": Damage("a skip of a task before it starts", _skip_unstarted),
}
"""Damages that processing events reports; opening the file finds nothing wrong but repeated ids of events."""
