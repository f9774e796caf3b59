"""What a store holds and how it is laid out, and what unfinished runs have left beside it; no chunk is read."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zarrmill.differences import say_value
from zarrmill.digests import stored_arrays
from zarrmill.draft import Claim, Draft, find_drafts
from zarrmill.errors import NotFoundError, PlanError, SourceFormatError
from zarrmill.execute.opening import StoredArray
from zarrmill.grid import Shape
from zarrmill.hierarchy import Hierarchy, read_hierarchy
from zarrmill.icechunk_repository import is_icechunk
from zarrmill.inventory import CHUNK_KEY, Inventory, take_inventory
from zarrmill.journal import read_results as read_journal
from zarrmill.key_journal import read_results as read_bundles
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import join
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.store import OpenedStore, is_local, local_path, open_keys, open_store, options_for
from zarrmill.store_draft import FOLDER, JOURNAL, StoreDraft

_SETTINGS = {"blosc": ("cname", "clevel", "shuffle"), "transpose": ("order",), "bytes": ("endian",)}
"""Settings of codecs that are shown, where those are not all that they have."""


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """One array."""

    path: str
    """Path below the root, "" for the root itself."""
    shape: Shape
    """Length per axis."""
    dtype: str
    """Logical data type."""
    dims: tuple[str | None, ...] | None
    """Dimension names, None where the array has none."""
    chunks: Shape
    """Shape of the smallest unit that is read."""
    shards: Shape | None
    """Shape of one stored key that holds chunks, None without shards."""
    codecs: str
    """Codecs of a chunk, such as ``zstd(0)+crc32c``; "none" for plain little-endian values."""
    fill_value: str
    """Value of missing chunks, as text."""
    nbytes: int
    """Bytes of all values, decoded; an estimate where the length of values varies."""
    keys_possible: int
    """Keys when nothing is missing."""
    keys_stored: int | None
    """Keys that are there; None where they cannot be listed."""
    bytes_stored: int | None
    """Bytes of those keys; None where listings do not say."""
    route: str
    """"driver", or what the codec driver lacks, so that zarr-python reads the array."""


@dataclass(frozen=True, slots=True)
class DraftInfo:
    """What an unfinished run has left, or what a running one holds."""

    target: str
    """Location that it would become; ``discard`` takes this."""
    folder: str
    """Where it lies."""
    bytes: int | None
    """Bytes of its files or keys, scratch folders elsewhere included; None where listings do not say."""
    blocks_done: int
    """Finished blocks."""
    blocks_total: int | None
    """Blocks of its plan; None where there is no whole plan, or one of another version."""
    source: str | None
    """Location that it reads; None where it was stopped before it said so."""
    started: str | None
    """When it was begun, ISO 8601 in UTC; None where it was stopped before."""
    running: bool | None
    """Whether a run holds it now; None in a store, which has no locks to tell."""


@dataclass(frozen=True, slots=True)
class InfoReport:
    """What is at a location."""

    location: str
    """What was looked at."""
    zarr_format: int | None
    """2 or 3, of the root; None where there are drafts alone."""
    consolidated: bool
    """Whether the root has a copy of all metadata."""
    arrays: tuple[ArrayInfo, ...]
    """The arrays, parents first."""
    groups: tuple[str, ...]
    """Paths of the groups, "" for the root."""
    drafts: tuple[DraftInfo, ...]
    """Drafts beside the location and in it, its own first."""
    notes: tuple[str, ...]
    """What people should know: what Zarr v3 cannot say of a v2 array, and arrays that cannot be read at all."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def info(location: Any, *, storage_options: Mapping[str, Any] | None = None) -> InfoReport:
    """Return what a location holds: arrays, layouts, keys and bytes stored, and drafts.

    Where there is no store yet but the draft of one, that is shown. A store at a URL is listed once, page by page;
    ``storage_options`` are those of ``open_store``. Raises NotFoundError where there is neither, and
    SourceFormatError for a folder that is not Zarr and has no draft in it.

    >>> import zarr, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> flux = zarr.create_array(f"{folder}/flux", shape=(4, 6), chunks=(1, 6), dtype="i4", compressors=None)
    >>> flux[:2] = 7
    >>> found = info(f"{folder}/flux").arrays[0]
    >>> found.keys_stored, found.keys_possible, found.bytes_stored, found.codecs, found.route
    (2, 4, 48, 'none', 'driver')
    """
    path, options = local_folder(location), options_for("source", storage_options)
    if path is None:
        return _info_of_store(location, options)
    drafts = tuple(describe_draft(draft) for draft in find_drafts(path))
    try:
        opened = open_store(location)
        hierarchy = read_hierarchy(opened)
    except (NotFoundError, SourceFormatError):
        if not any(_is_of(Path(draft.target), path) for draft in drafts):
            raise
        return InfoReport(str(path), None, False, (), (), drafts, ())
    return _report(opened, hierarchy, drafts, None)


