"""Which event types mean what is configuration."""

from __future__ import annotations

import pytest

from tests.recordings.scenes import Scene, column
from zarrmill.errors import InvalidInputError
from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventPair, EventSettings


def test_settings_survive_json():
    """What comes back is equal."""
    assert EventSettings.from_json(DEFAULT_SETTINGS.to_json()) == DEFAULT_SETTINGS


def test_other_types_make_the_same_tables():
    """No type of event is known to the code."""
    settings = EventSettings.from_json(
        {"task": {"start": "begin", "end": "done"}, "segments": [{"name": "rest", "start": "r1", "end": "r2"}]}
    )
    scene = Scene().add("begin", 0, {"task_id": "a"}).add("done", 9, {"task_id": "a"}).add("r1", 3).add("r2", 4)

    processed = scene.process(settings=settings)

    assert settings.element == DEFAULT_SETTINGS.element
    assert column(processed, "task", "duration") == [9]
    assert column(processed, "segment", "type_index") == ["rest"]


def test_two_pairs_may_have_one_name():
    """A pause may be told in two ways."""
    pairs = (EventPair("pause", "pause_event", "resume_event"), EventPair("pause", "pause", "resume"))
    scene = (
        Scene().segment(0, 1, starts="pause_event", ends="resume_event").segment(2, 3, starts="pause", ends="resume")
    )

    processed = scene.process(settings=EventSettings(segments=pairs))

    assert column(processed, "segment", "segment_type") == ["pause", "pause"]


BAD = {
    "no table": ([], "not a table"),
    "unknown role": ({"epochs": {}}, "epochs unknown"),
    "no end": ({"task": {"start": "a"}}, "task: "),
    "no table of a role": ({"element": "a"}, "element: "),
    "no list": ({"segments": {}}, "not a list"),
    "no name": ({"segments": [{"start": "a", "end": "b"}]}, "no name"),
    "empty name": ({"skip": ""}, "skip: '' is no name"),
    "no text": ({"skip": 5}, "skip: 5 is no name"),
    "two meanings": ({"skip": "task_started"}, "two meanings: task_started"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_settings_that_mean_nothing_are_refused(data, message):
    """The message says where."""
    with pytest.raises(InvalidInputError, match=message):
        EventSettings.from_json(data)
