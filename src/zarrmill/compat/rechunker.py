"""rechunker's own call, done by zarrmill: changing the import is the migration.

``from rechunker import rechunk`` becomes ``from zarrmill.compat.rechunker import rechunk``. The differences: the target
is Zarr v3, with shards unless ``target_options`` say ``{"shards": None}``; codecs that are not named are kept; groups
in which no wanted array lies are left out; nothing is written before ``execute``; what was written is verified; no
``temp_store`` is needed, and one that is given is empty afterwards.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import zarr

from zarrmill.compat.sources import Source, open_source
from zarrmill.compat.target_chunks import chunks_by_path
from zarrmill.compat.targets import (
    check_members,
    consolidate,
    extend_group,
    is_free,
    local_folder,
    open_target,
    read_target,
)
from zarrmill.compat.xarray_source import ENCODING
from zarrmill.compat.zarr_options import ArrayOptions, default_codecs, read_options
from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.execute.executors import is_cluster
from zarrmill.grid import Shape
from zarrmill.hierarchy import Hierarchy
from zarrmill.layout import choose_shards
from zarrmill.metadata import numpy_dtype_of
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.progress import Progress
from zarrmill.rechunk import plan_rechunk
from zarrmill.rechunk import rechunk as run_rechunk
from zarrmill.units import format_bytes, parse_bytes

NOT_LOCAL = "read through zarr-python"
"""What the engine says of every source that is no store on the local disk; for computed ones one note says more."""
LEAST_MEM = 64 * 2**20
"""Smallest limit in bytes: rechunker's counts the chunks of a task alone, and its examples begin at 256 kB."""
_EXECUTORS = {"dask": "threads", "beam": "threads", "prefect": "threads", "pywren": "threads", "python": "serial"}
_OWN = ("threads", "serial", "processes")
_SCHEDULERS = {
    "threads": "threads", "threading": "threads", "processes": "processes", "multiprocessing": "processes",
    "sync": "serial", "synchronous": "serial", "single-threaded": "serial",
}  # fmt: skip
_IGNORED = ("optimize_graph", "traverse", "retries", "priority", "resources", "allow_other_workers", "pool", "get")
"""Keywords for dask's scheduler, which has nothing to do here."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A call of ``rechunk``, with everything settled that can be before it runs."""

    source: Source
    chunks: dict[str, Shape]
    options: dict[str, ArrayOptions]
    target: Path
    members: Hierarchy | None
    """Nodes of the group at the target to which the arrays are added; None for a new target."""
    max_mem: int
    executor: str | Executor
    scratch: Path | None

    def keywords(self) -> dict[str, Any]:
        """Return what the engine is asked for the source as a whole."""
        if self.source.is_array:
            return self.keywords_of("")
        codecs = {path: options.codecs for path, options in self.options.items() if options.codecs is not None}
        return {
            "chunks": self.chunks or None,
            "shards": self._shards(),
            "codecs": codecs or "keep",
            "arrays": tuple(self.chunks),
            "max_mem": self.max_mem,
            "executor": self.executor,
        }

    def keywords_of(self, path: str) -> dict[str, Any]:
        """Return what the engine is asked for one array alone."""
        options = self.options[path]
        codecs = "keep" if options.codecs is None else {"": options.codecs}
        common = {"max_mem": self.max_mem, "executor": self.executor}
        return {"chunks": self.chunks[path], "shards": options.shards, "codecs": codecs, **common}

    def _shards(self) -> Any:
        """Return "auto", or the shards of every array where those of one are given."""
        if all(isinstance(options.shards, str) for options in self.options.values()):
            return "auto"
        return {path: self._shards_of(path) for path in self.chunks}

    def _shards_of(self, path: str) -> Any:
        layout, asked = self.source.layouts[path], self.options[path].shards
        if not isinstance(asked, str):
            return asked
        chunks = tuple(n if c < 0 else c for c, n in zip(self.chunks[path], layout.shape, strict=True))
        return choose_shards(replace(layout, chunks=chunks, shards=None), source_chunks=layout.write_chunk)


