"""The one loop that runs plans: blocks in flight, retries, the barrier between stages, resume and cancellation."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import Protocol

from zarrmill.errors import BlockFailedError, StoreUnavailableError, VerifyError, ZarrmillError
from zarrmill.execute.executors import Placement, ProcessLostError
from zarrmill.plan.model import Advance, Block, BlockResult, Operation, Plan, Stage
from zarrmill.progress import BlockAdvanced, BlockFinished, BlockRetried, Progress, StageStarted, silent

ATTEMPTS = 3
"""Times that a block is tried: enough for a passing fault, few enough that a lasting one is soon told."""
RETRY_SECONDS = 0.5
"""Pause before a second attempt; it doubles for the next."""

KEPT = "What is done is kept: the same command continues."
"""End of the message about a block that failed for good."""


class FinishedBlocks(Protocol):
    """Where finished blocks are noted."""

    def __contains__(self, block: str) -> bool:
        """Tell whether a block is finished."""

    def get(self, block: str) -> BlockResult | None:
        """Return the result of a finished block."""

    def add(self, result: BlockResult) -> None:
        """Note a finished block."""


@dataclass
class NoJournal:
    """Finished blocks in memory alone, for runs that nobody resumes."""

    results: dict[str, BlockResult] = field(default_factory=dict)

    def __contains__(self, block: str) -> bool:
        return block in self.results

    def get(self, block: str) -> BlockResult | None:
        """Return the result of a finished block."""
        return self.results.get(block)

    def add(self, result: BlockResult) -> None:
        """Note a finished block."""
        self.results[result.block] = result


def run(
    plan: Plan,
    operation: Operation,
    *,
    placement: Placement,
    journal: FinishedBlocks | None = None,
    progress: Progress = silent,
    stage_done: Callable[[int, Stage], None] | None = None,
) -> None:
    """Run every block of a plan that the journal does not hold, stage after stage.

    ``stage_done`` is called with each stage that is complete, finished earlier ones too. Raises BlockFailedError
    when a block fails for good; blocks under way are waited for and journaled, so that nothing done is lost, but on a
    cluster, where they are cancelled, because they might wait for long.
    """
    done = journal if journal is not None else NoJournal()
    for index, stage in enumerate(plan.stages):
        left = sum(1 for block in stage.blocks() if block.id not in done)
        if left:
            progress(StageStarted(index, stage.name, left))
            _StageRun(stage, operation, placement=placement, done=done, progress=progress).run()
        if stage_done is not None:
            stage_done(index, stage)


@dataclass(slots=True)
class _Try:
    """A block under way."""

    block: Block
    attempt: int
    advanced: int = 0
    """Weight that it has told of itself."""


class _StageRun:
    """The blocks of one stage."""

    def __init__(
        self, stage: Stage, operation: Operation, *, placement: Placement, done: FinishedBlocks, progress: Progress
    ) -> None:
        self._stage = stage
        self._operation = operation
        self._placement = placement
        self._done = done
        self._progress = progress
        self._running: dict[Future[BlockResult], _Try] = {}

    def run(self) -> None:
        """Keep blocks in flight until all are done."""
        waiting = self._waiting()
        try:
            while True:
                free = max(0, self._placement.in_flight - len(self._running))
                for block in itertools.islice(waiting, free):
                    self._submit(_Try(block, 1))
                if not self._running:
                    return
                for future in self._finished():
                    self._take(future, self._running.pop(future))
        except BaseException:
            self._drain()
            raise

    def _waiting(self) -> Iterator[Block]:
        """Yield the blocks that are left; where one process does them in turn, each knows of the following one."""
        left = (block for block in self._stage.blocks() if block.id not in self._done)
        if not self._placement.in_process:
            return left
        pairs = itertools.pairwise(itertools.chain(left, [None]))
        return (replace(block, following=after and after.payload) for block, after in pairs if block is not None)

    def _submit(self, attempt: _Try) -> None:
        advance = self._advance(attempt) if self._placement.in_process else _ignore
        operation = self._operation if self._placement.in_process else part_for(self._operation, attempt.block)
        try:
            future = self._placement.executor.submit(operation, attempt.block, advance)
        except BrokenProcessPool:
            self._placement.renew()
            future = self._placement.executor.submit(operation, attempt.block, advance)
        self._running[future] = attempt

    def _advance(self, attempt: _Try) -> Advance:
        def advance(weight: int, /) -> None:
            attempt.advanced += weight
            now, peak = self._placement.memory()
            self._progress(BlockAdvanced(weight, now, peak))

        return advance

    def _finished(self) -> Iterator[Future[BlockResult]]:
        finished, _ = wait(self._running, timeout=self._placement.watch_seconds, return_when=FIRST_COMPLETED)
        if not finished:
            self._placement.watch()
        return iter(finished)

    def _take(self, future: Future[BlockResult], attempt: _Try) -> None:
        error = future.exception()
        if error is None:
            self._finish(future.result(), attempt)
        elif attempt.attempt < ATTEMPTS and may_pass(error):
            self._retry(error, attempt)
        else:
            raise self._failed(error, attempt) from error

    def _finish(self, result: BlockResult, attempt: _Try) -> None:
        self._done.add(result)
        memory, peak = (int(result.facts.get(key, "0")) for key in ("memory", "peak"))
        rest = max(0, attempt.block.weight - attempt.advanced)
        self._progress(BlockFinished(attempt.block.id, rest, memory, peak))

    def _retry(self, error: BaseException, attempt: _Try) -> None:
        self._progress(BlockRetried(attempt.block.id, attempt.attempt, one_line(error)))
        time.sleep(RETRY_SECONDS * 2 ** (attempt.attempt - 1))
        self._submit(_Try(attempt.block, attempt.attempt + 1, attempt.advanced))

    def _failed(self, error: BaseException, attempt: _Try) -> BlockFailedError:
        return BlockFailedError(
            f"{self._stage.name}: block {attempt.block.id} failed after {attempt.attempt} "
            f"attempt{'s' if attempt.attempt > 1 else ''}: {one_line(error)} "
            f"{KEPT}",
            block=attempt.block.id,
            stage=self._stage.name,
            attempts=attempt.attempt,
        )

    def _drain(self) -> None:
        """Cancel what waits, and keep the results of what was under way."""
        for future in self._running:
            future.cancel()
        wait(self._running)
        for future, attempt in self._running.items():
            if not future.cancelled() and future.exception() is None:
                self._finish(future.result(), attempt)
        self._running.clear()


def part_for(operation: Operation, block: Block) -> Operation:
    """Return what another process needs of an operation for one block, all of it unless the operation knows less."""
    part: Callable[[Block], Operation] | None = getattr(operation, "part_for", None)
    return operation if part is None else part(block)


def _ignore(weight: int, /) -> None:
    """Take progress from a block in another process, from where it cannot be told."""


def may_pass(error: BaseException) -> bool:
    """Tell whether a failure may be gone at the next attempt: faults of machines may, wrong data and full disks not."""
    if isinstance(error, VerifyError | StoreUnavailableError | BrokenProcessPool | ProcessLostError):
        return True
    if isinstance(error, ZarrmillError):
        return False
    if isinstance(error, OSError):
        return not is_disk_full(error) and not isinstance(error, PermissionError | FileNotFoundError)
    return False


def is_disk_full(error: BaseException) -> bool:
    """Tell whether an error says that the disk, or its quota, is full."""
    import errno

    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def one_line(error: BaseException) -> str:
    """Return an error as one line with a full stop, its type where the message alone says too little."""
    if is_disk_full(error):
        return "no space left on the disk of the target. Free some."
    text = " ".join(str(error).split())
    if not isinstance(error, ZarrmillError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if text.endswith(".") else f"{text}."
