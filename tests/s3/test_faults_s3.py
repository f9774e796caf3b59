"""The fault matrix: every fault at the first, a middle and the last request, of reading, writing and publishing.

Whatever happens, the result is right, or there is one clear line that names the key, nothing opens, and the same
command completes. There is never a target that opens and is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill
from tests.s3.stores import (
    FAST,
    LAYOUTS,
    SHARDED,
    UNSHARDED,
    VALUES,
    check_array,
    check_no_leftovers,
    check_nothing_opens,
    keys_of,
    open_at,
    stop_after,
    write_array,
    write_group,
)
from tests.servers.client import Proxy
from tests.servers.rules import READS, Fault, Kind
from zarrmill.errors import StoreAccessError
from zarrmill.execute import run as loop

pytestmark = pytest.mark.usefixtures("many_blocks")

BUSY: tuple[Fault, ...] = ("slow_down", "internal_error", "bad_gateway", "reset")
"""Faults before anything has happened."""
READING: tuple[Fault, ...] = (*BUSY, "hang", "reset_answer", "stall_answer", "truncate_answer", "corrupt_answer")
WRITING: tuple[Fault, ...] = (*BUSY, "hang", "reset_request", "corrupt_request", "lose_answer", "deny_answer")
REFUSED: tuple[Fault, ...] = ("expired_token", "access_denied")
"""Faults that no repetition helps."""
SAID = {"expired_token": "expired", "access_denied": "not allowed"}
SPOTS = {"first": 0.0, "middle": 0.5, "last": 1.0}
QUICK = {**FAST, "timeout": "1s", "read_timeout": "1s"}
"""For faults of which the client learns by waiting."""
BRIEF = {**QUICK, "max_retries": 1}
"""For those that last: each of the engine's own attempts waits so much shorter."""
each_spot = pytest.mark.parametrize("spot", SPOTS.values(), ids=SPOTS)


def soak_unless(kept: bool) -> list[pytest.MarkDecorator]:
    """Leave a case that goes the way of another to the soak."""
    return [] if kept else [pytest.mark.soak]


middle_spot = pytest.mark.parametrize(
    "spot", [pytest.param(spot, id=place, marks=soak_unless(place == "middle")) for place, spot in SPOTS.items()]
)
"""For requests that go the way of others which meet their faults at every spot."""


