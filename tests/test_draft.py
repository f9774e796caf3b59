"""Whose draft it is, who may have it, and what is left when nobody wants it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from zarrmill import InvalidInputError, NotFoundError, ResumeError
from zarrmill.draft import Claim, Draft, find_drafts, remove_tree, tree_nbytes
from zarrmill.store import open_store

CLAIM = Claim(
    plan={
        "source": "/s",
        "target": "/t",
        "max_mem": 100,
        "arrays": [{"path": "flux", "chunks": [1, 20]}, {"path": "time"}],
    },
    source={"location": "/s", "metadata": {"flux": {"shape": [500, 20]}}},
)


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    return Draft(tmp_path / "by_object.zarr")


def left_by_a_kill(draft: Draft, claim: Claim = CLAIM) -> Draft:
    """Return the draft as the next run meets it: claimed, with some data, and held by nobody."""
    draft.claim(claim, resume=True)
    (draft.data / "0.0").write_bytes(b"12345")
    draft.journal.write_text("{}\n")
    draft.release()
    return Draft(draft.target)


def changed(**values: object) -> Claim:
    return Claim({**CLAIM.plan, **values}, CLAIM.source)


def test_draft_is_hidden_beside_its_target(draft: Draft, tmp_path: Path) -> None:
    """The folder's name says whose it is, and begins with a dot."""
    assert draft.folder == tmp_path / ".by_object.zarr.zarrmill"
    assert not draft.exists()


def test_new_draft_is_empty(draft: Draft) -> None:
    """A first claim makes a folder for the data and continues nothing."""
    resumed, claimed_ns = draft.claim(CLAIM, resume=True)
    assert not resumed
    assert claimed_ns == draft.claim_path.stat().st_mtime_ns
    assert list(draft.data.iterdir()) == []


def test_same_claim_continues(draft: Draft) -> None:
    """The same request finds everything where it was, and the time of the first claim."""
    left = left_by_a_kill(draft)
    claimed_ns = left.claim_path.stat().st_mtime_ns
    assert left.claim(CLAIM, resume=True) == (True, claimed_ns)
    assert (left.data / "0.0").read_bytes() == b"12345"
    assert left.journal.exists()


def test_without_resume_it_starts_again(draft: Draft) -> None:
    """What an earlier run has left is gone when nobody wants to continue it."""
    left = left_by_a_kill(draft)
    resumed, _ = left.claim(CLAIM, resume=False)
    assert not resumed
    assert list(left.data.iterdir()) == []
    assert not left.journal.exists()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (changed(max_mem=200), "max_mem: 100 -> 200"),
        (changed(arrays=[{"path": "flux", "chunks": [2, 20]}, {"path": "time"}]), "arrays[flux].chunks: [1, 20] -> [2, 20]"),  # noqa: E501
        (changed(verify="none"), 'verify: null -> "none"'),
        (changed(max_mem=200, chunks_read=7, documents=[["", "{}"]], notes=["x"]), "request: max_mem: 100 -> 200. Repeat"),  # noqa: E501
        (Claim(CLAIM.plan, {**CLAIM.source, "location": "/other"}), 'source.location: "/s" -> "/other"'),
        (Claim(CLAIM.plan, {"location": "/s", "metadata": {"flux": {"shape": [501, 20]}}}), "[500, 20] -> [501, 20]"),
    ],
    ids=["limit", "one-array", "new-field", "what-follows-is-left-out", "source-moved", "source-resized"],
)  # fmt: skip
def test_other_claim_is_refused_with_the_difference(draft: Draft, now: Claim, said: str) -> None:
    """A changed request is told what changed and how to go on, and nothing is touched."""
    left = left_by_a_kill(draft)
    with pytest.raises(ResumeError) as refused:
        left.claim(now, resume=True)
    left.release()
    assert said in str(refused.value)
    assert "--no-resume" in str(refused.value)
    assert "discard" in str(refused.value)
    assert (left.data / "0.0").exists()


def test_torn_claim_is_nobodys(draft: Draft) -> None:
    """A claim that was cut short by a lost machine continues nothing."""
    left = left_by_a_kill(draft)
    left.claim_path.write_bytes(left.claim_path.read_bytes()[:40])
    assert left.read_claim() is None
    assert left.claim(CLAIM, resume=True)[0] is False
    assert list(left.data.iterdir()) == []


def test_draft_without_data_is_nobodys(draft: Draft) -> None:
    """A run that was killed after its data became the target left nothing to continue."""
    left = left_by_a_kill(draft)
    os.rename(left.data, left.target)
    assert left.claim(CLAIM, resume=True)[0] is False
    assert left.data.is_dir()
    assert not left.journal.exists()


def test_exchanged_data_are_nobodys(draft: Draft) -> None:
    """A run that was killed after the exchange left the old target, which is never taken for its own data."""
    left = left_by_a_kill(draft)
    left.target.mkdir()
    (left.target / "0.0").write_bytes(b"older")
    between = left.folder / "between"
    for a, b in ((left.data, between), (left.target, left.data), (between, left.target)):
        os.rename(a, b)
    assert left.read_claim() is None
    assert left.claim(CLAIM, resume=True)[0] is False
    assert list(left.data.iterdir()) == []
    assert (left.target / "0.0").read_bytes() == b"12345"


