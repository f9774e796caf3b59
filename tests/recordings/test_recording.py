"""A curated file as it stands, with everything that is wrong with it."""

from __future__ import annotations

import math
import random
import time
import uuid
from dataclasses import replace

import h5py
import numpy as np
import pytest

from zarrmill.errors import NotFoundError, SourceFormatError, ZarrmillError
from zarrmill.recordings import open_recording
from zarrmill.recordings.problems import INPUT_CODES
from zarrmill.store import open_keys
from zarrmill.testing import DAMAGES, EEG, FNIRS, START, write_curated, write_usual

SOUND = [name for name, damage in DAMAGES.items() if not damage.fatal]
FATAL = [name for name, damage in DAMAGES.items() if damage.fatal]
IMPLIED = {"no_device", "no_event_ids", "start_time_disagrees"}
"""What other faults bring along: a device that is left out may be the only one, and what is no dataset is missing."""
SIGNALS = (replace(EEG, frames=200),)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a whole file with EEG."""
    return write_curated(tmp_path_factory.mktemp("whole") / "a.h5", signals=SIGNALS).path.read_bytes()


@pytest.fixture
def path(whole, tmp_path):
    """A whole file with EEG."""
    path = tmp_path / "session 01-a.h5"
    path.write_bytes(whole)
    return path


def test_a_whole_file_has_no_problems(path):
    """Nothing is found where nothing is wrong, and all rows are there."""
    with open_recording(path) as recording:
        assert recording.problems == ()
        assert recording.session_id == "session 01-a"
        assert (recording.start_time, recording.start_unit) == (START, "ms")
        assert recording.source.nbytes == path.stat().st_size
        assert list(recording.devices) == ["eeg"]


def test_events_are_as_they_were_written(tmp_path):
    """Type, row, id, both times, text and object of every row."""
    truth = write_curated(tmp_path / "a.h5")
    with open_recording(truth.path) as recording, h5py.File(truth.path) as file:
        rows = [row for row in recording.events if row.event_type == "element_sent"]
        texts = [text.decode() for text in file["events/element_sent/data"]]
        ids = [text.decode() for text in file["events/element_sent/event_ids"]]
        times = file["events/element_sent/timestamps"][:]

    assert [row.row for row in rows] == list(range(24))
    assert [row.payload for row in rows] == texts
    assert [row.event_id for row in rows] == ids
    assert [(row.server_time, row.client_time) for row in rows] == list(map(tuple, times.tolist()))
    assert [row.data["element_id"] for row in rows] == [element.element_id for element in truth.elements]
    assert all(row.sequence is None for row in rows)


@pytest.mark.parametrize("name", SOUND)
def test_every_damage_is_found_and_the_rest_is_kept(path, name):
    """A damaged file opens; its fault has its code, place and row, nothing else is wrong, others are whole."""
    DAMAGES[name](path)
    with open_recording(path) as recording:
        found = {(problem.code, problem.path, problem.row) for problem in recording.problems}
        rows = {group.event_type: len(group.rows) for group in recording.event_groups}

    expected = set(DAMAGES[name].problems)
    assert expected <= found
    assert {code for code, *_ in found - expected} <= IMPLIED | {code for code, *_ in expected}
    assert all(problem.severity == INPUT_CODES[problem.code][0] for problem in recording.problems)
    assert name in ("empty_session", "no_events") or rows["task_completed"] >= 5


@pytest.mark.parametrize("name", FATAL)
def test_a_file_that_cannot_be_opened_is_one_clear_line(path, name):
    """Truncated, empty and foreign files are refused, and the message names the file."""
    DAMAGES[name](path)

    with pytest.raises(SourceFormatError) as caught:
        open_recording(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_found_at_once(path):
    """Several faults in one file are all in one list, by path and row."""
    names = ("bad_json", "short_ids", "nan_time", "no_ids", "start_nonsense", "nan_device_time", "bad_json_unused")
    for name in names:
        DAMAGES[name](path)
    with open_recording(path) as recording:
        problems = recording.problems

    assert {problem for name in names for problem in DAMAGES[name].problems} == {
        (problem.code, problem.path, problem.row) for problem in problems
    }
    assert list(problems) == sorted(problems)


def _row(path, group="element_sent", row=1):
    with open_recording(path) as recording:
        return next(found for found in recording.events if (found.event_type, found.row) == (group, row))


def test_a_bad_row_keeps_its_text_and_times(path):
    """JSON that cannot be read takes neither the row's id nor its time with it."""
    before = _row(path)
    DAMAGES["bad_json"](path)
    after = _row(path)

    assert (after.data, after.payload) == (None, '{"element_id": "el-00002", ')
    assert (after.event_id, after.client_time) == (before.event_id, before.client_time)


