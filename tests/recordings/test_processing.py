"""From events to tables: every row arrives, whatever is in it."""

from __future__ import annotations

from time import process_time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

from tests.recordings.scenes import START, Scene, codes, column, full_scene, scenes
from zarrmill.recordings.event_codes import EVENT_CODES
from zarrmill.recordings.problems import INPUT_CODES, InputProblem
from zarrmill.recordings.processing import extract, process
from zarrmill.recordings.schema import TABLES
from zarrmill.recordings.settings import DEFAULT_SETTINGS


def count(scene, *types):
    """Return how many events of some types there are."""
    return sum(event.event_type in types for event in scene.events)


@given(scenes())
def test_no_row_is_lost(scene):
    """Every start is a row, every end is in a row or reported, and every event is a raw row."""
    processed = scene.process()
    pairs = {
        "task": [DEFAULT_SETTINGS.task],
        "element": [DEFAULT_SETTINGS.element],
        "segment": DEFAULT_SETTINGS.segments,
    }

    assert processed.rows("event") == len(scene.events)
    for table, types in pairs.items():
        ends = [row for row in column(processed, table, "end_event_row") if row is not None]
        types_of_ends = {pair.end for pair in types}
        reported = [
            (problem.path, problem.row)
            for problem in processed.problems
            if problem.code in ("end_without_start", "end_before_start", "extra_end")
            and problem.path.removeprefix("events/") in types_of_ends
        ]
        assert processed.rows(table) == count(scene, *(pair.start for pair in types))
        assert len(set(ends)) == len(ends)
        assert len(set(reported)) == len(reported)
        assert len(ends) + len(reported) == count(scene, *types_of_ends)


@given(scenes())
def test_no_duration_is_negative_and_no_fraction_outside(scene):
    """Whatever the clocks say."""
    processed = scene.process()

    for table in ("task", "element", "segment"):
        assert all(value is None or value >= 0 for value in column(processed, table, "duration"))
    for name in ("session_fraction_start", "session_fraction_end"):
        assert all(value is None or 0 <= value <= 1 for value in column(processed, "task", name))
    assert all(value is None or value >= 0 for value in column(processed, "segment", "element_relative_start"))


@given(scenes())
def test_keys_are_unique_and_relations_lead_somewhere(scene):
    """Rows of relations are rows of their tables, and names by key name those rows."""
    processed = scene.process()

    for name, table in TABLES.items():
        if table.key:
            keys = processed.tables[name][table.key].tolist()
            assert len(set(keys)) == len(keys)
        for found in (one for one in table.columns if one.kind == "row"):
            rows = processed.tables[name][found.name]
            assert ((rows >= -1) & (rows < processed.rows(found.refers_to))).all()
    keys = processed.tables["element"]["element_id"].tolist()
    rows = column(processed, "segment", "element_row")
    names = column(processed, "segment", "containing_element_id")
    assert names == [None if row is None else keys[row] for row in rows]


@given(scenes())
def test_the_same_events_give_the_same_rows(scene):
    """Nothing depends on the time of day, on hashes or on what came before; events are not changed."""
    first, second = scene.process(), scene.process()

    assert first.problems == second.problems
    for name, columns in first.tables.items():
        for key, values in columns.items():
            np.testing.assert_array_equal(values, second.tables[name][key])


@given(scenes())
def test_every_problem_has_a_known_code(scene):
    """With the severity of that code."""
    for problem in scene.process().problems:
        assert problem.severity == EVENT_CODES[problem.code][0]


def test_a_code_means_one_severity():
    """Whether it was found in the file or in the events."""
    assert all(INPUT_CODES[code][0] == severity for code, (severity, _) in EVENT_CODES.items() if code in INPUT_CODES)


