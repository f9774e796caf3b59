"""The benchmark suite runs: size S, and a shortened M with its two arrays, in this environment alone."""

import importlib.util
import json
import os

import pytest

from benchmarks import runner
from benchmarks.__main__ import main
from benchmarks.contenders import CONTENDERS
from benchmarks.environments import variables
from benchmarks.sizes import SIZES
from tests.servers.nursery import get_nursery

PRELOADED = ("benchmarks.measure", "benchmarks.contenders.floor", "benchmarks.contenders.zarr_stores")
"""What most workers and comparisons import."""
HERE = [
    contender
    for contender in CONTENDERS
    if contender.environment == "main"
    and contender.name
    in {"zarrmill", "zarrmill-full-sync", "zarrmill-dask", "floor", "tensorstore", "zarrs", "zarr-python", "dask"}
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """One work directory, so that sources are made once."""
    return tmp_path_factory.mktemp("bench")


def run(work, *arguments):
    """The document that the suite writes; it must call every result equal."""
    code = main([*arguments, "--work-dir", str(work), "--repeats", "1", "--no-install"])
    document = json.loads((work / "bench.json").read_text())
    assert code == 0, document["runs"]
    return document


@pytest.fixture(autouse=True)
def disk_is_not_asked(monkeypatch):
    """No run waits until the disk has what others write, which takes seconds on a busy machine."""
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers and comparisons are forked, so that none imports everything anew."""

    def ask(python, module, told, *, seconds):
        child = get_nursery().start(["-m", module], preload=PRELOADED, **variables())
        child.stdin.write(told)
        answer, said = child.communicate(seconds)
        if child.returncode:
            raise runner.RunFailedError(said)
        return answer

    monkeypatch.setattr(runner, "_ask", ask)


SOAK = {"zarrmill-full-sync", "zarrmill-dask", "zarr-python", "dask"}
"""Contenders that take long for a small array; the others show that the suite runs whoever there is."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "contender",
    [pytest.param(one, id=one.name, marks=[pytest.mark.soak] * (one.name in SOAK)) for one in HERE],
)
def test_a_contender_writes_s_equal_in_both_layouts(request, work, contender):
    """Each result equals the source and has the chunks, shards and codecs that everybody is asked for."""
    if contender.name != "floor":  # which shows that workers start anew
        request.getfixturevalue("forked_workers")
    if any(importlib.util.find_spec(module) is None for module in contender.needs):
        pytest.skip(f"{contender.name} is not installed")
    runs = run(work, "--sizes", "S", "--only", contender.name)["runs"]
    assert [(entry["layout"], entry["equal"], entry["error"], entry["remarks"]) for entry in runs] == [
        ("shards", True, "", []),
        ("files", True, "", []),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_two_arrays_and_a_shortened_grid_run_too(work):
    """Groups, several shards, and chunks that reach over the edge."""
    runs = run(work, "--sizes", "M", "G", "--scale", "0.005", "--only", "floor")["runs"]
    assert [(entry["size"], entry["layout"], entry["equal"]) for entry in runs] == [
        ("M", "shards", True),
        ("M", "files", True),
        ("G", "shards", True),
    ]


@pytest.mark.slow
def test_whoever_is_absent_is_a_row_with_a_reason(work):
    """rechunker's environment is not made here, and the report says so."""
    document = run(work, "--sizes", "S", "--only", "rechunker")
    assert [(row["seconds"], row["remarks"]) for row in document["rows"]] == [(None, ["its environment is not made"])]


def test_sizes_survive_json():
    """A size that a worker receives is the size that was sent."""
    for size in SIZES.values():
        assert type(size).from_json(json.loads(json.dumps(size.to_json()))) == size
