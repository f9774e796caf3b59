"""The work of a rechunk once it is planned: claim, run, check, publish."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, suppress
from typing import Any

from zarrmill.changes import Print, take_prints
from zarrmill.draft import Claim
from zarrmill.errors import ZarrmillError
from zarrmill.execute.copy import ArrayCopy, CopyOperation
from zarrmill.execute.executors import Placement
from zarrmill.execute.fence import Fences, fenced, mark_of
from zarrmill.execute.intermediates import Intermediates
from zarrmill.execute.opening import StoredArray
from zarrmill.execute.request_meter import RunMeter
from zarrmill.execute.run import run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.finish import Finish, check_unchanged
from zarrmill.plan.model import Plan
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import Prepared
from zarrmill.progress import Progress, RunFinished, RunStarted
from zarrmill.report import RechunkReport
from zarrmill.resume import forget_lost, free_intermediates
from zarrmill.target import RunJournal, Target


class Work:
    """A planned request at its target."""

    alone = True
    """Whether no other run is at work in the draft."""

    def __init__(
        self,
        plan: RechunkPlan,
        prepared: Prepared,
        target: Target,
        placement: Placement,
        scratch: Intermediates,
        sync: bool,
    ) -> None:
        self._plan = plan
        self._prepared = prepared
        self._target = target
        self._placement = placement
        self._scratch = scratch
        self._sync = sync
        source_keys = prepared.source.keys if prepared.source.local is None else None
        self.meter = RunMeter(source_keys, target.keys if target.copies else None)
        """The requests of the run."""
        self._prints: dict[str, Print] = {}
        self._todo: Plan = plan

    def do(self, *, resume: bool, progress: Progress, begun: float) -> RechunkReport:
        """Claim the draft, run what is left of the plan, check, publish and report."""
        self._scratch.check_space(self._plan.scratch_bytes, max_mem=self._plan.max_mem)
        resumed, claimed_ns = self._target.claim(self._claim(), resume=resume)
        if not resumed:
            self._scratch.remove()
        if self._plan.scratch_bytes:
            self._target.use_scratch(self._scratch)
        journal = self._target.open_journal(sync=self._sync)
        try:
            if resumed:
                check_unchanged(self._prepared, claimed_ns)
                self._forget_lost(journal)
            resumed_blocks = self._start(journal, progress)
            self.meter.start(journal)
            self._run(self._todo, journal, progress, free=True)
            finish = self._finish(journal)
            finish.check(claimed_ns=claimed_ns, prints=self._prints, progress=progress)
            leftovers = finish.publish(sync=self._sync, scratch=self._scratch, progress=progress)
            report = finish.report(
                seconds=time.perf_counter() - begun,
                resumed_blocks=resumed_blocks,
                leftovers=leftovers,
                meter=self.meter,
            )
        except BaseException:
            # What stopped the run says more than that its last results could not be noted either.
            with suppress(ZarrmillError):
                journal.close()
            raise
        journal.close()
        progress(RunFinished(report.seconds, report.peak_mem))
        return report

    def close(self) -> None:
        """Give tile memory back and let other runs have the target."""
        try:
            WORKSHOP.release()
        finally:
            # Whoever is tired of waiting for the last tile, and interrupts again, still leaves the target to others.
            self._target.close()

    def _claim(self) -> Claim:
        """Return whose draft it is; a source in a store is told from a changed one by a print of its listing."""
        self._prints = self._take_prints()
        listing = {path: found.say() for path, found in self._prints.items()}
        identity = self._prepared.identity() | ({"listing": listing} if listing else {})
        return Claim(_as_read(self._plan.to_json()), _as_read(identity))

    def _take_prints(self) -> dict[str, Print]:
        return take_prints(self._prepared.stored)

    def _finish(self, journal: RunJournal) -> Finish:
        return Finish(self._plan, self._prepared, self._target, journal)

    def _measure(self) -> None:
        if self._placement.in_process:
            WORKSHOP.measure().restart()

    def _forget_lost(self, journal: RunJournal) -> None:
        documents = self._prepared.documents
        forget_lost(self._plan, journal, target=self._target, scratch=self._scratch, documents=documents)

    def _start(self, journal: RunJournal, progress: Progress) -> int:
        """Start measuring, tell of the run, and return how many blocks are done already."""
        self._measure()
        plan, done, done_weight, blocks, weight = self._plan, 0, 0, 0, 0
        for stage in self._todo.stages:
            blocks += len(stage)
            weight += stage.weight
            for block in stage.blocks() if len(journal) else ():
                if block.id in journal:
                    done += 1
                    done_weight += block.weight
        progress(RunStarted(len(plan.stages), blocks, weight, done, done_weight, plan.max_mem, plan.processes))
        return done

    def _run(self, plan: Plan, journal: RunJournal, progress: Progress, *, free: bool) -> None:
        with ExitStack() as stack:
            run(
                plan,
                self._operation(self._fences(stack)),
                placement=self._placement,
                journal=journal,
                progress=progress,
                stage_done=(lambda _, stage: free_intermediates(self._scratch, stage)) if free else None,
            )

    def _fences(self, stack: ExitStack) -> Fences | None:
        """Fence the run off where a block may outlive it; keys of a store are whole at any time."""
        if not self._placement.fenced:
            return None
        folder, scratch = self._target.folder, self._scratch.folder
        target = stack.enter_context(fenced(folder, alone=self.alone)) if folder is not None else None
        if not self._plan.scratch_bytes or scratch is None:
            return Fences(target, None)
        return Fences(target, stack.enter_context(fenced(scratch, alone=self.alone)))

    def _operation(self, fences: Fences | None) -> CopyOperation:
        data = self._target.open_data()
        arrays = {}
        for plan in self._plan.arrays:
            target = StoredArray(data, plan.path, self._prepared.documents[plan.path], plan.target)
            source = self._prepared.stored[plan.path]
            mark = mark_of(source.root) if fences is not None and source.root is not None else ""
            arrays[plan.path] = ArrayCopy(plan, source, target, self._scratch, fences, mark)
        return CopyOperation(arrays, self._plan.verify)


def _as_read(value: Any) -> Any:
    """Return JSON values as they are after a round trip, lists for tuples."""
    return json.loads(json.dumps(value))
