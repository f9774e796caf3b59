"""Every option of the command line, once, and what its text means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from zarrmill.errors import InvalidInputError
from zarrmill.units import parse_sizes

Sizes = dict[str, int] | tuple[int, ...]
"""By dimension name or by axis."""
SizesRequest = Sizes | dict[str, Sizes]
"""For all arrays, or by array path."""

VERBOSE = "zarrmill.verbose"
"""Key of the context's ``meta`` that holds whether to show tracebacks."""

_LAYOUT = "Layout"
_RESOURCES = "Memory and processes"
_SAFETY = "Safety"
_STORES = "Stores at URLs"
_OUTPUT = "Output"


EXECUTORS = ("serial", "threads", "processes")
"""Values of ``--executor`` that a shell can complete; the others are addresses."""


class VerifyChoice(StrEnum):
    """What is checked of what was written."""

    full = "full"
    written = "written"
    none = "none"


class ProgressChoice(StrEnum):
    """How progress is shown."""

    auto = "auto"
    bar = "bar"
    lines = "lines"
    json = "json"
    none = "none"


def _remember_verbose(context: typer.Context, value: bool) -> bool:
    context.meta[VERBOSE] = value
    return value


def _check_executor(value: str | None) -> str | None:
    if value is None or value in EXECUTORS or "://" in value:
        return value
    names = ", ".join(EXECUTORS)
    raise typer.BadParameter(f"{value!r} is not one of {names} or an address such as tcp://host:8786")


Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Zarr array, group or hierarchy to read, v2 or v3.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="Where the Zarr v3 copy goes.")]
OptionalTarget = Annotated[str | None, typer.Argument(metavar="TARGET", help="Where the Zarr v3 copy would go.")]
Store = Annotated[str, typer.Argument(metavar="STORE", help="Zarr array, group or hierarchy.")]
StoreA = Annotated[str, typer.Argument(metavar="A", help="Zarr array, group or hierarchy.")]
StoreB = Annotated[str, typer.Argument(metavar="B", help="What A is compared with.")]

