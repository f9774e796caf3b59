"""The requests of a run at both of its ends, wherever its blocks run: none counted twice, none of another run's.

What this process asks shows in the counts of its own key spaces. A block that runs elsewhere opens its own connection
and brings its counts along, with the names of the counters that they come from: those that this process has too are in
its own counts already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import Requests
from zarrmill.plan.model import BlockResult

COUNTERS = "counters"
"""Fact of a block that names the counters of its ends."""
ENDS = ("source", "target")


class BlockMeter:
    """The requests of one block; ends on the local disk are None."""

    def __init__(self, source: KeySpace | None, target: KeySpace | None) -> None:
        self._ends = {name: keys for name, keys in zip(ENDS, (source, target), strict=True) if keys is not None}
        self._before = {name: keys.counts.snapshot() for name, keys in self._ends.items()}

    def counts(self) -> dict[str, int]:
        """Return the requests since the block began, such as "target.puts"; what there was none of is left out."""
        return {
            f"{name}.{kind}": count
            for name, keys in self._ends.items()
            for kind, count in asdict(keys.counts.snapshot() - self._before[name]).items()
            if count
        }

    def facts(self) -> dict[str, str]:
        """Return the names of the counters."""
        names = [self._ends[name].counts.name if name in self._ends else "-" for name in ENDS]
        return {COUNTERS: " ".join(names)} if self._ends else {}


class RunMeter:
    """The requests of one run."""

    def __init__(self, source: KeySpace | None, target: KeySpace | None) -> None:
        self._ends = {name: keys for name, keys in zip(ENDS, (source, target), strict=True) if keys is not None}
        self._before = {name: Requests() for name in self._ends}
        self._earlier = {name: Requests() for name in self._ends}

    def leave_out(self, end: str, requests: Requests) -> None:
        """Leave out what was asked of an end before the run began."""
        if end in self._before:
            self._before[end] = requests

    def start(self, journaled: Iterable[BlockResult]) -> None:
        """Take the blocks that an earlier run finished: theirs are told apart."""
        self._earlier = self._elsewhere(journaled)

    @property
    def earlier(self) -> Requests | None:
        """Requests of blocks that an earlier run finished, at both ends; None where there are none."""
        total = sum(self._earlier.values(), Requests())
        return total if total != Requests() else None

    def made(self, journaled: Iterable[BlockResult]) -> dict[str, Requests]:
        """Return the requests of this run by end, given the results of all blocks."""
        elsewhere = self._elsewhere(journaled)
        return {
            name: keys.counts.snapshot() - self._before[name] + (elsewhere[name] - self._earlier[name])
            for name, keys in self._ends.items()
        }

    def _elsewhere(self, journaled: Iterable[BlockResult]) -> dict[str, Requests]:
        """Return the requests that other counters than our own have seen."""
        totals = {name: dict.fromkeys(asdict(Requests()), 0) for name in self._ends}
        for result in journaled if self._ends else ():
            counters = dict(zip(ENDS, result.facts.get(COUNTERS, "").split(), strict=False))
            for name, total in totals.items():
                if counters.get(name) != self._ends[name].counts.name:
                    for kind in total:
                        total[kind] += result.counts.get(f"{name}.{kind}", 0)
        return {name: Requests(**total) for name, total in totals.items()}
