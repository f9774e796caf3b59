"""What people are shown of recordings and of what was done with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zarrmill.cli.output import Table
from zarrmill.units import format_bytes, format_seconds

Json = Mapping[str, Any]
MOST_ROWS = 50
"""Rows of a table that people are shown; ``--json`` has them all."""


def plan_tables(data: Json) -> list[Table]:
    """Return what a run would take."""
    facts = [["from", data["source"]], ["to", data["destination"]], ["found", _say_states(data)]]
    facts += [["taken", f"{_count(data['selected'], 'session')}, {format_bytes(data['nbytes'])}"]]
    rows = [[s["session_id"], s["state"], format_bytes(s["nbytes"])] for s in data["sessions"]]
    return [Table(facts), *_cut(rows, ["session", "state", "size"], {"size"}), Table(_missing(data))]


def _say_states(data: Json) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in data["found_by_state"].items())
    return f"{_count(data['found'], 'session')}{f' ({states})' if states else ''}"


def run_tables(data: Json) -> list[Table]:
    """Return how a run ended, and the sessions that failed or were skipped."""
    ended = ", ".join(f"{count:,} {status}" for status, count in data["by_status"].items()) or "nothing to do"
    facts = [
        ["to", data["destination"]],
        ["sessions", f"{_count(data['selected'], 'session')} of {data['found']:,}: {ended}"],
        ["time", format_seconds(data["seconds"])],
    ]
    facts += [["peak memory", format_bytes(data["peak_mem"])]] if data["peak_mem"] else []
    odd = [[s["session_id"], s["status"], s["message"]] for s in data["sessions"] if s["status"] != "success"]
    return [Table(facts), *_cut(odd, ["session", "status", "why"], set()), Table(_missing(data))]


def _missing(data: Json) -> list[list[str]]:
    notes = [[f"{_count(data['missing'], 'session')} named, but not there"]] if data["missing"] else []
    if data["exit_code"] != 2:
        return notes
    return [*notes, ["nothing matched" if data["found"] else f"nothing matched: no input directly in {data['source']}"]]


def reset_tables(data: Json) -> list[Table]:
    """Return what was removed."""
    removed = f"{_count(data['records'], 'record')}, {_count(data['outputs'], 'output')}"
    return [Table([["at", data["destination"]], ["sessions", f"{data['sessions']:,}"], ["removed", removed]])]


def record_tables(data: Json) -> list[Table]:
    """Return where sessions stand, and every record of those that were named."""
    states = ", ".join(f"{count:,} {state}" for state, count in data["by_state"].items()) or "no records"
    rows = [
        [s["transform"], s["session_id"], s["state"], str(s["runs"]), s["last_status"], s["last_at"]]
        for s in data["sessions"]
    ]
    columns = ["transform", "session", "state", "runs", "last", "at"]
    told = [[[name.replace("_", " "), _say(value)] for name, value in r.items() if value] for r in data["records"]]
    facts = Table([["at", data["destination"]], ["sessions", states]])
    return [facts, *_cut(rows, columns, {"runs"}), *map(Table, told)]


def recording_tables(data: Json) -> list[Table]:
    """Return what is in a curated file, or in a store that was made from one."""
    if data["kind"] == "store":
        facts = [["at", data["location"]], *[[name, str(value)] for name, value in data["facts"].items()]]
        sizes = [[name, f"{size:,}"] for name, size in data["sizes"].items()]
        arrays = [[a["path"], _say_shape(a["shape"]), a["dtype"]] for a in data["arrays"]]
        return [
            Table(facts),
            *_cut(sizes, ["dimension", "length"], {"length"}),
            *_cut(arrays, ["array", "shape", "type"], set()),
        ]
    facts = [["file", data["location"]], ["size", format_bytes(data["nbytes"])]]
    facts += [["start", f"{data['start_time']} ({data['start_unit']})" if data["start_unit"] else "unknown"]]
    events = [[e["event_type"], f"{e['rows']:,}", f"{e['readable']:,}"] for e in data["events"]]
    devices = [
        [d["name"], _say_shape(d["shape"]), d["dtype"], format_bytes(d["stored_bytes"]), f"{d['gaps']:,}"]
        for d in data["devices"]
    ]
    problems = [[code, f"{count:,}"] for code, count in data["problems"].items()]
    return [
        Table(facts),
        *_cut(events, ["events", "rows", "readable"], {"rows", "readable"}),
        *_cut(devices, ["device", "shape", "type", "stored", "gaps"], {"stored", "gaps"}),
        *_cut(problems, ["problem", "count"], {"count"}),
    ]


def validation_tables(data: Json) -> list[Table]:
    """Return everything that is wrong with each file."""
    tables = []
    for report in data["files"]:
        counts = ", ".join(f"{count:,} {severity}" for severity, count in report["counts"].items() if count)
        tables.append(Table([[report["location"], "sound" if report["sound"] else "not sound", counts]]))
        rows = [
            [p["severity"], p["code"], p["path"], "" if p["row"] < 0 else str(p["row"]), p["message"]]
            for p in report["problems"]
        ]
        tables += _cut(rows, ["severity", "problem", "path", "row", "message"], {"row"})
    return tables


def difference_tables(data: Json) -> list[Table]:
    """Return what differs between a store and its source."""
    rows = ", ".join(f"{count:,} {table}" for table, count in data["rows"].items())
    found = [
        [d["kind"], d["table"], d["column"], "" if d["row"] < 0 else str(d["row"]), d["message"]]
        for d in data["differences"]
    ]
    verdict = "the store is what its source says" if data["ok"] else _count(len(found), "difference")
    columns = ["what", "table", "column", "row", "message"]
    return [
        Table([["compared", f"{rows} rows, {data['columns']:,} columns"]]),
        Table([[verdict]]),
        *_cut(found, columns, {"row"}),
    ]


def fact_tables(data: Json) -> list[Table]:
    """Return every fact of a report on a line of its own."""
    return [Table([[name.replace("_", " "), _say(value)] for name, value in data.items()])]


def _cut(rows: list[list[str]], columns: list[str], right: set[str]) -> list[Table]:
    """Return the first rows as a table, and how many more there are."""
    more = [[f"and {len(rows) - MOST_ROWS:,} more (--json has all)"]] if len(rows) > MOST_ROWS else []
    return [Table(rows[:MOST_ROWS], columns=columns, right=frozenset(right)), Table(more)]


def _say(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_say(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_say, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _say_shape(shape: list[int]) -> str:
    return " x ".join(f"{length:,}" for length in shape) or "scalar"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
