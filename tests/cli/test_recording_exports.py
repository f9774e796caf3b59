"""zarrmill recordings plot and export, as people type them."""

import json

import pytest

from zarrmill.testing import EEG, write_curated


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session in the working directory, whose id is a name."""
    monkeypatch.chdir(tmp_path)
    write_curated(tmp_path / "Ada L.h5", tasks=2, elements=4, segments=3, signals=[EEG])
    return tmp_path / "Ada L.h5"


def test_plot_writes_a_picture_and_replaces_it_only_when_asked(session, run):
    """The second is refused in one line."""
    pytest.importorskip("matplotlib")
    assert run("recordings", "plot", "Ada L.h5", "s.png").exit_code == 0
    refused = run("recordings", "plot", "Ada L.h5", "s.png")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert run("recordings", "plot", "Ada L.h5", "s.png", "--overwrite").exit_code == 0


def test_export_writes_every_format_at_once(session, run):
    """And tells what it wrote."""
    pytest.importorskip("mne")
    pytest.importorskip("pynwb")
    words = ["--bids", "study", "--subject", "01", "--mne", "s-annot.fif", "--nwb", "s.nwb"]
    done = run("recordings", "export", "Ada L.h5", *words)

    assert done.exit_code == 0, done.stderr
    assert "2 task, 4 element, 3 segment, 0 eeg gap" in done.stdout
    for path in ("study/sub-01/beh/sub-01_task-recording_events.tsv", "s-annot.fif", "s.nwb"):
        assert (session.parent / path).is_file()
    report = json.loads(run("recordings", "export", "Ada L.h5", *words, "--overwrite", "--json").stdout)
    assert [made["format"] for made in report["exports"]] == ["bids", "mne", "nwb"]


def test_ids_of_sessions_within_texts_are_replaced_when_asked(session, run):
    """As a key may hold one."""
    import h5py

    with h5py.File(session, "r+") as file:
        file["events/task_started/data"][0] = json.dumps({"task_id": "Ada L-1", "task_type": "rest"})
    words = ["--bids", "study", "--subject", "01", "--overwrite"]
    events = session.parent / "study" / "sub-01" / "beh" / "sub-01_task-recording_events.tsv"

    assert run("recordings", "export", "Ada L.h5", *words).exit_code == 0
    assert "Ada L-1" in events.read_text()
    assert run("recordings", "export", "Ada L.h5", *words, "--hash-ids").exit_code == 0
    assert "Ada L" not in events.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give --bids, --mne, --nwb"),
        (["--bids", "study"], "--subject 01"),
        (["--bids", "study", "--subject", "Ada L"], "no label of BIDS"),
        (["--bids", "study", "--subject", "1", "--origin", "fnirs"], "fnirs has no frame"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(session, run, words, said):
    """Exit code 2."""
    done = run("recordings", "export", "Ada L.h5", *words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert [path.name for path in session.parent.iterdir()] == ["Ada L.h5"]
