"""Sums over the results of a run's blocks, array by array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from zarrmill.digest import Share
from zarrmill.execute.keys import add_terms
from zarrmill.plan.model import BlockResult


@dataclass(slots=True)
class ArrayAccount:
    """What the blocks of one array did."""

    counts: dict[str, int] = field(default_factory=dict)
    """Figures that add up."""
    source_share: Share = field(default_factory=Share.zero)
    """Digest of what was read."""
    target_share: Share = field(default_factory=Share.zero)
    """Digest of what was read back."""
    terms: int = 0
    """Fingerprint of the keys written."""
    peak: int = 0
    """Largest memory above start of a process that ran one of its blocks."""

    def add(self, result: BlockResult) -> None:
        """Add one block."""
        for key, count in result.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
        facts = result.facts
        if "source_share" in facts:
            self.source_share += Share.from_json(facts["source_share"])
        if "target_share" in facts:
            self.target_share += Share.from_json(facts["target_share"])
        self.terms = add_terms(self.terms, int(facts.get("terms", "0"), 16))
        self.peak = max(self.peak, int(facts.get("peak", "0")))


def array_of(block: str) -> str:
    """Return the path of the array of a block's id.

    >>> array_of("a/flux:0:0:17"), array_of("/:1:0:3")
    ('a/flux', '')
    """
    path = block.rsplit(":", 3)[0]
    return "" if path == "/" else path


def accounts(results: Iterable[BlockResult]) -> dict[str, ArrayAccount]:
    """Return the sums by path of the array."""
    found: dict[str, ArrayAccount] = {}
    for result in results:
        found.setdefault(array_of(result.block), ArrayAccount()).add(result)
    return found
