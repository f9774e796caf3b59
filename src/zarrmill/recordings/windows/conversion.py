"""From the signals of one recording to a store of windows: planned, streamed, checked, visible when all is there."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from zarrmill.draft import Claim
from zarrmill.errors import PublishError, ZarrmillError
from zarrmill.execute.executors import Placement
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.progress import Progress, RunFinished, RunStarted, StepStarted
from zarrmill.recordings.windows.channels import Layout
from zarrmill.recordings.windows.contents import Contents
from zarrmill.recordings.windows.settings import WindowSettings
from zarrmill.recordings.windows.signal_run import SignalRun
from zarrmill.recordings.windows.stages import find_lost, results_of
from zarrmill.recordings.windows.window_report import WindowReport
from zarrmill.recordings.windows.window_source import WindowSource
from zarrmill.recordings.windows.window_store import Scheme
from zarrmill.recordings.windows.window_target import open_window_target
from zarrmill.target import RunJournal, Target


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a conversion treats what is there, and the disk."""

    overwrite: bool = False
    """Whether a store that is there is replaced."""
    resume: bool = True
    """Whether it goes on after the finished blocks of a run that was stopped; else those are done again."""
    sync: bool = True
    """Whether a local disk confirms finished blocks, and the store before it is shown."""


def convert(
    source: WindowSource,
    target: KeySpace,
    *,
    settings: WindowSettings,
    layout: Layout | None,
    placement: Placement,
    conduct: Conduct,
    progress: Progress,
) -> WindowReport:
    """Write the windows of a recording; a run that was stopped goes on after its finished blocks.

    A recording without windows writes nothing, and the report says why. Raises AlreadyExistsError, ResumeError,
    InvalidInputError, SourceFormatError, BlockFailedError, PublishError.
    """
    plan = source.plan(settings)
    if not plan.count:
        return WindowReport.empty(target.location, source.session_id, plan)
    opened, scheme = open_window_target(target, source.path, overwrite=conduct.overwrite)
    try:
        signals = SignalRun(source, plan, settings=settings, layout=layout, placement=placement)
        return Conversion(signals, opened, scheme=scheme, conduct=conduct).do(progress)
    finally:
        opened.close()


class Conversion:
    """One conversion under way."""

    def __init__(self, run: SignalRun, target: Target, *, scheme: Scheme, conduct: Conduct) -> None:
        self._run = run
        self._target = target
        self._scheme: Scheme = scheme
        self._conduct = conduct

    def do(self, progress: Progress) -> WindowReport:
        """Claim, run what is left, check, publish and report."""
        begun = time.perf_counter()
        resumed, _ = self._target.claim(self._claim(), resume=self._conduct.resume)
        journal = self._target.open_journal(sync=self._conduct.sync)
        try:
            if resumed:
                journal.forget(self._find_lost(journal))
            resumed_blocks = self._start(journal, progress)
            contents = self._run.run(self._target, journal, scheme=self._scheme, progress=progress)
            progress(StepStarted("check"))
            self._check_complete(journal)
            progress(StepStarted("publish"))
            self._publish(contents)
        except BaseException:
            # What stopped the run says more than that its last results could not be noted either.
            with suppress(ZarrmillError):
                journal.close()
            raise
        report = self._report(contents, journal, resumed_blocks=resumed_blocks, begun=begun)
        journal.close()
        progress(RunFinished(report.seconds, report.peak_mem))
        return report

    def _claim(self) -> Claim:
        """Return whose draft it is: the request, and the file by its checksum."""
        request = {"kind": "windows", "settings": self._run.settings.to_json(), "windows": self._run.plan.to_json()}
        layout = None if self._run.layout is None else self._run.layout.digest()
        return Claim(json.loads(json.dumps({**request, "layout": layout})), asdict(self._run.source.facts))

    def _start(self, journal: RunJournal, progress: Progress) -> int:
        """Start measuring, tell of the run, and return how many blocks are done already."""
        if self._run.placement.in_process and not WORKSHOP.lock.locked():
            WORKSHOP.measure().restart()
        blocks = [block for stage in self._run.stages for block in stage.blocks()]
        done = [block for block in blocks if block.id in journal]
        weights = sum(block.weight for block in blocks), sum(block.weight for block in done)
        processes = self._run.placement.processes
        progress(RunStarted(len(self._run.stages), len(blocks), weights[0], len(done), weights[1], 0, processes))
        return len(done)

    def _find_lost(self, journal: RunJournal) -> list[str]:
        """Return the finished blocks whose keys are gone."""
        chunk = min(self._run.settings.chunk_windows, self._run.plan.count)
        lost: list[str] = []
        for path in ("eeg", "fnirs"):
            results = results_of(journal, path)
            if results:
                sizes = dict(self._target.listing(path))
                lost += find_lost(results, sizes, path=path, chunk=chunk, scheme=self._scheme)
        return lost

    def _check_complete(self, journal: RunJournal) -> None:
        lost = self._find_lost(journal)
        if lost:
            journal.forget(lost)
            raise PublishError(
                f"keys of {len(lost)} blocks are no longer in the draft {self._target.place} as they were written "
                f"({', '.join(lost[:3])}). The same command writes those again."
            )

    def _publish(self, contents: Contents) -> None:
        """Write the small arrays and make the store visible."""
        for array in contents.small:
            array.write(self._target.keys, self._scheme)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        scratch = self._target.choose_scratch(None, spread=False)
        documents = contents.documents(created, self._scheme)
        self._target.publish(documents, sync=self._conduct.sync, scratch=scratch)

    def _report(self, contents: Contents, journal: RunJournal, *, resumed_blocks: int, begun: float) -> WindowReport:
        plan, results = contents.plan, contents.results
        return WindowReport(
            target=self._target.location,
            session_id=self._run.source.session_id,
            windows=plan.count,
            eeg_valid=int((plan.eeg.reasons == 0).sum()),
            fnirs_valid=int((plan.fnirs.reasons == 0).sum()),
            fnirs_channels=contents.fnirs_channels,
            plan=plan.to_json(),
            blocks=len(results),
            resumed_blocks=resumed_blocks,
            bytes_written=sum(result.counts.get("bytes_written", 0) for result in results),
            keys_written=sum(result.counts.get("keys_written", 0) for result in results),
            seconds=round(time.perf_counter() - begun, 6),
            peak_mem=max((int(result.facts.get("peak", "0")) for result in results), default=0),
            notes=contents.notes,
        )
