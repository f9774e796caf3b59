"""Transforms over many sessions: selection, isolation, records, ids, exit codes, and what a kill leaves."""

import json
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import zarrmill
from tests.recordings.sample_transform import SampleTransform, all_bytes, plain, write_inputs
from tests.servers.nursery import get_nursery
from zarrmill.errors import InvalidInputError, StoreAccessError
from zarrmill.recordings.identities import Identities, hash_id
from zarrmill.recordings.selection import Selection
from zarrmill.recordings.transform import BaseTransform
from zarrmill.recordings.transform_options import TransformOptions
from zarrmill.store import open_keys, open_store

ALL = Selection(only=("all",))


def transform(tmp_path: Path, **texts: str) -> SampleTransform:
    """Return the sample transform over inputs of these texts."""
    return SampleTransform(write_inputs(tmp_path / "in", **texts), tmp_path / "out")


def statuses(report) -> dict[str, str]:
    return {record.session_id: record.status for record in report.records}


def values(location, key: str) -> list[float]:
    return xr.open_zarr(open_store(f"{location}/{key}").store, chunks=None)["value"].values.tolist()


def test_each_session_becomes_a_store_and_a_record(tmp_path: Path):
    """The record tells input, code, parameters, counts and times."""
    made = transform(tmp_path, a="ok 3", b="odd 1")

    report = made.run()

    assert (statuses(report), report.exit_code, report.found) == ({"a": "success", "b": "success"}, 0, 2)
    assert values(tmp_path / "out", "a_sample.zarr") == [0, 1, 2]
    first, second = made.records.read()
    assert (first.transform, first.transform_version, first.zarrmill_version) == ("sample", "1", zarrmill.__version__)
    assert first.input["path"] == f"{tmp_path}/in/a.h5"
    assert (first.input["nbytes"], len(first.input["sha256"])) == (4, 64)
    assert (first.parameters, first.zarr_stores) == ({"factor": 2}, ("a_sample.zarr",))
    assert first.metadata["value_count"] == 3
    assert (first.metadata["session_id"], first.metadata["storage_format"]) == ("a", "zarr_xarray")
    assert first.metadata["processed_at"].endswith("+00:00")
    assert first.started_at < first.ended_at
    assert (second.issue_counts, second.issues[0]["row"]) == ({"odd": 1}, 3)


def test_one_failure_never_stops_the_others(tmp_path: Path):
    """Errors, the end of the interpreter, and inputs with nothing in them stay with their session."""
    made = transform(tmp_path, a="ok", b="fail", c="exit", d="skip", e="problems", f="ok", g="")

    report = made.run()

    assert statuses(report) == {
        "a": "success", "b": "failed", "c": "failed", "d": "skipped", "e": "failed", "f": "success", "g": "failed",
    }  # fmt: skip
    assert report.exit_code == 1
    records = {record.session_id: record for record in made.records.read()}
    assert records["b"].message.startswith("ValueError: b: cannot be read")
    assert (records["b"].error, records["e"].error, records["d"].error) == ("ValueError", "session_failed", "")
    assert records["e"].issue_counts == {"odd": 1}
    assert records["d"].message == "there is nothing in it"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_sample.zarr", "f_sample.zarr", "records"]


@pytest.mark.parametrize(
    ("texts", "selection", "code"),
    [
        ({"a": "ok"}, None, 0),
        ({"a": "skip"}, None, 0),
        ({"a": "ok", "b": "fail"}, None, 1),
        ({"a": "fail"}, None, 1),
        ({}, None, 2),
        ({"a": "ok"}, Selection(names=["nobody"]), 2),
        ({"a": "ok"}, Selection(only=["skipped"]), 2),
        ({"a": "ok"}, Selection(names=["a", "nobody"]), 1),
    ],
    ids=["done", "skipped", "some failed", "all failed", "no input", "no such name", "no such state", "one name lacks"],
)
def test_the_exit_code_tells_how_it_went(tmp_path: Path, texts: dict, selection: Any, code: int):
    """0 done, 1 any failed, 2 nothing matched."""
    report = transform(tmp_path, **texts).run(selection)

    assert report.exit_code == code
    assert report.to_json()["exit_code"] == code


def test_a_second_run_does_what_is_missing(tmp_path: Path):
    """New and failed sessions; that all is done is no failure."""
    made = transform(tmp_path, a="ok 1", b="fail", c="skip")
    made.run()
    write_inputs(tmp_path / "in", b="ok 2", d="ok 1")

    assert statuses(made.run()) == {"b": "success", "d": "success"}
    again = made.run()
    assert (statuses(again), again.exit_code) == ({}, 0)
    assert statuses(made.run(Selection(only=["skipped"]))) == {"c": "skipped"}


