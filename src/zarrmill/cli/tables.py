"""What people are shown of each report: a table of arrays, then a line per fact, then what is worth noting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zarrmill.cli.output import Table
from zarrmill.units import format_bytes, format_seconds

Json = Mapping[str, Any]

MAX_STAGES = 12
"""More stages than this are many boxes of the same passes, which have a table of their own."""


def say(key: str, value: Any) -> str:
    """Return one JSON value for people, by what its key says that it is.

    >>> say("peak_mem", 2**20), say("seconds", 3.14159), say("chunks", [1, 20]), say("shards", None)
    ('1.0 MiB', '3.14 s', '(1, 20)', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and (key.endswith(("bytes", "_mem")) or "bytes_" in key):
        return format_bytes(int(value))
    if isinstance(value, int | float) and key.endswith("seconds"):
        return format_seconds(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        numbers = all(isinstance(item, int) for item in value)
        return f"({', '.join(map(str, value))})" if numbers else ", ".join(say("", item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={say(name, item)}" for name, item in value.items())
    return str(value)


def rechunk_tables(data: Json) -> list[Table]:
    """Return what a run has done."""
    arrays = [row | {"from": _say_division(row, "_before"), "to": _say_division(row)} for row in data["arrays"]]
    columns = {"array": "path", "shape": "shape", "dtype": "dtype", "from": "from", "to": "to", "route": "route"}
    resumed = f", {data['resumed_blocks']:,} of them by an earlier run" if data["resumed_blocks"] else ""
    kept = f" done again, {data['kept_blocks']:,} kept" if data.get("kept_blocks") else ""
    empty = f", {data['keys_empty']:,} left out that hold only the fill value" if data["keys_empty"] else ""
    facts = [
        ["target", str(data["target"])],
        ["size", f"{format_bytes(data['target_bytes'])}, {_say_count(data['keys_written'], 'key')}{empty}"],
        ["time", _say_time(data)],
        ["peak memory", _say_limit(data["peak_mem"], data)],
        [
            "read",
            f"{format_bytes(data['bytes_read'])}, {_say_reads(data['source_chunks_read'], data['source_chunks'])}",
        ],
        ["written", format_bytes(data["bytes_written"])],
        ["blocks", f"{data['blocks']:,}{kept}{resumed}"],
        *_request_facts(data.get("requests")),
        ["verified", _say_verified(data)],
    ]
    return [_pick(arrays, columns), Table(facts), _notes(data)]


def blocks_tables(data: Json) -> list[Table]:
    """Return what a run of some blocks has done."""
    resumed = f", {data['resumed_blocks']:,} of them done before" if data["resumed_blocks"] else ""
    facts = [
        ["target", str(data["target"])],
        ["stage", str(data["stage"])],
        ["blocks", f"{data['blocks']:,}{resumed}"],
        ["time", format_seconds(data["seconds"])],
        ["peak memory", f"{format_bytes(data['peak_mem'])} of {format_bytes(data['max_mem'])}"],
    ]
    return [Table(facts)]


def plan_tables(data: Json) -> list[Table]:
    """Return what a run would do."""
    arrays = [row | {"from": _say_division(row, "_before"), "to": _say_division(row)} for row in data["arrays"]]
    columns = {"array": "path", "shape": "shape", "dtype": "dtype", "from": "from", "to": "to", "route": "route"}
    passes = [{"path": row["path"]} | step for row in data["arrays"] for step in row["passes"]]
    stages = data["stages"] if len(data["stages"]) <= MAX_STAGES else ()
    seconds = data["estimated_seconds"]
    facts = [
        ["target", say("target", data["target"])],
        ["estimated time", "not measured" if seconds is None else f"about {format_seconds(seconds)}"],
        ["projected memory", _say_limit(data["projected_mem"], data)],
        ["read", f"{format_bytes(data['bytes_read'])}, every source chunk {data['reread']:.2f} times"],
        ["written", f"{format_bytes(data['bytes_written'])}, {_say_count(data['keys_written'], 'key')}"],
        ["scratch space", format_bytes(data["scratch_bytes"]) if data["scratch_bytes"] else "none"],
        ["blocks", f"{data['blocks']:,}"],
        *_request_facts(data.get("requests")),
    ]
    return [
        _pick(arrays, columns | {"read times": "reread", "keys": "keys"}),
        _pick(passes, {"array": "path", "pass": "kind", "tile": "tile", "block": "block", "blocks": "blocks",
                       "memory": "projected_mem"}),
        _pick(stages, {"stage": "name", "blocks": "blocks", "size": "bytes"}),
        Table(facts),
        _notes(data),
    ]  # fmt: skip


def update_tables(data: Json) -> list[Table]:
    """Return what an update would do again."""
    arrays = [
        row | {"new": f"{row['changed_keys']:,} of {row['source_keys']:,}", "where": ", ".join(row["changed"]) or "-"}
        for row in data["arrays"]
    ]
    columns = {"array": "path", "new source keys": "new", "where": "where", "blocks": "blocks", "kept": "kept_blocks"}
    facts = [
        ["target", f"{data['target']}{'' if data['published'] else ', which is not there yet: all is done'}"],
        ["blocks", f"{data['blocks']:,} done again, {data['kept_blocks']:,} kept"],
        ["moved", format_bytes(data["nbytes"])],
        ["projected memory", _say_limit(data["projected_mem"], data)],
    ]
    verdict = [["up to date: nothing is to be done"]] if data["current"] else []
    return [_pick(arrays, columns | {"moved": "nbytes"}), Table(facts), Table(verdict), _notes(data)]


def _request_facts(requests: Json | None) -> list[list[str]]:
    """Return a line for each end in a store, for an earlier run, and for the cost."""
    if requests is None:
        return []
    names = {"source": "requests to source", "target": "requests to target", "earlier": "of an earlier run"}
    facts = [[name, _say_requests(requests[end])] for end, name in names.items() if requests.get(end)]
    return facts + ([["cost", f"{requests['cost']:.4g}"]] if requests.get("cost") is not None else [])


def _say_requests(end: Json) -> str:
    """Return requests by kind, those that there are.

    >>> _say_requests({"gets": 1200, "puts": 0, "lists": 2, "heads": 0, "deletes": 0})
    '1,200 GET, 2 LIST'
    """
    kinds = ("gets", "puts", "lists", "heads", "deletes")
    return ", ".join(f"{end[kind]:,} {kind[:-1].upper()}" for kind in kinds if end[kind]) or "none"


def info_tables(data: Json) -> list[Table]:
    """Return what a store holds, and what unfinished runs have left beside it."""
    arrays = [array | {"shape": _say_shape(array)} for array in data["arrays"]]
    columns = {"array": "path", "shape": "shape", "dtype": "dtype", "chunks": "chunks", "shards": "shards"}
    columns |= {"codecs": "codecs", "fill": "fill_value", "size": "nbytes"}
    optional = {"keys": "keys_stored", "stored": "bytes_stored"}
    columns |= {name: key for name, key in optional.items() if any(array.get(key) is not None for array in arrays)}
    form = f"Zarr v{data['zarr_format']}" if data["zarr_format"] else "nothing but drafts"
    facts = [["location", str(data["location"])], ["format", form + ", consolidated" * data["consolidated"]]]
    if data["groups"]:
        facts.append(["groups", ", ".join(path or "/" for path in data["groups"])])
    facts += [["draft", _say_draft(draft)] for draft in data["drafts"]]
    facts += [["note", note] for note in data["notes"]]
    return [Table(facts), *([_pick(arrays, columns)] if arrays else [])]


def _say_draft(draft: Json) -> str:
    """Return a draft as one line: how far it is, and what can be done with it."""
    of = f" of {draft['blocks_total']}" if draft["blocks_total"] is not None else ""
    state = "being written" if draft["running"] else "unfinished: run its command again, or zarrmill discard it"
    if draft["running"] is None:
        state = f"begun {draft['started']}; a store cannot tell whether it is being written: if not, {state}"
    size = "" if draft["bytes"] is None else f", {format_bytes(draft['bytes'])}"
    return f"{draft['target']}, {draft['blocks_done']}{of} blocks done{size} ({state})"


def verify_tables(data: Json) -> list[Table]:
    """Return the problems, and the verdict."""
    found = "equal" if data["equal"] else f"not equal: {_say_count(len(data['problems']), 'problem')}"
    verdict = f"{found}, {_say_count(data['arrays'], 'array')} compared in {format_seconds(data['seconds'])}"
    return [_pick(data["problems"], {"problem": "code", "array": "path", "what": "message"}), Table([[verdict]])]


def digest_tables(data: Json) -> list[Table]:
    """Return the digest of every array, then that of the whole."""
    arrays = Table([[digest, path or "/"] for path, digest in data["arrays"].items()])
    return [arrays, Table([[data["digest"]]])]


def discard_tables(data: Json) -> list[Table]:
    """Return what was removed."""
    return [Table([["removed", name] for name in data["removed"]]), Table([["freed", format_bytes(data["nbytes"])]])]


def _pick(rows: Sequence[Json], columns: Mapping[str, str]) -> Table:
    """Return some keys of records under headings; columns of numbers are flush right."""
    cells = [[say(key, row.get(key)) for key in columns.values()] for row in rows]
    if "path" in columns.values():
        at = list(columns.values()).index("path")
        cells = [[*row[:at], row[at] or "/", *row[at + 1 :]] for row in cells]
    right = frozenset(
        name for name, key in columns.items() if all(isinstance(row.get(key), int | float) for row in rows)
    )
    return Table(cells, columns=list(columns), right=right)


def _notes(data: Json) -> Table:
    return Table([[f"note: {note}"] for note in data["notes"]])


def _say_shape(node: Json) -> str:
    """Return a shape in the words of ``--chunks`` where the axes have names."""
    dims = node.get("dims") or ()
    if not any(dims):
        return say("shape", node["shape"])
    return ", ".join(f"{dim}={size}" if dim else str(size) for dim, size in zip(dims, node["shape"], strict=True))


def _say_division(row: Json, suffix: str = "") -> str:
    """Return chunks, and the shards that they lie in."""
    chunks, shards = say("", row["chunks" + suffix]), row["shards" + suffix]
    return f"{chunks} in {say('', shards)}" if shards else chunks


def _say_time(data: Json) -> str:
    """Return the time, and the rate where this run did all of the work."""
    seconds = data["seconds"]
    part = data["resumed_blocks"] or data.get("kept_blocks")
    rate = "" if part else f", {format_bytes(int(data['source_bytes'] / max(seconds, 1e-9)))}/s"
    return format_seconds(seconds) + rate


def _say_limit(used: int, data: Json) -> str:
    processes = f" in each of {data['processes']} processes" if data["processes"] > 1 else ""
    return f"{format_bytes(used)} of {format_bytes(data['max_mem'])}{processes}"


def _say_reads(reads: int, chunks: int) -> str:
    times = f", each {reads / chunks:.2f} times" if chunks and reads > chunks else ""
    return f"{_say_count(chunks, 'source chunk')}{times}"


def _say_count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _say_verified(data: Json) -> str:
    meaning = {"full": "every value read back", "written": "the checksums of what was written", "none": "nothing"}
    digest = f", digest {data['digest']}" if data["digest"] else ""
    return f"{meaning.get(data['verify'], data['verify'])}{digest}"
