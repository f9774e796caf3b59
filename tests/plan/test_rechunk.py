"""plan/rechunk.py: stages and blocks of all arrays, and the plan as JSON."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

from tests.properties.checks import check_plan
from zarrmill.errors import PlanError
from zarrmill.grid import Region
from zarrmill.layout import ArrayLayout
from zarrmill.plan.array_plan import ArrayPlan, Pass
from zarrmill.plan.rechunk import ArrayBlock, RechunkPlan


def one_pass(path):
    layouts = [ArrayLayout((6, 4), "int32", 4, chunks) for chunks in ((6, 1), (2, 4))]
    passes = (Pass("stored", "stored", (2, 4), (4, 4), 2, 2, 100),)
    return ArrayPlan(path, *layouts, "driver", "driver", (6, 4), passes, 12)


def two_passes(path):
    layouts = [ArrayLayout((6, 4), "int32", 4, chunks) for chunks in ((1, 4), (3, 1))]
    passes = (
        Pass("stored", "scratch", (1, 4), (2, 4), 2, 2, 100),
        Pass("scratch", "stored", (3, 1), (3, 2), 2, 2, 200),
    )
    return ArrayPlan(path, *layouts, "driver", "driver", (3, 4), passes, 6)


def plan(*arrays, **changes):
    made = RechunkPlan("/s", "/t", arrays, 1000, 1, 2, "full", documents=(("a", "{}"), ("", "{}")), notes=("n",))
    return replace(made, **changes)


PLAN = plan(one_pass("a"), two_passes("b/c"), one_pass("d"), two_passes(""))


def test_stages_are_single_passes_first_then_box_by_box():
    """All arrays of one pass share a stage; the others have a stage for each pass of each independent box."""
    assert [stage.name for stage in PLAN.stages] == [
        "copy",
        "b/c: pass 1 of 2 1/2",
        "b/c: pass 2 of 2 1/2",
        "b/c: pass 1 of 2 2/2",
        "b/c: pass 2 of 2 2/2",
        "array: pass 1 of 2 1/2",
        "array: pass 2 of 2 1/2",
        "array: pass 1 of 2 2/2",
        "array: pass 2 of 2 2/2",
    ]


def test_plan_keeps_its_promises():
    """Blocks cover once, share nothing, have ids of their own, and the plan survives JSON."""
    check_plan(PLAN)


def test_blocks_of_a_box_stay_in_it():
    """A block of a pass knows its box, its pass and its region."""
    block = next(PLAN.stages[3].blocks())

    assert block.id == "b/c:0:1:0"
    assert block.payload == ArrayBlock("b/c", 0, Region((3, 0), (6, 4)), Region((3, 0), (5, 4)))
    assert block.weight == 2 * 4 * 4


def test_stages_are_a_sequence():
    """Stages are indexed, sliced and counted from the end like any sequence, and end where they end."""
    stages = PLAN.stages

    assert len(stages) == len(list(stages)) == 9
    assert stages[-1] == stages[8]
    assert stages[1:3] == [stages[1], stages[2]]
    with pytest.raises(IndexError):
        stages[9]
    with pytest.raises(IndexError):
        stages[-10]


def test_plan_without_arrays_has_no_stages():
    """A group without arrays is nothing to do."""
    empty = plan()

    assert (len(empty.stages), empty.n_blocks, empty.projected_mem, empty.scratch_bytes) == (0, 0, 0, 0)


def test_figures_are_the_largest_of_the_arrays():
    """Memory and scratch are those of the array that takes most, because arrays follow each other."""
    assert PLAN.projected_mem == 200
    assert PLAN.scratch_bytes == 3 * 4 * 4
    assert PLAN.n_blocks == 2 + 2 * 2 * (2 + 2) + 2


def test_fingerprint_tells_plans_apart():
    """Equal plans have equal fingerprints, also after JSON; a changed limit shows."""
    again = RechunkPlan.from_json(json.loads(json.dumps(PLAN.to_json())))

    assert again.fingerprint() == PLAN.fingerprint()
    assert replace(PLAN, max_mem=1001).fingerprint() != PLAN.fingerprint()


def test_plan_of_another_version_is_refused():
    """A plan that this version cannot read is told by its number."""
    with pytest.raises(PlanError, match="format 99"):
        RechunkPlan.from_json({**PLAN.to_json(), "format": 99})


def test_plans_and_blocks_travel_to_other_processes():
    """Plans, stages and blocks pickle and are small."""
    blocks = [block for stage in PLAN.stages for block in stage.blocks()]

    assert pickle.loads(pickle.dumps((PLAN, blocks))) == (PLAN, blocks)
    assert len(pickle.dumps(blocks[0])) < 1000