class Rechunked:
    """A planned rechunking, done by ``execute``."""

    def __init__(self, shown: Any, request: _Request, notes: tuple[str, ...]) -> None:
        """Hold a request; ``shown`` is the source as it was given."""
        self._shown = shown
        self._request = request
        self._notes = notes

    @cached_property
    def plan(self) -> RechunkPlan:
        """The plan: passes, tiles, blocks and projected memory of each array."""
        target = self._request.target
        known = target if target.parent.is_dir() and self._request.members is None else None
        return plan_rechunk(self._request.source.opened, known, **self._request.keywords())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is done otherwise than rechunker did it."""
        of_plan = [note for note in self.plan.notes if not (self._request.source.computed and NOT_LOCAL in note)]
        return (*self._notes, *of_plan)

    def execute(
        self,
        *,
        num_workers: int | None = None,
        scheduler: Any = None,
        verify: str | None = None,
        resume: bool = True,
        progress: Progress | None = None,
        **ignored: Any,
    ) -> zarr.Array[Any] | zarr.Group:
        """Write the target and return it: an array for an array, a group for a group or a dataset.

        ``num_workers`` and ``scheduler`` are those of ``dask.compute``, of which the names count here and clients do
        not; ``verify``, ``resume`` and ``progress`` those of ``zarrmill.rechunk``, with its errors. All values are
        verified unless filters were asked for that may round them. Arrays for a group that exists appear in it one
        after the other, everything else at once.
        """
        unknown = sorted(set(ignored) - set(_IGNORED))
        if unknown:
            raise InvalidInputError(f"execute has no keyword {unknown[0]!r}.")
        request = self._request
        executor = _SCHEDULERS.get(scheduler, request.executor) if isinstance(scheduler, str) else request.executor
        verify = verify or ("written" if _any_rounds(request.options) else "full")
        more: dict[str, Any] = {"workers": num_workers, "verify": verify, "resume": resume, "progress": progress}
        if request.scratch is not None:
            os.makedirs(request.scratch, exist_ok=True)
            more["scratch"] = request.scratch
        os.makedirs(request.target.parent, exist_ok=True)
        if request.members is None:
            overwrite = is_free(request.target) or _all_overwrite(request.options)
            keywords = request.keywords() | {"executor": executor} | more
            run_rechunk(request.source.opened, request.target, overwrite=overwrite, **keywords)
        else:
            self._add_members(executor, more)
        return open_target(request.target)

    def _add_members(self, executor: str | Executor, more: dict[str, Any]) -> None:
        request = self._request
        extend_group(request.target, request.source.hierarchy, request.chunks)
        for path, options in request.options.items():
            target = request.target / path
            overwrite = is_free(target) or options.overwrite
            keywords = request.keywords_of(path) | {"executor": executor} | more
            run_rechunk(request.source.member(path), target, overwrite=overwrite, **keywords)
        if request.source.hierarchy.consolidated or (request.members and request.members.consolidated):
            consolidate(request.target)

    def __repr__(self) -> str:
        lines = [f"\n* {name:<12}: {text}\n" for name, text in self._entries()]
        return f"<Rechunked>{''.join(lines)}"

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in self._entries()]
        return f"<h2>Rechunked</h2><table>{''.join(rows)}</table>"

    def _entries(self) -> list[tuple[str, str]]:
        plan, source = self.plan, self._shown
        text = repr(source) if "\n" not in repr(source) else f"{type(source).__name__} of {len(plan.arrays)} arrays"
        entries = [("Source", text)]
        if plan.scratch_bytes:
            entries.append(("Intermediate", format_bytes(plan.scratch_bytes)))
        entries.append(("Target", str(self._request.target)))
        passes = max(len(array.passes) for array in plan.arrays)
        memory = f"{format_bytes(plan.projected_mem)} of {format_bytes(plan.max_mem)}"
        entries.append(("Plan", f"blocks: {plan.n_blocks}, passes: {passes}, memory: {memory}"))
        return entries + [("Note", note) for note in self.notes]


def rechunk(
    source: Any,
    target_chunks: Any,
    max_mem: str | int | float,
    target_store: Any,
    target_options: Mapping[str, Any] | None = None,
    temp_store: Any = None,
    temp_options: Mapping[str, Any] | None = None,
    executor: str | Executor | Any = "dask",
    array_name: str | None = None,
) -> Rechunked:
    """Plan a rechunking as rechunker's function of the same name does; ``execute`` does it.

    Args:
        source: zarr Array or Group (or the path of one), dask array, or xarray Dataset.
        target_chunks: for an array a tuple, a dict with every dimension, or None for the chunks that it has; for a
            group a dict of those by array, and arrays not in it are left out; for a dataset the same (variables not in
            it keep their chunks), or a dict by dimension. -1 is the whole axis, and longer chunks are clipped to it.
        max_mem: bytes, or text like "256MB", for the whole process; below 64 MiB it is raised to that, with a note.
        target_store: path on the local disk, a zarr store there, or a group to which the arrays are added.
        target_options: for an array ``{"compressor": …, "filters": …, "overwrite": …, "shards": …}``, for a group or a
            dataset those by name; for the variables of a dataset also encoding, such as ``{"dtype": "i2"}``.
        temp_store: folder for intermediates, made when it is needed; not needed, because there is one by default.
        temp_options: changes nothing, because intermediates are not Zarr.
        executor: a name of rechunker's, of which "python" is one thread and the others a thread per core, or
            anything that ``zarrmill.rechunk`` takes.
        array_name: name of an array in a group given as ``target_store``.

    Returns:
        The planned rechunking.

    Raises:
        InvalidInputError: chunks, options or an executor that mean nothing.
        NotFoundError: an array that the source has not.
        AlreadyExistsError: there is something at the target, and no "overwrite" in its options.
        MemoryLimitError: no plan fits into ``max_mem``; raised by ``plan`` and ``execute``.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> source = zarr.create_array(f"{folder}/a.zarr", shape=(4, 4), chunks=(2, 2), dtype="f8")
    >>> source[:] = 1.0
    >>> rechunked = rechunk(source, target_chunks=(4, 1), max_mem=256000, target_store=f"{folder}/b.zarr")
    >>> rechunked.execute().chunks
    (4, 1)
    """
    opened = open_source(source, target_options or {})
    chunks = chunks_by_path(opened, target_chunks)
    options = _read_options(opened, chunks, target_options or {})
    folder, members = _target(opened, target_store, array_name, chunks, options)
    limit = parse_bytes(int(max_mem) if isinstance(max_mem, float) else max_mem)
    engine, notes = _executor(executor, computed=opened.computed)
    for path, found in options.items():
        notes += [f"{path or 'array'}: {note}" for note in found.notes]
    if _any_rounds(options):
        notes.append("filters may round values, so that stored bytes are verified and values are not")
    if opened.computed:
        notes.append("the source is computed chunk by chunk as it is read; what that takes comes on top of max_mem")
    if limit < LEAST_MEM:
        notes.append(
            f"max_mem {format_bytes(limit)} is raised to {format_bytes(LEAST_MEM)}, of which the process needs half"
        )
    if temp_options is not None:
        notes.append("temp_options change nothing: intermediates are plain files")
    scratch, more = _scratch(temp_store)
    request = _Request(opened, chunks, options, folder, members, max(limit, LEAST_MEM), engine, scratch)
    made = Rechunked(source, request, (*notes, *more))
    _ = made.plan
    return made


def _read_options(source: Source, chunks: Mapping[str, Shape], given: Mapping[str, Any]) -> dict[str, ArrayOptions]:
    """Return the options of every wanted array."""
    options = {}
    for path in chunks:
        own = dict(given if source.is_array else given.get(path) or {})
        if "chunks" in own:
            raise InvalidInputError(f"{path or 'array'}: chunks belong into target_chunks, not into target_options.")
        document = source.hierarchy.nodes[path].metadata
        kept = default_codecs(document) if source.computed else [json.loads(c) for c in source.layouts[path].codecs]
        if source.computed and source.dataset:
            own = {**source.encodings[path], **{name: value for name, value in own.items() if name not in ENCODING}}
        found = read_options(own, kept=kept, dtype=numpy_dtype_of(document))
        options[path] = replace(found, codecs=found.codecs or kept) if source.computed else found
    return options


def _target(
    source: Source, store: Any, name: str | None, chunks: Mapping[str, Shape], options: Mapping[str, ArrayOptions]
) -> tuple[Path, Hierarchy | None]:
    """Return where to write, and the nodes of the group there when it is one to add to.

    Raises AlreadyExistsError where something would have to be replaced that the options do not say may be.
    """
    folder = local_folder(store, what="target_store")
    if isinstance(store, zarr.Group) and source.is_array:
        if name is None:
            raise InvalidInputError("an array needs an array_name when target_store is a group.")
        folder = folder / name
    elif name is not None and not source.is_array:
        raise InvalidInputError("array_name is for a single array.")
    if is_free(folder):
        return folder, None
    members = None if source.is_array else read_target(folder)
    if members is not None and not members.is_array:
        check_members(folder, members, chunks, [path for path, found in options.items() if found.overwrite])
        return folder, members
    if not _all_overwrite(options):
        raise AlreadyExistsError(
            f"{folder} exists. Choose another target, or say {{'overwrite': True}} in target_options."
        )
    return folder, None


def _any_rounds(options: Mapping[str, ArrayOptions]) -> bool:
    return any(found.rounds for found in options.values())


def _all_overwrite(options: Mapping[str, ArrayOptions]) -> bool:
    return bool(options) and all(found.overwrite for found in options.values())


def _executor(executor: Any, *, computed: bool) -> tuple[str | Executor, list[str]]:
    """Return the executor that stands for rechunker's, and a note where it is another."""
    cluster = is_cluster(executor)
    if cluster and computed:
        return "threads", ["the cluster became 'threads': the source is computed in this process"]
    if cluster or isinstance(executor, Executor):
        return executor, []
    name = executor.lower() if isinstance(executor, str) else None
    if name not in _EXECUTORS and name not in _OWN:
        raise InvalidInputError(
            f"executor {executor!r} is not known. Use one of {', '.join([*_EXECUTORS, *_OWN])}, a distributed.Client, "
            f"the address of a dask scheduler (tcp://host:8786) or a concurrent.futures.Executor."
        )
    own = _EXECUTORS.get(name, name)
    if computed and own == "processes":
        return "threads", ["executor 'processes' became 'threads': the source is computed in this process"]
    notes = [f"executor {name!r} is {own!r} of zarrmill: this machine, no cluster"] if name in _EXECUTORS else []
    return own, notes


def _scratch(temp_store: Any) -> tuple[Path | None, list[str]]:
    """Return the folder for intermediates, and a note where the one given cannot be it."""
    if temp_store is None:
        return None, []
    try:
        return local_folder(temp_store, what="temp_store"), []
    except InvalidInputError:
        return None, [f"temp_store {temp_store!r} is not used: intermediates lie on the local disk, beside the target"]
