"""zarrmill recordings: every command on real files, as people type it."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from tests.recordings.sample_transform import all_bytes
from zarrmill.cli import app
from zarrmill.cli.session_lines import SessionLines
from zarrmill.progress import RunStarted
from zarrmill.recordings.identities import hash_id
from zarrmill.testing import write_curated

NAMES = ("Ada L", "Bo M")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A place with two sessions, which is never written to."""
    folder = tmp_path_factory.mktemp("inputs") / "lab"
    (folder / "curated-h5").mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        write_curated(folder / "curated-h5" / f"{name}.h5", seed=seed, tasks=3, elements=9, segments=5)
    return folder


@pytest.fixture(scope="module")
def outcome(inputs, tmp_path_factory):
    """The same after a run, and what the run said; never written to."""
    folder = tmp_path_factory.mktemp("outcome") / "lab"
    shutil.copytree(inputs, folder)
    return folder, CliRunner().invoke(app, ["recordings", "events", str(folder), "--no-sync"])


@pytest.fixture
def lab(inputs, tmp_path, monkeypatch):
    """A place with two sessions, as the working directory's ``lab``."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(inputs, tmp_path / "lab")


@pytest.fixture
def done_lab(outcome, tmp_path, monkeypatch):
    """The same after a run that made stores of both."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(outcome[0], tmp_path / "lab")


def test_inspect_shows_a_file_and_a_store(done_lab, run):
    """As tables, and as JSON."""
    shown = run("recordings", "inspect", "lab/curated-h5/Ada L.h5")
    assert shown.exit_code == 0
    assert "task_started" in shown.stdout
    assert json.loads(run("recordings", "inspect", "lab/curated-h5/Ada L.h5", "--json").stdout)["kind"] == "recording"
    stored = run("recordings", "inspect", "lab/processed/event/Ada L_events.zarr")
    assert "element_start_time" in stored.stdout


def test_validate_tells_everything_that_is_wrong(lab, run):
    """A report of every file; exit code 3 when something is."""
    import h5py

    assert run("recordings", "validate", "lab/curated-h5/Ada L.h5").exit_code == 0
    with h5py.File(lab / "curated-h5" / "Bo M.h5", "r+") as file:
        file["events/task_started/data"][0] = "{"

    shown = run("recordings", "validate", *(f"lab/curated-h5/{name}.h5" for name in NAMES))
    assert shown.exit_code == 3
    assert "bad_json" in shown.stdout
    (lab / "no.h5").write_bytes(b"no HDF5")
    among = run("recordings", "validate", "lab/no.h5", "lab/curated-h5/Ada L.h5")
    assert (among.exit_code, "unreadable_file" in among.stdout, "Ada L.h5  sound" in among.stdout) == (3, True, True)
    report = json.loads(run("recordings", "validate", "lab/curated-h5/Bo M.h5", "--json").stdout)
    assert not report["sound"]
    assert [p["row"] for p in report["files"][0]["problems"] if p["code"] == "bad_json"] == [0]


def test_events_makes_a_store_of_each_session(outcome, done_lab, run):
    """A line per session on standard error, the report on standard output."""
    _, done = outcome

    assert done.exit_code == 0
    assert done.stderr.splitlines()[0].startswith("[1/2] Ada L done in")
    assert "2 success" in done.stdout
    assert (done_lab / "processed" / "event" / "Bo M_events.zarr" / "zarr.json").exists()
    again = run("recordings", "events", "lab")
    assert (again.exit_code, again.stderr) == (0, "")
    assert "nothing to do" in again.stdout


def test_a_dry_run_shows_sessions_and_writes_nothing(lab, run):
    """With their sizes."""
    before = all_bytes(lab)
    done = run("recordings", "events", "lab", "--dry-run", "--json")

    plan = json.loads(done.stdout)
    assert (done.exit_code, plan["selected"], plan["found_by_state"]) == (0, 2, {"new": 2})
    assert "2 sessions (2 new)" in run("recordings", "events", "lab", "--dry-run").stdout
    assert all_bytes(lab) == before


