"""Run the contenders: a fresh process per run, the same state of the disk before each, every result compared."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare import Verdict
from benchmarks.contenders import Contender
from benchmarks.data import Source, prepare_source
from benchmarks.environments import REPOSITORY, Environment, variables
from benchmarks.machine import load_average
from benchmarks.protocol import Job, Measurement
from benchmarks.records import Run
from benchmarks.sizes import WARM_UP, Layout, Size

START_SECONDS = 60
"""Patience with imports, session and warm-up, on top of the time limit of a size."""
COMPARE_SECONDS = 1800
"""Patience with a comparison."""
SLOW_SECONDS = 60.0
"""A peer that takes longer runs no second time."""
FORGETTING_SECONDS = 40.0
"""How long ext4 keeps away from freed inodes: 35 seconds."""
COUNTED_SIZES = ("S", "M")
"""Sizes in which source reads are counted by an extra run."""


class RunFailedError(Exception):
    """A worker that did not answer; the message is one line for the table."""


@dataclass(frozen=True)
class Runner:
    """What all runs share."""

    work: Path
    """Directory for sources, results and environments."""
    environments: dict[str, Environment]
    """By name."""
    repeats: int | None = None
    """Runs per contender, when the sizes' own numbers shall not hold."""
    say: Callable[[str], None] = print
    """Told one line per run."""

    def run_size(self, size: Size, contenders: list[Contender]) -> Iterator[Run]:
        """Every run of a size, in rounds: one run of each contender after the other, so that ours and the floor mix."""
        source = prepare_source(size, self.work / "data")
        self._delete_old(wait=len(contenders) > 1)
        for layout in ("shards", "files"):
            present = []
            for contender in contenders:
                if layout in contender.layouts(size):
                    problem = self._problem(contender)
                    if problem:
                        yield self._blank(size, layout, contender, error=problem)
                    else:
                        present.append(contender)
            yield from self._rounds(size, layout, present, source=source)
            self._delete_old(wait=len(contenders) > 1)

    def _rounds(self, size: Size, layout: Layout, contenders: list[Contender], *, source: Source) -> Iterator[Run]:
        waiting = {contender.name: self._wanted(size, contender) for contender in contenders}
        while any(waiting.values()):
            for contender in contenders:
                if not waiting[contender.name]:
                    continue
                run = self._run(size, layout, contender, source=source)
                waiting[contender.name] -= 1
                slow = run.measurement and run.measurement.seconds > SLOW_SECONDS and contender.role == "peer"
                if slow or not run.measurement:
                    waiting[contender.name] = 0
                if not waiting[contender.name] and run.measurement:
                    run = self._with_reads(run, size, contender, source=source)
                yield run

    def _wanted(self, size: Size, contender: Contender) -> int:
        return self.repeats or (size.peer_repeats if contender.role == "peer" else size.repeats)

    def _problem(self, contender: Contender) -> str:
        environment = self.environments[contender.environment]
        missing = [] if environment.problem else environment.missing(contender.needs)
        return environment.problem or (f"not installed: {', '.join(missing)}" if missing else "")

    def _blank(self, size: Size, layout: Layout, contender: Contender, *, error: str = "") -> Run:
        limit = contender.options.get("max_mem", size.max_mem)
        return Run(size.name, layout, contender.name, contender.role, limit, load_average(), error=error)

    def _run(self, size: Size, layout: Layout, contender: Contender, *, source: Source) -> Run:
        """One timed run and the comparison of its result."""
        job, warm_up = self._jobs(size, layout, contender, source=source)
        self._settle(source)
        run = self._blank(size, layout, contender)
        try:
            measurement = self._measure(job, warm_up, contender)
            self.say(f"{size.name} {layout} {contender.name}: {measurement.seconds:.3f} s, load {run.load:.2f}")
            run = dataclasses.replace(run, measurement=measurement)
            verdict = self._compare(dataclasses.replace(job, source=str(source.v3)))
            return dataclasses.replace(run, equal=verdict.equal, remarks=verdict.remarks)
        except RunFailedError as failed:
            self.say(f"{size.name} {layout} {contender.name}: {failed}")
            return dataclasses.replace(run, error=str(failed), equal=False if run.measurement else None)
        finally:
            self._put_away()

    def _with_reads(self, run: Run, size: Size, contender: Contender, *, source: Source) -> Run:
        """The run with its source reads, counted by another one that is not timed."""
        if not (contender.counts and size.name in COUNTED_SIZES and run.measurement):
            return run
        job, warm_up = self._jobs(size, run.layout, contender, source=source)
        self._settle(source)
        try:
            counted = self._measure(dataclasses.replace(job, count_reads=True), warm_up, contender)
        except RunFailedError:
            return run
        finally:
            self._put_away()
        return dataclasses.replace(
            run, measurement=dataclasses.replace(run.measurement, source_reads=counted.source_reads)
        )

    @property
    def _out(self) -> Path:
        return self.work / "out"

    @property
    def _old(self) -> Path:
        return self.work / "old"

    def _jobs(self, size: Size, layout: Layout, contender: Contender, *, source: Source) -> tuple[Job, Job]:
        """The job, and the same for the tiny array of the warm-up."""

        def job(size: Size, source: Source, name: str) -> Job:
            store = source.v2 if contender.environment == "rechunker" else source.v3
            target, scratch = self._out / name / "target", self._out / name / "scratch"
            return Job(
                contender.module, contender.options, size, layout, str(store), str(target), str(scratch), size.max_mem
            )

        return job(size, source, "run"), job(WARM_UP, prepare_source(WARM_UP, self.work / "data"), "warm-up")

    def _put_away(self) -> None:
        """Move results aside: ext4 skips inodes freed in the last half minute one by one, which slows every new file.

        A run that came after the deletion of thousands of files would pay for those of the run before.
        """
        if self._out.exists():
            self._old.mkdir(exist_ok=True)
            self._out.rename(self._old / uuid.uuid4().hex)

    def _delete_old(self, *, wait: bool) -> None:
        """Delete what was put away, and wait until the file system has forgotten it where others shall be compared."""
        if self._old.exists():
            shutil.rmtree(self._old, ignore_errors=True)
            os.sync()
            time.sleep(FORGETTING_SECONDS if wait else 0.0)

    def _settle(self, source: Source) -> None:
        """Put old results away, write back what is dirty, read the source once."""
        self._put_away()
        for name in ("run", "warm-up"):
            (self._out / name / "scratch").mkdir(parents=True)
        os.sync()
        buffer = bytearray(1 << 22)
        for folder, _, names in os.walk(source.v3):
            for name in names:
                with open(os.path.join(folder, name), "rb", buffering=0) as file:
                    while file.readinto(buffer):
                        pass

    def _measure(self, job: Job, warm_up: Job, contender: Contender) -> Measurement:
        python = self.environments[contender.environment].python
        limit = job.size.time_limit + START_SECONDS
        told = f"{job.to_json()}\n{warm_up.to_json()}\n"
        return Measurement.from_json(_ask(python, "benchmarks.worker", told, seconds=limit))

    def _compare(self, job: Job) -> Verdict:
        python = self.environments["main"].python
        return Verdict.from_json(_ask(python, "benchmarks.compare", job.to_json(), seconds=COMPARE_SECONDS))


def _ask(python: str, module: str, told: str, *, seconds: float) -> str:
    """Run a module in a process of its own; its answer, or `RunFailedError` with the last line of what it said."""
    with subprocess.Popen(
        [python, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=variables(),
        start_new_session=True,
    ) as process:
        try:
            answer, said = process.communicate(told, timeout=seconds)
        except BaseException as error:
            # Its children are in the same session; nobody else is.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise RunFailedError(f"over {seconds:.0f} s") from None
            raise
    if process.returncode < 0:
        raise RunFailedError(f"killed by {signal.Signals(-process.returncode).name}")
    if process.returncode:
        lines = [line for line in said.splitlines() if line.strip()]
        raise RunFailedError(lines[-1][:200] if lines else f"ended with {process.returncode}")
    return answer


def to_stderr(line: str) -> None:
    """Say a line where it does not mix with the tables."""
    print(line, file=sys.stderr, flush=True)


def as_plain(runs: list[Run]) -> list[dict[str, object]]:
    """The runs as plain values for JSON."""
    return [json.loads(json.dumps(dataclasses.asdict(run), default=str)) for run in runs]
