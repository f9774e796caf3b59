"""The commands end to end, on real stores; they run from the moment that zarrmill.rechunk exists."""

import importlib
import json
from contextlib import nullcontext

import numpy as np
import pytest
import zarr

from zarrmill.progress import BlockFinished

pytest.importorskip("zarrmill.rechunk", reason="needs the engine")
command = importlib.import_module("zarrmill.cli.rechunk")

FLUX = np.arange(600 * 40, dtype="f4").reshape(600, 40)
CHUNKS = ("--chunks", "object=1,epoch=-1", "--shards", "object=100")


@pytest.fixture
def survey(tmp_path):
    """A group with a cube in epoch-wise chunks, and a small array."""
    path = tmp_path / "by_epoch.zarr"
    group = zarr.create_group(path)
    flux = group.create_array(
        "flux", shape=FLUX.shape, chunks=(600, 1), dtype="f4", dimension_names=("object", "epoch"), fill_value=0
    )
    flux[:] = FLUX
    times = group.create_array("time", shape=(40,), chunks=(1,), dtype="f8", dimension_names=("epoch",))
    times[:] = np.linspace(0, 1, 40)
    return path


@pytest.fixture
def target(tmp_path):
    return tmp_path / "by_object.zarr"


def test_rechunk_then_verify_and_digest(run, survey, target):
    """The copy has the layout asked for, equals its source, and has the same digest."""
    done = run("rechunk", survey, target, *CHUNKS, "--json")
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["peak_mem"] <= report["max_mem"]
    flux = zarr.open_array(target / "flux", mode="r")
    assert (flux.chunks, flux.shards) == ((1, 40), (100, 40))
    np.testing.assert_array_equal(flux[:], FLUX)
    assert run("verify", survey, target).exit_code == 0
    assert run("digest", survey).stdout == run("digest", target).stdout != ""


def test_rechunk_prints_a_table(run, survey, target):
    """The report of the real run fits the table."""
    done = run("rechunk", survey, target, *CHUNKS)
    assert done.exit_code == 0, done.stderr
    assert "(1, 40) in (100, 40)" in done.stdout
    assert "done in " in done.stderr


@pytest.mark.parametrize("option", ["--json", "--calibrate", "--no-calibrate"])
def test_plan_writes_nothing(run, survey, target, option):
    """A plan prints, and leaves the folder as it was."""
    before = sorted(survey.parent.rglob("*"))
    done = run("plan", survey, target, *CHUNKS, option)
    assert done.exit_code == 0, done.stderr
    assert "flux" in done.stdout
    assert sorted(survey.parent.rglob("*")) == before


def test_info_of_source_and_target(run, survey, target):
    """Every array is a row."""
    run("rechunk", survey, target, *CHUNKS)
    for store in (survey, target):
        done = run("info", store)
        assert done.exit_code == 0, done.stderr
        assert {"flux", "time"} <= {line.split()[0] for line in done.stdout.splitlines() if line}
    assert len(json.loads(run("info", target, "--json").stdout)["arrays"]) >= 2


def test_verify_names_what_differs(run, survey, target):
    """One changed value: exit code 3, and the array is named."""
    run("rechunk", survey, target, *CHUNKS)
    zarr.open_array(target / "flux", mode="r+")[17, 5] = -1
    done = run("verify", survey, target)
    assert done.exit_code == 3
    assert "flux" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--chunks", "objet=1"), 2, "objet"),
        (("--chunks", "flux:0,-1"), 2, "0"),
        (("--chunks", "object=10", "--shards", "object=15"), 2, "15"),
        (("--chunks", "object=1", "--max-mem", "much"), 2, "much"),
        (("--chunks", "object=1", "--max-mem", "1KiB"), 1, "flux"),
    ],
    ids=["dimension", "chunk of zero", "shard", "size", "limit"],
)
def test_bad_request_is_one_line_and_writes_nothing(run, survey, target, arguments, code, says):
    """The line names what is wrong; nothing is written."""
    done = run("rechunk", survey, target, *arguments)
    assert (done.exit_code, done.stderr.count("\n"), done.stdout) == (code, 1, "")
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert list(survey.parent.iterdir()) == [survey]


def test_existing_target_is_not_touched(run, survey, target):
    """Without --overwrite: exit code 1; with it the target is replaced."""
    run("rechunk", survey, target, *CHUNKS)
    done = run("rechunk", survey, target, "--chunks", "object=2")
    assert done.exit_code == 1
    assert zarr.open_array(target / "flux", mode="r").chunks == (1, 40)
    assert run("rechunk", survey, target, "--chunks", "object=2,epoch=-1", "--overwrite").exit_code == 0
    assert zarr.open_array(target / "flux", mode="r").chunks == (2, 40)


@pytest.mark.parametrize("name", ["info", "digest", "rechunk", "plan"])
def test_what_is_not_zarr_is_one_line(run, tmp_path, target, name):
    """A missing path and a folder of other things: exit code 1 or 2."""
    (tmp_path / "other").mkdir()
    for source in (tmp_path / "absent.zarr", tmp_path / "other"):
        done = run(name, source, *([target, *CHUNKS] if name == "rechunk" else []))
        assert done.exit_code in (1, 2)
        assert done.stderr.count("\n") == 1
        assert "unexpected" not in done.stderr


@pytest.fixture
def interrupted(run, monkeypatch):
    """Run a command line during which Ctrl-C is pressed when the first block is done."""

    def press(message):
        if isinstance(message, BlockFinished):
            raise KeyboardInterrupt

    def call(*args):
        with monkeypatch.context() as patch:
            patch.setattr(command, "open_progress", lambda choice: nullcontext(press))
            return run(*args)

    return call


def test_interrupted_run_resumes(run, interrupted, survey, target):
    """After Ctrl-C nothing opens, and the same command finishes what was begun."""
    line = ("rechunk", survey, target, *CHUNKS, "--executor", "serial")
    done = interrupted(*line)
    assert done.exit_code == 130
    assert "The same command continues" in done.stderr
    assert not (target / "zarr.json").exists()
    resumed = run(*line, "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert json.loads(resumed.stdout)["resumed_blocks"] >= 1


def test_draft_is_shown_and_discarded(run, interrupted, survey, target):
    """info tells of the draft in the folder of a store, discard leaves nothing of it, and not more than once."""
    assert interrupted("rechunk", survey, target, *CHUNKS).exit_code == 130
    assert "zarrmill discard" in run("info", survey).stdout
    assert run("discard", target).stdout.startswith("removed")
    again = run("discard", target)
    assert (again.exit_code, "nothing to discard" in again.stderr) == (1, True)
    assert list(survey.parent.iterdir()) == [survey]
