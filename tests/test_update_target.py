"""update_target.py: an update that is stopped anywhere leaves the old target, or what the same command completes."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zarrmill
from tests.test_update import add_epoch, check_as_source, keys, run, values, write_source
from zarrmill.errors import PublishError, ResumeError
from zarrmill.keyspace.object_store import ObjectKeys
from zarrmill.plan import arrays
from zarrmill.progress import BlockFinished, Message, StepStarted
from zarrmill.store import open_keys
from zarrmill.store_draft import CLAIM, MOVING
from zarrmill.update_target import keep

pytestmark = pytest.mark.usefixtures("many_blocks")


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a block for each shard."""
    candidates = arrays.one_pass_candidates

    def smallest(*args: Any, **options: Any) -> list[Any]:
        found = list(candidates(*args, **options))
        return [c for c in found if c.points == min(other.points for other in found)]

    monkeypatch.setattr(arrays, "one_pass_candidates", smallest)
    monkeypatch.setattr(arrays, "chains", lambda *args, **options: iter(()))
    monkeypatch.setattr(arrays, "_small_plan", lambda job, limits: None)
    monkeypatch.setattr(arrays, "_block_aim", lambda *args: 0)


class StoppedError(Exception):
    """A run that is stopped."""


@pytest.fixture(params=["disk", "store"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Any]:
    """A source of which an epoch came in after its target was made."""
    root = str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}"
    source, target = f"{root}/s", f"{root}/t"
    survey = write_source(source, epochs=9)
    run(source, target)
    add_epoch(survey["flux"], 9)
    return source, target, survey


def stop_after(kind: type[Message], count: int = 1) -> Any:
    """Return a client of progress that raises with the n-th message of a kind."""
    seen = []

    def client(message: Message) -> None:
        if isinstance(message, kind):
            seen.append(message)
            if len(seen) == count:
                raise StoppedError

    return client


@pytest.mark.parametrize(
    ("kind", "count"),
    [(BlockFinished, 1), (BlockFinished, 3), (StepStarted, 1), (StepStarted, 2)],
    ids=["first-block", "last-block", "check", "publish"],
)
def test_a_stopped_update_is_resumed(pair: tuple[str, str, Any], kind: type[Message], count: int) -> None:
    """Until it is complete the old target is as it was; the same command goes on with what is left."""
    source, target, _ = pair
    old = values(target)
    with pytest.raises(StoppedError):
        run(source, target, update=True, progress=stop_after(kind, count))
    np.testing.assert_array_equal(values(target)["flux"], old["flux"])
    report = run(source, target, update=True)
    assert report.resumed_blocks == (1 if (kind, count) == (BlockFinished, 1) else 3)
    check_as_source(source, target)


@pytest.mark.parametrize("pair", ["disk"], indirect=True)
def test_a_later_epoch_starts_again(pair: tuple[str, str, Any]) -> None:
    """On the disk an update that was stopped gives way to one of a source that has changed since."""
    source, target, survey = pair
    with pytest.raises(StoppedError):
        run(source, target, update=True, progress=stop_after(BlockFinished))
    add_epoch(survey["flux"], 17)
    assert run(source, target, update=True).resumed_blocks == 0
    check_as_source(source, target)


@pytest.mark.parametrize("pair", ["store"], indirect=True)
def test_in_a_store_it_is_told(pair: tuple[str, str, Any]) -> None:
    """Nobody knows there whether the other run is at work; --no-resume takes its place."""
    source, target, survey = pair
    with pytest.raises(StoppedError):
        run(source, target, update=True, progress=stop_after(BlockFinished))
    add_epoch(survey["flux"], 17)
    with pytest.raises(ResumeError, match="another update"):
        run(source, target, update=True)
    run(source, target, update=True, resume=False)
    check_as_source(source, target)


@pytest.mark.parametrize("pair", ["store"], indirect=True)
@pytest.mark.parametrize(
    ("how", "puts"),
    [
        pytest.param(how, puts, id=f"{how}-{puts}", marks=[pytest.mark.soak] * (puts not in always))
        for how, always in (("resumed", {1, 2, 4, 6, 8, 9}), ("anew", {1, 5, 9}))
        for puts in range(1, 10)
    ],
)
def test_a_store_between_old_and_new(
    pair: tuple[str, str, Any], monkeypatch: pytest.MonkeyPatch, puts: int, how: str
) -> None:
    """Stopped at any write of its last step, an update is completed by the next, however much changed meanwhile."""
    source, target, survey = pair
    original, done = ObjectKeys.put, []

    def put(self: ObjectKeys, key: str, data: Any) -> str | None:
        if self.location == target and not key.startswith(".zarrmill/journal"):
            done.append(key)
            if len(done) == puts:
                raise StoppedError
        return original(self, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectKeys, "put", put)
        with pytest.raises(StoppedError):
            run(source, target, update=True)
    if how == "anew":
        add_epoch(survey["flux"], 3, seed=1)
    run(source, target, update=True, resume=how == "resumed")
    check_as_source(source, target)
    assert run(source, target, update=True).blocks == 0


