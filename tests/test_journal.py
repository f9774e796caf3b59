"""Finished blocks on disk: what counts after a kill, after a restart of the machine, and after second thoughts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zarrmill import journal as journal_module
from zarrmill.journal import Journal, boot_id
from zarrmill.plan.model import BlockResult


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def result(block: str) -> BlockResult:
    return BlockResult(block, {"keys_written": 3, "bytes_read": 2**40}, {"terms": "00ff", "peak": "12"})


def note(path: Path, *blocks: str, sync: bool = False) -> None:
    """Note blocks in a run of its own."""
    journal = Journal(path, sync=sync)
    for block in blocks:
        journal.add(result(block))
    journal.close()


def noted(path: Path) -> list[str]:
    """Return the blocks that the next run takes for finished."""
    journal = Journal(path, sync=False)
    journal.close()
    return [found.block for found in journal]


def restart(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the machine restarted, as far as the journal can tell."""
    monkeypatch.setattr(journal_module, "boot_id", lambda: name)


def test_results_come_back_whole(path: Path) -> None:
    """Figures and facts of a block are the same in the next run."""
    note(path, "a:0:0:1", "a:0:0:2")
    journal = Journal(path)
    assert len(journal) == 2
    assert journal.get("a:0:0:1") == result("a:0:0:1")
    assert "a:0:0:3" not in journal
    assert journal.get("a:0:0:3") is None
    journal.close()


def test_last_result_of_a_block_counts(path: Path) -> None:
    """A block that was done again counts once, with its last figures."""
    note(path, "a")
    journal = Journal(path)
    journal.add(BlockResult("a", {"keys_written": 1}))
    journal.close()
    assert noted(path) == ["a"]
    journal = Journal(path)
    assert journal.get("a") == BlockResult("a", {"keys_written": 1})
    journal.close()


@pytest.mark.parametrize("cut", [1, 2, 20, 60], ids=lambda cut: f"{cut}-bytes-lost")
def test_torn_last_line_is_ignored(path: Path, cut: int) -> None:
    """A kill in the middle of a line costs that line alone."""
    note(path, "a", "b")
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert noted(path) == (["a", "b"] if cut == 1 else ["a"])


def test_lines_after_a_torn_one_count(path: Path) -> None:
    """What the next run notes does not disappear into the line that was cut short."""
    note(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-20])
    note(path, "b", "c")
    assert noted(path) == ["a", "b", "c"]


def test_line_without_its_newline_survives_two_runs(path: Path) -> None:
    """A line of which only the newline is lost is not spoilt by what the next run appends."""
    note(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-1])
    note(path, "c")
    assert noted(path) == ["a", "b", "c"]


def test_restart_after_a_torn_line_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark of a restart is not lost behind a torn line, so that what it calls in question does not count."""
    restart(monkeypatch, "first")
    note(path, "a", "b")
    path.write_bytes(path.read_bytes()[:-20])
    restart(monkeypatch, "second")
    note(path, "c")
    assert noted(path) == ["c"]


@pytest.mark.parametrize("rubbish", [b"\0" * 300, b"\xff\xfe{", b"[1, 2]\n", b"17\n"], ids=repr)
def test_rubbish_is_ignored(path: Path, rubbish: bytes) -> None:
    """A lost machine may leave anything in place of the last lines."""
    note(path, "a")
    with open(path, "ab") as file:
        file.write(rubbish)
    note(path, "b")
    assert noted(path) == ["a", "b"]


def test_forgotten_blocks_stay_forgotten(path: Path) -> None:
    """Blocks whose keys are lost count no more, in this run and the next, until they are done again."""
    note(path, "a", "b", "c")
    journal = Journal(path)
    journal.forget(["a", "c", "unknown"])
    assert [found.block for found in journal] == ["b"]
    journal.close()
    assert noted(path) == ["b"]
    note(path, "c")
    assert noted(path) == ["b", "c"]


def test_without_restart_nothing_needs_a_mark(path: Path) -> None:
    """A killed process loses nothing: what it wrote is with the system."""
    note(path, "a")
    note(path, "b")
    assert noted(path) == ["a", "b"]


def test_restart_keeps_what_is_marked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart of the machine only what was brought to the disk counts."""
    restart(monkeypatch, "first")
    journal = Journal(path)
    journal.add(result("a"))
    journal.mark_synced()
    journal.add(result("b"))
    journal.close()
    assert noted(path) == ["a", "b"]
    restart(monkeypatch, "second")
    assert noted(path) == ["a"]


def test_restart_without_a_mark_keeps_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that nobody brought to the disk may be lost in part, so they are done again."""
    restart(monkeypatch, "first")
    note(path, "a", "b")
    restart(monkeypatch, "second")
    assert noted(path) == []


def test_restart_does_not_bring_back_the_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken back after the last mark is not brought back by it."""
    restart(monkeypatch, "first")
    journal = Journal(path)
    journal.add(result("a"))
    journal.add(result("b"))
    journal.mark_synced()
    journal.forget(["a"])
    journal.close()
    restart(monkeypatch, "second")
    assert noted(path) == ["b"]


def test_second_restart_counts_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run's unmarked blocks fall with its own restart."""
    restart(monkeypatch, "first")
    journal = Journal(path)
    journal.add(result("a"))
    journal.mark_synced()
    journal.close()
    restart(monkeypatch, "second")
    note(path, "b")
    restart(monkeypatch, "third")
    note(path, "c")
    assert noted(path) == ["a", "c"]


def test_marks_come_with_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that syncs marks what it has done every SYNC_SECONDS, one that does not never does."""
    synced: list[Path] = []
    monkeypatch.setattr(journal_module, "sync_file_system", synced.append)
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", -1.0)
    note(path, "a", sync=False)
    assert synced == []
    note(path, "b", sync=True)
    assert synced == [path]
    restart(monkeypatch, "another")
    assert noted(path) == ["a", "b"]


def test_every_line_is_json(path: Path) -> None:
    """The file is JSON lines, the first of each run with the format and the boot."""
    note(path, "a")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"format": 1, "boot": boot_id()}, result("a").to_json()]
