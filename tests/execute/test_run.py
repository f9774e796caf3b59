"""execute/run.py: what the loop tells a block of the one after it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from zarrmill.execute.executors import place
from zarrmill.execute.run import NoJournal, run
from zarrmill.plan.model import Block, BlockResult


@dataclass(frozen=True)
class Numbers:
    """A stage of numbered blocks."""

    count: int
    name: str = "numbers"

    @property
    def weight(self) -> int:
        return self.count

    def __len__(self) -> int:
        return self.count

    def blocks(self) -> Iterator[Block]:
        for number in range(self.count):
            yield Block(f"{self.name}:{number}", number)


@dataclass(frozen=True)
class Stages:
    """A plan."""

    stages: tuple[Numbers, ...]


@dataclass
class Notes:
    """Notes what each block is and what it knows to come; a block may fail once."""

    seen: list[tuple[int, int | None]] = field(default_factory=list)
    failing: int | None = None

    def __call__(self, block, advance, /):
        self.seen.append((block.payload, block.following))
        if block.payload == self.failing:
            self.failing = None
            raise OSError("a passing fault")
        return BlockResult(block.id)


def test_each_block_knows_of_the_following_one():
    """In one process blocks come in turn; the last of a stage has none to follow, whatever stage is next."""
    notes = Notes()
    run(Stages((Numbers(3), Numbers(1, "more"))), notes, placement=place("serial"), journal=NoJournal())

    assert notes.seen == [(0, 1), (1, 2), (2, None), (0, None)]


def test_blocks_that_are_done_follow_nobody():
    """A resumed run looks ahead to what is left, not to what a journal holds."""
    notes, journal = Notes(), NoJournal()
    journal.add(BlockResult("numbers:1"))
    run(Stages((Numbers(3),)), notes, placement=place("threads"), journal=journal)

    assert notes.seen == [(0, 2), (2, None)]


def test_second_attempt_knows_it_too(monkeypatch: pytest.MonkeyPatch):
    """A block that is tried again is followed by the same one."""
    monkeypatch.setattr("zarrmill.execute.run.RETRY_SECONDS", 0)
    notes = Notes(failing=0)
    run(Stages((Numbers(2),)), notes, placement=place("serial"))

    assert notes.seen == [(0, 1), (0, 1), (1, None)]


def test_blocks_of_several_workers_know_nothing():
    """Where blocks go to whoever is free, nobody can say which comes next."""
    notes = Notes()
    with ThreadPoolExecutor(2) as pool:
        run(Stages((Numbers(3),)), notes, placement=place(pool))

    assert sorted(notes.seen) == [(0, None), (1, None), (2, None)]
