"""What every domain's plan is made of: stages of blocks.

A plan is data. The run loop asks of it only what the protocols here say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Block:
    """The unit of work: repeating it is harmless, and no other block of its stage writes its keys."""

    id: str
    """Unique within the plan and the same every time that the plan is enumerated."""
    payload: Any
    """What the operation needs to know: a small frozen picklable value (a region, a session, an epoch)."""
    weight: int = 1
    """Share of the work, for progress (bytes for array data)."""
    following: Any = None
    """Payload of the block that the same process does next, so that it can be begun early; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What an operation returns for a block, small enough to be journaled."""

    block: str
    """Id of the block."""
    counts: dict[str, int] = field(default_factory=dict)
    """Figures that add up over blocks: bytes_read, bytes_written, chunks_read, keys_written, keys_empty …"""
    facts: dict[str, str] = field(default_factory=dict)
    """Figures that do not add up as integers: digest shares, key sums, as text."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {"block": self.block, "counts": self.counts, "facts": self.facts}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> BlockResult:
        """Return the result that ``to_json`` wrote."""
        return cls(block=data["block"], counts=dict(data["counts"]), facts=dict(data["facts"]))


class Stage(Protocol):
    """Blocks with no order between them; the next stage starts when all are done."""

    @property
    def name(self) -> str:
        """What the stage does, for people."""

    @property
    def weight(self) -> int:
        """Sum of the weights of its blocks."""

    def __len__(self) -> int:
        """Return the number of blocks."""

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks, lazily, in the same order every time."""


class Plan(Protocol):
    """An ordered sequence of stages."""

    @property
    def stages(self) -> Sequence[Stage]:
        """The stages in order."""


class Operation(Protocol):
    """A small picklable callable that does one block."""

    def __call__(self, block: Block, advance: Advance, /) -> BlockResult:
        """Do the block, calling ``advance`` with the weight done since the last call."""


class Advance(Protocol):
    """Reports progress within a block."""

    def __call__(self, weight: int, /) -> None:
        """Add to the weight done."""
