"""store_draft.py: a claim, and nothing of an old or another run beside what a run writes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from zarr.storage import MemoryStore

from zarrmill import store_draft
from zarrmill.draft import Claim
from zarrmill.errors import AlreadyExistsError, InvalidInputError, ResumeError, SourceFormatError
from zarrmill.hierarchy import read_hierarchy
from zarrmill.keyspace.local import LocalKeys
from zarrmill.store import OpenedStore
from zarrmill.store_draft import (
    CLAIM,
    CLEARED,
    SCRATCH_RECORD,
    StoreDraft,
    claim_data,
    document_of,
    listed_keys,
    listed_sizes,
    share_scratch,
)

CLAIMED = Claim({"chunks": [1, 2]}, {"location": "a"})
OTHER = Claim({"chunks": [3, 2]}, {"location": "a"})


class Keys(LocalKeys):
    """Keys on the disk that note writes and removals, and may damage a write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.done: list[str] = []
        self.damage: list[str] = []

    def put(self, key: str, data: Any) -> None:
        self.done.append(f"put {key}")
        super().put(key, self._sent(key, data))

    def create(self, key: str, data: Any) -> bool:
        self.done.append(f"create {key}")
        return super().create(key, self._sent(key, data))

    def delete(self, keys: Any) -> None:
        gone = list(keys)
        self.done += [f"delete {key}" for key in gone]
        super().delete(gone)

    def _sent(self, key: str, data: Any) -> Any:
        if key not in self.damage:
            return data
        self.damage.remove(key)
        return bytes(data)[:-1] + b"\xff"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def draft(keys: Keys) -> StoreDraft:
    return StoreDraft(keys)


def take(draft: StoreDraft, claim: Claim = CLAIMED, *, resume: bool = True, overwrite: bool = False) -> bool:
    return draft.claim(claim, resume=resume, overwrite=overwrite)[0]


def names(keys: Keys) -> list[str]:
    return sorted(info.key for info in keys.list())


def test_first_claim_begins(draft: StoreDraft, keys: Keys) -> None:
    """Nothing but the claim is written, and it can be read."""
    assert not draft.exists()
    assert take(draft) is False
    assert draft.exists()
    assert names(keys) == [CLAIM]
    found = draft.read_claim()
    assert found is not None
    assert found[0] == CLAIMED


def test_same_claim_continues(draft: StoreDraft, keys: Keys) -> None:
    """The same request goes on with what is there, since when it was claimed first."""
    since = draft.claim(CLAIMED, resume=True, overwrite=False)[1]
    keys.put("c/0", b"x")
    assert draft.claim(CLAIMED, resume=True, overwrite=False) == (True, since)
    assert names(keys) == [CLAIM, "c/0"]


def test_another_claim_is_refused(draft: StoreDraft, keys: Keys) -> None:
    """Another request hears the difference and changes nothing."""
    take(draft)
    before = keys.get(CLAIM)
    with pytest.raises(ResumeError, match=r"chunks: \[1, 2\] -> \[3, 2\]"):
        take(draft, OTHER)
    assert keys.get(CLAIM) == before


def test_without_resume_a_draft_goes_first(draft: StoreDraft, keys: Keys) -> None:
    """Chunks and journal of the run before are removed, its claim last."""
    take(draft)
    for key in ("c/0", ".zarrmill/journal/a.json"):
        keys.put(key, b"x")
    keys.done.clear()
    assert take(draft, OTHER, resume=False) is False
    assert names(keys) == [CLAIM]
    removed = [step for step in keys.done if step.startswith("delete")]
    assert removed[-1] == f"delete {CLAIM}"
    assert len(removed) == 3


@pytest.mark.parametrize("resume", [False, True], ids=["no-resume", "resume"])
def test_claim_of_no_sense(draft: StoreDraft, keys: Keys, resume: bool) -> None:
    """A value that is no claim is told, and replaced by who starts again."""
    keys.put(CLAIM, b"{}")
    if resume:
        with pytest.raises(SourceFormatError, match="discard"):
            take(draft)
    else:
        assert take(draft, resume=False) is False


def test_claim_that_is_damaged_on_its_way_is_written_again(draft: StoreDraft, keys: Keys) -> None:
    """What is read back is compared: the next run must find the claim."""
    keys.damage = [CLAIM]
    assert take(draft) is False
    assert take(draft) is True


