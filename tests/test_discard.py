"""Removing what a run has left: all of it, and nothing else."""

import json
import os

import numpy as np
import pytest
import zarr
from zarr.core.sync import sync

from zarrmill.discard import discard
from zarrmill.draft import Claim, Draft
from zarrmill.errors import InvalidInputError, NotFoundError, ResumeError
from zarrmill.progress import BlockFinished
from zarrmill.rechunk import rechunk
from zarrmill.store import open_keys
from zarrmill.store_draft import scratch_name
from zarrmill.verify import verify


class Killed(BaseException):
    """What ends a run at once."""


def write(path, first=0.0):
    array = zarr.create_array(path, shape=(6, 8), chunks=(3, 4), dtype="f4")
    array[...] = np.arange(48).reshape(6, 8) + first


def leave_draft(source, target, **options):
    def kill(message):
        if isinstance(message, BlockFinished):
            raise Killed

    with pytest.raises(Killed):
        rechunk(source, target, chunks=(6, 2), progress=kill, **options)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_draft_goes_and_everything_else_stays(tmp_path):
    """The report names it with its bytes; the same target can then be written as if nothing had been."""
    write(tmp_path / "a")
    before = files(tmp_path)
    leave_draft(tmp_path / "a", tmp_path / "b")
    size = sum(path.stat().st_size for path in (tmp_path / ".b.zarrmill").rglob("*") if path.is_file())
    report = discard(tmp_path / "b")
    assert (report.removed, report.nbytes) == ((str(tmp_path / ".b.zarrmill"),), size)
    assert files(tmp_path) == before
    assert json.loads(json.dumps(report.to_json())) == {"removed": list(report.removed), "nbytes": size}
    rechunk(tmp_path / "a", tmp_path / "b", chunks=(6, 2))
    assert verify(tmp_path / "a", tmp_path / "b").equal


def test_a_published_store_is_not_touched(tmp_path):
    """Neither the one that the draft would have replaced, nor one without a draft."""
    write(tmp_path / "a")
    write(tmp_path / "b", first=100)
    write(tmp_path / "same", first=100)
    leave_draft(tmp_path / "a", tmp_path / "b", overwrite=True)
    discard(tmp_path / "b")
    assert verify(tmp_path / "b", tmp_path / "same").equal
    with pytest.raises(NotFoundError, match=r"there is no draft of .*/b\. There is nothing to discard\."):
        discard(tmp_path / "b")
    assert verify(tmp_path / "b", tmp_path / "same").equal


def test_a_target_that_was_being_replaced_comes_back(tmp_path):
    """A run may be killed between moving the old target away and moving the new one into its place."""
    write(tmp_path / "a")
    write(tmp_path / "b", first=100)
    write(tmp_path / "same", first=100)
    leave_draft(tmp_path / "a", tmp_path / "b", overwrite=True)
    os.rename(tmp_path / "b", tmp_path / ".b.zarrmill" / "old")
    discard(tmp_path / "b")
    assert verify(tmp_path / "b", tmp_path / "same").equal
    assert not (tmp_path / ".b.zarrmill").exists()


def test_a_draft_that_a_run_holds_stays(tmp_path):
    """Until the run has ended."""
    draft = Draft(tmp_path / "b")
    draft.claim(Claim({}, {}), resume=True)
    before = files(tmp_path)
    with pytest.raises(ResumeError, match=r"another run is writing .*/b"):
        discard(tmp_path / "b")
    assert files(tmp_path) == before
    draft.release()
    discard(tmp_path / "b")
    assert files(tmp_path) == []


def test_other_drafts_are_named_where_there_is_none(tmp_path):
    """So that a wrong name is soon put right."""
    Draft(tmp_path / "b").folder.mkdir()
    with pytest.raises(NotFoundError, match=r"there is no draft of .*/c\. There are drafts of .*/b\."):
        discard(tmp_path / "c")


def test_scratch_folders_elsewhere_go_too(tmp_path):
    """Those that the draft lists and that carry its name; nothing else that a damaged record names."""
    draft = Draft(tmp_path / "b")
    draft.folder.mkdir()
    scratch, precious = tmp_path / "fast" / "b.zarrmill-scratch", tmp_path / "fast" / "precious"
    for folder in (scratch, precious):
        folder.mkdir(parents=True)
        (folder / "0.tile").write_bytes(bytes(1000))
    (draft.folder / "scratch.json").write_text(json.dumps([str(scratch), str(precious), "b.zarrmill-x", 7]))
    report = discard(tmp_path / "b")
    assert report.removed == (str(draft.folder), str(scratch))
    assert report.nbytes > 1000
    assert files(tmp_path) == ["fast", "fast/precious", "fast/precious/0.tile"]


def test_a_draft_in_a_store_goes_with_its_chunks_and_its_scratch_folder(tmp_path):
    """Nothing is left below the target; then it can be written as if nothing had been."""
    write(tmp_path / "a")
    target = "memory://discard/b"
    leave_draft(tmp_path / "a", target, max_mem="64MiB")
    scratch = tmp_path / scratch_name(target)
    scratch.mkdir()
    (scratch / "0.tile").write_bytes(bytes(1000))
    (tmp_path / "precious").mkdir()
    keys = open_keys(target)
    keys.put(".zarrmill/scratch.json", json.dumps([str(scratch), str(tmp_path / "precious")]).encode())
    size = sum(info.nbytes for info in keys.list())
    report = discard(target)
    assert (report.removed, report.nbytes) == ((target, str(scratch)), size + 1000)
    assert list(keys.list()) == []
    assert not scratch.exists()
    assert (tmp_path / "precious").exists()
    with pytest.raises(NotFoundError, match=r"there is no draft of memory://discard/b\. There is nothing to discard\."):
        discard(target)
    rechunk(tmp_path / "a", target, chunks=(6, 2))
    assert verify(tmp_path / "a", target).equal


def test_a_published_store_at_a_url_stays(tmp_path):
    """What a run has left beside it goes."""
    write(tmp_path / "a")
    target = "memory://discard/published"
    rechunk(tmp_path / "a", target, chunks=(6, 2))
    open_keys(target).put(".zarrmill/cleared", b"")
    assert discard(target).removed == (f"{target}/.zarrmill",)
    assert verify(tmp_path / "a", target).equal


def test_a_draft_in_a_zarr_store_goes_too(tmp_path):
    """Its keys are removed one by one."""
    write(tmp_path / "a")
    store = zarr.storage.MemoryStore()
    leave_draft(tmp_path / "a", store)
    assert discard(store).nbytes == 0
    assert sync(_listed(store)) == []


async def _listed(store):
    return [key async for key in store.list()]


def test_what_can_only_be_read_has_no_draft():
    """A web server is refused in one line."""
    with pytest.raises(InvalidInputError, match="can only be read"):
        discard("https://127.0.0.1:9/b")


def test_targets_are_told_in_every_way(tmp_path, monkeypatch):
    """Relative paths and URLs mean the same."""
    monkeypatch.chdir(tmp_path)
    for location in ("b c", "./b c/", f"file://{tmp_path}/b%20c"):
        Draft(tmp_path / "b c").folder.mkdir()
        assert discard(location).removed == (str(tmp_path / ".b c.zarrmill"),)
