"""The facade: open, plan, run, verify, publish."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarrmill.draft import Claim, Draft, remove_tree, tree_nbytes
from zarrmill.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from zarrmill.execute.copy import ArrayCopy, CopyOperation
from zarrmill.execute.executors import Placement, place
from zarrmill.execute.fence import Fences, fenced, mark_of
from zarrmill.execute.opening import StoredArray
from zarrmill.execute.run import run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.finish import Finish, check_unchanged
from zarrmill.journal import Journal
from zarrmill.layout import ShardsRequest, SizesRequest
from zarrmill.metadata import CodecsRequest
from zarrmill.plan.arrays import Limits
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import Prepared, Request, make_plan, prepare
from zarrmill.progress import Progress, RunFinished, RunStarted, silent
from zarrmill.report import RechunkReport
from zarrmill.resume import forget_lost, free_intermediates
from zarrmill.store import OpenedStore, local_path, open_store
from zarrmill.units import format_bytes, parse_bytes

if TYPE_CHECKING:
    from distributed import Client


def rechunk(
    source: Any,
    target: str | os.PathLike[str],
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
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> RechunkReport:
    """Write the source in another chunk and shard layout, within ``max_mem``, verified, and visible only when whole.

    Args:
        source: path or zarr Store of a Zarr array, group or hierarchy, of format v2 or v3.
        target: path of the Zarr v3 store that is made.
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
        overwrite: replace an existing target, which stays readable until the new one is complete.
        arrays: paths of the arrays wanted; by default all.
        storage_options: for object stores, which come with a later version.
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
    begun = time.perf_counter()
    _check_storage_options(storage_options)
    request = _request(chunks, shards, codecs, checksum, verify, arrays)
    with closing(place(executor, workers=workers)) as placement:
        prepared = prepare(source, request)
        path = _target_path(target, prepared.source, overwrite=overwrite)
        draft = Draft(path)
        limits = Limits(parse_bytes(max_mem), placement.threads, placement.processes)
        if placement.changes and resume:
            limits = _limits_begun_with(draft, limits)
        plan = make_plan(prepared, target=str(path), limits=limits, verify=verify)
        placement.check_memory(plan.projected_mem)
        work = _Work(plan, prepared, draft, placement, _scratch_folder(scratch, draft), sync, overwrite)
        try:
            return work.do(resume=resume, progress=progress or silent, begun=begun)
        finally:
            WORKSHOP.release()
            draft.release()


