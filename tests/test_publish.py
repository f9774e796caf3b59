"""From draft to visible: in one step, whatever was there before, and known to the groups around it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import zarr

from zarrmill import AlreadyExistsError, PublishError
from zarrmill import publish as publish_module
from zarrmill.draft import Claim, Draft
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.publish import listing, publish, stored_terms


def document(**attributes: object) -> bytes:
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """A complete draft of a target that is not there yet."""
    draft = Draft(tmp_path / "target.zarr")
    draft.claim(Claim({}, {}), resume=True)
    (draft.data / "flux" / "c").mkdir(parents=True)
    (draft.data / "flux" / "c" / "0").write_bytes(b"new")
    draft.default_scratch.mkdir()
    return draft


DOCUMENTS = {"": document(title="new"), "flux": document(unit="mag"), "empty/group": document()}


def make_old(draft: Draft) -> None:
    draft.target.mkdir()
    (draft.target / "zarr.json").write_bytes(document(title="old"))
    (draft.target / "extra").write_bytes(b"old")


def title(path: Path) -> str:
    return str(json.loads((path / "zarr.json").read_text())["attributes"]["title"])


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "no-sync"])
def test_draft_becomes_the_target(draft: Draft, sync: bool) -> None:
    """Data and metadata of every node are at the target, and nothing else is left beside it."""
    assert publish(draft, DOCUMENTS, sync=sync, overwrite=False) == ()
    for path, text in DOCUMENTS.items():
        assert (draft.target / path / "zarr.json").read_bytes() == text
    assert (draft.target / "flux" / "c" / "0").read_bytes() == b"new"
    assert os.listdir(draft.target.parent) == ["target.zarr"]
    assert sorted(os.listdir(draft.target)) == ["empty", "flux", "zarr.json"]


def test_root_metadata_come_last(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are described before their parents, so that a half-described draft never looks whole."""
    written: list[str] = []
    replace = os.replace

    def note(a: Path, b: Path) -> None:
        written.append(str(Path(b).parent.relative_to(draft.data)))
        replace(a, b)

    monkeypatch.setattr(publish_module.os, "replace", note)
    publish(draft, DOCUMENTS, sync=False, overwrite=False)
    assert written == ["empty/group", "flux", "."]


