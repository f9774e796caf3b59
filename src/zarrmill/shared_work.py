"""A planned rechunk done some blocks at a time, by processes that share a draft and know nothing of each other."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.errors import ResumeError, ZarrmillError
from zarrmill.finish import Finish, check_unchanged
from zarrmill.plan.model import Block, Stage
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.progress import Progress, RunFinished, RunStarted
from zarrmill.report import RechunkReport
from zarrmill.target import RunJournal
from zarrmill.work import Work

MOST_NAMED = 3
"""Blocks that a message names."""


@dataclass(frozen=True, slots=True)
class BlocksReport:
    """What a run of some blocks did."""

    target: str
    """Location that is written."""
    stage: int
    """Stage, from 1."""
    blocks: int
    """Blocks asked for."""
    resumed_blocks: int
    """Those that were done already."""
    seconds: float
    """Wall time."""
    max_mem: int
    """Limit in bytes for each process that ran blocks."""
    peak_mem: int
    """Largest memory above start of any of them, in bytes."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SomeBlocks:
    """A slice of the blocks of a stage, as a stage of its own."""

    stage: Stage
    """The stage."""
    chosen: slice
    """Which of its blocks, counted from 0."""

    @property
    def name(self) -> str:
        """What the stage does."""
        return self.stage.name

    @property
    def weight(self) -> int:
        """Sum of the weights of the chosen blocks."""
        return sum(block.weight for block in self.blocks())

    def __len__(self) -> int:
        return len(range(*self.chosen.indices(len(self.stage))))

    def blocks(self) -> Iterator[Block]:
        """Yield the chosen blocks."""
        start, stop, _ = self.chosen.indices(len(self.stage))
        return itertools.islice(self.stage.blocks(), start, stop)


@dataclass(frozen=True, slots=True)
class SomeStages:
    """Stages that are not a whole plan."""

    stages: Sequence[Stage]
    """The stages."""


def check_stages_done(plan: RechunkPlan, journal: RunJournal, *, before: int) -> None:
    """Raise ResumeError when a block of a stage before one is not in the journal."""
    for number, stage in enumerate(plan.stages[:before], 1):
        left = [block.id for block in stage.blocks() if block.id not in journal]
        if left:
            raise ResumeError(
                f"stage {number} of {len(plan.stages)} ({stage.name}) is not complete: {len(left)} of {len(stage)} "
                f"blocks are left ({', '.join(left[:MOST_NAMED])}). Run them first (zarrmill run --stage {number})."
            )


class SharedWork(Work):
    """A planned request at its target, some blocks at a time, by processes that share a draft."""

    alone = False

    def do_blocks(self, stage: int, blocks: slice, *, progress: Progress) -> BlocksReport:
        """Run some blocks of a stage, beside other runs that do others; raises ResumeError before its turn."""
        begun = time.perf_counter()
        self._scratch.check_space(self._plan.scratch_bytes, max_mem=self._plan.max_mem)
        _, claimed_ns = self._target.claim(self._claim(), resume=True, shared=True)
        if self._plan.scratch_bytes:
            self._target.use_scratch(self._scratch, shared=True)
        journal = self._target.open_journal(sync=self._sync, part=True)
        try:
            check_unchanged(self._prepared, claimed_ns)
            check_stages_done(self._plan, journal, before=stage)
            some = SomeBlocks(self._plan.stages[stage], blocks)
            done = sum(block.id in journal for block in some.blocks())
            self._measure()
            progress(RunStarted(1, len(some), some.weight, done, 0, self._plan.max_mem, self._plan.processes))
            self._run(SomeStages((some,)), journal, progress, free=False)
            peak = max((int(r.facts.get("peak", "0")) for b in some.blocks() if (r := journal.get(b.id))), default=0)
        except BaseException:
            # What stopped the run says more than that its last results could not be noted either.
            with suppress(ZarrmillError):
                journal.close()
            raise
        journal.close()
        seconds = time.perf_counter() - begun
        progress(RunFinished(seconds, peak))
        return BlocksReport(self._target.location, stage + 1, len(some), done, seconds, self._plan.max_mem, peak)

    def finish(self, *, progress: Progress, publish: bool) -> RechunkReport:
        """Check that every block is done and right, by what the journal holds, and make the target visible if asked."""
        begun = time.perf_counter()
        _, claimed_ns = self._target.claim(self._claim(), resume=True)
        journal = self._target.open_journal(sync=self._sync)
        try:
            check_stages_done(self._plan, journal, before=len(self._plan.stages))
            finish = Finish(self._plan, self._prepared, self._target, journal)
            self.meter.start(journal)
            finish.check(claimed_ns=claimed_ns, prints=self._prints, progress=progress)
            leftovers: tuple[str, ...] = ()
            if publish:
                leftovers = finish.publish(sync=self._sync, scratch=self._scratch, progress=progress)
            report = finish.report(
                seconds=time.perf_counter() - begun,
                resumed_blocks=len(journal),
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
