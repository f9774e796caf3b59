"""MNE reads the annotations back, gaps among them."""

from datetime import UTC, datetime

import numpy as np
import pytest

from tests.recordings.scenes import START, Scene
from zarrmill.errors import InvalidInputError
from zarrmill.recordings.exports.mne import export_mne

EEG = np.array([0.0, 30, 60, 600, 630])


@pytest.fixture(scope="module", autouse=True)
def mne():
    """The library takes long to import, which only the process that needs it shall do."""
    return pytest.importorskip("mne")


@pytest.mark.parametrize("name", ["s-annot.fif", "s.csv"])
def test_mne_reads_them_at_their_absolute_times(tmp_path, make_timeline, mne, name):
    """What has no end is an instant that says so; a gap is bad."""
    export_mne(make_timeline(eeg=EEG), tmp_path / name)
    found = mne.read_annotations(tmp_path / name)

    zero = (found.orig_time - datetime.fromtimestamp(START / 1000, UTC)).total_seconds()
    rows = {
        (round(onset + zero, 5), round(duration, 5), str(text))
        for onset, duration, text in zip(found.onset, found.duration, found.description, strict=True)
    }
    assert rows == {
        (0.1, 0.8, "task/n_back"),
        (0.2, 0.2, "element/image"),
        (0.25, 0.1, "segment/recording"),
        (0.26, 0.19, "segment/thinking"),
        (0.5, 0.0, "element/start"),
        (0.95, 0.0, "segment/pause/start"),
        (1.0, 0.0, "task/start"),
        (1.1, 0.2, "element"),
        (0.09, 0.51, "BAD_gap_eeg"),
    }


def test_they_fit_a_recording_of_that_time(tmp_path, make_timeline, mne):
    """MNE leaves out what overlaps a gap."""
    export_mne(make_timeline(eeg=EEG), tmp_path / "s-annot.fif")
    raw = mne.io.RawArray(np.zeros((1, 1500)), mne.create_info(1, 1000.0, "eeg"), verbose="ERROR")
    raw.set_meas_date(START / 1000)
    raw.set_annotations(mne.read_annotations(tmp_path / "s-annot.fif"))

    kept = raw.get_data(reject_by_annotation="omit", verbose="ERROR")
    assert abs(kept.shape[1] - (1500 - 510)) <= 2


def test_what_has_no_start_is_counted_and_left_out(tmp_path, make_timeline, mne):
    """An annotation cannot be without one."""
    report = export_mne(make_timeline(Scene().task("t1", None).task("t2", 0, 10)), tmp_path / "s-annot.fif")
    assert report.without_onset == 1
    assert mne.read_annotations(tmp_path / "s-annot.fif").description.tolist() == ["task/n_back"]


def test_a_session_of_nothing(tmp_path, make_timeline, mne):
    """Is an empty FIF; a CSV of it MNE itself could not read."""
    export_mne(make_timeline(Scene()), tmp_path / "s-annot.fif")
    assert len(mne.read_annotations(tmp_path / "s-annot.fif")) == 0
    with pytest.raises(InvalidInputError, match=r"Use -annot\.fif"):
        export_mne(make_timeline(Scene()), tmp_path / "s.csv")


def test_other_endings_are_refused(tmp_path, make_timeline):
    """MNE would only warn."""
    with pytest.raises(InvalidInputError, match="no name of annotations"):
        export_mne(make_timeline(), tmp_path / "s.fif")
