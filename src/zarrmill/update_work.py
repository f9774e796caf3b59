"""The work of an update: the blocks that read something new, at a target that stays readable meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from zarrmill.changes import Print
from zarrmill.draft import Claim
from zarrmill.execute.executors import Placement
from zarrmill.execute.intermediates import Intermediates
from zarrmill.finish import Finish
from zarrmill.plan.model import BlockResult
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import Prepared
from zarrmill.report import RechunkReport
from zarrmill.store_draft import MOVING
from zarrmill.target import RunJournal, Target
from zarrmill.update import Update
from zarrmill.update_target import DiskUpdate, StoreUpdate
from zarrmill.work import Work


class UpdateWork(Work):
    """A planned update of a published target."""

    def __init__(
        self,
        plan: RechunkPlan,
        prepared: Prepared,
        target: Target,
        placement: Placement,
        scratch: Intermediates,
        sync: bool,
        *,
        update: Update,
    ) -> None:
        super().__init__(plan, prepared, target, placement, scratch, sync)
        update.take_plan(plan)
        self._todo = self._update = update
        if isinstance(target, DiskUpdate | StoreUpdate):
            target.update = update

    def is_current(self) -> bool:
        """Tell whether there is nothing to do; raises InvalidInputError where what is there cannot be kept."""
        if self._target.keys.head(MOVING) is not None:
            # An update was stopped while it copied keys to their place; this one makes all of those again.
            return False
        self._update.check_published()
        return self._update.is_current(self._plan)

    def report(self, begun: float) -> RechunkReport:
        """Return what a run reports that has nothing to do."""
        finish = Finish(self._plan, self._prepared, self._target, _Nothing(), update=self._update)
        seconds = time.perf_counter() - begun
        return finish.report(seconds=seconds, resumed_blocks=0, leftovers=(), meter=self.meter)

    def _take_prints(self) -> dict[str, Print]:
        return self._update.prints

    def _claim(self) -> Claim:
        claim = super()._claim()
        identity: dict[str, Any] = claim.source | {"update": self._update.identity()}
        return Claim(claim.plan, identity)

    def _finish(self, journal: RunJournal) -> Finish:
        return Finish(self._plan, self._prepared, self._target, journal, update=self._update)


class _Nothing:
    """The journal of a run without blocks."""

    def __len__(self) -> int:
        return 0

    def __contains__(self, block: str) -> bool:
        return False

    def __iter__(self) -> Iterator[BlockResult]:
        return iter(())

    def get(self, block: str) -> BlockResult | None:
        """Return None."""

    def add(self, result: BlockResult) -> None:
        """Note nothing."""

    def forget(self, blocks: Any) -> None:
        """Forget nothing."""

    def close(self) -> None:
        """Keep nothing."""
