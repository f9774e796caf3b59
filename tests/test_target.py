"""target.py: where a run may write, and how what it wrote becomes visible on the disk and in a store."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from zarrmill.draft import Claim
from zarrmill.errors import AlreadyExistsError, InvalidInputError, NotFoundError, PublishError
from zarrmill.execute.intermediates import DiskIntermediates
from zarrmill.keyspace.local import LocalKeys
from zarrmill.plan.model import BlockResult
from zarrmill.store import OpenedStore, open_keys, open_store
from zarrmill.store_draft import CLAIM
from zarrmill.target import DiskTarget, StoreTarget, is_stored, open_target, put_checked

CLAIMED = Claim({"chunks": [1]}, {"location": "a"})


def document(**attributes: Any) -> bytes:
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()


DOCUMENTS = {"": document(title="new"), "flux": document(unit="mag"), "more": document(), "more/flag": document()}


@pytest.fixture
def source(tmp_path: Path) -> OpenedStore:
    LocalKeys(tmp_path / "source.zarr").put("zarr.json", document(title="source"))
    return open_store(tmp_path / "source.zarr")


@pytest.fixture
def url() -> str:
    """URL of a new store in memory."""
    return f"memory://{uuid.uuid4().hex}/survey/target.zarr"


def open_at(target: Any, source: OpenedStore, *, overwrite: bool = False) -> Any:
    return open_target(target, source, overwrite=overwrite, storage_options=None)


def names(url: str) -> list[str]:
    return sorted(info.key for info in open_keys(url).list())


# --- where ------------------------------------------------------------------------------------------------------------


def test_a_path_is_a_target_on_the_disk(tmp_path: Path, source: OpenedStore) -> None:
    """A path or a file URL is renamed to; its draft lies beside it."""
    for target in (tmp_path / "t.zarr", str(tmp_path / "t.zarr"), f"file://{tmp_path}/t.zarr"):
        found = open_at(target, source)
        assert isinstance(found, DiskTarget)
        assert (found.location, Path(found.place).parent) == (str(tmp_path / "t.zarr"), tmp_path)


def test_a_url_is_a_target_in_a_store(url: str, source: OpenedStore) -> None:
    """A URL is written to where it is."""
    found = open_at(url, source)
    assert isinstance(found, StoreTarget)
    assert found.location == found.place == url
    assert found.open_data().keys.location == url


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("source.zarr", InvalidInputError, "is the source"),
        ("source.zarr/inside", InvalidInputError, "inside the source"),
        ("", InvalidInputError, "holds the source"),
        ("no/such/t.zarr", NotFoundError, "mkdir -p"),
        ("there.zarr", AlreadyExistsError, "--overwrite"),
    ],
    ids=["source", "inside", "around", "no-folder", "exists"],
)
def test_places_on_the_disk_that_are_refused(
    tmp_path: Path, source: OpenedStore, name: str, error: type[Exception], said: str
) -> None:
    """A target that is there, has no folder, or overlaps the source is refused before anything is written."""
    (tmp_path / "there.zarr").mkdir()
    with pytest.raises(error, match=said):
        open_at(tmp_path / name, source)


@pytest.mark.parametrize(
    ("below", "said"), [("", "is the source"), ("/inside", "inside the source"), ("/..", "holds the source")]
)
def test_places_in_a_store_that_are_refused(url: str, below: str, said: str) -> None:
    """The same for URLs."""
    open_keys(url).put("zarr.json", document())
    target = url.rpartition("/")[0] if below == "/.." else url + below
    with pytest.raises(InvalidInputError, match=said):
        open_at(target, open_store(url), overwrite=True)


def test_names_that_begin_alike_are_apart(tmp_path: Path, source: OpenedStore) -> None:
    """A neighbour whose name begins with the source's is no part of it."""
    assert open_at(tmp_path / "source.zarr2", source).location.endswith("source.zarr2")


# --- scratch ----------------------------------------------------------------------------------------------------------


