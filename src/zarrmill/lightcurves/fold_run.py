"""Running a fold: the loop of all domains, with what people are told before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from zarrmill.execute.executors import Placement
from zarrmill.execute.fence import fenced
from zarrmill.execute.run import NoJournal, run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.fold import FoldOperation, FoldPlan, FoldStage
from zarrmill.lightcurves.lock import HIDDEN, Lock
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
    lock: Lock,
    placement: Placement,
    progress: Progress,
    block_done: Callable[[FoldStage, NoJournal], None],
) -> FoldFigures:
    """Make every shard of a plan; ``block_done`` is called with each block of epochs whose shards are all there.

    Blocks that outlive the run write nothing after its end.
    """
    begun, journal = time.perf_counter(), NoJournal()
    if placement.in_process:
        WORKSHOP.measure().restart()
    weight = sum(stage.weight for stage in plan.stages)
    progress(RunStarted(len(plan.stages), sum(map(len, plan.stages)), weight, 0, 0, 0, placement.processes))

    def stage_done(_: int, stage: Stage) -> None:
        assert isinstance(stage, FoldStage)
        block_done(stage, journal)

    with _guarded(operation, lock, placement) as guarded:
        run(plan, guarded, placement=placement, journal=journal, progress=progress, stage_done=stage_done)
    results = list(journal.results.values())
    peak = max((int(result.facts.get("peak", "0")) for result in results), default=0)
    progress(RunFinished(time.perf_counter() - begun, peak))
    names = ("keys_written", "bytes_read", "bytes_written")
    return FoldFigures(*(sum(result.counts[name] for result in results) for name in names))


@contextmanager
def _guarded(operation: FoldOperation, lock: Lock, placement: Placement) -> Iterator[FoldOperation]:
    """Give the operation with what holds back blocks that outlive this."""
    if isinstance(operation.target, LocalKeys) and placement.fenced:
        with fenced(operation.target.path / HIDDEN) as fence:
            yield replace(operation, guard=fence)
    else:
        yield replace(operation, guard=lock.mark)
