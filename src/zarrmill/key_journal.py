"""The blocks that a run has finished, in a store: few and small keys, each a list of results, gone at the end.

A key is written once and never changed. What a run finishes is written in bundles, because each costs a request: a
killed run loses at most FLUSH_BLOCKS results or FLUSH_SECONDS of work.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import Buffer
from zarrmill.plan.model import BlockResult

FLUSH_SECONDS = 10.0
"""Seconds of work that a killed run may have to do again."""
FLUSH_BLOCKS = 100
"""Finished blocks that are written together."""


class KeyJournal:
    """Finished blocks below a folder of a key space; those of earlier runs are there when it is opened."""

    def __init__(self, keys: KeySpace) -> None:
        self._keys = keys
        self._run = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._results = read_results(keys)
        self._waiting: list[dict[str, Any]] = []
        self._flushed = time.monotonic()

    def __len__(self) -> int:
        return len(self._results)

    def __contains__(self, block: str) -> bool:
        return block in self._results

    def __iter__(self) -> Iterator[BlockResult]:
        return iter(self._results.values())

    def get(self, block: str) -> BlockResult | None:
        """Return the result of a block, None when it is not finished."""
        return self._results.get(block)

    def add(self, result: BlockResult) -> None:
        """Note a finished block; its keys are stored by now."""
        self._results[result.block] = result
        self._note(result.to_json())

    def forget(self, blocks: Iterable[str]) -> None:
        """Take back blocks whose keys are no longer there."""
        gone = [block for block in blocks if self._results.pop(block, None) is not None]
        if gone:
            self._note({"forget": gone})
            self.flush()

    def _note(self, line: dict[str, Any]) -> None:
        self._waiting.append(line)
        if len(self._waiting) >= FLUSH_BLOCKS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was noted since the last time."""
        if self._waiting:
            bundle = {"written": time.time(), "check": check_of(self._waiting), "lines": self._waiting}
            data = json.dumps(bundle, separators=(",", ":"))
            self._keys.put(f"{self._run}-{next(self._numbers):06}.json", data.encode())
            self._waiting = []
        self._flushed = time.monotonic()

    def drop(self) -> None:
        """Forget what is not written yet: the run is complete and nobody resumes it."""
        self._waiting = []

    def close(self) -> None:
        """Write what is left, for the run that resumes."""
        self.flush()


def read_results(keys: KeySpace) -> dict[str, BlockResult]:
    """Return the results of all runs by block; a bundle that was damaged on its way counts as not written."""
    bundles = [found for info in keys.list() if (found := _bundle(keys.get(info.key))) is not None]
    results: dict[str, BlockResult] = {}
    for bundle in sorted(bundles, key=lambda bundle: bundle["written"]):
        for line in bundle["lines"]:
            if "forget" in line:
                for block in line["forget"]:
                    results.pop(block, None)
            else:
                results[line["block"]] = BlockResult.from_json(line)
    return results


def check_of(lines: list[dict[str, Any]]) -> str:
    """Return the checksum of lines: a digit that was flipped still makes a number."""
    text = json.dumps(lines, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _bundle(data: Buffer | None) -> dict[str, Any] | None:
    """Return what a key of the journal holds, None where that is not what was written."""
    try:
        found = json.loads(bytes(data or b""))
        whole = found["check"] == check_of(found["lines"]) and isinstance(found["written"], float)
    except (ValueError, KeyError, TypeError):
        return None
    return found if whole else None