Chunks = Annotated[
    list[str] | None,
    typer.Option(
        "--chunks",
        metavar="SIZES",
        help="Chunks by dimension (object=1,epoch=-1; -1 is the whole axis) or by axis (1,-1). For single arrays put "
        "the path before (flux:1,-1) and repeat the option. Without it the source's chunks are kept.",
        rich_help_panel=_LAYOUT,
    ),
]
Shards = Annotated[
    list[str] | None,
    typer.Option(
        "--shards",
        metavar="SIZES|auto|none",
        help="Shards, in the same words as --chunks; auto (the default) makes shards where chunks are small or many.",
        rich_help_panel=_LAYOUT,
    ),
]
Codec = Annotated[
    str,
    typer.Option(
        "--codec",
        metavar="NAME[:LEVEL]|keep",
        help="Codec of the target, such as zstd:5; keep takes the source's.",
        rich_help_panel=_LAYOUT,
    ),
]
Arrays = Annotated[
    list[str] | None,
    typer.Option("--array", metavar="PATH", help="Only this array; repeat it for more.", rich_help_panel=_LAYOUT),
]
MaxMem = Annotated[
    str,
    typer.Option(
        "--max-mem",
        metavar="SIZE",
        help="Memory that each process may use above what it holds at the start: 512MiB, 2GiB.",
        rich_help_panel=_RESOURCES,
    ),
]
Executor = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="serial|threads|processes|ADDRESS",
        help="Where blocks run; threads unless something else is said. ADDRESS is that of a dask scheduler, "
        "tcp://host:8786; its workers must see source and target.",
        autocompletion=lambda: list(EXECUTORS),
        callback=_check_executor,
        rich_help_panel=_RESOURCES,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Threads, or processes with --executor processes; as many as cores unless said. Of a cluster: workers "
        "used at the most.",
        rich_help_panel=_RESOURCES,
    ),
]
Scratch = Annotated[
    str | None,
    typer.Option(
        "--scratch",
        metavar="DIR",
        help="Where an intermediate goes when one is needed; beside the target unless said.",
        rich_help_panel=_RESOURCES,
    ),
]
Verify = Annotated[
    VerifyChoice,
    typer.Option(
        "--verify",
        help="full reads every value back, written checks the checksums of what was written, none trusts.",
        rich_help_panel=_SAFETY,
    ),
]
Sync = Annotated[
    bool,
    typer.Option("--sync/--no-sync", help="Have the disk confirm before publishing.", rich_help_panel=_SAFETY),
]
Checksum = Annotated[
    bool,
    typer.Option("--checksum/--no-checksum", help="Add a checksum to chunks in shards.", rich_help_panel=_SAFETY),
]
Resume = Annotated[
    bool,
    typer.Option("--resume/--no-resume", help="Continue after the blocks of a stopped run.", rich_help_panel=_SAFETY),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an existing target, once the new one is whole.", rich_help_panel=_SAFETY),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Bring an existing target up to date: only blocks that read something new or changed are done again.",
        rich_help_panel=_SAFETY,
    ),
]
PlanUpdate = Annotated[
    bool,
    typer.Option(
        "--update",
        help="Show which blocks `rechunk --update` would do again, and how much of the source is new or changed.",
        rich_help_panel=_SAFETY,
    ),
]
StorageOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-option",
        metavar="KEY=VALUE",
        help="Option of a store at a URL, such as endpoint, region or timeout; repeat it for more. source.KEY and "
        "target.KEY are for one end alone (of two stores the first is the source).",
        rich_help_panel=_STORES,
    ),
]
Price = Annotated[
    str | None,
    typer.Option(
        "--price",
        metavar="KIND=PRICE,…",
        help="Prices of 1,000 requests (get, put, list, head, delete) and of a GB that is read (transfer), such as "
        "get=0.0004,put=0.005: the cost of a run is told as well.",
        rich_help_panel=_STORES,
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option("--calibrate/--no-calibrate", help="Estimate the time from a short measurement."),
]
Each = Annotated[bool, typer.Option("--each", help="Print the digest of every array as well.")]
Progress = Annotated[
    ProgressChoice,
    typer.Option(
        "--progress",
        help="On standard error; auto is a bar on a terminal and lines elsewhere.",
        rich_help_panel=_OUTPUT,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_OUTPUT)]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        callback=_remember_verbose,
        help="Show the traceback of an error.",
        rich_help_panel=_OUTPUT,
    ),
]
PlanFile = Annotated[str, typer.Argument(metavar="PLAN", help="File that zarrmill plan --out has written.")]
PlanOut = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Also write the plan to a file, whose blocks zarrmill run runs."),
]
StageNumber = Annotated[int, typer.Option("--stage", min=1, metavar="N", help="Stage of the plan, from 1.")]
BlockRange = Annotated[
    str | None,
    typer.Option("--blocks", metavar="A:B", help="Its blocks A to B - 1, counted from 0; all unless said."),
]
CheckOnly = Annotated[bool, typer.Option("--check", help="Verify by the digests in the journal and publish nothing.")]
DemoOut = Annotated[str, typer.Option("--out", metavar="DIR", help="Where the demonstration puts its files.")]
DemoObjects = Annotated[int | None, typer.Option("--objects", min=1, metavar="N", help="Objects of the survey.")]
DemoEpochs = Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Epochs of the survey.")]
DemoSeed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of everything random.")]
DemoMaxMem = Annotated[str | None, typer.Option("--max-mem", metavar="SIZE", help="Memory limit: 256MiB, 1GiB.")]


def read_blocks(text: str | None) -> slice:
    """Return the slice that ``--blocks`` means.

    >>> read_blocks("0:500"), read_blocks("500:"), read_blocks(None)
    (slice(0, 500, None), slice(500, None, None), slice(None, None, None))
    """
    if text is None:
        return slice(None)
    start, colon, stop = text.partition(":")
    numbers = [int(part) if part.isdecimal() else None for part in (start, stop)]
    wrong = any(part and number is None for part, number in zip((start, stop), numbers, strict=True))
    first, last = numbers
    if not colon or wrong or (first is not None and last is not None and first >= last):
        raise InvalidInputError(f"--blocks {text!r} is not a range. Write it as 0:500, 500: or :500.")
    return slice(first, last)


