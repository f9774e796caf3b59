"""From a request to a plan: opens the source, reads its metadata, settles layouts and routes, plans each array."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zarrmill.digest import ArrayDigest
from zarrmill.documents import encode_documents
from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError, ZarrmillError
from zarrmill.execute.opening import StoredArray
from zarrmill.hierarchy import Hierarchy, Node, read_hierarchy
from zarrmill.layout import ArrayLayout, ShardsRequest, SizesRequest, check_dimensions, find_clipped, resolve_layout
from zarrmill.metadata import (
    CodecsRequest,
    codecs_from_request,
    group_document,
    layout_of,
    shards_lack,
    target_document,
    zarr_array,
)
from zarrmill.plan.array_plan import ArrayPlan, Route
from zarrmill.plan.arrays import Job, Limits, plan_array
from zarrmill.plan.memory import Remote
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.store import OpenedStore

VERIFY = ("full", "written", "none")
"""Ways to verify, the most thorough first."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a rechunk, as checked values."""

    chunks: SizesRequest | None
    """Chunks, see ``zarrmill.rechunk``."""
    shards: ShardsRequest
    """Shards."""
    codecs: CodecsRequest
    """"keep", names of codecs, or documents, for all arrays or by path."""
    checksum: bool
    """Whether inner chunks of shards end in a CRC-32C."""
    verify: str
    """One of VERIFY."""
    arrays: tuple[str, ...] | None
    """Paths of the arrays wanted, None for all."""
    before: Mapping[str, ArrayLayout] = field(default_factory=dict)
    """Layouts of a target that is brought up to date: automatic shards stay as they are, however the array grew."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with its source opened: everything that a run needs but the target."""

    source: OpenedStore
    """The source."""
    hierarchy: Hierarchy
    """Its nodes, those that are wanted."""
    stored: dict[str, StoredArray]
    """Its arrays by path."""
    documents: dict[str, dict[str, Any]]
    """Metadata of the target by path."""
    jobs: dict[str, Job]
    """What is to be planned, by path."""
    notes: tuple[str, ...]
    """What people should know."""
    remote: Remote
    """Which ends are reached by requests to a store."""

    def encoded_documents(self) -> dict[str, bytes]:
        """Return the target's metadata files by path, consolidated in the root's where the source's were."""
        return encode_documents(self.documents, consolidated=self.hierarchy.consolidated)

    def identity(self) -> dict[str, Any]:
        """Return what tells this source from another: its location and its metadata."""
        nodes = {path: node.metadata for path, node in self.hierarchy.nodes.items()}
        return {"location": self.source.location, "metadata": json.loads(json.dumps(nodes, default=str))}


def prepare(opened: OpenedStore, request: Request, *, remote: Remote | None = None) -> Prepared:
    """Settle what the arrays of a source become. Raises InvalidInputError, NotFoundError, SourceFormatError.

    ``remote`` tells which ends besides the source are reached by requests to a store, which take memory.
    """
    if request.verify not in VERIFY:
        raise InvalidInputError(f"verify {request.verify!r} is not known. Use one of {', '.join(VERIFY)}.")
    remote = replace(remote or Remote(), source=opened.copies)
    whole = read_hierarchy(opened)
    hierarchy = _selected(whole, request.arrays)
    stored = {path: _readable(opened, node) for path, node in hierarchy.arrays.items()}
    layouts = {path: array.layout for path, array in stored.items()}
    check_dimensions(request.chunks, layouts, what="chunks")
    check_dimensions(request.shards, layouts, what="shards")
    documents: dict[str, dict[str, Any]] = {}
    jobs: dict[str, Job] = {}
    notes: list[str] = []
    for path, node in hierarchy.nodes.items():
        if node.kind == "group":
            documents[path] = group_document(node)
            continue
        documents[path], jobs[path], more = _settle(node, stored[path], request, explicit=whole.is_array)
        jobs[path] = replace(jobs[path], remote=remote)
        notes += [f"{path or 'array'}: {note}" for note in (*node.notes, *more)]
    return Prepared(opened, hierarchy, stored, documents, jobs, tuple(notes), remote)


def prepare_planned(opened: OpenedStore, plan: RechunkPlan) -> Prepared:
    """Open the source of a plan that was made before; raises NotFoundError for an array that is no longer there."""
    hierarchy = _selected(read_hierarchy(opened), tuple(array.path for array in plan.arrays))
    stored = {path: _readable(opened, node) for path, node in hierarchy.arrays.items()}
    documents = {path: json.loads(text) for path, text in plan.documents}
    return Prepared(opened, hierarchy, stored, documents, {}, plan.notes, Remote(source=opened.copies))


