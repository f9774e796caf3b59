"""Sessions as blocks: one session's work with its record, and the loop of all domains over many of them.

Whatever happens to a session stays with it. What ``process_session`` raises becomes a record of a failure; a session
whose process dies is tried again alone, so that those beside it are not blamed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from zarrmill.errors import BlockFailedError, ZarrmillError
from zarrmill.execute.executors import Placement, ProcessLostError
from zarrmill.execute.run import one_line, run
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.plan.model import Advance, Block, BlockResult
from zarrmill.progress import Progress, RunFinished, RunStarted
from zarrmill.recordings.records import SessionRecord
from zarrmill.recordings.session import Session

SessionDone = Callable[[SessionRecord], None]
"""Told of each session as it ends."""


class Worker(Protocol):
    """What does the work of one session, in whichever process."""

    def work(self, session: Session) -> SessionRecord:
        """Process a session and record it, whatever happens."""

    def give_up(self, session: Session, error: BaseException) -> SessionRecord:
        """Record a session whose process died."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """One stage of one block per session; a block owns the stores of its session, and no other block writes there."""

    name: str
    """What is done, for people."""
    sessions: tuple[Session, ...]
    """The sessions."""

    @property
    def stages(self) -> tuple[SessionPlan]:
        """The only stage."""
        return (self,)

    @property
    def weight(self) -> int:
        """Bytes of all inputs."""
        return sum(_weight(session) for session in self.sessions)

    def __len__(self) -> int:
        return len(self.sessions)

    def blocks(self) -> Iterator[Block]:
        """Yield a block per session, named as the session is outside."""
        for session in self.sessions:
            yield Block(session.session_id, session, _weight(session))


def _weight(session: Session) -> int:
    return max(1, session.nbytes)


@dataclass(frozen=True, slots=True)
class SessionOperation:
    """Does one session. Picklable, and idempotent: stores of a session that is done again are replaced whole."""

    worker: Worker
    """What does the work."""

    def __call__(self, block: Block, advance: Advance, /) -> BlockResult:
        """Do one session."""
        with WORKSHOP.turn():
            meter = WORKSHOP.measure()
            record = self.worker.work(block.payload)
            advance(block.weight)
            facts = {"record": json.dumps(record.to_json()), "memory": str(meter.now()), "peak": str(meter.peak())}
            return BlockResult(block.id, {record.status: 1}, facts)


@dataclass
class SessionJournal:
    """Finished sessions of one run; the records in the store are what lasts."""

    done: SessionDone
    """Told of each of them."""
    records: dict[str, SessionRecord] = field(default_factory=dict)
    """Record by session."""
    suspects: list[str] = field(default_factory=list)
    """Sessions that are to run alone, because the process that had them died."""
    peak: int = 0
    """Largest memory above start of any process, in bytes."""

    def __contains__(self, block: str) -> bool:
        return block in self.records or block in self.suspects

    def get(self, block: str) -> BlockResult | None:
        """Return the result of a finished session."""
        record = self.records.get(block)
        return None if record is None else BlockResult(block, {record.status: 1})

    def add(self, result: BlockResult) -> None:
        """Note a finished session."""
        self.peak = max(self.peak, int(result.facts.get("peak", "0")))
        self.note(SessionRecord.from_json(json.loads(result.facts["record"])))

    def note(self, record: SessionRecord) -> None:
        """Note what became of a session."""
        self.records[record.session_id] = record
        self.done(record)


@dataclass(frozen=True, slots=True)
class SessionsDone:
    """What a run over sessions brought."""

    records: tuple[SessionRecord, ...]
    """A record per session, in the order of the sessions."""
    seconds: float
    """Wall time."""
    peak_mem: int
    """Largest memory above start of any process, in bytes."""


def run_sessions(
    worker: Worker,
    sessions: Sequence[Session],
    *,
    name: str,
    placement: Placement,
    progress: Progress,
    done: SessionDone,
) -> SessionsDone:
    """Run a worker over sessions by the one loop of the project; return a record of each, failed ones too."""
    begun, plan, journal = time.perf_counter(), SessionPlan(name, tuple(sessions)), SessionJournal(done)
    if placement.in_process:
        WORKSHOP.measure().restart()
    progress(RunStarted(1, len(plan), plan.weight, 0, 0, 0, placement.processes))
    _run_beside_each_other(plan, SessionOperation(worker), placement=placement, progress=progress, journal=journal)
    _run_alone(plan, SessionOperation(worker), placement=placement, progress=progress, journal=journal)
    seconds = time.perf_counter() - begun
    progress(RunFinished(seconds, journal.peak))
    records = tuple(journal.records[session.session_id] for session in sessions)
    return SessionsDone(records, seconds, journal.peak)


def _run_beside_each_other(
    plan: SessionPlan, operation: SessionOperation, *, placement: Placement, progress: Progress, journal: SessionJournal
) -> None:
    """Run all sessions; those whose process dies are left as suspects."""
    while True:
        try:
            run(plan, operation, placement=placement, journal=journal, progress=progress)
            return
        except BlockFailedError as error:
            if not _is_lost(error.__cause__):
                raise
            journal.suspects.append(error.block)


def _run_alone(
    plan: SessionPlan, operation: SessionOperation, *, placement: Placement, progress: Progress, journal: SessionJournal
) -> None:
    """Run each suspect with no other beside it: if its process dies again, that is its own doing."""
    by_id = {session.session_id: session for session in plan.sessions}
    while journal.suspects:
        session = by_id[journal.suspects.pop()]
        alone = SessionPlan(plan.name, (session,))
        try:
            run(alone, operation, placement=placement, journal=journal, progress=progress)
        except BlockFailedError as error:
            if not _is_lost(error.__cause__):
                raise
            journal.note(operation.worker.give_up(session, error.__cause__ or error))


def _is_lost(error: BaseException | None) -> bool:
    return isinstance(error, BrokenProcessPool | ProcessLostError)


def say_error(error: BaseException) -> tuple[str, str]:
    """Return an error in one line, and its kind."""
    if isinstance(error, BrokenProcessPool | ProcessLostError):
        return "the process that worked on it died, three times: it may need more memory than there is.", "process_lost"
    kind = error.kind if isinstance(error, ZarrmillError) else type(error).__name__
    return one_line(error), kind


def request_figures(requests: Any) -> dict[str, int]:
    """Return counts of requests as JSON values, without those that are 0."""
    return {name: count for name, count in asdict(requests).items() if count}