def _info_of_store(location: Any, options: Mapping[str, Any] | None) -> InfoReport:
    """Return what a store that is not on the local disk holds."""
    keys = keys_of(location, options)
    try:
        opened = open_store(location, storage_options=options)
        hierarchy = read_hierarchy(opened)
    except (NotFoundError, SourceFormatError):
        if not keys.can_list or not StoreDraft(keys).exists():
            raise
        found = take_inventory(keys, ())
        return InfoReport(keys.location, None, False, (), (), _drafts_in(keys, found), ())
    if not keys.can_list:
        return _report(opened, hierarchy, (), None)
    found = take_inventory(keys, hierarchy.arrays)
    return _report(opened, hierarchy, _drafts_in(keys, found), found)


def _report(
    opened: OpenedStore, hierarchy: Hierarchy, drafts: tuple[DraftInfo, ...], found: Inventory | None
) -> InfoReport:
    arrays, notes = _describe_arrays(opened, hierarchy, found)
    groups = tuple(path for path, node in hierarchy.nodes.items() if node.kind == "group")
    root_format = hierarchy.nodes[""].zarr_format
    return InfoReport(opened.location, root_format, hierarchy.consolidated, arrays, groups, drafts, notes)


def _is_of(target: Path, path: Path) -> bool:
    """Tell whether a draft's target is the location or lies in it."""
    return path in (target, target.parent)


def local_folder(location: Any) -> Path | None:
    """Return the path on the local disk that a location means, there or not; None where it means none."""
    if isinstance(location, str | os.PathLike):
        text = os.fspath(location)
        return local_path(text) if is_local(text) else None
    return open_store(location).local


def keys_of(location: Any, storage_options: Mapping[str, Any] | None, *, read_only: bool = True) -> KeySpace:
    """Return the keys at a location that is not on the local disk, where there may be nothing yet."""
    if isinstance(location, str | os.PathLike) and not is_icechunk(location):
        return open_keys(location, storage_options=storage_options)
    return open_store(location, read_only=read_only, storage_options=storage_options).keys


# --- arrays ---------------------------------------------------------------------------------------------------------


def _describe_arrays(
    opened: OpenedStore, hierarchy: Hierarchy, found: Inventory | None
) -> tuple[tuple[ArrayInfo, ...], tuple[str, ...]]:
    """Return the arrays that can be read, and notes on these and the others."""
    arrays, notes = [], []
    for path, node in hierarchy.arrays.items():
        notes += [f"{path or 'array'}: {note}" for note in node.notes]
        try:
            arrays += [_describe(array, found) for array in stored_arrays(opened, hierarchy, [path]).values()]
        except SourceFormatError as error:
            notes.append(f"{error} (left out)")
    return tuple(arrays), tuple(notes)


def _describe(array: StoredArray, found: Inventory | None) -> ArrayInfo:
    layout = array.layout
    keys: int | None = None
    nbytes: int | None = None
    if array.root is not None:
        keys, nbytes = _count(array.root)
    elif found is not None:
        keys, nbytes = found.arrays[array.path].keys, found.arrays[array.path].nbytes
    return ArrayInfo(
        path=array.path,
        shape=layout.shape,
        dtype=layout.dtype,
        dims=layout.dims,
        chunks=layout.chunks,
        shards=layout.shards,
        codecs=say_codecs(layout.codecs),
        fill_value=say_value(array.fill),
        nbytes=layout.nbytes,
        keys_possible=layout.n_write_chunks,
        keys_stored=keys,
        bytes_stored=nbytes,
        route=array.driver_lacks() or "driver",
    )


