"""Segments: a row for every start of any type, with the element in which it starts."""

from __future__ import annotations

from tests.recordings.scenes import Scene, codes, column


def test_types_are_matched_apart_and_in_time():
    """Segments of two types overlap, and the rows of all are in time."""
    thinking = {"starts": "thinking_start", "ends": "thinking_stop"}
    processed = Scene().segment(10, 40).segment(5, 20, **thinking).process()

    assert column(processed, "segment", "segment_type") == ["thinking", "recording"]
    assert column(processed, "segment", "type_index") == ["thinking", "recording"]
    assert column(processed, "segment", "duration") == [15, 30]


def test_an_unfinished_segment_takes_no_end_of_the_next():
    """More starts than ends: the first stays open, the second has its own end."""
    processed = Scene().segment(0).segment(10, 15).process()

    assert column(processed, "segment", "end_time") == [None, 15]
    assert codes(processed) == {"start_without_end": 1}


def test_an_end_without_a_start_is_reported():
    """More ends than starts: the first end belongs to nothing."""
    processed = Scene().add("recording_stop", 5, {}).segment(10, 15).process()

    assert column(processed, "segment", "end_time") == [15]
    assert codes(processed) == {"end_before_start": 1}


def test_event_ids_name_segments_and_may_come_up_again():
    """The id of the start is the key, and both events are told."""
    processed = Scene().segment(0, 1, event_id="x").segment(2, 3, event_id="x").process()

    assert column(processed, "segment", "segment_id") == ["x", "x#2"]
    assert column(processed, "segment", "start_event_id") == ["x", "x"]
    assert column(processed, "segment", "end_event_id") == ["recording_stop-1", "recording_stop-3"]


def test_a_group_without_ids_has_keys_and_missing_ids():
    """Nothing is invented but the key."""
    scene = Scene().add("pause_event", 1, {}, sequence=4).add("resume_event", 2, {}, sequence=5)

    processed = scene.process()

    assert column(processed, "segment", "segment_id") == ["segment-0"]
    assert column(processed, "segment", "start_event_id") == [None]
    assert column(processed, "segment", "end_event_id") == [None]
    assert column(processed, "segment", "duration") == [1]


def test_a_segment_lies_in_the_innermost_element():
    """Of the elements around its start that which began last, whatever their order in the file."""
    processed = Scene().element("outer", 0, 100).element("inner", 50, 80).segment(60, 70).process()

    assert column(processed, "segment", "containing_element_id") == ["inner"]
    assert column(processed, "segment", "element_relative_start") == [10]
    assert column(processed, "segment", "element_row") == [1]


def test_the_end_of_an_element_is_not_within_it():
    """Where one element ends and the next begins, a segment starts in the next."""
    processed = Scene().element("a", 0, 50).element("b", 50, 100).segment(50, 60).segment(100, 110).process()

    assert column(processed, "segment", "containing_element_id") == ["b", None]


def test_a_segment_in_no_element_has_none():
    """Not '' and 0.0."""
    processed = Scene().element("a", 10, 20).segment(5, 30).process()

    assert column(processed, "segment", "containing_element_id") == [None]
    assert column(processed, "segment", "element_relative_start") == [None]
    assert column(processed, "segment", "element_row") == [None]
    assert column(processed, "segment", "spans_elements") == [None]


def test_a_segment_that_ends_after_its_element_is_flagged():
    """Whether it does is not known where one of both is open."""
    scene = Scene().element("a", 0, 50).element("b", 60).segment(10, 50).segment(65, 70)
    scene.segment(20, 55, starts="thinking_start", ends="thinking_stop").segment(40, starts="pause_event")

    processed = scene.process()

    assert column(processed, "segment", "spans_elements") == [0, 1, None, None]


def test_an_element_without_a_reply_lasts_until_the_next():
    """A segment after it lies in it, and one in the next in the next."""
    processed = Scene().element("a", 0).element("b", 50, 60).segment(30, 31).segment(55, 56).segment(70, 71).process()

    assert column(processed, "segment", "containing_element_id") == ["a", "b", None]


def test_the_element_is_named_by_its_unique_key():
    """An element that was sent again is told apart."""
    processed = Scene().element("a", 0, 10).element("a", 20, 30).segment(25, 26).process()

    assert column(processed, "segment", "containing_element_id") == ["a#2"]