def test_a_later_failure_hides_no_success_and_leaves_its_store(tmp_path: Path):
    """The session stays done, the store stays whole, and both records are there."""
    made = transform(tmp_path, a="ok 3")
    made.run()
    write_inputs(tmp_path / "in", a="fail")

    assert statuses(made.run(ALL)) == {"a": "failed"}
    assert made.run().records == ()
    assert values(tmp_path / "out", "a_sample.zarr") == [0, 1, 2]
    assert [record.status for record in made.records.read()] == ["success", "failed"]


def test_a_session_that_is_done_again_replaces_its_store(tmp_path: Path):
    """When the new one is whole."""
    made = transform(tmp_path, a="ok 3")
    made.run()
    write_inputs(tmp_path / "in", a="ok 2")
    made.run(ALL)

    assert values(tmp_path / "out", "a_sample.zarr") == [0, 1]


def test_a_dry_run_writes_nothing(tmp_path: Path):
    """It tells sessions, states and sizes."""
    made = transform(tmp_path, a="ok", b="fail")
    before = all_bytes(tmp_path)

    plan = made.plan(Selection(max_items=1))

    assert all_bytes(tmp_path) == before
    assert [(s.session_id, s.state, s.nbytes) for s in plan.sessions] == [("a", "new", 2)]
    assert (plan.found, plan.nbytes, plan.exit_code) == (2, 2, 0)
    assert plan.to_json()["selected"] == 1
    assert made.plan(Selection(names=["nobody"])).exit_code == 2


def test_files_are_copied_and_uploaded(tmp_path: Path):
    """They stand in the record."""
    made = transform(tmp_path, a="files")
    made.run()

    (record,) = made.records.read()
    assert record.files == ("copies/a.h5", "uploads/a.py")
    assert (tmp_path / "out" / "copies" / "a.h5").read_text() == "files"


def test_a_reset_makes_sessions_new(tmp_path: Path):
    """Stores stay unless they are to go too; other sessions keep theirs."""
    made = transform(tmp_path, a="ok", b="ok")
    made.run()

    first = made.reset(Selection(names=["a"]))
    assert (first.sessions, first.records, first.outputs) == (1, 1, 0)
    assert (tmp_path / "out" / "a_sample.zarr" / "zarr.json").exists()
    assert statuses(made.run()) == {"a": "success"}
    second = made.reset(outputs=True)
    assert (second.sessions, second.records, second.outputs) == (2, 2, 2)
    assert list((tmp_path / "out").rglob("*.json")) == []
    assert made.reset(Selection(names=["nobody"])).exit_code == 2


def test_local_copies_are_kept_where_that_is_asked_for(request: pytest.FixtureRequest, tmp_path: Path):
    """Downloaded inputs and every store, by the ids that sessions have outside."""
    url = f"memory://transform-{plain(request)}"
    open_keys(url).put("curated-h5/Ada L.h5", b"ok 3")
    options = TransformOptions(keep_local=tmp_path / "kept", identities=Identities(names={"Ada L": "p1"}))

    report = SampleTransform(url, options=options).run()

    assert statuses(report) == {"p1": "success"}
    assert (tmp_path / "kept" / "inputs" / "p1.h5").read_bytes() == b"ok 3"
    assert values(tmp_path / "kept", "p1_sample.zarr") == [0, 1, 2]
    assert values(f"{url}/processed/sample", "p1_sample.zarr") == [0, 1, 2]
    assert report.records[0].requests["puts"] == 2 + 3 + 1
    assert len(report.records[0].input["sha256"]) == 64


NAMES = ("Zoë Quill", "Bo-Ada Lind", "X9z k")


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize(
    "identities",
    [Identities(names={name: f"p{i}" for i, name in enumerate(NAMES)}), Identities(hashed=True, key="k")],
    ids=["list", "hashes"],
)
@pytest.mark.parametrize("executor", ["serial", pytest.param("processes", marks=pytest.mark.slow)])
def test_no_id_is_left_anywhere(tmp_path: Path, identities: Identities, executor: str):
    """Not in a byte or text of stores, records, reports, progress and copies, whatever becomes of a session."""
    words = dict(zip(NAMES, ("ok 3", "fail", "saved fail"), strict=True))
    inputs = write_inputs(tmp_path / "in", **words)
    options = TransformOptions(identities=identities, keep_local=tmp_path / "kept")
    messages: list[Any] = []
    made = SampleTransform(inputs, tmp_path / "out", options=options)

    report = made.run(executor=executor, workers=1, progress=messages.append, on_session=messages.append)

    assert sorted(report.by_status) == ["failed", "success"]
    texts = [xr.open_zarr(path, chunks=None)["text"].values.tolist() for path in (tmp_path / "out").glob("*.zarr")]
    assert sum(map(len, texts)) == 4
    shown = json.dumps([report.to_json(), texts, made.plan(ALL).to_json(), repr(messages)], ensure_ascii=False)
    written = (all_bytes(tmp_path / "out") + all_bytes(tmp_path / "kept") + shown.encode()).lower()
    for name in NAMES:
        for way in (name, json.dumps(name)[1:-1], name.replace(" ", "%20"), name.replace(" ", "_")):
            assert way.lower().encode() not in written
    assert all(public.encode() in written for public in identities.public_ids(NAMES).values())


