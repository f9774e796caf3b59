"""jobs.py: the blocks of a plan, run by processes that know nothing of each other, and published by one of them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
import pytest
import zarr

import zarrmill
from tests.properties.cases import quiet
from tests.servers.nursery import Child, get_nursery
from zarrmill.draft import Draft
from zarrmill.execute.executors import InlineExecutor
from zarrmill.plan import arrays
from zarrmill.plan.cost import Rates
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.progress import BlockFinished, Message

SHAPE = (64, 120, 8)
VALUES = np.random.default_rng(3).normal(20, 1, SHAPE).round(3)
LAYOUT = {"chunks": (64, 1, 8), "shards": (64, 10, 8), "max_mem": "64MiB", "executor": "processes", "workers": 12}
"""A stage of twelve blocks."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    with quiet():
        zarr.create_array(tmp_path / "s", shape=SHAPE, chunks=(64, 10, 8), dtype="f8")[...] = VALUES
    return tmp_path / "s"


@pytest.fixture(params=["disk", "store"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "t") if request.param == "disk" else f"memory://{uuid.uuid4().hex}/t"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one shard, so that a small array has many."""
    monkeypatch.setattr(arrays, "SMALL", 1)
    monkeypatch.setattr(arrays, "RATES", Rates(tile=0.0, request=0.0))


def values_at(target: str) -> np.ndarray:
    return zarr.open_array(zarrmill.open_store(target).store, mode="r")[...]


@pytest.mark.usefixtures("small_blocks")
def test_slices_of_a_stage_add_up(source: Path, target: str, tmp_path: Path) -> None:
    """Any slices in any order, one of them twice, leave what one run leaves, once it is published and not before."""
    zarrmill.write_plan(zarrmill.plan_rechunk(source, target, **LAYOUT), tmp_path / "plan.json")
    plan = zarrmill.read_plan(tmp_path / "plan.json")
    assert len(plan.stages[0]) == 12

    for blocks in (slice(8, None), slice(0, 3), slice(2, 8), slice(8, 10)):
        report = zarrmill.run_blocks(plan, stage=1, blocks=blocks)
        with pytest.raises(Exception, match=r"nothing at|not a Zarr"):
            zarrmill.digest(target)
    assert (report.blocks, report.resumed_blocks) == (2, 2)
    assert zarrmill.check_draft(target).digest == zarrmill.digest(source)
    with pytest.raises(Exception, match=r"nothing at|not a Zarr"):
        zarrmill.digest(target)
    published = zarrmill.publish_draft(target)

    assert published.digest == zarrmill.digest(source) == zarrmill.digest(target)
    assert published.keys_written == 12
    np.testing.assert_array_equal(values_at(target), VALUES)
    if target.startswith("memory"):
        assert not [info.key for info in zarrmill.open_store(target).keys.list(".zarrmill")]
    else:
        assert not Draft(Path(target)).exists()


@pytest.mark.usefixtures("small_blocks")
def test_nothing_is_published_before_all_is_done(source: Path, target: str) -> None:
    """A draft with blocks left is refused with how many and which, and stays a draft."""
    plan = zarrmill.plan_rechunk(source, target, **LAYOUT)
    zarrmill.run_blocks(plan, stage=1, blocks=slice(1, 12))
    for finish in (zarrmill.publish_draft, zarrmill.check_draft):
        with pytest.raises(zarrmill.ResumeError, match=r"stage 1 of 1 .* 1 of 12 blocks are left \(/:0:0:0\)"):
            finish(target)
    zarrmill.run_blocks(plan, stage=1)
    zarrmill.publish_draft(target)
    np.testing.assert_array_equal(values_at(target), VALUES)


SQUARE = np.arange(360_000, dtype="f4").reshape(600, 600)


@pytest.fixture
def staged(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> RechunkPlan:
    """A plan of two stages, with an intermediate between them, though one would do for so little."""
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
    zarr.create_array(tmp_path / "s", shape=(600, 600), chunks=(10, 600), dtype="f4", compressors=None)[...] = SQUARE
    limit = "48MiB" if target.startswith("/") else "64MiB"
    plan = zarrmill.plan_rechunk(
        tmp_path / "s", target, chunks=(600, 10), shards=(600, 30), max_mem=limit, executor="serial"
    )
    assert len(plan.stages) == 2
    return plan


def test_a_stage_waits_for_the_one_before(staged: RechunkPlan, tmp_path: Path, target: str) -> None:
    """A stage is refused until the journal shows the one before it complete; intermediates reach every process."""
    with pytest.raises(zarrmill.ResumeError, match=r"stage 1 of . .* is not complete"):
        zarrmill.run_blocks(staged, stage=2)
    for stage in range(1, len(staged.stages) + 1):
        zarrmill.run_blocks(staged, stage=stage)
    assert zarrmill.publish_draft(target).digest == zarrmill.digest(tmp_path / "s")
    np.testing.assert_array_equal(values_at(target), SQUARE)


def test_intermediates_elsewhere_go_with_publishing(staged: RechunkPlan, tmp_path: Path, target: str) -> None:
    """A scratch folder that the jobs were given holds nothing once the target is visible."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for stage in range(1, len(staged.stages) + 1):
        zarrmill.run_blocks(staged, stage=stage, scratch=scratch)
        assert [path for path in scratch.rglob("*") if path.is_file()]
    zarrmill.publish_draft(target)
    assert list(scratch.iterdir()) == []
    np.testing.assert_array_equal(values_at(target), SQUARE)


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("a", None), (None, "b")])
def test_jobs_have_one_scratch_folder(
    staged: RechunkPlan, tmp_path: Path, first: str | None, second: str | None
) -> None:
    """A job that would look for intermediates where no other has them is told where those are."""
    places = {name: tmp_path / name for name in ("a", "b")}
    for place in places.values():
        place.mkdir()
    zarrmill.run_blocks(staged, stage=1, scratch=places.get(first or ""))
    with pytest.raises(zarrmill.InvalidInputError, match=r"the intermediates of .* lie in .* the same scratch"):
        zarrmill.run_blocks(staged, stage=2, scratch=places.get(second or ""))
    zarrmill.run_blocks(staged, stage=2, scratch=places.get(first or ""))