def test_raw_events_are_kept_as_they_were():
    """Type, id, sequence, both times and the very text, broken JSON included, in the order of the file."""
    scene = Scene().add("pause", 5, None, payload="{broken", sequence=7).add("display", None, {"ä": "𝄞"}, event_id="x")

    processed = scene.process()

    assert column(processed, "event", "event_type") == ["pause", "display"]
    assert column(processed, "event", "event_id") == [None, "x"]
    assert column(processed, "event", "sequence") == [7, None]
    assert column(processed, "event", "client_time") == [5, None]
    assert column(processed, "event", "server_time") == [45, None]
    assert column(processed, "event", "payload") == ["{broken", '{"\\u00e4": "\\ud834\\udd1e"}']


@pytest.mark.parametrize("number", [-1, 2**31], ids=["the sentinel", "too large"])
def test_a_sequence_number_that_no_column_holds_is_reported(number):
    """It is missing, and nothing wraps around."""
    processed = Scene().add("pause", 5, {}, sequence=number).process()

    assert column(processed, "event", "sequence") == [None]
    assert codes(processed) == {"out_of_range": 1}


def test_a_bad_row_of_a_group_that_nobody_uses_harms_nothing():
    """A bad row of one that is used makes a row without values."""
    scene = Scene().add("display", 0, None, payload="{").add("task_started", 1, None, payload="[").task("a", 2, 3)

    processed = scene.process()

    assert column(processed, "task", "task_id") == ["task-0", "a"]
    assert column(processed, "task", "task_type") == [None, "n_back"]


def test_an_empty_session_has_every_table():
    """Full schema, zero rows, no problems."""
    processed = process([], session_id="session-01")

    assert {name: processed.rows(name) for name in TABLES} == dict.fromkeys(TABLES, 0)
    assert processed.problems == ()
    assert processed.counts == {f"{name}_count": 0 for name in TABLES}


def test_problems_of_the_input_are_stored_with_those_of_the_events():
    """In one table, by place."""
    problem = InputProblem("events/display/data", 3, "bad_json", "error", "no JSON")
    whole = InputProblem("events", -1, "no_events", "warning", "nothing")

    processed = Scene().task("a", 5).process(problems=[problem, whole])

    assert column(processed, "issue", "code") == ["no_events", "bad_json", "start_without_end"]
    assert column(processed, "issue", "row") == [None, 3, 0]
    assert column(processed, "issue", "severity") == ["warning", "error", "warning"]
    assert column(processed, "issue", "path") == ["events", "events/display/data", "events/task_started"]
    assert column(processed, "issue", "message")[1] == "no JSON"


def test_messages_hold_no_text_of_the_rows():
    """Ids, titles and replies may be personal."""
    scene = Scene().task("secret", 0).task("secret", 1, task_type=["secret"]).element("secret", 2, task_id="secret-x")
    scene.reply("secret-y", 3).add("skip_task", 1, {"task_id": "secret-z"}).segment(1, event_id="secret")

    processed = scene.process()

    assert len(processed.problems) > 5
    assert not any("secret" in problem.message for problem in processed.problems)


def test_an_open_recording_is_extracted():
    """Events, problems, name and start are what processing needs."""
    scene = full_scene()
    problem = InputProblem("events", -1, "empty_group", "info", "nothing")
    recording = SimpleNamespace(session_id="s", start_time=START, events=tuple(scene.events), problems=(problem,))

    found = extract(recording)

    assert found.events == tuple(scene.events)
    assert (found.session_id, found.start_time, found.problems) == ("s", START, (problem,))


def test_five_thousand_elements_and_segments_take_less_than_a_second():
    """Rows of all tables, with the relations between them."""
    scene = Scene()
    for number in range(5000):
        scene.element(f"e{number}", number * 10, number * 10 + 9, task_id=f"t{number // 100}", title="Ein Titel")
        scene.segment(number * 10 + 1, number * 10 + 8)
    for number in range(50):
        scene.task(f"t{number}", number * 1000, number * 1000 + 999, count=100)
    begun = process_time()

    processed = scene.process()

    assert process_time() - begun < 1
    assert column(processed, "segment", "element_row") == list(range(5000))
    assert column(processed, "task", "element_count") == [100] * 50