def test_existing_target_is_not_touched(draft: Draft) -> None:
    """A target that came to be meanwhile stays as it is, and the complete draft stays too."""
    make_old(draft)
    with pytest.raises(AlreadyExistsError, match="--overwrite"):
        publish(draft, DOCUMENTS, sync=False, overwrite=False)
    assert title(draft.target) == "old"
    assert title(draft.data) == "new"


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_existing_target_is_replaced(draft: Draft, exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With overwrite the new target takes the place of the old one, of which nothing is left."""
    if not exchange:
        monkeypatch.setattr(publish_module, "_exchange", lambda a, b: False)
    make_old(draft)
    assert publish(draft, DOCUMENTS, sync=False, overwrite=True) == ()
    assert title(draft.target) == "new"
    assert not (draft.target / "extra").exists()
    assert os.listdir(draft.target.parent) == ["target.zarr"]


def test_exchange_leaves_no_moment_without_a_target(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system can exchange two folders, the target is never renamed away."""
    make_old(draft)
    monkeypatch.setattr(publish_module.os, "rename", lambda a, b: pytest.fail(f"{a} was renamed"))
    if not publish_module._exchange(draft.data, draft.target):
        pytest.skip("this file system cannot exchange")
    assert publish_module._exchange(draft.data, draft.target)
    publish(draft, DOCUMENTS, sync=False, overwrite=True)
    assert title(draft.target) == "new"


def test_exchange_of_what_is_not_there_is_an_error(draft: Draft) -> None:
    """A failure that is not "cannot exchange" is told, and leaves the draft."""
    with pytest.raises(PublishError, match="still there"):
        publish_module._exchange(draft.data, draft.target)
    assert draft.data.exists()


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_target_of_another_kind_is_replaced(
    draft: Draft, kind: str, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or a link at the target is replaced, and what a link leads to is kept."""
    if not exchange:
        monkeypatch.setattr(publish_module, "_exchange", lambda a, b: False)
    elsewhere = draft.target.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("")
    if kind == "file":
        draft.target.write_text("old")
    else:
        draft.target.symlink_to(elsewhere)
    assert publish(draft, DOCUMENTS, sync=False, overwrite=True) == ()
    assert title(draft.target) == "new"
    assert not draft.target.is_symlink()
    assert sorted(os.listdir(draft.target.parent)) == ["elsewhere", "target.zarr"]
    assert (elsewhere / "kept").exists()


def test_what_cannot_be_removed_is_named(draft: Draft, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The target is visible all the same, and the caller hears what is left."""
    scratch = draft.scratch_in(tmp_path)
    scratch.mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(publish_module, "remove_tree", refuse)
    monkeypatch.setattr("zarrmill.draft.remove_tree", refuse)
    assert publish(draft, DOCUMENTS, sync=False, overwrite=False, scratch=scratch) == (str(scratch), str(draft.folder))
    assert title(draft.target) == "new"


def test_draft_can_be_had_again_afterwards(draft: Draft) -> None:
    """Publishing gives the draft back."""
    publish(draft, DOCUMENTS, sync=False, overwrite=False)
    again = Draft(draft.target)
    assert again.claim(Claim({}, {}), resume=True)[0] is False
    again.release()


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A group with a nested one and an array, all of them in the consolidated metadata of both groups."""
    root = zarr.create_group(tmp_path / "group.zarr", attributes={"kept": "yes"})
    root.create_array("other", shape=(3,), dtype="i4")
    root.create_group("nested").create_array("old", shape=(5,), dtype="i4")
    zarr.consolidate_metadata(tmp_path / "group.zarr", path="nested")
    zarr.consolidate_metadata(tmp_path / "group.zarr")
    return tmp_path / "group.zarr"


def publish_array(target: Path, *, length: int, overwrite: bool = False) -> None:
    """Publish an array of zeros."""
    draft = Draft(target)
    draft.claim(Claim({}, {}), resume=True)
    store = zarr.storage.MemoryStore()
    zarr.create_array(store, shape=(length,), dtype="i4")
    publish(draft, {"": store._store_dict["zarr.json"].to_bytes()}, sync=False, overwrite=overwrite)


def publish_group(target: Path) -> None:
    """Publish a group with consolidated metadata of its own."""
    draft = Draft(target)
    draft.claim(Claim({}, {}), resume=True)
    store = zarr.storage.MemoryStore()
    zarr.create_group(store).create_array("member", shape=(7,), dtype="i4")
    zarr.consolidate_metadata(store)
    documents = {key.removesuffix("zarr.json").strip("/"): value.to_bytes() for key, value in store._store_dict.items()}
    publish(draft, documents, sync=False, overwrite=False)


def listed(path: Path) -> dict[str, int | None]:
    """Return the members that the consolidated metadata know, with the length of arrays."""
    members = zarr.open_consolidated(path, mode="r").members(max_depth=None)
    return {name: node.shape[0] if isinstance(node, zarr.Array) else None for name, node in members}


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part:UserWarning")
def test_parents_list_a_new_array(group: Path) -> None:
    """A target in a group is a member in that group's consolidated metadata, beside those that were there."""
    publish_array(group / "added", length=11)
    assert listed(group) == {"other": 3, "nested": None, "nested/old": 5, "added": 11}
    assert zarr.open_consolidated(group).attrs["kept"] == "yes"


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part:UserWarning")
def test_every_parent_lists_a_new_array(group: Path) -> None:
    """Groups further up list it by its path."""
    publish_array(group / "nested" / "added", length=11)
    assert listed(group) == {"other": 3, "nested": None, "nested/old": 5, "nested/added": 11}
    assert listed(group / "nested") == {"old": 5, "added": 11}


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part:UserWarning")
def test_parents_list_a_new_group_with_its_members(group: Path) -> None:
    """A group brings its members, whether or not it is consolidated itself."""
    publish_group(group / "added")
    assert listed(group) == {"other": 3, "nested": None, "nested/old": 5, "added": None, "added/member": 7}


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part:UserWarning")
def test_parents_forget_a_replaced_member(group: Path) -> None:
    """What was below a replaced member is no longer listed."""
    publish_array(group / "nested", length=11, overwrite=True)
    assert listed(group) == {"other": 3, "nested": 11}


def test_parents_without_consolidated_metadata_stay_as_they_are(tmp_path: Path) -> None:
    """Nothing is consolidated that was not."""
    zarr.create_group(tmp_path / "plain.zarr")
    before = (tmp_path / "plain.zarr" / "zarr.json").read_bytes()
    publish_array(tmp_path / "plain.zarr" / "added", length=3)
    assert (tmp_path / "plain.zarr" / "zarr.json").read_bytes() == before
    assert dict(zarr.open_group(tmp_path / "plain.zarr").members()).keys() == {"added"}


def test_terms_of_a_listing_are_those_of_the_keys(tmp_path: Path) -> None:
    """The fingerprint counts the keys below an array with their sizes, and no metadata."""
    (tmp_path / "c" / "0").mkdir(parents=True)
    (tmp_path / "c" / "0" / "1").write_bytes(b"abc")
    (tmp_path / "0.0").write_bytes(b"")
    (tmp_path / "zarr.json").write_text("{}")
    (tmp_path / ".zarr.json.tmp").write_text("{")
    assert stored_terms(listing(str(tmp_path)), "flux") == add_terms(key_term("flux/c/0/1", 3), key_term("flux/0.0", 0))
    assert stored_terms(listing(str(tmp_path / "nothing")), "flux") == 0
