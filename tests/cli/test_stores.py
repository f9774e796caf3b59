"""The commands on stores at URLs: through a server as people have one, with options from the command line."""

import itertools
import json

import numpy as np
import pytest
import zarr

VALUES = np.arange(600 * 40, dtype="f4").reshape(600, 40)
CHUNKS = ("--chunks", "1,-1", "--shards", "100,-1", "--progress", "none")
NAMES = itertools.count()


@pytest.fixture
def survey(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=VALUES.shape, chunks=(600, 1), dtype="f4")[:] = VALUES
    return path


@pytest.fixture
def memory():
    """URL of a store of this test alone in the memory of this process."""
    return f"memory://commands-{next(NAMES)}"


def given(options, end=""):
    return [part for key, value in options.items() for part in ("--storage-option", f"{end}{key}={value}")]


@pytest.mark.parametrize("end", ["", "target."])
def test_every_command_takes_options(run, survey, s3_bucket, storage_options, end):
    """Endpoint and keys from the command line, for all ends or for the one at the URL."""
    target = f"{s3_bucket}/b.zarr"
    flat = {key: value for key, value in storage_options.items() if not isinstance(value, dict)}
    both, one = given(flat), given(flat, end)
    for command in (
        ("plan", survey, target, *CHUNKS[:4], *one),
        ("rechunk", survey, target, *CHUNKS, *one),
        ("info", target, *both),
        ("verify", survey, target, *one),
        ("digest", target, *both),
    ):
        done = run(*command)
        assert done.exit_code == 0, (command, done.stderr)
    done = run("discard", target, *one)
    assert done.exit_code == 1
    assert f"there is no draft of {target}" in done.stderr


def test_a_plan_tells_requests_and_cost(run, survey, memory):
    """In the table and as JSON, for the end that is in a store."""
    shown = run("plan", survey, f"{memory}/b", *CHUNKS[:4], "--price", "put=5,get=0", "--no-calibrate")
    found = json.loads(run("plan", survey, f"{memory}/b", *CHUNKS[:4], "--price", "put=5", "--json").stdout)

    assert "requests to target  15 GET, 9 PUT, 6 LIST, 1 DELETE" in shown.stdout
    assert ["cost", "0.045"] in [line.split() for line in shown.stdout.splitlines()]
    assert (found["requests"]["target"]["puts"], found["requests"]["source"]) == (9, None)
    assert found["requests"]["cost"] == pytest.approx(0.045)


def test_a_local_plan_tells_none(run, survey, tmp_path):
    """Not even their cost."""
    done = run("plan", survey, tmp_path / "b", *CHUNKS[:4], "--price", "put=5", "--no-calibrate")

    assert done.exit_code == 0
    assert "requests" not in done.stdout
    assert "cost" not in done.stdout


def test_a_run_tells_what_it_asked(run, survey, memory):
    """As it was planned."""
    done = run("rechunk", survey, f"{memory}/b", *CHUNKS)

    assert "requests to target  15 GET, 9 PUT, 6 LIST, 1 DELETE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--storage-option", "region"), "--storage-option 'region' is no option"),
        (("--storage-option", "regoin=x"), "storage option regoin is not one of s3:// locations. Perhaps region."),
        (("--storage-option", "source.regoin=x"), "storage option regoin is not one of s3:// locations"),
        (("--price", "gets=1"), "price 'gets' is not known"),
        (("--price", "get=cheap"), "--price 'get=cheap' is no price"),
    ],
    ids=["malformed", "unknown", "unknown at one end", "unknown price", "malformed price"],
)
def test_wrong_use_is_one_line(run, survey, tmp_path, arguments, says):
    """Exit code 2, and what is wrong."""
    source = survey if "--price" in arguments else "s3://bucket/a.zarr"
    done = run("plan", source, tmp_path / "b", "--no-calibrate", *arguments)

    assert (done.exit_code, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert says in done.stderr