def test_an_id_that_is_not_utf8_is_escaped(path):
    """The id is kept, its backslashes doubled."""
    DAMAGES["id_not_utf8"](path)

    assert _row(path).event_id == "ev-\\xff\\\\x"


def test_a_payload_in_latin1_is_still_an_object(path):
    """Only the odd bytes are escaped, in text and object."""
    DAMAGES["payload_not_utf8"](path)

    assert _row(path).data["element_content"]["title"] == "caf\\xe9"
    assert "caf\\xe9" in _row(path).payload


@pytest.mark.parametrize(
    ("name", "title"),
    [("lone_surrogate", "half \\ud83d"), ("trailing_nul", "end\0"), ("non_bmp", "clef 𝄞")],
)
def test_odd_titles_are_kept_or_escaped(path, name, title):
    """Half of a pair is an escape; NUL and what is outside of the basic plane stay."""
    DAMAGES[name](path)

    assert _row(path).data["element_content"]["title"] == title


@pytest.mark.parametrize("name", ["nan_time", "infinite_time", "zero_time"])
def test_a_time_that_is_none_is_nan(path, name):
    """Never 1970, and the other clock is untouched."""
    before = _row(path)
    DAMAGES[name](path)

    assert math.isnan(_row(path).client_time)
    assert _row(path).server_time == before.server_time


def test_one_odd_time_is_not_the_first_event(path):
    """The start of the session agrees with the others."""
    DAMAGES["time_in_seconds"](path)
    with open_recording(path) as recording:
        assert {problem.code for problem in recording.problems} == {"odd_time"}
        assert abs(recording.first_event - recording.start_time) < 60_000


def test_short_timestamps_leave_the_others_missing(path):
    """Rows beyond the times have none, those within keep theirs."""
    DAMAGES["short_timestamps"](path)

    assert not math.isnan(_row(path, row=2).client_time)
    assert math.isnan(_row(path, row=3).client_time)


def test_sequence_numbers_stand_in_for_ids(path):
    """A group without ids has sequence numbers instead."""
    DAMAGES["no_ids"](path)

    assert (_row(path, "pause_event", 0).event_id, _row(path, "pause_event", 0).sequence) == (None, 0)


def test_only_damaged_chunks_lose_rows(path):
    """Rows 4 to 7 lie in the damaged chunk; all others are whole."""
    DAMAGES["damaged_chunk"](path)
    with open_recording(path) as recording:
        lost = [row.row for row in recording.events if row.event_type == "element_sent" and row.payload is None]

    assert lost == [4, 5, 6, 7]


@pytest.mark.parametrize("name", [name for name in DAMAGES if name.startswith("start_")])
def test_a_start_in_any_form_is_milliseconds(path, name):
    """The start is the true one, unless it is missing, nonsense or wrong."""
    DAMAGES[name](path)
    with open_recording(path) as recording:
        start = recording.start_time

    if name in ("start_missing", "start_nonsense"):
        assert math.isnan(start)
    else:
        assert start == START + (2 * 86_400_000 if name == "start_far" else 0)


@pytest.mark.parametrize("old_layout", [False, True], ids=["present layout", "old layout"])
def test_devices_of_both_layouts_are_read(tmp_path, old_layout):
    """Frames, times and values are what was written."""
    specs = [replace(EEG, frames=300, old_layout=old_layout), replace(FNIRS, frames=60, old_layout=old_layout)]
    truth = write_curated(tmp_path / "a.h5", signals=specs).signals
    with open_recording(tmp_path / "a.h5") as recording:
        eeg, fnirs = recording.devices["eeg"], recording.devices["fnirs"]
        some, frames = eeg.read(100, 140), fnirs.read(50, 60)

    assert recording.problems == ()
    assert (eeg.shape, fnirs.shape) == ((300, 28, 15), (60, 248832, 1))
    np.testing.assert_array_equal(eeg.times, truth["eeg"].stored_times)
    np.testing.assert_allclose(some, truth["eeg"].values(100, 140, channels=range(28)), rtol=1e-6)
    channels = truth["fnirs"].channels
    np.testing.assert_array_equal(frames[:, channels, 0], truth["fnirs"].values(50, 60, channels=channels))
    assert np.isneginf(np.delete(frames, channels, axis=1)).all()


def test_a_damaged_chunk_of_frames_is_an_error_where_it_is_read(path):
    """Other chunks are read all the same."""
    DAMAGES["damaged_frames"](path)
    with open_recording(path) as recording:
        eeg = recording.devices["eeg"]
        with pytest.raises(SourceFormatError, match="devices/eeg/frames_data rows 64 to 128 cannot be read"):
            eeg.read(64, 128)
        assert eeg.read(128, 192).shape == (64, 28, 15)