def test_leftovers_without_a_claim_go(draft: StoreDraft, keys: Keys) -> None:
    """A journal that nobody claims would make a new run believe that blocks are done."""
    keys.put(".zarrmill/journal/a.json", b"{}")
    take(draft)
    assert names(keys) == [CLAIM]


def test_target_that_was_just_published_is_left_alone(draft: StoreDraft, keys: Keys) -> None:
    """Between looking and claiming another run may publish: then nothing is written over it."""
    draft.check_free(overwrite=False)
    keys.put("zarr.json", b"{}")
    with pytest.raises(AlreadyExistsError, match="just been made"):
        take(draft)
    assert names(keys) == ["zarr.json"]


# --- overwrite --------------------------------------------------------------------------------------------------------


@pytest.fixture
def old(keys: Keys) -> Keys:
    """A store at the target."""
    for key in ("c/0", "zarr.json", ".zattrs", "a/zarr.json"):
        keys.put(key, b"{}")
    keys.done.clear()
    return keys


def test_old_target_goes_root_first(draft: StoreDraft, old: Keys) -> None:
    """The claim comes before anything is removed, then the keys that make the root a node, then the others."""
    hidden: list[int] = []
    draft.claim(CLAIMED, resume=True, overwrite=True, hide=lambda: hidden.append(len(old.done)))
    assert old.done[0] == f"create {CLAIM}"
    assert hidden == [1]
    assert set(old.done[1:3]) == {"delete zarr.json", "delete .zattrs"}
    assert set(old.done[3:5]) == {"delete c/0", "delete a/zarr.json"}
    assert names(old) == [CLAIM, CLEARED]


def test_cleared_target_is_not_cleared_again(draft: StoreDraft, old: Keys) -> None:
    """A run that goes on keeps what it has written."""
    take(draft, overwrite=True)
    old.put("c/0", b"new")
    assert take(draft, overwrite=True) is True
    assert old.get("c/0") == b"new"


def test_target_half_cleared_is_cleared_to_the_end(draft: StoreDraft, old: Keys) -> None:
    """A kill while the old target goes leaves keys that the next run removes."""
    take(draft, overwrite=True)
    old.delete([CLEARED])
    old.put("c/0", b"old")
    assert take(draft, overwrite=True) is True
    assert names(old) == [CLAIM, CLEARED]


def test_claim_that_a_finished_run_left_does_not_count(draft: StoreDraft, old: Keys) -> None:
    """A published target with a claim beside it is replaced anew, not taken for what this run has done."""
    take(draft, overwrite=True)
    for key in ("c/0", "zarr.json"):
        old.put(key, b"{}")
    assert take(draft, OTHER, overwrite=True) is False
    assert names(old) == [CLAIM, CLEARED]


@pytest.mark.parametrize(
    ("there", "refused"),
    [
        ([], False),
        (["zarr.json"], True),
        ([".zarray", "0.0"], True),
        (["notes.txt"], True),
        (["folder/notes.txt"], True),
        ([CLAIM], False),
        ([CLAIM, "c/0"], False),
        ([CLAIM, "zarr.json"], True),
    ],
    ids=["nothing", "v3", "v2", "a-key", "a-folder", "claim", "draft", "published"],
)
def test_where_a_run_may_write(draft: StoreDraft, keys: Keys, there: list[str], refused: bool) -> None:
    """A free place, or a draft; anything else only when it is said."""
    for key in there:
        keys.put(key, b"{}")
    draft.check_free(overwrite=True)
    if refused:
        with pytest.raises(AlreadyExistsError, match="overwrite"):
            draft.check_free(overwrite=False)
    else:
        draft.check_free(overwrite=False)


# --- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("published", [False, True], ids=["draft", "published"])
def test_removing_a_draft(draft: StoreDraft, keys: Keys, published: bool) -> None:
    """Its chunks go with it, unless they are those of a published target; the bytes are counted."""
    take(draft)
    keys.put("c/0", b"12345")
    if published:
        keys.put("zarr.json", b"{}")
    claim = len(keys.get(CLAIM) or b"")
    assert draft.remove() == claim + (0 if published else 5)
    assert names(keys) == (["c/0", "zarr.json"] if published else [])