def read_chunks(texts: Sequence[str] | None) -> SizesRequest | None:
    """Return the request that ``--chunks`` makes, None where it is not given.

    >>> read_chunks(["object=1,epoch=-1"]), read_chunks(["flux:1,-1", "meta/quality:100"])
    ({'object': 1, 'epoch': -1}, {'flux': (1, -1), 'meta/quality': (100,)})
    """
    sizes, by_path = _read_by_path(texts or (), option="--chunks")
    return by_path or sizes


def read_shards(texts: Sequence[str] | None) -> SizesRequest | Literal["auto"] | None:
    """Return the request that ``--shards`` makes: sizes, "auto", or None for no shards.

    >>> read_shards(None), read_shards(["none"]), read_shards(["flux:1000,-1"])
    ('auto', None, {'flux': (1000, -1)})
    """
    if not texts or list(texts) == ["auto"]:
        return "auto"
    if list(texts) == ["none"]:
        return None
    sizes, by_path = _read_by_path(texts, option="--shards")
    return by_path or sizes


def read_storage_options(texts: Sequence[str] | None) -> Mapping[str, Any] | None:
    """Return the options that ``--storage-option`` gives, those of one end below its name; None where there are none.

    >>> read_storage_options(["region=x", "source.endpoint=http://127.0.0.1:9000"])
    {'region': 'x', 'source': {'endpoint': 'http://127.0.0.1:9000'}}
    """
    found: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        end, dot, key = name.strip().rpartition(".")
        if not (equals and key) or (dot and end not in ("source", "target")):
            raise InvalidInputError(
                f"--storage-option {text!r} is no option. Write key=value, or source.key=value or target.key=value for "
                f"one end."
            )
        options = found.setdefault(end, {}) if end else found
        if key in options:
            raise InvalidInputError(f"--storage-option {name.strip()} is given twice. Give it once.")
        options[key] = value
    return found or None


def check_plan_update(target: str | None, *, out: str | None, price: str | None) -> None:
    """Raise InvalidInputError for what makes no sense beside ``plan --update``."""
    if target is None:
        raise InvalidInputError("--update compares SOURCE with the target that was made from it. Name the TARGET, too.")
    if out is not None:
        raise InvalidInputError("--out writes a plan for array jobs, which make a target anew. Leave out --update.")
    if price is not None:
        raise InvalidInputError("--price is not known for an update. Leave out one of --price and --update.")


def read_prices(text: str | None) -> dict[str, float] | None:
    """Return the prices that ``--price`` gives, None without it.

    >>> read_prices("get=0.0004, put=0.005")
    {'get': 0.0004, 'put': 0.005}
    """
    if text is None:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        kind, _, price = part.partition("=")
        try:
            found[kind.strip()] = float(price)
        except ValueError:
            raise InvalidInputError(
                f"--price {part.strip()!r} is no price. Write kinds with their prices, such as get=0.0004,put=0.005."
            ) from None
    return found


def _read_by_path(texts: Sequence[str], *, option: str) -> tuple[Sizes | None, dict[str, Sizes]]:
    """Return the sizes for all arrays, and those by path; never both."""
    general: Sizes | None = None
    by_path: dict[str, Sizes] = {}
    for text in texts:
        path, colon, sizes = text.rpartition(":")
        path = path.strip("/ ")
        if (colon and path in by_path) or (not colon and general is not None):
            where = f"{path!r}" if colon else "all arrays"
            raise InvalidInputError(f"{option} is given twice for {where}. Give it once.")
        if colon:
            by_path[path] = parse_sizes(sizes)
        else:
            general = parse_sizes(sizes)
    if by_path and general is not None:
        raise InvalidInputError(
            f"{option} is given for all arrays and for {next(iter(by_path))!r}. Put a path before each, or before none."
        )
    return general, by_path