def test_hashed_sessions_are_known_again(tmp_path: Path):
    """The next run finds them done; they can be named by either id."""
    inputs = write_inputs(tmp_path / "in", **{"Ada L": "ok 1"})
    made = SampleTransform(inputs, tmp_path / "out", options=TransformOptions(identities=Identities(hashed=True)))
    made.run()

    assert made.run().records == ()
    for name in ("Ada L", hash_id("Ada L")):
        assert list(statuses(made.run(Selection(names=[name])))) == [hash_id("Ada L")]


def test_one_input_can_be_given_by_its_path(tmp_path: Path):
    """Other inputs beside it are left alone."""
    inputs = write_inputs(tmp_path / "in", a="ok 1", b="ok 2")

    assert statuses(SampleTransform(inputs / "b.h5", tmp_path / "out").run()) == {"b": "success"}
    with pytest.raises(InvalidInputError, match="Give a destination"):
        SampleTransform(inputs / "b.h5")


def test_a_transform_without_work_cannot_be_made():
    """The one method that a subclass must have."""
    with pytest.raises(TypeError, match="process_session"):
        BaseTransform("x", "y")  # type: ignore[abstract]


def test_a_record_that_cannot_be_written_fails_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The next run does it again."""
    made = transform(tmp_path, a="ok 1")

    def refuse(self: object, record: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("zarrmill.recordings.records.Records.add", refuse)
        report = made.run()

    assert statuses(report) == {"a": "failed"}
    assert "no record was written" in report.records[0].message
    assert statuses(made.run()) == {"a": "success"}


def test_a_destination_that_cannot_be_written_to_is_told_before_any_work(tmp_path: Path):
    """In one line; where there is nothing to do, nothing is made."""
    inputs = write_inputs(tmp_path / "in", a="exit")
    for place in (tmp_path / "in" / "a.h5", tmp_path / "in" / "a.h5" / "below", Path("/proc/nope")):
        with pytest.raises(StoreAccessError, match=rf"^{place} cannot be written to: .*\. Give another DESTINATION\.$"):
            SampleTransform(inputs, place).run()

    SampleTransform(inputs, tmp_path / "out").run(Selection(names=["nobody"]))
    assert not (tmp_path / "out").exists()


def test_a_transform_pickles_without_the_ids_of_others(tmp_path: Path):
    """What other processes get tells them of one session alone."""
    inputs = write_inputs(tmp_path / "in", **{"Ada L": "ok 1"})
    options = TransformOptions(identities=Identities(names={"Ada L": "p1"}))
    made = SampleTransform(inputs, tmp_path / "out", options=options)

    assert b"Ada L" not in pickle.dumps(made._for_workers())
    assert pickle.loads(pickle.dumps(made)).name == "sample"


CHILD = """
import sys
from tests.recordings.sample_transform import SampleTransform

if __name__ == "__main__":
    SampleTransform(sys.argv[1], sys.argv[2]).run(executor=sys.argv[3], workers=2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", pytest.param("processes", marks=pytest.mark.soak)])
def test_a_kill_at_any_moment_leaves_whole_stores_and_the_rest_is_done_later(tmp_path: Path, executor: str):
    """Whatever opens is whole, whatever has a record is not done again, and nothing is left beside the stores."""
    count, out = 60, tmp_path / "out"
    inputs = write_inputs(tmp_path / "in", **{f"s{i:02}": f"ok {i + 1}" for i in range(count)})
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    for stores in (1, 15, 30):
        child = get_nursery().start(
            [str(script), str(inputs), str(out), executor], preload=["tests.recordings.sample_transform"]
        )
        deadline = time.monotonic() + 60
        while len(list(out.glob("s*.zarr"))) < stores and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.005)
        child.kill()
        child.communicate()
        for store in out.glob("s*.zarr"):
            assert len(values(out, store.name)) == int(store.name[1:3]) + 1
    time.sleep(0.5)
    made = SampleTransform(inputs, out)
    done = {name for name, history in made.records.histories().items() if history.state == "success"}

    report = made.run()

    assert set(statuses(report)) == {f"s{i:02}" for i in range(count)} - done
    assert len(done) >= 28
    assert report.exit_code == 0
    for i in range(count):
        assert len(values(out, f"s{i:02}_sample.zarr")) == i + 1
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
