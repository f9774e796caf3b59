"""One run in a fresh process: a job on stdin, a measurement on stdout, everything else on stderr.

Imports, the contender's session (a cluster, for one) and a tiny warm-up call come before the measured call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.metadata
import os
import sys
from types import ModuleType

from benchmarks.measure import measured
from benchmarks.protocol import Job, Measurement


def run(job: Job, warm_up: Job) -> Measurement:
    """Warm up, make the call, ask the contender what it has to say.

    A contender is a module with `run(job) -> dict | None` and `PACKAGES`; it may have a context manager `session(job)`,
    a `warm_up(job)` in place of a tiny `run`, and a function `after(job) -> dict`, all outside of the timing. A dict
    may hold `source_reads`. With `PEAK_PER_PROCESS` its peak is that of its largest process, not of all together.
    """
    contender = importlib.import_module(f"benchmarks.contenders.{job.module}")
    session = getattr(contender, "session", lambda job: contextlib.nullcontext())
    with session(job):
        getattr(contender, "warm_up", contender.run)(warm_up)
        said, cost = measured(lambda: contender.run(job), per_process=getattr(contender, "PEAK_PER_PROCESS", False))
        extra = dict(said or {})
        extra.update(getattr(contender, "after", lambda job: {})(job))
    return Measurement(
        **dataclasses.asdict(cost),
        source_reads=extra.pop("source_reads", None),
        extra=extra,
        versions=_versions(contender),
    )


def _versions(contender: ModuleType) -> dict[str, str]:
    found = {}
    for package in contender.PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def main() -> None:
    """Answer on the real stdout; whatever a contender prints goes to stderr."""
    answer = os.dup(1)
    os.dup2(2, 1)
    job, warm_up = (Job.from_json(line) for line in sys.stdin.read().splitlines())
    measurement = run(job, warm_up)
    with os.fdopen(answer, "w") as stream:
        stream.write(measurement.to_json() + "\n")


if __name__ == "__main__":
    main()