@pytest.mark.parametrize("pair", ["store"], indirect=True)
def test_a_claim_that_outlived_its_run(pair: tuple[str, str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished update that could not give back its claim is in nobody's way."""
    source, target, survey = pair
    claim = {}

    def remember(message: Message) -> None:
        if isinstance(message, StepStarted):
            claim["data"] = bytes(open_keys(target).get(CLAIM) or b"")

    run(source, target, update=True, progress=remember)
    open_keys(target).put(CLAIM, claim["data"])
    add_epoch(survey["flux"], 10)
    run(source, target, update=True)
    check_as_source(source, target)


@pytest.mark.parametrize("pair", ["store"], indirect=True)
def test_another_run_that_took_the_claim(pair: tuple[str, str, Any]) -> None:
    """A run whose claim is another's by now publishes nothing."""
    source, target, _ = pair
    old = values(target)["flux"]

    def rob(message: Message) -> None:
        if isinstance(message, StepStarted):
            open_keys(target).put(CLAIM, b'{"token": "other"}')

    with pytest.raises(PublishError, match="another run has claimed"):
        run(source, target, update=True, progress=rob)
    np.testing.assert_array_equal(values(target)["flux"], old)


@pytest.mark.parametrize("pair", ["store"], indirect=True)
def test_half_an_update_is_not_discarded(pair: tuple[str, str, Any]) -> None:
    """While old keys lie beside new ones the draft is all that can complete them."""
    source, target, _ = pair
    with pytest.raises(StoppedError):
        run(source, target, update=True, progress=stop_after(BlockFinished))
    open_keys(target).put(MOVING, b"")
    with pytest.raises(ResumeError, match="completes it"):
        zarrmill.discard(target)


def test_a_discarded_update(pair: tuple[str, str, Any]) -> None:
    """A draft that is removed leaves the old target, and another update is free to begin."""
    source, target, _ = pair
    old = values(target)["flux"]
    with pytest.raises(StoppedError):
        run(source, target, update=True, progress=stop_after(BlockFinished))
    assert zarrmill.info(target).drafts[0].blocks_total == 3
    zarrmill.discard(target)
    np.testing.assert_array_equal(values(target)["flux"], old)
    run(source, target, update=True)
    check_as_source(source, target)


def test_a_whole_run_over_an_update(pair: tuple[str, str, Any]) -> None:
    """Making the target anew takes the place of an update that was stopped."""
    source, target, _ = pair
    with pytest.raises(StoppedError):
        run(source, target, update=True, progress=stop_after(BlockFinished))
    run(source, target, overwrite=True, resume=False)
    check_as_source(source, target)


def test_without_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system has no links, what is kept is copied, with its time."""

    def refuse(*args: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    (tmp_path / "a").write_bytes(b"kept")
    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "b").mkdir()
    keep(tmp_path / "a", tmp_path / "b" / "a")
    assert (tmp_path / "b" / "a").read_bytes() == b"kept"
    assert (tmp_path / "b" / "a").stat().st_mtime_ns == (tmp_path / "a").stat().st_mtime_ns
    assert os.listdir(tmp_path / "b") == ["a"]


def test_what_is_kept_must_be_there(tmp_path: Path) -> None:
    """A file that vanished meanwhile is an error, not a missing chunk."""
    with pytest.raises(FileNotFoundError):
        keep(tmp_path / "no", tmp_path / "b")


def test_drafts_lie_apart_from_the_target(pair: tuple[str, str, Any]) -> None:
    """While it runs, no key of the target is written or removed."""
    source, target, _ = pair
    before, seen = keys(target), []

    def look(message: Message) -> None:
        if isinstance(message, BlockFinished):
            seen.append({key: value for key, value in keys(target).items() if ".zarrmill" not in key})

    run(source, target, update=True, progress=look)
    assert seen == [before] * 3


def test_a_target_behind_a_symbolic_link(tmp_path: Path) -> None:
    """The store that the link leads to is brought up to date; the link stays one."""
    source = str(tmp_path / "s")
    survey = write_source(source, epochs=9)
    (tmp_path / "disk2").mkdir()
    run(source, str(tmp_path / "disk2" / "t"))
    (tmp_path / "t").symlink_to(tmp_path / "disk2" / "t")
    add_epoch(survey["flux"], 9)
    assert run(source, str(tmp_path / "t"), update=True).kept_blocks == 7
    assert (tmp_path / "t").is_symlink()
    check_as_source(source, str(tmp_path / "disk2" / "t"))