def test_target_that_was_moved_away_comes_back(draft: Draft) -> None:
    """A kill between the two renames of a replacement does not cost the old target, even if the draft is discarded."""
    left = left_by_a_kill(draft)
    left.old.mkdir()
    (left.old / "zarr.json").write_text("{}")
    left.remove()
    assert (left.target / "zarr.json").exists()
    assert not left.exists()


def test_held_draft_is_refused(draft: Draft) -> None:
    """Only one run at a time has a draft; the other hears who has it, and changes nothing."""
    draft.claim(CLAIM, resume=True)
    (draft.data / "0.0").write_bytes(b"12345")
    second = Draft(draft.target)
    with pytest.raises(ResumeError, match="another run is writing"):
        second.claim(CLAIM, resume=False)
    with pytest.raises(ResumeError, match="another run is writing"):
        second.remove()
    second.release()
    assert (draft.data / "0.0").exists()
    draft.release()
    assert second.claim(CLAIM, resume=True)[0] is True
    second.release()


def test_removed_draft_is_gone(draft: Draft) -> None:
    """Discarding tells how many bytes it freed, and is harmless where there is nothing."""
    left = left_by_a_kill(draft)
    expected = tree_nbytes(left.folder)
    assert left.remove() == expected > 5
    assert not left.exists()
    assert left.remove() == 0


def test_scratch_folders_of_namesakes_differ(tmp_path: Path) -> None:
    """Two targets of the same name never share the files of their intermediates."""
    scratch = tmp_path / "scratch"
    one, other = (Draft(tmp_path / place / "out.zarr") for place in "ab")
    assert one.scratch_in(scratch) != other.scratch_in(scratch)
    assert one.scratch_in(scratch) == Draft(one.target).scratch_in(scratch)


def test_intermediates_elsewhere_go_with_the_draft(draft: Draft, tmp_path: Path) -> None:
    """Discarding removes, and counts, what lies in the scratch folder that the run was given."""
    draft.claim(CLAIM, resume=True)
    folder = draft.scratch_in(tmp_path)
    draft.use_scratch(folder)
    folder.mkdir()
    (folder / "0.tile").write_bytes(bytes(10_000))
    draft.release()
    assert Draft(draft.target).remove() > 10_000
    assert list(tmp_path.iterdir()) == []


def test_another_scratch_folder_replaces_the_first(draft: Draft, tmp_path: Path) -> None:
    """A run that continues with another scratch folder leaves nothing in the one before."""
    draft.claim(CLAIM, resume=True)
    draft.default_scratch.mkdir()
    first, second = (draft.scratch_in(tmp_path / place) for place in "ab")
    for folder in (first, second):
        draft.use_scratch(folder)
        folder.mkdir(parents=True)
    assert not draft.default_scratch.exists()
    assert not first.exists()
    assert second.exists()
    draft.use_scratch(draft.default_scratch)
    assert not second.exists()
    draft.release()


def test_runs_that_share_a_draft_have_one_scratch_folder(draft: Draft, tmp_path: Path) -> None:
    """The first says where it is; the same goes for the others, another one is refused, and nothing is removed."""
    draft.claim(CLAIM, resume=True, shared=True)
    folder = draft.scratch_in(tmp_path)
    folder.mkdir()
    draft.use_scratch(folder, shared=True)
    draft.use_scratch(folder, shared=True)
    with pytest.raises(InvalidInputError, match=rf"lie in {folder}, and this run would have them in .*/scratch\."):
        draft.use_scratch(draft.default_scratch, shared=True)
    assert draft.scratch_folders() == [folder]
    assert folder.exists()
    draft.release()


@pytest.mark.parametrize("noted", ['["/"]', '["../x"]', '{"a": 1}', "[3]", '["/etc/.by_object.zarr.zarrmill"]', "[\0"])
def test_scratch_note_cannot_name_other_folders(draft: Draft, noted: str) -> None:
    """A damaged note never leads to the removal of anything but a draft's own scratch folder."""
    left = left_by_a_kill(draft)
    (left.folder / "scratch.json").write_text(noted)
    assert left.scratch_folders() == []


def test_a_draft_is_told_from_nothing(draft: Draft) -> None:
    """Whoever opens a target too early hears that a run makes it."""
    left_by_a_kill(draft)
    with pytest.raises(NotFoundError, match=r"nothing at .*by_object.zarr yet: a run that makes it is at work"):
        open_store(draft.target)


def test_drafts_are_found(tmp_path: Path) -> None:
    """The drafts beside a store and in it are found, its own first."""
    names = ("a.zarr", "b.zarr", "b.zarr/member")
    for name in names:
        Draft(tmp_path / name).folder.mkdir(parents=True)
    (tmp_path / ".other").mkdir()
    found = [str(draft.target.relative_to(tmp_path)) for draft in find_drafts(tmp_path / "b.zarr")]
    assert found == ["b.zarr", "a.zarr", "b.zarr/member"]


def test_remove_tree_leaves_what_a_link_means(tmp_path: Path) -> None:
    """A link is removed, not what it leads to; nothing is nothing."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_claim_is_json(draft: Draft) -> None:
    """What the claim holds can be read by people and programs."""
    draft.claim(CLAIM, resume=True)
    found = json.loads(draft.claim_path.read_text())
    assert (found["plan"], found["source"]) == (CLAIM.plan, CLAIM.source)
    draft.release()
