"""The facade: open, plan, run, verify, publish."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from zarrmill.draft import Claim, remove_tree
from zarrmill.errors import ZarrmillError
from zarrmill.execute.copy import ArrayCopy, CopyOperation
from zarrmill.execute.executors import Placement, place
from zarrmill.execute.opening import StoredArray
from zarrmill.execute.run import run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.finish import Finish, check_unchanged
from zarrmill.layout import ShardsRequest, SizesRequest
from zarrmill.metadata import CodecsRequest
from zarrmill.plan.arrays import Limits
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import Prepared, Request, make_plan, prepare
from zarrmill.progress import Progress, RunFinished, RunStarted, silent
from zarrmill.report import RechunkReport
from zarrmill.resume import forget_lost, free_intermediates
from zarrmill.store import open_store, options_for
from zarrmill.target import RunJournal, StoreTarget, Target, check_space, open_target
from zarrmill.units import parse_bytes


def rechunk(
    source: Any,
    target: Any,
    *,
    chunks: SizesRequest | None,
    shards: ShardsRequest = "auto",
    codecs: CodecsRequest = "keep",
    max_mem: str | int = "1GiB",
    executor: str | Executor | None = None,
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
        source: path, URL or zarr Store of a Zarr array, group or hierarchy, of format v2 or v3.
        target: path, URL or zarr Store of the Zarr v3 store that is made.
        chunks: length of a chunk (the unit that is read) by dimension name, ``{"object": 1, "epoch": -1}``, by axis,
            ``(1, -1)``, or a mapping of array path to either; -1 is the whole axis, an axis not named keeps its length;
            None keeps all.
        shards: length of a shard (one file of many chunks) in the same ways, "auto", or None for no shards.
        codecs: "keep", or names such as "zstd:5".
        checksum: end the chunks of shards in a CRC-32C.
        max_mem: bytes, or text like "2GiB", that each process which runs blocks may use above what it held before.
        executor: "threads" (default), "serial", "processes", or any ``concurrent.futures.Executor``.
        workers: threads or processes; by default one per core.
        scratch: folder for intermediates; by default beside the target. It must not be in memory (tmpfs).
        verify: "full" reads everything back and compares digests of all values, "written" compares checksums of the
            stored bytes, "none" nothing.
        sync: bring the file system up to date before the target becomes visible.
        resume: continue a draft that an earlier run of the same request left; False starts again.
        overwrite: replace an existing target, which on the local disk stays readable until the new one is complete; in
            an object store it goes first, and until the new one is complete there is none.
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
    request = _request(chunks, shards, codecs, checksum, verify, arrays)
    placement = place(executor, workers=workers)
    opened = open_store(source, storage_options=options_for("source", storage_options))
    place_to_write = open_target(
        target, opened, overwrite=overwrite, storage_options=options_for("target", storage_options)
    )
    prepared = prepare(opened, request, remote_target=isinstance(place_to_write, StoreTarget))
    plan = make_plan(prepared, target=place_to_write.location, limits=_limits(max_mem, placement), verify=verify)
    work = _Work(plan, prepared, place_to_write, placement, place_to_write.scratch_folder(scratch), sync)
    try:
        return work.do(resume=resume, progress=progress or silent, begun=begun)
    finally:
        placement.close()
        WORKSHOP.release()
        place_to_write.release()


def plan_rechunk(
    source: Any,
    target: Any = None,
    *,
    chunks: SizesRequest | None,
    shards: ShardsRequest = "auto",
    codecs: CodecsRequest = "keep",
    max_mem: str | int = "1GiB",
    executor: str | Executor | None = None,
    workers: int | None = None,
    verify: str = "full",
    checksum: bool = True,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> RechunkPlan:
    """Return the plan that ``rechunk`` would run with the same arguments; only metadata is read, nothing is written.

    Raises the errors of ``rechunk`` that can be told before anything is read.
    """
    placement = place(executor, workers=workers)
    opened = open_store(source, storage_options=options_for("source", storage_options))
    options = options_for("target", storage_options)
    place_to_write = None if target is None else open_target(target, opened, overwrite=True, storage_options=options)
    request = _request(chunks, shards, codecs, checksum, verify, arrays)
    prepared = prepare(opened, request, remote_target=isinstance(place_to_write, StoreTarget))
    location = "" if place_to_write is None else place_to_write.location
    return make_plan(prepared, target=location, limits=_limits(max_mem, placement), verify=verify)


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


class _Work:
    """One run of a planned request."""

    def __init__(
        self,
        plan: RechunkPlan,
        prepared: Prepared,
        target: Target,
        placement: Placement,
        scratch: Path,
        sync: bool,
    ) -> None:
        self._plan = plan
        self._prepared = prepared
        self._target = target
        self._placement = placement
        self._scratch = scratch
        self._sync = sync

    def do(self, *, resume: bool, progress: Progress, begun: float) -> RechunkReport:
        """Claim the draft, run what is left of the plan, check, publish and report."""
        check_space(self._scratch, self._plan.scratch_bytes, max_mem=self._plan.max_mem)
        claim = Claim(_as_read(self._plan.to_json()), _as_read(self._prepared.identity()))
        resumed, claimed_ns = self._target.claim(claim, resume=resume)
        if not resumed:
            remove_tree(self._scratch)
        if self._plan.scratch_bytes:
            self._target.use_scratch(self._scratch)
        journal = self._target.open_journal(sync=self._sync)
        try:
            if resumed:
                check_unchanged(self._prepared, claimed_ns)
                self._forget_lost(journal)
            resumed_blocks = self._start(journal, progress)
            self._run(journal, progress)
            finish = Finish(self._plan, self._prepared, self._target, journal)
            finish.check(claimed_ns=claimed_ns, progress=progress)
            leftovers = finish.publish(sync=self._sync, scratch=self._scratch, progress=progress)
            report = finish.report(
                seconds=time.perf_counter() - begun, resumed_blocks=resumed_blocks, leftovers=leftovers
            )
        except BaseException:
            # What stopped the run says more than that its last results could not be noted either.
            with contextlib.suppress(ZarrmillError):
                journal.close()
            raise
        journal.close()
        progress(RunFinished(report.seconds, report.peak_mem))
        return report

    def _forget_lost(self, journal: RunJournal) -> None:
        documents = self._prepared.documents
        forget_lost(self._plan, journal, target=self._target, scratch=self._scratch, documents=documents)

    def _start(self, journal: RunJournal, progress: Progress) -> int:
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

    def _run(self, journal: RunJournal, progress: Progress) -> None:
        free = partial(free_intermediates, self._scratch)
        run(
            self._plan,
            self._operation(),
            placement=self._placement,
            journal=journal,
            progress=progress,
            stage_done=lambda _, stage: free(stage),
        )

    def _operation(self) -> CopyOperation:
        data = self._target.open_data()
        arrays = {}
        for plan in self._plan.arrays:
            target = StoredArray(data, plan.path, self._prepared.documents[plan.path], plan.target)
            arrays[plan.path] = ArrayCopy(plan, self._prepared.stored[plan.path], target, self._scratch)
        return CopyOperation(arrays, self._plan.verify)


def _as_read(value: Any) -> Any:
    """Return JSON values as they are after a round trip, lists for tuples."""
    import json

    return json.loads(json.dumps(value))
