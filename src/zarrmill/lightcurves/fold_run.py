"""Running a fold: the loop of all domains, with what people are told before and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from zarrmill.execute.executors import Placement
from zarrmill.execute.run import NoJournal, run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.lightcurves.fold import FoldOperation, FoldPlan, FoldStage
from zarrmill.plan.model import Stage
from zarrmill.progress import Progress, RunFinished, RunStarted


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """What a fold did."""

    shards: int
    """Shards written."""
    bytes_read: int
    """Decoded bytes read."""
    bytes_written: int
    """Stored bytes written."""


def run_fold(
    plan: FoldPlan,
    operation: FoldOperation,
    *,
    placement: Placement,
    progress: Progress,
    block_done: Callable[[FoldStage, NoJournal], None],
) -> FoldFigures:
    """Make every shard of a plan; ``block_done`` is called with each block of epochs whose shards are all there."""
    begun, journal = time.perf_counter(), NoJournal()
    if placement.in_process:
        WORKSHOP.measure().restart()
    weight = sum(stage.weight for stage in plan.stages)
    progress(RunStarted(len(plan.stages), sum(map(len, plan.stages)), weight, 0, 0, 0, placement.processes))

    def stage_done(_: int, stage: Stage) -> None:
        assert isinstance(stage, FoldStage)
        block_done(stage, journal)

    run(plan, operation, placement=placement, journal=journal, progress=progress, stage_done=stage_done)
    results = list(journal.results.values())
    peak = max((int(result.facts.get("peak", "0")) for result in results), default=0)
    progress(RunFinished(time.perf_counter() - begun, peak))
    names = ("keys_written", "bytes_read", "bytes_written")
    return FoldFigures(*(sum(result.counts[name] for result in results) for name in names))
