"""Elements belong to tasks by id, and both say so by row."""

from __future__ import annotations

from tests.recordings.scenes import Scene, codes, column


def test_elements_point_to_the_row_of_their_task():
    """And tasks count theirs."""
    scene = Scene().task("b", 50, 90).task("a", 0, 40)
    scene.element("1", 10, task_id="a").element("2", 60, task_id="b").element("3", 20, task_id="a")

    processed = scene.process()

    assert column(processed, "element", "element_id") == ["1", "3", "2"]
    assert column(processed, "element", "task_row") == [0, 0, 1]
    assert column(processed, "task", "element_count") == [2, 1]


def test_of_several_of_one_id_the_last_started_is_the_task():
    """Each element belongs to the occurrence in which it was sent."""
    scene = Scene().task("a", 0, 10).task("a", 20, 30).element("1", 5, task_id="a").element("2", 25, task_id="a")

    assert column(scene.process(), "element", "task_row") == [0, 1]


def test_of_several_one_without_a_time_is_no_candidate():
    """Elements go to the last that is known to have started."""
    scene = Scene().task("a", None, 50).task("a", 0, 10).task("a", 20, 30).element("1", 25, task_id="a")

    assert column(scene.process(), "element", "task_row") == [1]


def test_of_several_none_had_started_gives_none():
    """It is reported, and nothing is guessed."""
    scene = Scene().task("a", 10, 20).task("a", 30, 40).element("1", 5, task_id="a")

    processed = scene.process()

    assert column(processed, "element", "task_row") == [None]
    assert codes(processed)["unknown_task"] == 1


def test_the_only_one_of_its_id_is_the_task_whatever_the_clock_says():
    """An id that is unique needs no time."""
    scene = Scene().task("a", 10, 20).element("1", 5, task_id="a").element("2", None, task_id="a")

    assert column(scene.process(), "element", "task_row") == [0, 0]


def test_elements_without_a_task_have_none_and_none_is_counted():
    """0 is a count, and -1 no row."""
    processed = Scene().task("a", 0, 10).element("1", 5).process()

    assert column(processed, "element", "task_row") == [None]
    assert column(processed, "task", "element_count") == [0]


def test_elements_of_a_task_that_never_started_are_reported_once():
    """One problem for each such task says how many."""
    scene = Scene().element("1", 5, 6, task_id="x").element("2", 7, 8, task_id="x").element("3", 9, 10, task_id="y")

    found = [problem.message for problem in scene.process().problems if problem.code == "unknown_task"]

    assert found == [
        "2 elements of a task that had not started: related to none",
        "an element of a task that had not started: related to none",
    ]


def test_rows_point_to_the_raw_events():
    """The start, the end and the skip of a task are rows of the raw table."""
    processed = Scene().add("display", 0, {}).task("a", 5, 10).add("skip_task", 7, {}).process()

    rows = ("start_event_row", "end_event_row", "skip_event_row")
    assert [column(processed, "task", name) for name in rows] == [[1], [2], [3]]