@pytest.mark.usefixtures("small_blocks")
def test_jobs_on_other_executors_leave_each_other_alone(source: Path, target: str) -> None:
    """A job whose blocks may outlive it does not shut out those of another that is at work."""
    plan = zarrmill.plan_rechunk(source, target, **LAYOUT)
    beside: list[zarrmill.BlocksReport] = []

    def begin_another(message: Message) -> None:
        if isinstance(message, BlockFinished) and not beside:
            beside.append(zarrmill.run_blocks(plan, stage=1, blocks=slice(6, 12), executor=InlineExecutor()))

    report = zarrmill.run_blocks(
        plan, stage=1, blocks=slice(0, 6), executor=InlineExecutor(), workers=1, progress=begin_another
    )
    assert [report.blocks, beside[0].blocks] == [6, 6]
    zarrmill.publish_draft(target)
    np.testing.assert_array_equal(values_at(target), VALUES)


@pytest.mark.usefixtures("small_blocks")
def test_another_plan_is_refused(source: Path, target: str) -> None:
    """Blocks of one plan never mix with those of another."""
    zarrmill.run_blocks(zarrmill.plan_rechunk(source, target, **LAYOUT), stage=1, blocks=slice(0, 2))
    other = zarrmill.plan_rechunk(source, target, **{**LAYOUT, "chunks": (64, 2, 8)})
    with pytest.raises(zarrmill.ResumeError, match="chunks"):
        zarrmill.run_blocks(other, stage=1)


@pytest.mark.parametrize(
    ("stage", "blocks", "said"),
    [(0, slice(None), "no stage 0"), (2, slice(None), "no stage 2"), (1, slice(99, None), r"no blocks 99:")],
    ids=["stage 0", "stage 2", "blocks"],
)
def test_what_the_plan_has_not_is_refused(source: Path, tmp_path: Path, stage: int, blocks: slice, said: str) -> None:
    """Stages count from 1 and blocks from 0; nothing is written for others."""
    plan = zarrmill.plan_rechunk(source, tmp_path / "t", **LAYOUT)
    with pytest.raises(zarrmill.InvalidInputError, match=said):
        zarrmill.run_blocks(plan, stage=stage, blocks=blocks)
    assert not Draft(tmp_path / "t").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense"], ids=["empty", "list", "object", "text"])
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    """A file that holds no plan is named."""
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(zarrmill.PlanError, match=r"plan.json is not a plan"):
        zarrmill.read_plan(tmp_path / "plan.json")
    with pytest.raises(zarrmill.NotFoundError, match="no plan"):
        zarrmill.read_plan(tmp_path / "other.json")


def test_a_draft_that_is_not_there_is_not_published(tmp_path: Path) -> None:
    """There is nothing to publish where no block has run."""
    with pytest.raises(zarrmill.NotFoundError, match="no draft"):
        zarrmill.publish_draft(tmp_path / "t")


@pytest.mark.slow
def test_processes_at_the_same_time(source: Path, tmp_path: Path) -> None:
    """Four processes start together, claim one draft, and do their slices; one publishes."""
    target, plan = tmp_path / "t", tmp_path / "plan.json"
    made = (
        "from zarrmill.plan import arrays\n"
        "from zarrmill.plan.cost import Rates\n"
        "arrays.SMALL, arrays.RATES = 1, Rates(tile=0.0, request=0.0)\n"
        "from zarrmill.cli import main\n"
        "main()\n"
    )

    def start(*arguments: object) -> Child:
        return get_nursery().start(["-c", made, *map(str, arguments)])

    layout = ("--chunks", "64,1,8", "--shards", "64,10,8", "--executor", "processes", "--workers", 12)
    planned = start("plan", source, target, *layout, "--max-mem", "64MiB", "--out", plan, "--no-calibrate")
    _, errors = planned.communicate(timeout=120)
    assert planned.returncode == 0, errors
    jobs = [start("run", plan, "--stage", 1, "--blocks", f"{i}:{i + 3}", "--json") for i in (0, 3, 6, 9)]
    for job in jobs:
        output, errors = job.communicate(timeout=120)
        assert job.returncode == 0, errors
        assert json.loads(output)["blocks"] == 3
    published = start("publish", target, "--json")
    output, errors = published.communicate(timeout=120)
    assert published.returncode == 0, errors
    assert json.loads(output)["digest"] == zarrmill.digest(source)
    np.testing.assert_array_equal(values_at(str(target)), VALUES)
