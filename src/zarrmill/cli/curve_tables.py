"""What people are shown of light curves and of what was done with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from zarrmill.cli.output import Table
from zarrmill.cli.tables import say

Json = Mapping[str, Any]
STATUS = ("not ingested", "not observed", "not detected", "")
"""How a status is shown; a value speaks for itself."""


def fact_tables(data: Json) -> list[Table]:
    """Return every fact of a report on a line of its own."""
    rows = [[_say_name(key), _say_fact(key, value)] for key, value in data.items() if not isinstance(value, Mapping)]
    return [Table(rows)]


def _say_name(key: str) -> str:
    return "size" if key == "nbytes" else key.replace("_", " ")


def _say_fact(key: str, value: Any) -> str:
    """Return a fact; a time is a modified Julian date, of which every digit counts."""
    return f"MJD {value:.5f}" if key.endswith("_time") and value is not None else say(key, value)


def ingest_tables(data: Json) -> list[Table]:
    """Return what became of every table, its rows and its epochs."""
    tables, notes = [], []
    for report in data["tables"]:
        rows = report["rows"]
        outcomes = [epoch["outcome"] for epoch in report["epochs"]]
        tables.append(
            [
                rows["source"],
                rows["preset"],
                rows["match"],
                say("rows", rows["rows"]),
                say("matched", rows["matched"]),
                ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes)) or "-",
            ]
        )
        for fate, named in rows["fates"].items():
            first = ", ".join(named["names"][:5] or map(str, named["rows"][:5]))
            notes.append([f"{rows['source']}: {named['count']:,} {fate.replace('_', ' ')}: {first}"])
        notes += [[f"{rows['source']}: {note}"] for note in (*rows["notes"], *report["notes"])]
        if report["added_objects"]:
            notes.append([f"{rows['source']}: {report['added_objects']:,} objects added"])
    columns = ["table", "preset", "matched by", "rows", "matched", "epochs"]
    return [Table(tables, columns=columns, right=frozenset({"rows", "matched"})), Table(notes)]


def curve_tables(data: Json) -> list[Table]:
    """Return each light curve, an epoch on a line."""
    tables = []
    for curve in data["curves"]:
        names = curve["measurements"]
        columns = ["epoch", f"time ({curve['scale']})"]
        columns += [f"{array} {name}" for name in names for array in curve["arrays"]] + ["", *[""] * (len(names) - 1)]
        rows = []
        for i, epoch in enumerate(curve["epoch"]):
            values = [_say_value(curve["arrays"][a][i][j]) for j in range(len(names)) for a in curve["arrays"]]
            why = [_say_status(curve["status"][i][j], name) for j, name in enumerate(names)]
            rows.append([str(epoch), _say_value(curve["time"][i], "{:.5f}"), *values, *why])
        place = "" if curve["ra"] is None else f", ra {curve['ra']:.5f}, dec {curve['dec']:+.5f}"
        tables += [Table([[f"{curve['key']}{place}"]]), Table(rows, columns=columns, right=frozenset(columns[:-1]))]
    return tables


def _say_value(value: float | None, form: str = "{:.6g}") -> str:
    return "-" if value is None or math.isnan(value) else form.format(value)


def _say_status(status: int, name: str) -> str:
    return f"{name} {STATUS[status]}" if STATUS[status] else ""


def row_tables(data: Json) -> list[Table]:
    """Return rows under headings."""
    columns: Sequence[str] = data["columns"]
    rows = [[_say_cell(value) for value in row] for row in data["rows"]]
    notes = [[note] for note in data["notes"]]
    return [Table(rows, columns=columns, right=frozenset(columns[1:])), Table(notes)]


def _say_cell(value: Any) -> str:
    return _say_value(value, "{:.7g}") if isinstance(value, float) else str(value)


def check_tables(data: Json) -> list[Table]:
    """Return the problems, and the verdict."""
    found = [[problem["code"], problem["path"], problem["message"]] for problem in data["problems"]]
    verdict = "sound" if data["sound"] else f"not sound: {_say_count(len(found), 'problem')}"
    counts = " and ".join(_say_count(data[name], name.removesuffix("s")) for name in ("blocks", "epochs"))
    seen = f"{counts} read in {say('seconds', data['seconds'])}"
    return [Table(found, columns=["problem", "where", "what"]), Table([[f"{verdict}, {seen}"]])]


def _say_count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