@pytest.fixture(scope="module")
def failed_outcome(inputs, tmp_path_factory):
    """A place after a run in which one of two sessions failed, and its exit code; never written to."""
    folder = tmp_path_factory.mktemp("failed") / "lab"
    shutil.copytree(inputs, folder)
    (folder / "curated-h5" / "Bo M.h5").write_bytes(b"broken")
    words = ["recordings", "events", str(folder), "--progress", "none", "--no-sync"]
    return folder, CliRunner().invoke(app, words).exit_code


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--session", "nobody"], 2),
        (["--only", "failed"], 1),
        (["--session", "Ada L"], 0),
        (["--session", "Ada L.h5", "--session", "nobody"], 1),
        (["--only", "skipped"], 2),
        (["--max-items", "0"], 2),
        (["--layout", "round"], 2),
        (["--id-map", "ids.csv", "--hash-ids"], 2),
        (["--hash-key-file", "ids.csv"], 2),
        (["--id-map", "nowhere.csv"], 1),
        (["--event-types", "ids.csv"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_exit_code_tells_how_it_went(failed_outcome, tmp_path, monkeypatch, run, words, code):
    """1 when any session failed, 2 when nothing matched, and for wrong use."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ids.csv").write_text("Ada L,p1\n")
    folder, first = failed_outcome
    shutil.copytree(folder, tmp_path / "lab")
    assert first == 1

    done = run("recordings", "events", "lab", *words)

    assert done.exit_code == code, done.stderr
    assert "Traceback" not in done.stderr


def test_no_sessions_at_all_is_nothing_matched(tmp_path, run):
    """A prefix without inputs is told apart from one that is done."""
    (tmp_path / "curated-h5").mkdir()
    done = run("recordings", "events", tmp_path)

    assert done.exit_code == 2
    assert f"nothing matched: no input directly in {tmp_path}/curated-h5" in done.stdout


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--reset"], ["--executor", "processes"]], ids=" ".join)
def test_a_place_that_is_not_there_is_told_in_one_line(tmp_path, run, more):
    """For a folder, for one with inputs below it, for a single input, and for records."""
    for words in (["nowhere"], ["nowhere", "out"]):
        done = run("recordings", "events", *[tmp_path / word for word in words], *more)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: there is no folder {tmp_path}/nowhere")
        assert done.stderr.count("\n") == 1
    single = run("recordings", "events", tmp_path / "Ada L.h5", tmp_path / "out", *more)
    assert (single.exit_code, single.stdout) == (1, "")
    assert single.stderr == f"error: the .h5 file that is named is not in {tmp_path}. Check its name.\n"
    assert run("recordings", "records", tmp_path / "nowhere").stderr.startswith("error: there is no folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "progress"),
    [
        *((["--hash-ids"], progress) for progress in ("lines", "json", "bar")),
        (["--id-map", "ids.csv"], "lines"),
        pytest.param(["--hash-ids"], "auto", marks=pytest.mark.soak),
        *(
            pytest.param(["--id-map", "ids.csv"], progress, marks=pytest.mark.soak)
            for progress in ("json", "bar", "auto")
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_no_id_is_told_or_written(lab, run, words, progress):
    """Not on standard output or error, whatever becomes of a session, and not in any byte that is written."""
    (lab.parent / "ids.csv").write_text("Ada L,p1\nBo M,p2\n")
    (lab / "curated-h5" / "Bo M.h5").write_bytes(b"broken")

    told = ""
    for more in ([], ["--dry-run"], ["--only", "all", "--json"], ["--only", "all", "-v"], ["--reset"]):
        done = run("recordings", "events", "lab", *words, *more, "--progress", progress)
        told += done.stdout + done.stderr
    told += run("recordings", "records", "lab/processed/event").stdout

    new = "p1" if "--id-map" in words else hash_id("Ada L")
    assert new in told
    written = all_bytes(lab / "processed") + told.encode()
    assert b"Ada" not in written
    assert b"Bo M" not in written


def test_a_secret_changes_the_hashes(lab, run):
    """It is read from a file, never from the command line."""
    (lab.parent / "key.txt").write_text("zebra\n")

    done = run("recordings", "events", "lab", "--hash-ids", "--hash-key-file", "key.txt", "--dry-run")

    assert hash_id("Ada L", key="zebra") in done.stdout
    assert "zebra" not in done.stdout


def test_records_tell_where_sessions_stand(done_lab, run):
    """One line per session, and every record of those that are named."""
    shown = run("recordings", "records", "lab/processed/event")
    assert shown.exit_code == 0
    assert "2 success" in shown.stdout
    one = json.loads(run("recordings", "records", "lab/processed/event", "--session", "Ada L", "--json").stdout)
    assert [record["session_id"] for record in one["records"]] == ["Ada L"]
    assert one["records"][0]["metadata"]["task_count"] > 0
    assert "task_count" in run("recordings", "records", "lab/processed/event", "--session", "Ada L").stdout.replace(
        " ", "_"
    )
    assert run("recordings", "records", "lab/processed/event", "--transform", "window").exit_code == 2


def test_a_reset_makes_sessions_new(done_lab, run):
    """Stores stay unless they are to go too."""
    kept = run("recordings", "events", "lab", "--reset", "--session", "Ada L")
    assert "1 record, 0 outputs" in kept.stdout
    assert (done_lab / "processed" / "event" / "Ada L_events.zarr").exists()
    gone = run("recordings", "events", "lab", "--reset-outputs")
    assert "1 record, 1 output" in gone.stdout
    assert not (done_lab / "processed" / "event" / "Bo M_events.zarr").exists()


def test_verify_compares_every_row(lab, run):
    """With the ids that the run replaced; exit code 3 when something differs."""
    run("recordings", "events", "lab/curated-h5", "out", "--hash-ids")
    store = f"out/{hash_id('Ada L')}_events.zarr"

    same = run("recordings", "verify", "lab/curated-h5/Ada L.h5", store, "--hash-ids")
    assert (same.exit_code, "is what its source says" in same.stdout) == (0, True), same.stdout
    other = run("recordings", "verify", "lab/curated-h5/Bo M.h5", store, "--hash-ids", "--json")
    assert other.exit_code == 3
    assert json.loads(other.stdout)["differences"]


def test_an_old_event_file_is_imported(lab, run):
    """Into the same schema."""
    from benchmarks.recordings.measure import read_tables
    from benchmarks.recordings.original import write_original

    write_original(read_tables(lab / "curated-h5" / "Ada L.h5"), lab.parent / "Ada L_events.h5")

    done = run("recordings", "import-hdf5", "Ada L_events.h5", "new.zarr", "--hash-ids", "--json")

    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["session_id"], report["counts"]["element_count"]) == (hash_id("Ada L"), 9)
    assert b"Ada L" not in all_bytes(lab.parent / "new.zarr") + done.stdout.encode()
    assert run("recordings", "import-hdf5", "Ada L_events.h5", "new.zarr").exit_code == 1


def test_event_types_are_configuration(lab, run):
    """A type map of one's own stands in the record."""
    (lab.parent / "types.toml").write_text('skip = "left_out"\n')

    done = run("recordings", "events", "lab", "--event-types", "types.toml")

    assert done.exit_code == 0, done.stderr
    shown = json.loads(run("recordings", "records", "lab/processed/event", "--session", "Ada L", "--json").stdout)
    assert shown["records"][0]["parameters"]["event_types"]["skip"] == "left_out"


@pytest.mark.parametrize("command", ["inspect", "validate", "events", "records", "verify", "import-hdf5"])
def test_every_command_has_help(run, command):
    """And options for JSON and tracebacks."""
    done = run("recordings", command, "--help")
    assert done.exit_code == 0
    assert "--json" in done.stdout
    assert "--verbose" in done.stdout


def test_a_line_that_nobody_reads_ends_nothing(tmp_path):
    """A run outlives its log."""

    class Closed:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    from types import SimpleNamespace

    lines = SessionLines(Closed())
    lines(RunStarted(1, 1, 1, 0, 0, 0, 1))
    lines.tell(SimpleNamespace(session_id="a", status="success", seconds=1.0, message=""))