def test_a_draft_is_told_from_what_is_no_store(keys: Keys) -> None:
    """Whoever opens a target too early hears that a run makes it."""
    keys.put(CLAIM, b"{}")
    keys.put("c/0", b"12345")
    opened = OpenedStore("memory://a", MemoryStore(), None, keys)
    with pytest.raises(SourceFormatError, match=r"memory://a is not a Zarr array or group yet: a run that makes it"):
        read_hierarchy(opened)


def test_tidying_leaves_the_target(draft: StoreDraft, keys: Keys) -> None:
    """The claim goes last."""
    take(draft)
    for key in ("c/0", "zarr.json", ".zarrmill/journal/a.json"):
        keys.put(key, b"{}")
    keys.done.clear()
    draft.tidy()
    assert keys.done == ["delete .zarrmill/journal/a.json", f"delete {CLAIM}"]
    assert names(keys) == ["c/0", "zarr.json"]


def test_scratch_is_noted(draft: StoreDraft, keys: Keys) -> None:
    """Where intermediates lie is found again; a note of no sense notes nothing."""
    assert draft.scratch_folders() == []
    draft.note_scratch("/scratch/a")
    assert draft.scratch_folders() == ["/scratch/a"]
    for value in (b"{", b"1", b'{"a": 1}', b"[1]"):
        keys.put(SCRATCH_RECORD, value)
        assert draft.scratch_folders() == []


def test_runs_that_share_a_draft_have_one_scratch_folder(draft: StoreDraft) -> None:
    """The first says where it is; the same goes for the others, and another one is refused."""
    share_scratch(draft, "")
    share_scratch(draft, "")
    with pytest.raises(InvalidInputError, match=r"lie in the target's store, and this run would have them in /other\."):
        share_scratch(draft, "/other")
    assert draft.scratch_folders() == [""]


def begin_to_replace(draft: StoreDraft, keys: Keys) -> None:
    """Leave the claim of a run that replaces an old target, and is not done with removing it."""
    keys.put("c/0", b"old")
    keys.put(CLAIM, claim_data(CLAIMED, overwrite=True)[0])


def test_one_of_many_removes_the_old_target(draft: StoreDraft, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that share a draft wait for the one that does: what another has written since is not taken away."""
    begin_to_replace(draft, keys)

    def meanwhile(seconds: float) -> None:
        keys.put("c/0", b"new")
        keys.put(CLEARED, b"")

    monkeypatch.setattr(time, "sleep", meanwhile)
    assert draft.claim(CLAIMED, resume=True, overwrite=True, shared=True)[0] is True
    assert keys.get("c/0") == b"new"


def test_an_old_target_goes_though_its_remover_died(
    draft: StoreDraft, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing more goes for a while, the next run sees to it."""
    begin_to_replace(draft, keys)
    monkeypatch.setattr(store_draft, "SHARED_SECONDS", 0.01)
    monkeypatch.setattr(store_draft, "LOOK_SECONDS", 0.005)
    assert draft.claim(CLAIMED, resume=True, overwrite=True, shared=True)[0] is True
    assert names(keys) == [CLAIM, CLEARED]


@pytest.mark.parametrize("path", ["", "flux"], ids=["root", "member"])
def test_listing_shows_the_keys_of_an_array(keys: Keys, path: str) -> None:
    """Keys are relative to the array, with their sizes, and the draft's own are none of them."""
    below = f"{path}/" if path else ""
    for key, data in ((f"{below}c/0", b"123"), (f"{below}zarr.json", b"{}"), (CLAIM, b"x")):
        keys.put(key, data)
    assert dict(listed_keys(keys, path)) == {"c/0": 3, "zarr.json": 2}
    sizes = listed_sizes(keys, path)
    assert (sizes("c/0"), sizes("c/1")) == (3, None)


@pytest.mark.parametrize(
    ("data", "expected"), [(b'{"a": 1}', {"a": 1}), (b"[1]", None), (b"{", None), (b"\xff", None)], ids=repr
)
def test_document_of_a_value(data: bytes, expected: Any) -> None:
    """Only a JSON object is a document."""
    assert document_of(data) == expected
    assert document_of(memoryview(json.dumps({"b": 2}).encode())) == {"b": 2}
