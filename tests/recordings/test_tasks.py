"""Tasks: a row for every start, matched to its end by id and then in time."""

from __future__ import annotations

import pytest

from tests.recordings.scenes import Scene, codes, column


def test_tasks_that_overlap_are_matched_by_id():
    """Ends in another order than the starts, and more starts than ends, move no end to a neighbour."""
    scene = Scene().task("a", 0).task("b", 10).task("c", 20).end_task("c", 30).end_task("a", 40)

    processed = scene.process()

    assert column(processed, "task", "task_id") == ["a", "b", "c"]
    assert column(processed, "task", "end_time") == [40, None, 30]


def test_a_task_without_an_end_is_kept_open():
    """Its row stays, its end is missing, and it is reported."""
    processed = Scene().task("a", 0).task("b", 10, 20).process()

    assert column(processed, "task", "completion_status") == ["open", "completed"]
    assert column(processed, "task", "duration") == [None, 10]
    assert codes(processed) == {"start_without_end": 1}


def test_an_end_without_a_start_is_counted_and_reported():
    """It makes no row, the raw events keep it, and the problem says which row it is."""
    processed = Scene().task("a", 0, 5).end_task("b", 7).process()

    assert processed.rows("task") == 1
    assert processed.rows("event") == 3
    assert [(p.code, p.path, p.row) for p in processed.problems] == [("end_without_start", "events/task_completed", 1)]
    assert processed.counts["problems.end_without_start"] == 1


def test_an_end_before_its_start_makes_no_negative_duration():
    """The task stays open, and the end is reported."""
    processed = Scene().task("a", 10).end_task("a", 5).process()

    assert column(processed, "task", "end_time") == [None]
    assert codes(processed) == {"end_before_start": 1, "start_without_end": 1}


def test_a_task_id_that_comes_up_again_has_a_row_for_each_time():
    """No row overwrites another: keys are unique, occurrences count, and each start has its own end."""
    processed = Scene().task("a", 0, 5).task("b", 6, 7).task("a", 10, 15).process()

    assert column(processed, "task", "task_id") == ["a", "b", "a#2"]
    assert column(processed, "task", "occurrence") == [1, 1, 2]
    assert column(processed, "task", "end_time") == [5, 7, 15]
    assert codes(processed) == {"repeated_id": 1}


def test_a_task_that_starts_again_before_its_end_leaves_the_end_to_the_second():
    """The end is that of the last start."""
    processed = Scene().task("a", 0).task("a", 10, 15).process()

    assert column(processed, "task", "end_time") == [None, 15]


def test_an_id_that_was_escaped_is_an_id_like_any_other():
    """What was not UTF-8 arrives as an escape, and matches."""
    processed = Scene().task("a\\xff", 0, 5).process()

    assert column(processed, "task", "task_id") == ["a\\xff"]
    assert column(processed, "task", "duration") == [5]


def test_a_task_without_an_id_has_a_key_of_its_own():
    """The key is made up, the occurrence is missing, and that is reported."""
    processed = Scene().task(None, 0, 5).process()

    assert column(processed, "task", "task_id") == ["task-0"]
    assert column(processed, "task", "occurrence") == [None]
    assert column(processed, "task", "end_time") == [5]
    assert codes(processed) == {"no_id": 1}


def test_a_time_that_is_missing_is_not_1970():
    """The row stays, last, with NaN, and its end still belongs to it by id."""
    processed = Scene().task("a", None, 5).task("b", 1, 2).process()

    assert column(processed, "task", "task_id") == ["b", "a"]
    assert column(processed, "task", "start_time") == [1, None]
    assert column(processed, "task", "end_time") == [2, 5]
    assert column(processed, "task", "duration") == [1, None]
    assert column(processed, "task", "completion_status") == ["completed", "completed"]


def test_the_config_is_read():
    """Each attribute has its column and type."""
    config = {"count": 3, "allow_repeats": True, "with_interruptions": False, "audio_mode": "off"}
    processed = Scene().task("a", 0, 5, task_type="recall", input_modality="voice", **config).process()

    expected = {**config, "allow_repeats": 1, "with_interruptions": 0, "task_type": "recall", "input_modality": "voice"}
    assert {name: column(processed, "task", name) for name in expected} == {k: [v] for k, v in expected.items()}


@pytest.mark.parametrize(
    "data", [None, {"task_id": "a"}, {"task_id": "a", "config": None}], ids=["row", "absent", "null"]
)
def test_a_config_that_is_null_is_missing(data):
    """The session does not fail, and nothing is reported of the config."""
    processed = Scene().add("task_started", 0, data).process()

    for name in ("count", "allow_repeats", "with_interruptions", "task_type", "audio_mode", "input_modality"):
        assert column(processed, "task", name) == [None]
    assert "wrong_json_type" not in codes(processed)


def test_session_fractions_are_parts_of_the_session():
    """(t - start) / (end - start), where the end is the last event: in [0, 1]."""
    processed = Scene().task("a", 100, 300).task("b", 300).add("display", 400, {}).process()

    assert column(processed, "task", "session_fraction_start") == [0.25, 0.75]
    assert column(processed, "task", "session_fraction_end") == [0.75, None]


def test_a_task_before_the_session_has_no_fraction():
    """A negative part is no part, and that is reported."""
    processed = Scene().task("a", -10, 10).add("display", 100, {}).process()

    assert column(processed, "task", "session_fraction_start") == [None]
    assert column(processed, "task", "session_fraction_end") == [0.1]
    assert codes(processed) == {"before_session_start": 1}


@pytest.mark.parametrize("start", [float("nan"), 1e15], ids=["missing", "after the last event"])
def test_without_a_start_of_the_session_relative_times_are_missing(start):
    """They are not counted from 1970."""
    processed = Scene().task("a", 100, 300).element("e", 150, 200).process(start_time=start)

    assert column(processed, "task", "session_fraction_start") == [None]
    assert codes(processed) == {"no_session_span": 1}
    if start != start:
        assert column(processed, "element", "session_relative_time") == [None]