def _readable(opened: OpenedStore, node: Node) -> StoredArray:
    """Return an array of the source; raises SourceFormatError when its metadata make no sense to a reader."""
    try:
        stored = StoredArray(opened, node.path, node.metadata, layout_of(node))
        if not all(isinstance(n, int) for n in (*stored.layout.chunks, *stored.layout.write_chunk)):
            raise ValueError(f"chunks {stored.layout.chunks} are no whole numbers")
        if stored.driver_lacks() is None:
            stored.chain()
        else:
            zarr_array(node.metadata, opened, node.path)
    except ZarrmillError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        name = f"{opened.location}/{node.path}".rstrip("/")
        raise SourceFormatError(f"{name}: malformed metadata ({type(error).__name__}: {error})") from error
    return stored


def make_plan(prepared: Prepared, *, target: str, limits: Limits, verify: str) -> RechunkPlan:
    """Plan every array of a prepared request. Raises MemoryLimitError."""
    plans = tuple(plan_array(job, limits) for job in prepared.jobs.values())
    documents = prepared.encoded_documents()
    ordered = sorted(documents, key=lambda path: (path == "", path))
    return RechunkPlan(
        source=prepared.source.location,
        target=target,
        arrays=plans,
        max_mem=limits.max_mem,
        processes=limits.workers,
        threads=limits.threads,
        verify=verify,
        documents=tuple((path, documents[path].decode()) for path in ordered),
        notes=prepared.notes,
        remote=prepared.remote,
    )


def _selected(hierarchy: Hierarchy, arrays: tuple[str, ...] | None) -> Hierarchy:
    """Return the wanted arrays and the groups that they lie in."""
    if arrays is None:
        return hierarchy
    wanted = {path.strip("/") for path in arrays}
    if not wanted:
        raise InvalidInputError(f"no arrays are wanted. Name some of {sorted(hierarchy.arrays)}, or leave arrays out.")
    unknown = sorted(wanted - set(hierarchy.arrays))
    if unknown:
        raise NotFoundError(f"array {unknown[0]!r} is not in the source. It has {sorted(hierarchy.arrays)}.")
    nodes = {
        path: node
        for path, node in hierarchy.nodes.items()
        if path in wanted or not path or (node.kind == "group" and any(_below(array, path) for array in wanted))
    }
    return replace(hierarchy, nodes=nodes)


def _below(array: str, group: str) -> bool:
    return array.startswith(f"{group}/")


def _settle(
    node: Node, stored: StoredArray, request: Request, *, explicit: bool
) -> tuple[dict[str, Any], Job, list[str]]:
    """Return the target's metadata of one array, what is to be planned for it, and notes."""
    layout = resolve_layout(
        stored.layout, path=node.path, chunks=request.chunks, shards=request.shards, explicit=explicit
    )
    before = request.before.get(node.path)
    if request.shards == "auto" and before is not None and before.chunks == layout.chunks:
        layout = replace(layout, shards=before.shards)
    lacks = shards_lack(node.metadata) if layout.shards else None
    layout = replace(layout, shards=None) if lacks else layout
    codecs = codecs_from_request(request.codecs, layout, path=node.path)
    document = target_document(node, layout, codecs=codecs, checksum=request.checksum)
    made = layout_of(replace(node, metadata=document, zarr_format=3))
    made = replace(made, itemsize=stored.layout.itemsize)
    # Where the draft will lie does not matter for the route, only that it is local.
    target = StoredArray(replace(stored.opened, local=stored.opened.local or _ANY_FOLDER), node.path, document, made)
    read_lacks, write_lacks = stored.driver_lacks(), target.driver_lacks()
    read: Route = "zarr" if read_lacks else "driver"
    write: Route = "zarr" if write_lacks else "driver"
    notes = [f"without shards: {lacks}"] if lacks else []
    notes += _lack_notes(read_lacks, write_lacks) + find_clipped(stored.layout, path=node.path, chunks=request.chunks)
    if read == write == "driver" and _same_chunks(stored.layout, made):
        read = write = "bytes"
    job = Job(node.path, stored.layout, made, read, write, verify=request.verify == "full")
    return document, job, notes


_ANY_FOLDER = Path(os.sep)


def _lack_notes(read_lacks: str | None, write_lacks: str | None) -> list[str]:
    notes = []
    if read_lacks:
        notes.append(f"read through zarr-python, slower and with an estimated limit ({read_lacks})")
    if write_lacks:
        notes.append(f"written through zarr-python, slower and with an estimated limit ({write_lacks})")
    return notes


def _same_chunks(source: ArrayLayout, target: ArrayLayout) -> bool:
    """Tell whether the target's inner chunks are the source's bytes, apart from a checksum at their end."""
    return source.chunks == target.chunks and _without_checksum(source) == _without_checksum(target)


def _without_checksum(layout: ArrayLayout) -> list[Any]:
    codecs = [json.loads(codec) for codec in layout.codecs]
    return codecs[:-1] if codecs and codecs[-1]["name"] == "crc32c" else codecs


def array_digest(plan: ArrayPlan) -> ArrayDigest:
    """Return the digest of arrays like the one of a plan."""
    return ArrayDigest(plan.source.shape, plan.source.dtype)
