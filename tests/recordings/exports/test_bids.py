"""BIDS: seconds from the start, ``n/a`` where nothing is known, and a sidecar for every column."""

import csv
import json
from math import nan

import pytest

from tests.recordings.scenes import Scene
from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.recordings.exports.bids import BidsName, export_bids

ONE = BidsName("01")


def read(folder, name=ONE):
    """Return the rows of the events."""
    with (folder / name.path("events.tsv")).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_times_are_seconds_from_the_start_and_unknown_ends_are_not_known(tmp_path, make_timeline):
    """Sorted by onset; what was never ended has no duration, which is not 0."""
    report = export_bids(make_timeline(), tmp_path, name=ONE)

    rows = [(row["onset"], row["duration"], row["trial_type"]) for row in read(tmp_path)]
    assert rows == [
        ("0.1", "0.8", "task"),
        ("0.2", "0.2", "element"),
        ("0.25", "0.1", "recording"),
        ("0.26", "0.19", "thinking"),
        ("0.5", "n/a", "element"),
        ("0.95", "n/a", "pause"),
        ("1", "n/a", "task"),
        ("1.1", "0.2", "element"),
    ]
    assert (report.rows, report.without_end) == ({"task": 2, "element": 3, "segment": 3}, 3)


def test_a_start_that_is_not_known_is_not_0(tmp_path, make_timeline):
    """The row is there, at the end."""
    export_bids(make_timeline(Scene().task("t1", None).task("t2", 0, 10)), tmp_path, name=ONE)
    assert [(row["key"], row["onset"]) for row in read(tmp_path)] == [("t2", "0"), ("t1", "n/a")]


def test_texts_that_are_missing_or_would_break_a_line(tmp_path, make_timeline):
    """Are ``n/a`` and one line."""
    scene = Scene().task("t1", 0, 1, task_type="two\nlines\tand a tab").task("t2", 2, 3, task_type=None)
    export_bids(make_timeline(scene), tmp_path, name=ONE)
    assert [row["task_type"] for row in read(tmp_path)] == ["two lines and a tab", "n/a"]


def test_titles_and_ids_of_sessions_only_where_asked(tmp_path, make_timeline):
    """No byte and no name has them."""
    export_bids(make_timeline(), tmp_path / "a", name=ONE)
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert not any("Größe" in path.read_text("utf-8") or "Ada" in f"{path}{path.read_text('utf-8')}" for path in files)

    export_bids(make_timeline(), tmp_path / "b", name=ONE, titles=True)
    assert "Größe 𝄞" in [row["title"] for row in read(tmp_path / "b")]


def test_every_column_has_a_description_and_names_are_those_of_bids(tmp_path, make_timeline):
    """By BIDS's own validator of names."""
    validator = pytest.importorskip("bids_validator").BIDSValidator()
    name = BidsName("01", session="2", datatype="eeg")
    export_bids(make_timeline(), tmp_path, name=name, titles=True)

    sidecar = json.loads((tmp_path / name.path("events.json")).read_text("utf-8"))
    assert set(sidecar) == set(read(tmp_path, name)[0])
    assert set(sidecar["trial_type"]["Levels"]) == {row["trial_type"] for row in read(tmp_path, name)}
    paths = [f"/{path.relative_to(tmp_path).as_posix()}" for path in tmp_path.rglob("*") if path.is_file()]
    assert len(paths) == 3
    assert all(validator.is_bids(path) for path in paths)


def test_a_second_session_joins_and_an_old_one_is_replaced_only_when_asked(tmp_path, make_timeline):
    """The description of the dataset stays."""
    export_bids(make_timeline(), tmp_path, name=ONE)
    (tmp_path / "dataset_description.json").write_text("{}")
    export_bids(make_timeline(), tmp_path, name=BidsName("02"))
    with pytest.raises(AlreadyExistsError, match="--overwrite"):
        export_bids(make_timeline(), tmp_path, name=ONE)
    export_bids(make_timeline(Scene()), tmp_path, name=ONE, overwrite=True)

    assert read(tmp_path) == []
    assert (tmp_path / "dataset_description.json").read_text() == "{}"
    assert not list(tmp_path.rglob(".zarrmill-*"))


def test_without_a_start_another_origin_is_asked_for(tmp_path, make_timeline):
    """Nothing is counted from a start that nobody knows."""
    timeline = make_timeline(start=nan)
    with pytest.raises(InvalidInputError, match="start of the session is not known"):
        export_bids(timeline, tmp_path, name=ONE)

    export_bids(timeline, tmp_path, name=ONE, origin="first")
    assert read(tmp_path)[0]["onset"] == "0.05"


@pytest.mark.parametrize("label", ["", "Ada L", "a/b", "a_b"])
def test_labels_are_letters_and_digits(label):
    """As BIDS has it."""
    with pytest.raises(InvalidInputError, match="no label of BIDS"):
        BidsName(label)