def test_scratch_of_a_store_is_its_own(url: str, source: OpenedStore, tmp_path: Path) -> None:
    """Targets of the same name in other places have other folders, the same target always the same one."""
    first, again, other = open_at(url, source), open_at(url, source), open_at(url.replace("survey", "s"), source)
    assert first.choose_scratch(tmp_path, spread=False).folder == again.choose_scratch(tmp_path, spread=False).folder
    assert first.choose_scratch(tmp_path, spread=False).folder != other.choose_scratch(tmp_path, spread=False).folder
    assert first.choose_scratch(tmp_path, spread=False).folder.parent == tmp_path
    with pytest.raises(NotFoundError, match="mkdir"):
        first.choose_scratch(tmp_path / "no", spread=False)


def test_scratch_elsewhere_is_removed(url: str, source: OpenedStore, tmp_path: Path) -> None:
    """A run that goes on with another folder, or starts again, removes what the one before had."""
    target = open_at(url, source)
    target.claim(CLAIMED, resume=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    folders = [target.choose_scratch(tmp_path / name, spread=False).folder for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        target.use_scratch(DiskIntermediates(folder))
    assert [folder.exists() for folder in folders] == [False, True]
    assert open_at(url, source).claim(CLAIMED, resume=False)[0] is False
    assert not folders[1].exists()


def test_only_own_folders_are_removed(url: str, source: OpenedStore, tmp_path: Path) -> None:
    """Whatever a note says, a folder of another name stays."""
    target = open_at(url, source)
    target.claim(CLAIMED, resume=True)
    (tmp_path / "precious").mkdir()
    open_keys(url).put(".zarrmill/scratch.json", json.dumps([str(tmp_path / "precious")]).encode())
    target.use_scratch(DiskIntermediates(tmp_path / "other"))
    assert (tmp_path / "precious").exists()


def test_space_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is too small is told with both numbers; what is there already counts."""
    usage = type(__import__("shutil").disk_usage(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 0, 10**6))
    DiskIntermediates(tmp_path / "not" / "yet").check_space(10**6, max_mem=2**30)
    with pytest.raises(InvalidInputError, match=r"needs .* free.*--scratch"):
        DiskIntermediates(tmp_path / "not" / "yet").check_space(3 * 10**6, max_mem=2**30)
    (tmp_path / "tile").write_bytes(bytes(2 * 10**6))
    DiskIntermediates(tmp_path).check_space(3 * 10**6, max_mem=2**30)


# --- publishing -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ready(url: str, source: OpenedStore) -> Any:
    """A target in a store with all of its chunks."""
    target = open_at(url, source)
    target.claim(CLAIMED, resume=True)
    open_keys(url).put("flux/c/0", b"123")
    return target


@pytest.mark.parametrize("place", ["disk", "store"])
def test_both_publish_the_same(place: str, tmp_path: Path, url: str, source: OpenedStore) -> None:
    """Chunks and metadata of every node are there, and nothing else."""
    where = str(tmp_path / "t.zarr") if place == "disk" else url
    target = open_at(where, source)
    target.claim(CLAIMED, resume=True)
    target.open_data().keys.put("flux/c/0", b"123")
    assert dict(target.listing("flux")) == {"c/0": 3}
    assert [target.sizes("flux")(key) for key in ("c/0", "c/1")] == [3, None]
    assert target.publish(DOCUMENTS, sync=False, scratch=DiskIntermediates(tmp_path / "scratch")) == ()
    target.close()
    assert names(where) == ["flux/c/0", "flux/zarr.json", "more/flag/zarr.json", "more/zarr.json", "zarr.json"]
    assert os.listdir(tmp_path) == (["source.zarr", "t.zarr"] if place == "disk" else ["source.zarr"])


def test_journal_is_written_for_the_next_run_alone(ready: Any, url: str, tmp_path: Path) -> None:
    """Results are there for a run that goes on, and with publishing they are gone."""
    journal = ready.open_journal(sync=False)
    journal.add(BlockResult("a", {}, {}))
    journal.close()
    assert "a" in ready.open_journal(sync=False)
    journal = ready.open_journal(sync=False)
    journal.add(BlockResult("b", {}, {}))
    ready.publish(DOCUMENTS, sync=False, scratch=DiskIntermediates(tmp_path / "scratch"))
    journal.close()
    assert not [name for name in names(url) if "zarrmill" in name]


def test_root_of_another_is_not_replaced(ready: Any, url: str, tmp_path: Path) -> None:
    """A root that came to be meanwhile stays, the error says what that means, and the draft stays too."""
    open_keys(url).put("zarr.json", document(title="other"))
    with pytest.raises(AlreadyExistsError, match="mixture"):
        ready.publish(DOCUMENTS, sync=False, scratch=DiskIntermediates(tmp_path / "scratch"))
    assert bytes(open_keys(url).get("zarr.json") or b"") == document(title="other")
    assert CLAIM in names(url)


def group_of(url: str) -> str:
    """Make the folder above a target a consolidated group; return its URL."""
    parent = url.rpartition("/")[0]
    listed = {"old": json.loads(document()), "target.zarr": json.loads(document(title="old"))}
    group = {**json.loads(document()), "consolidated_metadata": {"kind": "inline", "metadata": listed}}
    open_keys(parent).put("zarr.json", json.dumps(group).encode())
    return parent


def listed_in(url: str) -> dict[str, Any]:
    found = json.loads(bytes(open_keys(url).get("zarr.json") or b""))
    metadata: dict[str, Any] = found["consolidated_metadata"]["metadata"]
    return metadata


def test_group_above_lists_the_target(ready: Any, url: str, tmp_path: Path) -> None:
    """A member is listed with all that is below it, in the place of what was."""
    parent = group_of(url)
    ready.publish(DOCUMENTS, sync=False, scratch=DiskIntermediates(tmp_path / "scratch"))
    below = {f"target.zarr/{path}".rstrip("/") for path in DOCUMENTS}
    assert set(listed_in(parent)) == {"old", *below}
    assert listed_in(parent)["target.zarr"]["attributes"]["title"] == "new"


def test_group_above_does_not_list_what_is_being_replaced(url: str, source: OpenedStore) -> None:
    """From the claim on, nobody opens the old member through its group."""
    parent = group_of(url)
    open_keys(url).put("zarr.json", document(title="old"))
    open_at(url, source, overwrite=True).claim(CLAIMED, resume=True)
    assert set(listed_in(parent)) == {"old"}
    assert "zarr.json" not in names(url)


# --- metadata that are damaged on their way ---------------------------------------------------------------------------


class Damaging(LocalKeys):
    """Keys that flip a byte of so many writes or reads."""

    writes = reads = 0

    def put(self, key: str, data: Any) -> None:
        self.writes -= 1
        super().put(key, b"?" + bytes(data)[1:] if self.writes >= 0 else data)

    def get(self, key: str) -> Any:
        found = super().get(key)
        self.reads -= 1
        return b"?" + bytes(found or b"")[1:] if self.reads >= 0 else found


@pytest.mark.parametrize(("writes", "reads"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_damage_once_is_mended(tmp_path: Path, writes: int, reads: int) -> None:
    """A value that arrived damaged is written again; one that was read damaged is read again."""
    keys = Damaging(tmp_path)
    keys.writes, keys.reads = writes, reads
    put_checked(keys, "zarr.json", b"{1}")
    assert (tmp_path / "zarr.json").read_bytes() == b"{1}"


def test_damage_twice_is_told(tmp_path: Path) -> None:
    """A value that never arrives as it was sent is an error that names its key."""
    keys = Damaging(tmp_path)
    keys.writes = 2
    with pytest.raises(PublishError, match=r"zarr\.json: what is stored is not what was written"):
        put_checked(keys, "zarr.json", b"{1}")


def test_missing_value_is_not_stored(tmp_path: Path) -> None:
    """What is not there is not what was written."""
    assert not is_stored(LocalKeys(tmp_path), "zarr.json", b"")
