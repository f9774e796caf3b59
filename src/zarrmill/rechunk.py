"""The facade: open, plan, run, verify, publish."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from zarrmill.commit_target import CommitTarget, check_executor, fitted
from zarrmill.errors import InvalidInputError
from zarrmill.execute.executors import Placement, place
from zarrmill.icechunk_repository import is_icechunk
from zarrmill.layout import ShardsRequest, SizesRequest
from zarrmill.metadata import CodecsRequest
from zarrmill.plan.arrays import Limits
from zarrmill.plan.memory import Remote
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import Prepared, Request, make_plan, prepare
from zarrmill.progress import Progress, silent
from zarrmill.report import RechunkReport
from zarrmill.store import OpenedStore, asked_before, open_store, options_for
from zarrmill.target import Target, open_target
from zarrmill.units import parse_bytes
from zarrmill.update import Published, Update
from zarrmill.update_report import UpdateReport, summarize_update
from zarrmill.update_target import open_published, open_update
from zarrmill.update_work import UpdateWork
from zarrmill.work import Work

if TYPE_CHECKING:
    from distributed import Client


def rechunk(
    source: Any,
    target: Any,
    *,
    chunks: SizesRequest | None,
    shards: ShardsRequest = "auto",
    codecs: CodecsRequest = "keep",
    max_mem: str | int = "1GiB",
    executor: str | Executor | Client | None = None,
    workers: int | None = None,
    scratch: str | os.PathLike[str] | None = None,
    verify: str = "full",
    sync: bool = True,
    checksum: bool = True,
    resume: bool = True,
    overwrite: bool = False,
    update: bool = False,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RechunkReport:
    """Write the source in another chunk and shard layout, within ``max_mem``, verified, and visible only when whole.

    Args:
        source: path, URL or zarr Store of a Zarr array, group or hierarchy, of format v2 or v3; of icechunk, a
            Repository (its main branch), a Session, or text like ``icechunk:///data/survey?tag=v1``.
        target: path, URL or zarr Store of the Zarr v3 store that is made; or of icechunk a Repository, a writable
            Session, or text like ``icechunk:///data/survey?path=by_object``: one commit is the publishing.
        chunks: length of a chunk (the unit that is read) by dimension name, ``{"object": 1, "epoch": -1}``, by axis,
            ``(1, -1)``, or a mapping of array path to either; -1 is the whole axis, an axis not named keeps its length;
            None keeps all.
        shards: length of a shard (one file of many chunks) in the same ways, "auto", or None for no shards.
        codecs: "keep", or names such as "zstd:5".
        checksum: end the chunks of shards in a CRC-32C.
        max_mem: bytes, or text like "2GiB", that each process which runs blocks may use above what it held before.
        executor: "threads" (default), "serial", "processes", any ``concurrent.futures.Executor``, or a dask cluster:
            its ``distributed.Client``, or the address of its scheduler, ``tcp://host:8786``. Its workers must see
            source and target under the same paths.
        workers: threads or processes; by default one per core, or all workers of a cluster.
        scratch: folder for intermediates; by default beside the target. It must not be in memory (tmpfs).
        verify: "full" reads everything back and compares digests of all values, "written" compares checksums of the
            stored bytes, "none" nothing.
        sync: bring the file system up to date before the target becomes visible.
        resume: continue a draft that an earlier run of the same request left; False starts again.
        overwrite: replace an existing target, which on the local disk stays readable until the new one is complete; in
            an object store it goes first, and until the new one is complete there is none.
        update: bring an existing target up to date: only the blocks are done again that read keys of the source which
            are new or changed since it was published, by their time and length on a disk and their ETag in a store. It
            stays readable meanwhile, and keeps its layout: repeat the arguments that made it, with lengths that do not
            grow with the source. Where there is no target yet, all is done.
        arrays: paths of the arrays wanted; by default all.
        storage_options: options of obstore for URLs (endpoint, region, access_key_id, timeout, …), for both ends or, in
            mappings named "source" and "target", for each; none is needed where the environment or a profile has them.
        progress: receives the messages of ``zarrmill.progress``.

    Returns:
        A report with seconds, peak memory, bytes, keys and digests.

    Raises:
        InvalidInputError: the request can never work.
        NotFoundError, SourceFormatError: there is no Zarr store at the source, or it is damaged.
        MemoryLimitError: no plan fits into ``max_mem``.
        AlreadyExistsError: there is something at the target and ``overwrite`` is not set.
        ResumeError: the draft of another request lies there.
        ClusterError: there is no cluster, or none of its workers is left; what is done is kept.
        BlockFailedError, VerifyError: a block failed, or what was written is not what was read.

    >>> import zarr, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> night = zarr.create_array(f"{folder}/by_epoch.zarr", shape=(100, 30), chunks=(100, 1), dtype="f4")
    >>> night[:] = 1.5
    >>> report = rechunk(f"{folder}/by_epoch.zarr", f"{folder}/by_object.zarr", chunks=(1, -1), max_mem="64MiB")
    >>> report.arrays[0].chunks, report.keys_written
    ((1, 30), 1)
    """
    begun, before = time.perf_counter(), (asked_before(source), asked_before(target))
    _check_target(target, executor, update=update, overwrite=overwrite)
    request = _request(chunks, shards, codecs, checksum, verify, arrays)
    opened = open_store(source, storage_options=options_for("source", storage_options))
    options = options_for("target", storage_options)
    with closing(place(executor, workers=workers)) as placement:
        published = open_published(target, storage_options=options) if update else None
        place_to_write = _open_target(target, opened, published, overwrite=overwrite, storage_options=options)
        intermediates = place_to_write.choose_scratch(scratch, spread=placement.changes)
        remote = Remote(target=place_to_write.copies, scratch=intermediates.folder is None)
        location = place_to_write.location
        prepared, change = _prepare(opened, request, published=published, location=location, remote=remote)
        limits = _limits(max_mem, placement)
        if placement.changes and resume:
            limits = _limits_begun_with(place_to_write, limits)
        plan = make_plan(prepared, target=location, limits=limits, verify=verify)
        placement.check_memory(plan.projected_mem)
        run = (plan, prepared, place_to_write, placement, intermediates, sync)
        with closing(Work(*run) if change is None else UpdateWork(*run, update=change)) as work:
            work.meter.leave_out("source", before[0])
            work.meter.leave_out("target", before[1])
            if isinstance(work, UpdateWork) and work.is_current():
                return work.report(begun)
            do = partial(work.do, resume=resume, progress=progress or silent, begun=begun)
            return place_to_write.told(do) if isinstance(place_to_write, CommitTarget) else do()


def plan_rechunk(
    source: Any,
    target: Any = None,
    *,
    chunks: SizesRequest | None,
    shards: ShardsRequest = "auto",
    codecs: CodecsRequest = "keep",
    max_mem: str | int = "1GiB",
    executor: str | Executor | Client | None = None,
    workers: int | None = None,
    verify: str = "full",
    checksum: bool = True,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> RechunkPlan:
    """Return the plan that ``rechunk`` would run with the same arguments; only metadata is read, nothing is written.

    Raises the errors of ``rechunk`` that can be told before anything is read.
    """
    _check_target(target, executor)
    with closing(place(executor, workers=workers)) as placement:
        limits = _limits(max_mem, placement)
    opened = open_store(source, storage_options=options_for("source", storage_options))
    options = options_for("target", storage_options)
    place_to_write = (
        None if target is None else _open_target(target, opened, None, overwrite=True, storage_options=options)
    )
    request = _request(chunks, shards, codecs, checksum, verify, arrays)
    remote = Remote(target=0 if place_to_write is None else place_to_write.copies)
    location = "" if place_to_write is None else place_to_write.location
    prepared = fitted(prepare(opened, request, remote=remote), location)
    return make_plan(prepared, target=location, limits=limits, verify=verify)


def plan_update(
    source: Any,
    target: Any,
    *,
    chunks: SizesRequest | None,
    shards: ShardsRequest = "auto",
    codecs: CodecsRequest = "keep",
    max_mem: str | int = "1GiB",
    executor: str | Executor | Client | None = None,
    workers: int | None = None,
    checksum: bool = True,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> UpdateReport:
    """Return what ``rechunk(..., update=True)`` would do again with the same arguments; nothing is written.

    Metadata, records and the states of keys are read, and no values. Raises the errors of ``rechunk`` that can be told
    before anything is read.

    >>> import zarr, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> night = zarr.create_array(f"{folder}/by_epoch", shape=(100, 30), chunks=(100, 1), shards=(100, 10), dtype="f4")
    >>> night[:, :20], same = 1.5, {"chunks": (1, 10), "shards": (100, 10)}
    >>> _ = rechunk(f"{folder}/by_epoch", f"{folder}/by_object", update=True, **same)
    >>> night[:, 20:] = 2.5
    >>> report = plan_update(f"{folder}/by_epoch", f"{folder}/by_object", **same)
    >>> report.arrays[0].changed_keys, report.arrays[0].changed, report.current
    (1, ('axis 0 0:100', 'axis 1 20:30'), False)
    """
    _check_target(target, executor, update=True)
    with closing(place(executor, workers=workers)) as placement:
        limits = _limits(max_mem, placement)
    opened = open_store(source, storage_options=options_for("source", storage_options))
    options = options_for("target", storage_options)
    published = open_published(target, storage_options=options)
    place_to_write = _open_target(target, opened, published, overwrite=False, storage_options=options)
    request = _request(chunks, shards, codecs, checksum, "full", arrays)
    location, remote = place_to_write.location, Remote(target=place_to_write.copies)
    prepared, change = _prepare(opened, request, published=published, location=location, remote=remote)
    plan = make_plan(prepared, target=location, limits=limits, verify="full")
    if change is not None:
        change.take_plan(plan)
        change.check_published()
    return summarize_update(plan, change)


def _prepare(
    opened: OpenedStore, request: Request, *, published: Published | None, location: str, remote: Remote
) -> tuple[Prepared, Update | None]:
    """Return what is to be planned for a target, and what is new of it since that was published.

    What a request leaves open is kept as a published target has it.
    """
    if published is None:
        return fitted(prepare(opened, request, remote=remote), location), None
    change = Update.find(published, prepare(opened, replace(request, before=published.layouts), remote=remote))
    return fitted(change.hint(), location), change


def _check_target(target: Any, executor: Any, *, update: bool = False, overwrite: bool = False) -> None:
    if update and overwrite:
        raise InvalidInputError("update and overwrite exclude each other: one keeps what the other replaces.")
    if is_icechunk(target):
        check_executor(executor)
        if update:
            raise InvalidInputError(
                f"update cannot be used with the icechunk repository {target}, which has no record of what its arrays "
                f"were made from. Use overwrite: the history of the repository keeps what was there."
            )


def _open_target(
    target: Any,
    source: OpenedStore,
    published: Published | None,
    *,
    overwrite: bool,
    storage_options: Mapping[str, Any] | None,
) -> Target:
    if is_icechunk(target):
        return CommitTarget(target, overwrite=overwrite, storage_options=storage_options)
    if published is not None:
        return open_update(target, published.opened, source, storage_options=storage_options)
    return open_target(target, source, overwrite=overwrite, storage_options=storage_options)


def _request(
    chunks: SizesRequest | None,
    shards: ShardsRequest,
    codecs: CodecsRequest,
    checksum: bool,
    verify: str,
    arrays: Sequence[str] | None,
) -> Request:
    return Request(chunks, shards, codecs, checksum, verify, None if arrays is None else tuple(arrays))


def _limits(max_mem: str | int, placement: Placement) -> Limits:
    return Limits(parse_bytes(max_mem), placement.threads, placement.processes)


def _limits_begun_with(target: Target, limits: Limits) -> Limits:
    """Return limits with the threads and processes of a draft: a cluster that has other ones now continues it."""
    found = target.read_claim()
    if found is None:
        return limits
    return replace(limits, threads=found[0].plan["threads"], workers=found[0].plan["processes"])
