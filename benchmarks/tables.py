"""The report: tables per size, checklist, machine. Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.checklist import Check
from benchmarks.data import Source
from benchmarks.records import Row
from benchmarks.sizes import MIB, Size

HEAD = (
    "contender", "seconds", "min-max", "runs", "CPU s", "stolen s", "peak MiB", "limit", "source reads", "bytes read",
    "x floor", "dask is", "equal", "load",
)  # fmt: skip


def report(
    sizes: dict[str, tuple[Size, Source]],
    rows: Sequence[Row],
    *,
    checks: Sequence[Check],
    machine: dict[str, str],
    versions: dict[str, dict[str, str]],
    shortened: bool,
) -> str:
    """The whole report."""
    parts = ["# Benchmark", ", ".join(f"{key}: {value}" for key, value in machine.items())]
    parts += [
        f"{environment} environment: {', '.join(f'{name} {version}' for name, version in sorted(found.items()))}"
        for environment, found in versions.items()
        if found
    ]
    for name, (size, source) in sizes.items():
        parts.append(f"## {_title(size, source)}")
        for layout in ("shards", "files"):
            part = [row for row in rows if (row.size, row.layout) == (name, layout)]
            if part:
                parts += [f"Target in {layout}:", _table(part, source)]
                parts += ["\n".join(_remarks(part))] if any(row.remarks for row in part) else []
    parts += [
        "## Targets",
        *([SHORTENED] if shortened else []),
        "\n".join(f"- {check.line()}" for check in checks),
        LEGEND,
    ]
    return "\n\n".join(parts) + "\n"


SHORTENED = "The arrays were shortened for a try-out: these lines say nothing."

LEGEND = (
    "Seconds: the call alone in a warm process; median, for the floor the minimum. Peak: resident bytes above those "
    "just before the call, children included (of zarrmill-dask those of the largest process), the highest of all runs; "
    "a limit in brackets was not promised. Source reads: chunk files opened, and how often each. Bytes read: by all "
    "system calls, intermediates included, in units of the encoded source. `dask is`: how many times the row's seconds "
    "dask needs for the same layout. Equal: every value of every run, bit for bit. Load: highest one-minute average "
    "before a run."
)


def _title(size: Size, source: Source) -> str:
    case = size.arrays[0]
    count = f"{len(size.arrays)} x " if len(size.arrays) > 1 else ""
    return (
        f"{size.name}: {count}{_shape(case.shape)} {case.dtype}, {size.nbytes / 1e6:,.4g} MB in {source.chunks:,} "
        f"chunks ({source.encoded / 1e6:,.3g} MB encoded), ({_shape(case.source_chunks)}) to ({_shape(case.chunks)}), "
        f"shards ({_shape(case.shards)})"
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _table(rows: Sequence[Row], source: Source) -> str:
    times = {row.contender: row.seconds for row in rows}
    cells = [HEAD, *(_cells(row, source, floor=times.get("floor"), dask=times.get("dask")) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row, source: Source, *, floor: float | None, dask: float | None) -> tuple[str, ...]:
    if row.seconds is None:
        return (row.contender, "failed", *["-"] * (len(HEAD) - 4), _yes(row.equal), f"{row.load:.2f}")
    reads = "-" if row.source_reads is None else f"{row.source_reads:,} ({row.source_reads / source.chunks:.3g}x)"
    return (
        row.contender,
        f"{row.seconds:.3g}",
        f"{row.spread[0]:.3g}-{row.spread[1]:.3g}",
        str(row.repeats),
        f"{row.cpu_seconds:.3g}",
        f"{row.stolen_seconds:.2g}",
        f"{row.peak / MIB:,.0f}",
        f"{row.max_mem / MIB:,.0f}" if row.role == "ours" else f"({row.max_mem / MIB:,.0f})",
        reads,
        f"{row.read_bytes / source.encoded:.3g}x",
        f"{row.seconds / floor:.3g}" if floor else "-",
        f"{dask / row.seconds:.3g}x" if dask else "-",
        _yes(row.equal),
        f"{row.load:.2f}",
    )


def _yes(equal: bool | None) -> str:
    return "-" if equal is None else "yes" if equal else "NO"


def _remarks(rows: Sequence[Row]) -> list[str]:
    return [f"- {row.contender}: {'; '.join(row.remarks)}" for row in rows if row.remarks]
