"""A skip means the task that it names, else the one that runs, else the next."""

from __future__ import annotations

import pytest

from tests.recordings.scenes import Scene, codes, column


def skipped(scene):
    """Return how each task ended and when it was skipped."""
    processed = scene.process()
    return list(
        zip(column(processed, "task", "completion_status"), column(processed, "task", "skip_time"), strict=True)
    )


BEFORE, PARTIALLY = "skipped_before_start", "partially_completed_then_skipped"


def test_the_task_that_is_named_is_skipped():
    """Although another one is nearer in time."""
    scene = Scene().task("a", 0, 10).task("b", 20, 30).add("skip_task", 5, {"task_id": "b"})

    assert skipped(scene) == [("completed", None), (BEFORE, 5)]


def test_the_task_that_runs_is_skipped():
    """Without a name, the task around that time."""
    scene = Scene().task("a", 0, 10).task("b", 20, 30).add("skip_task", 8, {})

    assert skipped(scene) == [(PARTIALLY, 8), ("completed", None)]


def test_between_tasks_the_next_one_is_skipped():
    """Although the one before is nearer."""
    scene = Scene().task("a", 0, 10).task("b", 20, 30).add("skip_task", 11, {"task_id": None})

    assert skipped(scene) == [("completed", None), (BEFORE, 11)]


def test_an_open_task_can_be_skipped():
    """It lasts until the next one starts; its end stays missing."""
    scene = Scene().task("a", 0).task("b", 20, 30).add("skip_task", 15, None)

    assert skipped(scene) == [(PARTIALLY, 15), ("completed", None)]
    assert column(scene.process(), "task", "end_time") == [None, 30]


def test_of_several_of_one_id_the_one_that_runs_is_skipped():
    """Else the next, else the last."""
    tasks = Scene().task("a", 0, 10).task("a", 20, 30)

    assert [status for status, _ in skipped(tasks.add("skip_task", 25, {"task_id": "a"}))] == ["completed", PARTIALLY]
    assert [status for status, _ in skipped(tasks.add("skip_task", 5, {"task_id": "a"}))] == [PARTIALLY, PARTIALLY]


@pytest.mark.parametrize(("time", "status"), [(15, BEFORE), (35, PARTIALLY)], ids=["next", "last"])
def test_of_several_that_do_not_run_the_next_or_last_is_skipped(time, status):
    """The second of two in both cases."""
    scene = Scene().task("a", 0, 10).task("a", 20, 30).add("skip_task", time, {"task_id": "a"})

    assert skipped(scene) == [("completed", None), (status, time)]


NONE = {
    "after all": (50, {}),
    "no time": (None, {}),
    "a task that never started": (5, {"task_id": "x"}),
}


@pytest.mark.parametrize(("time", "data"), NONE.values(), ids=NONE)
def test_a_skip_of_nothing_is_reported(time, data):
    """No task is skipped in its place."""
    processed = Scene().task("a", 0, 10).add("skip_task", time, data).process()

    assert column(processed, "task", "skipped") == [0]
    assert codes(processed) == {"skip_without_task": 1}


def test_a_second_skip_is_reported():
    """The first one counts."""
    scene = Scene().task("a", 0, 10).add("skip_task", 7, {}).add("skip_task", 5, {})

    assert skipped(scene) == [(PARTIALLY, 5)]
    assert codes(scene.process()) == {"repeated_skip": 1}


def test_a_named_skip_without_a_time_skips():
    """How the task ended cannot be told then, and is missing."""
    processed = Scene().task("a", 0, 10).add("skip_task", None, {"task_id": "a"}).process()

    assert column(processed, "task", "skipped") == [1]
    assert column(processed, "task", "skip_time") == [None]
    assert column(processed, "task", "completion_status") == [None]


def test_a_skip_time_that_is_missing_is_not_1970():
    """Tasks that were not skipped have none."""
    assert column(Scene().task("a", 0, 10).process(), "task", "skip_time") == [None]
