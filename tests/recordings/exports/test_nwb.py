"""pynwb reads the intervals back."""

from math import isnan

import numpy as np
import pytest

from tests.recordings.scenes import START, Scene
from zarrmill.errors import InvalidInputError
from zarrmill.recordings.exports.nwb import export_nwb


@pytest.fixture(scope="module", autouse=True)
def pynwb():
    """The library takes seconds to import, which only the process that needs it shall do."""
    return pytest.importorskip("pynwb")


def read(path):
    """Return the tables by name, and the file's start and subject."""
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(path), "r") as file:
        found = file.read()
        tables = {name: table.to_dataframe() for name, table in (found.intervals or {}).items()}
        return tables, found.session_start_time, found.subject and found.subject.subject_id


def test_pynwb_reads_tables_and_gaps(tmp_path, make_timeline):
    """Unknown ends are NaN, missing texts ``n/a``."""
    export_nwb(make_timeline(eeg=np.array([0.0, 30, 60, 600, 630])), tmp_path / "s.nwb", subject="01")
    tables, start, subject = read(tmp_path / "s.nwb")

    assert (start.timestamp() * 1000, subject) == (START, "01")
    assert set(tables) == {"tasks", "elements", "segments", "gaps_eeg"}
    assert tables["tasks"].start_time.tolist() == pytest.approx([0.1, 1.0])
    assert tables["tasks"].stop_time[0] == pytest.approx(0.9)
    assert isnan(tables["tasks"].stop_time[1])
    assert tables["tasks"].task_type.tolist() == ["n_back", "n/a"]
    assert tables["segments"].segment_type.tolist() == ["recording", "thinking", "pause"]
    assert tables["gaps_eeg"].stop_time.tolist() == pytest.approx([0.6])
    assert "title" not in tables["elements"]


def test_the_file_is_valid_and_tells_no_id(tmp_path, make_timeline, pynwb):
    """By pynwb's own validator; titles only where asked."""
    export_nwb(make_timeline(), tmp_path / "s.nwb")
    assert not pynwb.validate(path=str(tmp_path / "s.nwb"))
    assert b"Ada" not in (tmp_path / "s.nwb").read_bytes()

    export_nwb(make_timeline(), tmp_path / "t.nwb", titles=True)
    assert "Größe 𝄞" in read(tmp_path / "t.nwb")[0]["elements"].title.tolist()


def test_a_session_of_nothing_has_no_tables(tmp_path, make_timeline):
    """And is a file all the same."""
    export_nwb(make_timeline(Scene()), tmp_path / "s.nwb")
    assert read(tmp_path / "s.nwb")[0] == {}


def test_other_endings_are_refused(tmp_path, make_timeline):
    """As nothing would know it."""
    with pytest.raises(InvalidInputError, match=r"\.nwb"):
        export_nwb(make_timeline(), tmp_path / "s.h5")