def plan_rechunk(
    source: Any,
    target: str | os.PathLike[str] | None = None,
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
    _check_storage_options(storage_options)
    with closing(place(executor, workers=workers)) as placement:
        limits = Limits(parse_bytes(max_mem), placement.threads, placement.processes)
    prepared = prepare(source, _request(chunks, shards, codecs, checksum, verify, arrays))
    path = "" if target is None else str(_target_path(target, prepared.source, overwrite=True))
    return make_plan(prepared, target=path, limits=limits, verify=verify)


def _request(
    chunks: SizesRequest | None,
    shards: ShardsRequest,
    codecs: CodecsRequest,
    checksum: bool,
    verify: str,
    arrays: Sequence[str] | None,
) -> Request:
    return Request(chunks, shards, codecs, checksum, verify, None if arrays is None else tuple(arrays))


def _check_storage_options(options: Mapping[str, Any] | None) -> None:
    if options:
        raise InvalidInputError(
            "storage_options are for object stores, which this version does not open. Leave them out."
        )


def _target_path(target: str | os.PathLike[str], source: OpenedStore, *, overwrite: bool) -> Path:
    """Return where the target will be; raises for one that exists, lies in the source or has nowhere to lie."""
    path = local_path(os.fspath(target))
    if source.local is not None:
        folder = Path(os.path.realpath(source.local))
        real = Path(os.path.realpath(path))
        if real == folder:
            raise InvalidInputError(f"target {path} is the source. Write to another location.")
        if real.is_relative_to(folder):
            raise InvalidInputError(f"target {path} lies inside the source {folder}. Write beside it.")
        if folder.is_relative_to(real):
            raise InvalidInputError(f"target {path} holds the source {folder}. Write beside it.")
    if not path.parent.is_dir():
        raise NotFoundError(f"folder {path.parent} for the target is not there. Make it first (mkdir -p).")
    if os.path.lexists(path) and not overwrite:
        raise AlreadyExistsError(f"{path} exists. Choose another target, or say overwrite (--overwrite).")
    return path


def _limits_begun_with(draft: Draft, limits: Limits) -> Limits:
    """Return limits with the threads and processes of a draft: a cluster that has other ones now continues it."""
    found = draft.read_claim()
    if found is None:
        return limits
    return replace(limits, threads=found[0].plan["threads"], workers=found[0].plan["processes"])


def _scratch_folder(scratch: str | os.PathLike[str] | None, draft: Draft) -> Path:
    if scratch is None:
        return draft.default_scratch
    folder = Path(os.path.abspath(scratch))
    if not folder.is_dir():
        raise NotFoundError(f"scratch folder {folder} is not there. Make it first (mkdir -p).")
    return draft.scratch_in(folder)


class _Work:
    """One run of a planned request."""

    def __init__(
        self,
        plan: RechunkPlan,
        prepared: Prepared,
        draft: Draft,
        placement: Placement,
        scratch: Path,
        sync: bool,
        overwrite: bool,
    ) -> None:
        self._plan = plan
        self._prepared = prepared
        self._draft = draft
        self._placement = placement
        self._scratch = scratch
        self._sync = sync
        self._overwrite = overwrite

    def do(self, *, resume: bool, progress: Progress, begun: float) -> RechunkReport:
        """Claim the draft, run what is left of the plan, check, publish and report."""
        self._check_space()
        claim = Claim(_as_read(self._plan.to_json()), _as_read(self._prepared.identity()))
        resumed, claimed_ns = self._draft.claim(claim, resume=resume)
        if not resumed:
            remove_tree(self._scratch)
        if self._plan.scratch_bytes:
            self._draft.use_scratch(self._scratch)
        journal = Journal(self._draft.journal, sync=self._sync)
        try:
            if resumed:
                check_unchanged(self._prepared, claimed_ns)
                self._forget_lost(journal)
            resumed_blocks = self._start(journal, progress)
            self._run(journal, progress)
            finish = Finish(self._plan, self._prepared, self._draft, journal)
            finish.check(claimed_ns=claimed_ns, progress=progress)
            leftovers = finish.publish(
                sync=self._sync, overwrite=self._overwrite, scratch=self._scratch, progress=progress
            )
            report = finish.report(
                seconds=time.perf_counter() - begun, resumed_blocks=resumed_blocks, leftovers=leftovers
            )
        finally:
            journal.close()
        progress(RunFinished(report.seconds, report.peak_mem))
        return report

    def _forget_lost(self, journal: Journal) -> None:
        documents = self._prepared.documents
        forget_lost(self._plan, journal, data=self._draft.data, scratch=self._scratch, documents=documents)

    def _start(self, journal: Journal, progress: Progress) -> int:
        """Start measuring, tell of the run, and return how many blocks are done already."""
        if self._placement.in_process:
            WORKSHOP.measure().restart()
        plan, done, done_weight, blocks, weight = self._plan, 0, 0, 0, 0
        for stage in plan.stages:
            blocks += len(stage)
            weight += stage.weight
            for block in stage.blocks() if len(journal) else ():
                if block.id in journal:
                    done += 1
                    done_weight += block.weight
        progress(RunStarted(len(plan.stages), blocks, weight, done, done_weight, plan.max_mem, plan.processes))
        return done

    def _run(self, journal: Journal, progress: Progress) -> None:
        free = partial(free_intermediates, self._scratch)
        with ExitStack() as stack:
            run(
                self._plan,
                self._operation(self._fences(stack)),
                placement=self._placement,
                journal=journal,
                progress=progress,
                stage_done=lambda _, stage: free(stage),
            )

    def _fences(self, stack: ExitStack) -> Fences | None:
        """Fence the run off where a block may outlive it."""
        if not self._placement.fenced:
            return None
        target = stack.enter_context(fenced(self._draft.folder))
        scratch = stack.enter_context(fenced(self._scratch)) if self._plan.scratch_bytes else None
        return Fences(target, scratch)

    def _operation(self, fences: Fences | None) -> CopyOperation:
        data = open_store(self._draft.data, read_only=False)
        arrays = {}
        for plan in self._plan.arrays:
            target = StoredArray(data, plan.path, self._prepared.documents[plan.path], plan.target)
            source = self._prepared.stored[plan.path]
            mark = mark_of(source.root) if fences is not None and source.root is not None else ""
            arrays[plan.path] = ArrayCopy(plan, source, target, self._scratch, fences, mark)
        return CopyOperation(arrays, self._plan.verify)

    def _check_space(self) -> None:
        """Raise when the intermediates cannot fit on their disk; how small the target gets is known only afterwards."""
        needed = self._plan.scratch_bytes - tree_nbytes(self._scratch)
        folder = self._scratch if self._scratch.exists() else self._scratch.parent
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise InvalidInputError(
                f"{folder}: the intermediate needs {format_bytes(needed)} and {format_bytes(free)} are free. "
                f"Give another disk with scratch (--scratch), or raise max_mem ({format_bytes(self._plan.max_mem)})."
            )


def _as_read(value: Any) -> Any:
    """Return JSON values as they are after a round trip, lists for tuples."""
    import json

    return json.loads(json.dumps(value))
