"""Elements: a row for every one sent, with its first reply."""

from __future__ import annotations

import pytest

from tests.recordings.scenes import Scene, codes, column


def test_the_first_reply_counts():
    """Of several replies the first at or after the send ends the element; the others are counted and reported."""
    processed = Scene().element("e", 1000).reply("e", 3000).reply("e", 2000).process()

    assert column(processed, "element", "end_time") == [2000]
    assert column(processed, "element", "duration") == [1000]
    assert [(p.code, p.row) for p in processed.problems] == [("extra_end", 0)]


def test_a_reply_before_the_send_is_none():
    """No duration is negative."""
    processed = Scene().element("e", 3000).reply("e", 1000).process()

    assert column(processed, "element", "duration") == [None]
    assert codes(processed) == {"end_before_start": 1, "start_without_end": 1}


def test_a_reply_at_the_very_time_of_the_send_counts():
    """The duration is 0 and not missing."""
    assert column(Scene().element("e", 5, 5).process(), "element", "duration") == [0]


def test_an_element_sent_again_has_replies_of_its_own():
    """Each sending is a row with a unique key and the reply that came before the next."""
    processed = Scene().element("e", 0, 5).element("e", 10, 15).element("e", 20).process()

    assert column(processed, "element", "element_id") == ["e", "e#2", "e#3"]
    assert column(processed, "element", "occurrence") == [1, 2, 3]
    assert column(processed, "element", "end_time") == [5, 15, None]


def test_a_reply_to_nothing_is_reported():
    """It makes no row."""
    processed = Scene().element("e", 0, 5).reply("f", 7).process()

    assert processed.rows("element") == 1
    assert codes(processed) == {"end_without_start": 1}


def test_the_content_is_read():
    """Each attribute has its column."""
    metadata = {"task_type": "recall", "current_count": 2, "max_count": 9, "fraction_session_completed": 0.5}
    content = {"element_type": "word", "title": "Tür", "is_instruction": True, "audio_mode": "a"}
    scene = Scene().element("e", 100, 200, task_id="t", metadata=metadata, response_time_seconds=2.5, **content)

    processed = scene.process()

    expected = {
        "element_type": "word", "title": "Tür", "is_instruction": 1, "audio_mode": "a", "with_interruptions": None,
        "task_id": "t", "task_type": "recall", "sequence_idx": 2, "max_count": 9, "session_fraction": 0.5,
        "response_time_seconds": 2.5, "input_modality": "voice", "session_relative_time": 100,
    }  # fmt: skip
    assert {name: column(processed, "element", name) for name in expected} == {k: [v] for k, v in expected.items()}


NULLS = {
    "row": None,
    "content": {"element_id": "e", "element_content": None},
    "metadata": {"element_id": "e", "element_content": {"task_metadata": None}},
    "config": {"element_id": "e", "element_content": {"task_metadata": {"config": None}}},
}


@pytest.mark.parametrize("data", NULLS.values(), ids=NULLS)
def test_null_is_missing_at_every_level(data):
    """The session does not fail, and no value is made up."""
    processed = Scene().add("element_sent", 0, data).process()

    for name in ("title", "task_id", "sequence_idx", "is_instruction", "response_time_seconds", "session_fraction"):
        assert column(processed, "element", name) == [None]
    assert "wrong_json_type" not in codes(processed)


RESPONSE_TIMES = {
    "0 is a time": ({"response_time_seconds": 0}, {"response_time_seconds": 9}, 0),
    "that of the task": ({}, {"response_time_seconds": 9}, 9),
    "null is missing": ({"response_time_seconds": None}, {"response_time_seconds": 0}, 0),
    "none": ({}, {}, None),
}


@pytest.mark.parametrize(("content", "config", "expected"), RESPONSE_TIMES.values(), ids=RESPONSE_TIMES)
def test_a_response_time_of_0_is_not_replaced(content, config, expected):
    """Only where it is missing that of the task stands in."""
    processed = Scene().element("e", 0, metadata={"config": config}, **content).process()

    assert column(processed, "element", "response_time_seconds") == [expected]


def test_an_empty_audio_mode_is_not_missing():
    """'', missing and a mode are three things."""
    scene = Scene().element("a", 0, audio_mode="").element("b", 1).element("c", 2, audio_mode="x")

    processed = scene.process()

    assert column(processed, "element", "audio_mode") == ["", None, "x"]
    assert processed.tables["element"]["audio_mode"].tolist() == ["", "", "x"]


def test_the_id_of_the_content_stands_in():
    """An element whose event has no id of its own goes by that of its content."""
    data = {"element_content": {"element_id": "e"}}

    processed = Scene().add("element_sent", 0, data).reply("e", 5).process()

    assert column(processed, "element", "element_id") == ["e"]
    assert column(processed, "element", "end_time") == [5]


@pytest.mark.parametrize("title", ["a\0", "𝄞", "\\ud800", ""], ids=["NUL", "beyond the plane", "escape", "empty"])
def test_text_is_kept_as_it_is(title):
    """Trailing NULs and characters outside of the basic plane stay."""
    assert column(Scene().element("e", 0, title=title).process(), "element", "title") == [title]