def test_no_message_has_a_text_or_the_name_of_the_file(path):
    """Problems are stored: the id of a session and what people wrote are in none of them."""
    path = path.rename(path.with_name("Jane Doe.h5"))
    for name in ("payload_not_utf8", "damaged_times", "no_frames", "broken_link"):
        DAMAGES[name](path)
    with open_recording(path) as recording:
        messages = " ".join(problem.message for problem in recording.problems)

    assert len(recording.problems) >= 4
    assert "Jane" not in messages
    assert "caf" not in messages


@pytest.mark.parametrize("scratch", ["given", "usual"])
def test_a_remote_file_is_copied_and_removed(path, tmp_path, scratch, monkeypatch):
    """The copy lies in the scratch folder under a name of no one, until the recording is closed."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    url = f"memory://{uuid.uuid4().hex}"
    open_keys(url).put("curated-h5/session 01-a.h5", path.read_bytes())

    with (
        open_recording(
            f"{url}/curated-h5/session 01-a.h5", scratch=str(folder) if scratch == "given" else None
        ) as remote,
        open_recording(path) as local,
    ):
        (copy,) = folder.iterdir()
        assert "session" not in copy.name
        assert remote.session_id == local.session_id
        assert remote.source == local.source
        assert remote.events == local.events
    assert list(folder.iterdir()) == []


def test_a_remote_file_that_is_damaged_leaves_nothing(path, tmp_path):
    """The copy is removed when it cannot be opened, and a missing one is not found."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    url = f"memory://{uuid.uuid4().hex}"
    open_keys(url).put("a.h5", path.read_bytes()[:-5000])

    with pytest.raises(SourceFormatError, match="truncated"):
        open_recording(f"{url}/a.h5", scratch=str(folder))
    with pytest.raises(NotFoundError, match="there is nothing at"):
        open_recording(f"{url}/b.h5", scratch=str(folder))
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_usual_session_has_the_rows_of_a_real_one(tmp_path):
    """The counts of a real session's groups."""
    truth = write_usual(tmp_path / "a.h5")
    with open_recording(truth.path) as recording:
        rows = {group.event_type: len(group.rows) for group in recording.event_groups}

    assert {name: rows[name] for name in ("display", "keystroke", "element_sent", "element_replied")} == {
        "display": 4533, "keystroke": 8345, "element_sent": 288, "element_replied": 289,
    }  # fmt: skip
    assert {rows["task_started"], rows["task_completed"]} == {33}
    assert {rows["recording_start"], rows["recording_stop"]} == {74}
    assert {rows["thinking_start"], rows["thinking_stop"]} == {44}


@pytest.mark.slow
def test_a_large_session_opens_in_a_second(tmp_path):
    """5,000 elements and 5,000 segments, 20,000 rows, on a busy machine."""
    truth = write_curated(tmp_path / "a.h5", tasks=200, elements=5_000, segments=5_000)
    begun = time.process_time()
    with open_recording(truth.path) as recording:
        spent = time.process_time() - begun

    assert len(recording.events) == 20_400
    assert recording.problems[0].code == "no_device"
    assert spent < 1.0


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The bytes of a small file."""
    path = tmp_path_factory.mktemp("small") / "a.h5"
    write_curated(path, tasks=3, elements=6, segments=8, signals=[replace(EEG, frames=64)])
    return path.read_bytes()


@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_file_cut_anywhere_is_refused(small, tmp_path, part):
    """No part of a file passes for a whole one."""
    path = tmp_path / "a.h5"
    path.write_bytes(small[: int(len(small) * part)])

    with pytest.raises(SourceFormatError):
        open_recording(path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_any_damaged_byte_is_a_problem_or_one_clear_line(small, tmp_path, seed):
    """Whatever bytes are wrong, a file opens with what is readable, or is refused; no other error comes out."""
    path, chance, refused = tmp_path / "a.h5", random.Random(seed), []
    for _ in range(10):
        data = bytearray(small)
        for _ in range(chance.choice([1, 5, 30])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            with open_recording(path) as recording:
                assert all(problem.code in INPUT_CODES for problem in recording.problems)
        except ZarrmillError as error:
            refused.append(str(error))
    assert all("\n" not in message for message in refused)


def test_a_file_in_s3_is_read_like_one_on_the_disk(path, s3_bucket, storage_options):
    """Events, problems and checksum are the same."""
    DAMAGES["bad_json"](path)
    open_keys(f"{s3_bucket}/curated-h5/a b.h5", storage_options=storage_options).put("", path.read_bytes())

    with (
        open_recording(f"{s3_bucket}/curated-h5/a b.h5", storage_options=storage_options) as remote,
        open_recording(path) as local,
    ):
        assert remote.session_id == "a b"
        assert (remote.events, remote.problems) == (local.events, local.problems)
        assert remote.source.sha256 == local.source.sha256
