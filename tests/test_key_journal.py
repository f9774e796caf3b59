"""key_journal.py: finished blocks in few small keys, whatever happens to them on their way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zarrmill import key_journal
from zarrmill.key_journal import KeyJournal, read_results
from zarrmill.keyspace.local import LocalKeys
from zarrmill.plan.model import BlockResult


@pytest.fixture
def keys(tmp_path: Path) -> LocalKeys:
    return LocalKeys(tmp_path)


def result(name: str, count: int = 1) -> BlockResult:
    return BlockResult(name, {"keys_written": count}, {"terms": "00ff"})


def names(keys: LocalKeys) -> list[str]:
    return sorted(info.key for info in keys.list())


def test_results_are_there_for_the_next_run(keys: LocalKeys) -> None:
    """What was added is found again, with figures and facts, after the journal is closed."""
    journal = KeyJournal(keys)
    for name in ("a:0", "a:1"):
        journal.add(result(name))
    journal.close()
    again = KeyJournal(keys)
    assert (len(again), "a:0" in again, "a:2" in again) == (2, True, False)
    assert list(again) == [result("a:0"), result("a:1")]
    assert again.get("a:1") == result("a:1")
    assert again.get("a:2") is None


def test_few_keys_are_written(keys: LocalKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key holds up to FLUSH_BLOCKS results."""
    monkeypatch.setattr(key_journal, "FLUSH_BLOCKS", 10)
    journal = KeyJournal(keys)
    for number in range(25):
        journal.add(result(f"a:{number}"))
    assert len(names(keys)) == 2
    journal.close()
    assert len(names(keys)) == 3
    assert len(read_results(keys)) == 25


def test_old_results_are_written_soon(keys: LocalKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """After FLUSH_SECONDS the next result takes those before it along."""
    journal = KeyJournal(keys)
    journal.add(result("a:0"))
    assert names(keys) == []
    monkeypatch.setattr(key_journal, "FLUSH_SECONDS", -1.0)
    journal.add(result("a:1"))
    assert len(read_results(keys)) == 2


def test_nothing_is_written_for_nothing(keys: LocalKeys) -> None:
    """A journal without results leaves no key, and closing twice writes once."""
    KeyJournal(keys).close()
    assert names(keys) == []
    journal = KeyJournal(keys)
    journal.add(result("a:0"))
    journal.close()
    journal.close()
    assert len(names(keys)) == 1


def test_forgotten_blocks_stay_forgotten(keys: LocalKeys) -> None:
    """A block that was taken back is not finished for the next run, until it is done again."""
    journal = KeyJournal(keys)
    journal.add(result("a:0"))
    journal.add(result("a:1"))
    journal.forget(["a:0", "a:7"])
    assert "a:0" not in journal
    assert set(read_results(keys)) == {"a:1"}
    again = KeyJournal(keys)
    again.add(result("a:0", 5))
    again.close()
    assert read_results(keys) == {"a:1": result("a:1"), "a:0": result("a:0", 5)}


def test_forgetting_nothing_writes_nothing(keys: LocalKeys) -> None:
    """Blocks that are not there need no key that says so."""
    KeyJournal(keys).forget(["a:0"])
    assert names(keys) == []


def test_dropped_results_are_not_written(keys: LocalKeys) -> None:
    """A run that is complete writes no more of its journal."""
    journal = KeyJournal(keys)
    journal.add(result("a:0"))
    journal.drop()
    journal.close()
    assert names(keys) == []


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_damaged_bundle_counts_for_nothing(keys: LocalKeys, place: int) -> None:
    """Whichever byte is flipped, the results are those that were added, or not there; they are never others."""
    journal = KeyJournal(keys)
    journal.add(result("a:0", 12345))
    journal.close()
    (name,) = names(keys)
    data = bytearray(keys.get(name) or b"")
    data[place % len(data)] ^= 1
    keys.put(name, bytes(data))
    assert read_results(keys) in ({}, {"a:0": result("a:0", 12345)})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"lines": []}', b"\xff"], ids=repr)
def test_foreign_values_are_no_results(keys: LocalKeys, data: bytes) -> None:
    """What is no bundle is passed over, and the others count."""
    journal = KeyJournal(keys)
    journal.add(result("a:0"))
    journal.close()
    keys.put("other.json", data)
    assert set(read_results(keys)) == {"a:0"}


def test_bundles_count_in_the_order_in_which_they_were_written(keys: LocalKeys) -> None:
    """Names say nothing of the order, the time of writing does."""
    first = KeyJournal(keys)
    first.add(result("a:0"))
    first.close()
    second = KeyJournal(keys)
    second.forget(["a:0"])
    bundles = {name: json.loads(bytes(keys.get(name) or b"")) for name in names(keys)}
    ordered = sorted(bundles, key=lambda name: bundles[name]["written"])
    for name, new in zip(ordered, ("z.json", "a.json"), strict=True):
        keys.put(new, bytes(keys.get(name) or b""))
        keys.delete([name])
    assert read_results(keys) == {}