def say_codecs(codecs: tuple[str, ...]) -> str:
    """Return codecs, each as JSON, in few words.

    >>> say_codecs(('{"name":"bytes","configuration":{"endian":"little"}}',
    ...             '{"name":"zstd","configuration":{"checksum":false,"level":0}}', '{"name":"crc32c"}'))
    'zstd(0)+crc32c'
    >>> say_codecs(('{"name":"bytes","configuration":{"endian":"big"}}',))
    'bytes(big)'
    """
    words = []
    for codec in map(json.loads, codecs):
        name, config = codec["name"], codec.get("configuration") or {}
        if name == "bytes" and config.get("endian", "little") == "little":
            continue
        shown = _SETTINGS.get(name) or (("level",) if "level" in config else tuple(sorted(config)))
        settings = ",".join(_say_setting(config[key]) for key in shown if key in config)
        words.append(name.removeprefix("numcodecs.") + (f"({settings})" if settings else ""))
    return "+".join(words) or "none"


def _say_setting(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _count(folder: Path) -> tuple[int, int]:
    """Return the number of chunk keys of an array's folder, and their bytes."""
    keys = nbytes = 0
    for key, size in _files(str(folder), ""):
        if CHUNK_KEY.fullmatch(key):
            keys += 1
            nbytes += size
    return keys, nbytes


def _files(folder: str, below: str) -> Iterator[tuple[str, int]]:
    """Yield relative name and size of the files below a folder, as far as a run that is at work leaves them there."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with closing(entries):
        for entry in entries:
            name = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{name}/")
                continue
            try:
                yield name, entry.stat().st_size
            except FileNotFoundError:
                continue


# --- drafts ---------------------------------------------------------------------------------------------------------


def describe_draft(draft: Draft) -> DraftInfo:
    """Return what a draft holds; nothing in it is changed, and a run that holds it is not disturbed."""
    claimed, folders = draft.read_claim(), (draft.folder, *draft.scratch_folders())
    source, started = _say_claim(claimed)
    return DraftInfo(
        target=str(draft.target),
        folder=str(draft.folder),
        bytes=sum(size for folder in folders for _, size in _files(str(folder), "")),
        blocks_done=len(read_journal(draft.journal)),
        blocks_total=None if claimed is None else _count_blocks(claimed[0]),
        source=source,
        started=started,
        running=is_running(draft),
    )


def _say_claim(claimed: tuple[Claim, int] | None) -> tuple[str | None, str | None]:
    """Return the source that a draft reads and when it was begun, None without a claim."""
    if claimed is None:
        return None, None
    location = claimed[0].source.get("location")
    started = datetime.fromtimestamp(claimed[1] / 1e9, UTC).isoformat(timespec="seconds")
    return None if location is None else str(location), started


def _drafts_in(keys: KeySpace, found: Inventory) -> tuple[DraftInfo, ...]:
    """Return the drafts of a store, that of its own root first."""
    drafts = []
    for path, stock in found.drafts.items():
        draft = StoreDraft(keys.below(path) if path else keys)
        # Before anything is published, the chunks belong to the draft as well.
        whole = not path and not found.arrays and not draft.is_published()
        drafts.append(describe_store_draft(draft, nbytes=(found.total if whole else stock).nbytes))
    return tuple(drafts)


def describe_store_draft(draft: StoreDraft, *, nbytes: int | None) -> DraftInfo:
    """Return what a draft in a store holds, given its bytes; nothing in it is changed."""
    claimed = draft.read_claim()
    source, started = _say_claim(claimed)
    return DraftInfo(
        target=draft.location,
        folder=join(draft.location, FOLDER),
        bytes=nbytes,
        blocks_done=len(read_bundles(draft.keys.below(JOURNAL))),
        blocks_total=None if claimed is None else _count_blocks(claimed[0]),
        source=source,
        started=started,
        running=None,
    )


def _count_blocks(claim: Claim) -> int | None:
    """Return the blocks of a run, for an update those that it does again."""
    try:
        again: dict[str, Any] = claim.source.get("update", {})
        return int(again["blocks"]) if again else RechunkPlan.from_json(claim.plan).n_blocks
    except (PlanError, KeyError, TypeError, ValueError):
        return None


def is_running(draft: Draft) -> bool:
    """Tell whether a run holds a draft."""
    try:
        fd = os.open(draft.folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, so that looking never keeps another look from succeeding.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
