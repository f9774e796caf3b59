"""Sessions as blocks of the one loop: isolation, order and memory."""

import os
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.recordings.sample_transform import SampleTransform, write_inputs
from zarrmill.errors import BlockFailedError
from zarrmill.execute.executors import InlineExecutor, Placement, ProcessLostError, place
from zarrmill.keyspace.local import LocalKeys
from zarrmill.progress import BlockFinished, RunFinished, RunStarted, silent
from zarrmill.recordings.identities import Cleaner
from zarrmill.recordings.records import SessionRecord
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_run import SessionPlan, run_sessions, say_error


def session(name: str, nbytes: int = 10) -> Session:
    return Session(name, nbytes, LocalKeys(Path("/nowhere")), f"{name}.h5", Cleaner(name, name))


def record(name: str, status="success") -> SessionRecord:
    now = "2026-03-01T11:00:00+00:00"
    return SessionRecord(name, status, "sample", "1", "0", now, now, 0.0, {}, {})


@dataclass
class FakeWorker:
    """Notes its sessions, and dies with those that are named."""

    deadly: dict[str, int] = field(default_factory=dict)
    """How often the process dies with each."""
    bystanders: dict[str, int] = field(default_factory=dict)
    """How often each is lost because another's process died."""
    done: list[str] = field(default_factory=list)

    def work(self, session: Session) -> SessionRecord:
        for losses in (self.deadly, self.bystanders):
            if losses.get(session.session_id, 0):
                losses[session.session_id] -= 1
                raise ProcessLostError("died")
        self.done.append(session.session_id)
        return record(session.session_id)

    def give_up(self, session: Session, error: BaseException) -> SessionRecord:
        return record(session.session_id, "failed")


def run(worker, *names: str, done=lambda record: None):
    sessions = [session(name) for name in names]
    return run_sessions(worker, sessions, name="sample", placement=place("serial"), progress=silent, done=done)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zarrmill.execute.run.RETRY_SECONDS", 0)


def test_a_block_owns_a_session():
    """A plan is the same every time, and as heavy as its inputs; none weighs nothing."""
    plan = SessionPlan("sample", (session("a", 0), session("b", 7)))

    assert [(b.id, b.weight) for b in plan.blocks()] == [("a", 1), ("b", 7)]
    assert (plan.stages, plan.weight, len(plan)) == ((plan,), 8, 2)


def test_records_come_in_the_order_of_the_sessions():
    """And each is told of as it ends."""
    told = []

    done = run(FakeWorker(), "b", "a", "c", done=told.append)

    assert [r.session_id for r in done.records] == ["b", "a", "c"]
    assert told == list(done.records)


def test_a_session_whose_process_dies_fails_alone():
    """The others are done, those after it too."""
    done = run(FakeWorker(deadly={"b": 99}), "a", "b", "c")

    assert [(r.session_id, r.status) for r in done.records] == [("a", "success"), ("b", "failed"), ("c", "success")]


def test_a_session_that_was_lost_with_another_is_not_blamed():
    """Lost three times beside others, it is done when it is alone."""
    worker = FakeWorker(deadly={"b": 99}, bystanders={"c": 3})

    done = run(worker, "a", "b", "c", "d")

    assert {r.session_id: r.status for r in done.records} == {
        "a": "success", "b": "failed", "c": "success", "d": "success",
    }  # fmt: skip


def test_what_is_no_loss_of_a_process_stops_the_run():
    """A fault of the machinery itself is not written down as one of a session."""

    class Broken(FakeWorker):
        def work(self, session: Session) -> SessionRecord:
            raise AssertionError("a fault of ours")

    with pytest.raises(BlockFailedError):
        run(Broken(), "a")


def test_progress_tells_of_every_session():
    """The clients of all runs show it."""
    messages = []

    run_sessions(
        FakeWorker(), [session("a"), session("b")], name="sample", placement=place("serial"), progress=messages.append,
        done=lambda record: None,
    )  # fmt: skip

    assert [m.block for m in messages if isinstance(m, BlockFinished)] == ["a", "b"]
    assert isinstance(messages[0], RunStarted)
    assert isinstance(messages[-1], RunFinished)


def test_nothing_to_run_is_no_run_that_fails():
    """An empty plan ends at once."""
    assert run(FakeWorker()).records == ()


def test_an_error_is_one_line_with_a_kind():
    """A lost process says what may help."""
    assert say_error(ValueError("a\nb")) == ("ValueError: a b.", "ValueError")
    assert say_error(BrokenProcessPool())[1] == "process_lost"


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_a_process_that_dies_costs_its_session_alone(tmp_path: Path):
    """In real processes: one dies every time, and all others are done."""
    inputs = write_inputs(tmp_path / "in", a="ok 1", b="die", c="ok 2", g="fail")

    report = SampleTransform(inputs, tmp_path / "out").run(executor="processes", workers=2)

    assert {r.session_id: r.status for r in report.records} == {
        "a": "success", "b": "failed", "c": "success", "g": "failed",
    }  # fmt: skip
    assert {r.session_id: r.error for r in report.records if r.error} == {"b": "process_lost", "g": "ValueError"}
    assert report.exit_code == 1


@pytest.mark.soak
@pytest.mark.usefixtures("forked_processes")
def test_a_process_that_dies_once_is_tried_again(tmp_path: Path):
    """Beside another that dies every time; each death takes all processes of the pool with it."""
    inputs = write_inputs(tmp_path / "in", a="ok 1", b="die", c="ok 2", d="die once", e="ok 3", f="ok 4", g="fail")

    report = SampleTransform(inputs, tmp_path / "out").run(executor="processes", workers=2)

    assert {r.session_id: r.status for r in report.records} == {
        "a": "success", "b": "failed", "c": "success", "d": "success", "e": "success", "f": "success", "g": "failed",
    }  # fmt: skip
    assert {r.session_id: r.error for r in report.records if r.error} == {"b": "process_lost", "g": "ValueError"}
    assert report.exit_code == 1


def test_memory_does_not_grow_with_sessions(tmp_path: Path):
    """What one session took is gone before the next, and what is kept of each is small."""
    inputs = write_inputs(tmp_path / "in", **{f"s{i:03}": "huge" for i in range(30)})
    transform = SampleTransform(inputs, tmp_path / "out")

    report = transform.run(executor="serial")

    assert report.by_status == {"success": 30}
    assert report.peak_mem < 2.5 * 40 * 2**20 or sys.platform != "linux"


def test_a_given_executor_is_used(tmp_path: Path):
    """Any executor of ``concurrent.futures`` does, and it is left running."""
    inputs = write_inputs(tmp_path / "in", a="ok 1")

    report = SampleTransform(inputs, tmp_path / "out").run(executor=InlineExecutor())

    assert report.by_status == {"success": 1}
    assert isinstance(place(InlineExecutor()), Placement)
    assert os.path.exists(tmp_path / "out" / "a_sample.zarr" / "zarr.json")


@pytest.mark.slow
def test_sessions_run_on_a_dask_cluster(tmp_path: Path, client: Any):
    """Each worker writes stores and records; failures stay with their sessions there too."""
    inputs = write_inputs(tmp_path / "in", a="ok 1", b="fail", c="ok 2", d="skip")
    made = SampleTransform(inputs, tmp_path / "out")
    report = made.run(executor=client)

    assert {r.session_id: r.status for r in report.records} == {
        "a": "success", "b": "failed", "c": "success", "d": "skipped",
    }  # fmt: skip
    assert {name: history.state for name, history in made.records.histories().items()} == {
        "a": "success", "b": "failed", "c": "success", "d": "skipped",
    }  # fmt: skip