def each_fault(faults: tuple[Fault, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RETRY_SECONDS", 0.0)


def options_for(proxy: Proxy, fault: Fault, *, lasting: bool = False) -> dict[str, Any]:
    """Return storage options that give up soon on what hangs, and not on anything else."""
    waits = fault in ("hang", "stall_answer")
    return {**proxy.storage_options, **((BRIEF if lasting else QUICK) if waits else FAST)}


@dataclass(frozen=True)
class Requests:
    """Those that a fault is about."""

    kinds: tuple[Kind, ...]
    key: str
    count: int
    """How many there are in a run without faults."""

    def skip(self, spot: float) -> int:
        return round(spot * (self.count - 1))


def attempt(
    run: Callable[[], zarrmill.RechunkReport],
) -> tuple[zarrmill.RechunkReport | None, zarrmill.ZarrmillError | None]:
    """Return what a run returns, or the error of zarrmill's that it raises: any other is a bug."""
    try:
        return run(), None
    except zarrmill.ZarrmillError as error:
        return None, error


@dataclass(frozen=True)
class Trial:
    """A rechunk that meets a fault, and how its target is looked at."""

    proxy: Proxy
    run: Callable[[], zarrmill.RechunkReport]
    check_right: Callable[[], None]
    check_hidden: Callable[[], None]

    def meet(self, fault: Fault, requests: Requests, spot: float, times: int | None = 1) -> None:
        """Run with a fault; the target is right, or nothing opens and the same command makes it right."""
        rule = self.proxy.add(fault, kinds=requests.kinds, pattern=requests.key, skip=requests.skip(spot), times=times)
        report, error = attempt(self.run)
        if error is None:
            assert fault not in REFUSED
            assert self.proxy.get_hits(rule) >= 1
        else:
            assert fault in REFUSED or times is None, error
            self.check_told(error, fault)
            self.check_hidden()
            self.proxy.clear()
            report = self.run()
        self.check_right()
        assert report is not None
        assert report.notes == ()

    def check_told(self, error: zarrmill.ZarrmillError, fault: Fault) -> None:
        """The error is one line that names a key of those that met the fault, and says what it was."""
        text = str(error)
        assert "\n" not in text
        keys = [r.key.partition(".zarr/")[2].strip("/") for r in self.proxy.get_requests() if r.fault]
        assert keys
        assert any(key in text for key in keys), text
        assert SAID.get(fault, "") in text
        assert "again" in text or "continues" in text or "need" in text, text


# --- reading ----------------------------------------------------------------------------------------------------------

SOURCES = {
    "chunks": ({"sharded": False}, Requests(READS, r"source\.zarr/c/", 10)),
    "shards": ({"sharded": True}, Requests(READS, r"source\.zarr/c/", 4)),
    "moved-chunks": ({"sharded": False, "moved": True}, Requests(READS, r"source\.zarr/c/", 20)),
    "moved-shards": ({"sharded": True, "moved": True}, Requests(READS, r"source\.zarr/c/", 20)),
    "metadata": ({"sharded": False}, Requests(READS, r"source\.zarr/zarr\.json", 1)),
}


WHOLE = {"chunks", "metadata"}
"""Sources that meet their faults at every spot."""


def reading(
    proxy: Proxy, bucket: str, tmp_path: Path, fault: Fault, sharded: bool, moved: bool = False, lasting: bool = False
) -> Trial:
    """Return a rechunk from S3 to the disk, or one that keeps the chunks."""
    source, target = f"{bucket}/source.zarr", tmp_path / "target.zarr"
    options = options_for(proxy, fault, lasting=lasting)
    write_array(open_at(source, proxy.server.storage_options), sharded=sharded)

    def right() -> None:
        np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)
        assert list(tmp_path.iterdir()) == [target]

    def hidden() -> None:
        assert not target.exists()

    def run() -> zarrmill.RechunkReport:
        request = {"chunks": None, "shards": None} if moved else UNSHARDED
        return zarrmill.rechunk(source, target, storage_options=options, sync=False, executor="serial", **request)

    return Trial(proxy, run, right, hidden)


CASES = [
    pytest.param(source, spot, id=f"{name}-{place}", marks=soak_unless(name in WHOLE or place == "middle"))
    for name, source in SOURCES.items()
    for place, spot in SPOTS.items()
    if name != "metadata" or place == "first"
]


@pytest.mark.parametrize(("source", "spot"), CASES)
@each_fault(READING)
def test_passing_fault_of_a_read(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, source: Any, spot: float, fault: Fault
) -> None:
    """A read that fails or is damaged once is done again, and the target is right."""
    reading(proxy, s3_bucket, tmp_path, fault, **source[0]).meet(fault, source[1], spot)


@pytest.mark.parametrize(("source", "spot"), CASES)
@each_fault(REFUSED)
def test_refused_read(proxy: Proxy, s3_bucket: str, tmp_path: Path, source: Any, spot: float, fault: Fault) -> None:
    """A read that is refused is told at once with its key, and the same command completes when it is allowed."""
    reading(proxy, s3_bucket, tmp_path, fault, **source[0]).meet(fault, source[1], spot, None)


@pytest.mark.parametrize(
    "source",
    [pytest.param(SOURCES[name], id=name, marks=soak_unless(name == "shards")) for name in ("chunks", "shards")],
)
@each_fault(READING)
def test_lasting_fault_of_reads(proxy: Proxy, s3_bucket: str, tmp_path: Path, source: Any, fault: Fault) -> None:
    """Reads that go on failing end the run; what is done is kept, and the same command completes."""
    if fault == "corrupt_answer" and source is SOURCES["chunks"]:
        pytest.skip("the same flipped byte three times in a row looks as if the store had it so")
    reading(proxy, s3_bucket, tmp_path, fault, **source[0], lasting=True).meet(fault, source[1], 0.5, None)


# --- writing ----------------------------------------------------------------------------------------------------------


def writing(proxy: Proxy, bucket: str, tmp_path: Path, fault: Fault, *, lasting: bool = False, **request: Any) -> Trial:
    """Return a rechunk from the disk to S3."""
    source, target = tmp_path / "source.zarr", f"{bucket}/target.zarr"
    options = options_for(proxy, fault, lasting=lasting)
    direct = proxy.server.storage_options
    write_array(source)

    def right() -> None:
        check_array(target, direct)
        check_no_leftovers(target, direct)

    def hidden() -> None:
        check_nothing_opens(target, direct)

    def run() -> zarrmill.RechunkReport:
        return zarrmill.rechunk(source, target, storage_options=options, sync=False, executor="serial", **request)

    return Trial(proxy, run, right, hidden)


CHUNK_KEY = r"target\.zarr/c[./]"
PUTS = {"shards": Requests(("PUT",), CHUNK_KEY, 3), "chunks": Requests(("PUT",), CHUNK_KEY, 6)}
BACK = {"shards": Requests(READS, CHUNK_KEY, 6), "chunks": Requests(READS, CHUNK_KEY, 6)}
"""Reading back what was written."""
each_layout = pytest.mark.parametrize("layout", LAYOUTS)
each_place = pytest.mark.parametrize(
    ("layout", "spot"),
    [
        pytest.param(layout, spot, id=f"{place}-{layout}", marks=soak_unless(layout == "shards" or place == "middle"))
        for place, spot in SPOTS.items()
        for layout in LAYOUTS
    ],
)
"""Every spot in shards, the middle in chunks too."""


@each_place
@each_fault(WRITING)
def test_passing_fault_of_a_write(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, layout: str, spot: float, fault: Fault
) -> None:
    """A write that fails, or whose answer is lost, is done again, and one that is damaged is found and mended."""
    writing(proxy, s3_bucket, tmp_path, fault, **LAYOUTS[layout]).meet(fault, PUTS[layout], spot)


@each_place
@each_fault(READING)
def test_passing_fault_of_reading_back(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, layout: str, spot: float, fault: Fault
) -> None:
    """What goes wrong while the written values are read back costs another reading, at worst another writing."""
    writing(proxy, s3_bucket, tmp_path, fault, **LAYOUTS[layout]).meet(fault, BACK[layout], spot)


@each_place
@each_fault(REFUSED)
def test_refused_write(proxy: Proxy, s3_bucket: str, tmp_path: Path, layout: str, spot: float, fault: Fault) -> None:
    """A write that is refused is told at once with its key, and the same command completes when it is allowed."""
    writing(proxy, s3_bucket, tmp_path, fault, **LAYOUTS[layout]).meet(fault, PUTS[layout], spot, None)


@pytest.mark.parametrize("layout", ["shards", pytest.param("chunks", marks=pytest.mark.soak)])
@each_fault(WRITING)
def test_lasting_fault_of_writes(proxy: Proxy, s3_bucket: str, tmp_path: Path, layout: str, fault: Fault) -> None:
    """Writes that go on failing end the run; what is done is kept, and the same command completes."""
    writing(proxy, s3_bucket, tmp_path, fault, **LAYOUTS[layout], lasting=True).meet(fault, PUTS[layout], 0.5, None)


@each_layout
@each_spot
def test_damaged_write_is_found_by_its_checksum(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, layout: str, spot: float
) -> None:
    """With verify="written" the stored bytes are compared with those that were sent."""
    request = {**LAYOUTS[layout], "verify": "written"}
    writing(proxy, s3_bucket, tmp_path, "corrupt_request", **request).meet("corrupt_request", PUTS[layout], spot)


@middle_spot
@each_fault(tuple(fault for fault in WRITING if fault != "corrupt_request"))
def test_passing_fault_without_verification(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, spot: float, fault: Fault
) -> None:
    """With verify="none" every fault that a store or a connection shows is mended all the same.

    What it cannot find is a body that is damaged on its way to a store that does not check it. S3 itself does, because
    the signature of each request covers its body; this server does not.
    """
    request = {**SHARDED, "verify": "none"}
    writing(proxy, s3_bucket, tmp_path, fault, **request).meet(fault, PUTS["shards"], spot)


# --- publishing -------------------------------------------------------------------------------------------------------

STEPS: dict[str, tuple[Kind, str]] = {
    "claim": ("PUT", r"\.zarrmill/claim\.json"),
    "child": ("PUT", r"target\.zarr/flux/zarr\.json"),
    "nested": ("PUT", r"target\.zarr/more/flag/zarr\.json"),
    "root": ("PUT", r"target\.zarr/zarr\.json"),
}
LISTED = Requests(("LIST",), "", 10)


def publishing(proxy: Proxy, bucket: str, tmp_path: Path, fault: Fault) -> Trial:
    """Return a rechunk of a group from the disk to S3."""
    source, target, options = tmp_path / "source.zarr", f"{bucket}/target.zarr", options_for(proxy, fault)
    direct = proxy.server.storage_options
    write_group(source)

    def right() -> None:
        found = zarr.open_group(open_at(target, direct), mode="r")
        np.testing.assert_array_equal(found["flux"][:], VALUES)
        np.testing.assert_array_equal(found["more/flag"][:], VALUES.astype("u1"))
        assert found.metadata.consolidated_metadata is not None
        assert found["flux"].chunks == (4, 20)
        assert found.attrs["title"] == "survey"
        check_no_leftovers(target, direct)

    def hidden() -> None:
        check_nothing_opens(target, direct)

    def run() -> zarrmill.RechunkReport:
        # Named by path: of small arrays in a group only those are cut.
        chunks = dict.fromkeys(("flux", "error", "more/flag"), (4, 20))
        return zarrmill.rechunk(
            source, target, storage_options=options, sync=False, executor="serial", chunks=chunks, shards=None
        )

    return Trial(proxy, run, right, hidden)


each_step = pytest.mark.parametrize(
    "step", [pytest.param(step, id=name, marks=soak_unless(name != "nested")) for name, step in STEPS.items()]
)


@each_step
@each_fault(WRITING)
def test_passing_fault_of_publishing(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, step: tuple[Kind, str], fault: Fault
) -> None:
    """The claim and the metadata arrive as they are meant; a write that landed unheard is known for our own."""
    trial = publishing(proxy, s3_bucket, tmp_path, fault)
    if fault == "corrupt_request" and step == STEPS["root"]:
        # It is visible before it can be read back: then it is taken away at once, and the run says so.
        proxy.add(fault, kinds=(step[0],), pattern=step[1])
        with pytest.raises(zarrmill.PublishError, match="damaged"):
            trial.run()
        trial.check_hidden()
        trial.run()
        trial.check_right()
        return
    trial.meet(fault, Requests((step[0],), step[1], 1), 0.0)


@each_step
@each_fault((*REFUSED, "slow_down", "reset"))
def test_publishing_that_is_refused(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, step: tuple[Kind, str], fault: Fault
) -> None:
    """Where claim or metadata cannot be written nothing opens, and the same command completes later."""
    publishing(proxy, s3_bucket, tmp_path, fault).meet(fault, Requests((step[0],), step[1], 1), 0.0, None)


@middle_spot
@each_fault(tuple(fault for fault in READING if fault != "corrupt_answer"))
def test_passing_fault_of_a_listing(proxy: Proxy, s3_bucket: str, tmp_path: Path, spot: float, fault: Fault) -> None:
    """A listing that fails once is asked for again: a part of it never counts as all."""
    trial = publishing(proxy, s3_bucket, tmp_path, fault)
    trial.run()
    count = proxy.get_counts()["LIST"]
    proxy.server.empty_bucket(s3_bucket.removeprefix("s3://"))
    proxy.reset_counts()
    trial.meet(fault, Requests(("LIST",), "", count), spot)


@each_spot
@each_fault(REFUSED)
def test_listing_that_is_refused(proxy: Proxy, s3_bucket: str, tmp_path: Path, spot: float, fault: Fault) -> None:
    """Without the listing nothing is published that might not be complete."""
    trial = publishing(proxy, s3_bucket, tmp_path, fault)
    trial.run()
    # The last listing is of what is left when all is published already.
    count = proxy.get_counts()["LIST"] - 1
    proxy.server.empty_bucket(s3_bucket.removeprefix("s3://"))
    proxy.reset_counts()
    trial.meet(fault, Requests(("LIST",), "", count), spot, None)


@each_fault((*BUSY, "lose_answer", "deny_answer"))
def test_passing_fault_of_tidying(proxy: Proxy, s3_bucket: str, tmp_path: Path, fault: Fault) -> None:
    """Removing the draft's own keys is tried again."""
    publishing(proxy, s3_bucket, tmp_path, fault).meet(fault, Requests(("POST",), "", 1), 0.0)


def test_draft_that_cannot_be_removed(proxy: Proxy, s3_bucket: str, tmp_path: Path) -> None:
    """Without the permission to remove keys the target is right, and the report names what is left."""
    trial = publishing(proxy, s3_bucket, tmp_path, "access_denied")
    proxy.add("access_denied", kinds=("POST", "DELETE"), times=None)
    report = trial.run()
    assert [note for note in report.notes if f"{s3_bucket}/target.zarr/.zarrmill" in note]
    found = zarr.open_group(open_at(f"{s3_bucket}/target.zarr", proxy.server.storage_options), mode="r")
    np.testing.assert_array_equal(found["flux"][:], VALUES)
    with pytest.raises(zarrmill.AlreadyExistsError):
        trial.run()


def test_group_above_that_cannot_be_told(proxy: Proxy, s3_bucket: str, tmp_path: Path) -> None:
    """A new member that its group cannot list is there all the same, and the error says what to do."""
    options, direct = {**proxy.storage_options, **FAST}, proxy.server.storage_options
    write_group(open_at(f"{s3_bucket}/group.zarr", direct))
    write_array(tmp_path / "source.zarr")
    proxy.add("access_denied", kinds=("PUT",), pattern=r"group\.zarr/zarr\.json", times=None)
    with pytest.raises(zarrmill.PublishError, match=r"complete and visible.*Consolidate"):
        zarrmill.rechunk(tmp_path / "source.zarr", f"{s3_bucket}/group.zarr/added", storage_options=options, **SHARDED)
    check_array(f"{s3_bucket}/group.zarr/added", direct)
    check_no_leftovers(f"{s3_bucket}/group.zarr/added", direct)


@each_fault(("precondition_failed", "conflict"))
@pytest.mark.parametrize("step", [STEPS["claim"], STEPS["root"]], ids=["claim", "root"])
def test_refusal_of_a_create_that_had_no_reason(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, step: tuple[Kind, str], fault: Fault
) -> None:
    """A store that says "there is one" where there is none, as S3 does to two at once, is asked again."""
    publishing(proxy, s3_bucket, tmp_path, fault).meet(fault, Requests((step[0],), step[1], 1), 0.0)


JOURNAL_FAULTS: dict[str, tuple[Fault, tuple[Kind, ...], int]] = {
    "refused": ("access_denied", ("PUT",), 0),
    "busy": ("slow_down", ("PUT",), 0),
    "damaged": ("corrupt_request", ("PUT",), 0),
    "lost-answer": ("lose_answer", ("PUT",), 2),
    "damaged-reading": ("corrupt_answer", READS, 2),
    "cut-reading": ("truncate_answer", READS, 2),
}


@pytest.mark.parametrize(("fault", "kinds", "resumed"), JOURNAL_FAULTS.values(), ids=JOURNAL_FAULTS)
def test_fault_of_the_journal(
    proxy: Proxy, s3_bucket: str, tmp_path: Path, fault: Fault, kinds: tuple[Kind, ...], resumed: int
) -> None:
    """What stopped a run is told, not that its journal failed too; what is not in the journal is done again."""
    write_array(tmp_path / "source.zarr")
    target, options = f"{s3_bucket}/target.zarr", {**proxy.storage_options, **FAST}
    request: dict[str, Any] = {**SHARDED, "storage_options": options, "executor": "serial"}
    proxy.add(fault, kinds=kinds, key=".zarrmill/journal/", times=None if resumed == 0 else 1)
    with pytest.raises(KeyboardInterrupt):
        zarrmill.rechunk(tmp_path / "source.zarr", target, progress=stop_after(2), **request)
    if kinds == ("PUT",):
        proxy.clear()
    report = zarrmill.rechunk(tmp_path / "source.zarr", target, **request)
    assert report.resumed_blocks == resumed
    check_array(target, proxy.server.storage_options)
    check_no_leftovers(target, proxy.server.storage_options)


# --- replacing --------------------------------------------------------------------------------------------------------


@each_fault(("reset", "slow_down", "access_denied", "lose_answer"))
@pytest.mark.parametrize("skip", [0, 1, 2], ids=["root", "chunks", "draft"])
def test_fault_while_an_old_target_goes(proxy: Proxy, s3_bucket: str, tmp_path: Path, fault: Fault, skip: int) -> None:
    """Half removed, the old target does not open, and the same command goes on; it is never mixed with the new one."""
    target, direct = f"{s3_bucket}/target.zarr", proxy.server.storage_options
    write_array(open_at(target, direct), values=VALUES + 1)
    write_array(tmp_path / "source.zarr")
    options = {**proxy.storage_options, **FAST}
    proxy.add(fault, kinds=("POST", "DELETE"), skip=skip, times=None)

    def run() -> zarrmill.RechunkReport:
        return zarrmill.rechunk(
            tmp_path / "source.zarr", target, storage_options=options, sync=False, overwrite=True, **SHARDED
        )

    report, error = attempt(run)
    if error is None:
        assert skip == 2
        assert report is not None
        assert report.notes != ()
        check_array(target, direct)
        return
    assert "\n" not in str(error)
    if skip:
        check_nothing_opens(target, direct)
    elif "zarr.json" in keys_of(target, direct):
        check_array(target, direct, VALUES + 1)
    proxy.clear()
    report = run()
    check_array(target, direct)
    check_no_leftovers(target, direct)
    assert len(keys_of(target, direct)) == report.keys_written + 1


def test_fault_is_named_with_its_key(proxy: Proxy, s3_bucket: str, tmp_path: Path) -> None:
    """Of a run that fails a person sees which block, which key, what it was, and that nothing is lost."""
    trial = writing(proxy, s3_bucket, tmp_path, "access_denied", **UNSHARDED)
    proxy.add("access_denied", kinds=("PUT",), pattern=r"c\.2\.0", times=None)
    with pytest.raises(zarrmill.BlockFailedError) as caught:
        trial.run()
    text = str(caught.value)
    assert f"writing {s3_bucket}/target.zarr/c.2.0 failed: not allowed" in text
    assert "s3:PutObject" in text
    assert "the same command continues" in text
    assert isinstance(caught.value.__cause__, StoreAccessError)
