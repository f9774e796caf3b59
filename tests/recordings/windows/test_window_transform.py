"""``WindowTransform``: sessions become stores of windows, by the framework's rules."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import make_frames
from zarrmill.errors import NotFoundError
from zarrmill.recordings import Identities, Selection, TransformOptions, WindowSettings, WindowTransform, open_windows
from zarrmill.recordings.hdf5 import load_h5py
from zarrmill.recordings.windows import operation

SETTINGS = WindowSettings(filter=None)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A place with two sessions, one of which has no frame with a time."""
    devices = {"eeg": make_frames(1_400), "fnirs": make_frames(200, period=210.0)}
    write_recording(tmp_path / "curated-h5/Ada L.h5", **devices, channels=5_000)
    untimed = make_frames(70)
    untimed.stored[:] = float("nan")
    write_recording(tmp_path / "curated-h5/b.h5", eeg=untimed)
    return tmp_path


def test_sessions_become_stores_and_records(sessions: Path) -> None:
    """A session without windows is skipped with the reason; the other has a store and figures."""
    report = WindowTransform(sessions, settings=SETTINGS).run()

    by_id = {record.session_id: record for record in report.records}
    assert by_id["b"].status == "skipped"
    assert "no frame has a time" in by_id["b"].message
    assert by_id["Ada L"].status == "success"
    assert by_id["Ada L"].metadata["windows"] == by_id["Ada L"].metadata["eeg_valid"] == 200
    assert by_id["Ada L"].parameters["window_ms"] == 210.0
    assert open_windows(sessions / "processed/windows/Ada L_windowed.zarr").sizes["time"] == 200


def test_ids_are_replaced_everywhere(sessions: Path) -> None:
    """No key, attribute or record holds the id that the input has."""
    options = TransformOptions(identities=Identities(names={"Ada L": "p01", "b": "p02"}))

    WindowTransform(sessions / "curated-h5", sessions / "out", settings=SETTINGS, options=options).run()

    assert open_windows(sessions / "out/p01_windowed.zarr").attrs["source_name"] == "p01.h5"
    for path in (sessions / "out").rglob("*"):
        assert "Ada" not in path.name
        assert path.is_dir() or b"Ada" not in path.read_bytes()


def test_a_session_that_was_stopped_goes_on(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that are done when a session fails are not done again."""
    monkeypatch.setattr(operation, "FNIRS_FRAMES", 100)
    monkeypatch.setattr(operation, "HDF5_CHUNKS", 1)
    plain = operation.WindowOperation._do_fnirs

    def fail(self: operation.WindowOperation, block: Any, advance: Any) -> Any:
        if block.payload.start:
            raise ValueError("a bad block")
        return plain(self, block, advance)

    transform = WindowTransform(sessions, settings=SETTINGS)
    only = Selection(names=("Ada L",))
    with monkeypatch.context() as patch:
        patch.setattr(operation.WindowOperation, "_do_fnirs", fail)
        assert transform.run(only).exit_code == 1
    store = sessions / "processed/windows/Ada L_windowed.zarr"
    with pytest.raises(NotFoundError):
        open_windows(store)

    report = transform.run(only)

    assert report.exit_code == 0
    assert report.records[0].metadata["resumed_blocks"] >= 2
    assert open_windows(store).fnirs_valid.values.all()


def test_a_session_done_again_replaces_its_store(sessions: Path) -> None:
    """Other settings give another store in the place of the old one."""
    every = Selection(only=("all",), names=("Ada L",))
    WindowTransform(sessions, settings=SETTINGS).run(every)

    report = WindowTransform(sessions, settings=WindowSettings(filter=None, window_ms=420)).run(every)

    assert report.exit_code == 0
    assert open_windows(sessions / "processed/windows/Ada L_windowed.zarr").sizes["time"] == 100


@pytest.mark.slow
def test_sessions_in_processes(sessions: Path) -> None:
    """Another process gets all that it needs."""
    report = WindowTransform(sessions, settings=SETTINGS).run(executor="processes", workers=1)

    assert sorted(record.status for record in report.records) == ["skipped", "success"]


def test_sessions_on_s3(sessions: Path, s3_bucket: str, storage_options: dict[str, Any]) -> None:
    """Stores go straight to a bucket, and one that is there is replaced."""
    made = WindowTransform(
        sessions / "curated-h5",
        f"{s3_bucket}/windows",
        settings=SETTINGS,
        options=TransformOptions(storage_options={"target": storage_options}),
    )

    first, second = (made.run(Selection(only=("all",), names=("Ada L",))) for _ in range(2))

    assert first.exit_code == second.exit_code == 0
    store = open_windows(f"{s3_bucket}/windows/Ada L_windowed.zarr", storage_options=storage_options)
    assert store.eeg_valid.values.all()


def test_a_full_disk_costs_its_session_and_no_block(sessions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says so, nothing opens, and with space again the session goes on after its finished blocks."""
    monkeypatch.setattr(operation, "FNIRS_FRAMES", 100)
    monkeypatch.setattr(operation, "HDF5_CHUNKS", 1)
    plain, only = operation.SignalTarget.put, Selection(names=("Ada L",))

    def put(self: operation.SignalTarget, key: str, data: Any) -> None:
        if self.path == "fnirs" and not key.startswith("c.0"):
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(self, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(operation.SignalTarget, "put", put)
        (failed,) = WindowTransform(sessions, settings=SETTINGS).run(only).records
    assert (failed.status, "no space left" in failed.message) == ("failed", True)
    with pytest.raises(NotFoundError):
        open_windows(sessions / "processed/windows/Ada L_windowed.zarr")

    (done,) = WindowTransform(sessions, settings=SETTINGS).run(only).records

    assert done.status == "success"
    assert done.metadata["resumed_blocks"] >= 2


@pytest.mark.parametrize(
    "content", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(500)], ids=["empty", "text", "cut off"]
)
def test_an_input_that_is_none_fails_its_session_alone(sessions: Path, content: bytes) -> None:
    """The other session has its store, and nothing is left of the bad one."""
    (sessions / "curated-h5/a-bad.h5").write_bytes(content)

    report = WindowTransform(sessions, settings=SETTINGS).run()

    assert report.exit_code == 1
    assert {r.session_id: r.status for r in report.records} == {
        "Ada L": "success", "a-bad": "failed", "b": "skipped",
    }  # fmt: skip
    made = sorted(path.name for path in (sessions / "processed/windows").iterdir())
    assert made == ["Ada L_windowed.zarr", "records"]


def test_frames_that_cannot_be_decoded_fail_their_session(sessions: Path) -> None:
    """A damaged chunk is named by its frames, and nothing opens."""
    path = sessions / "curated-h5/Ada L.h5"
    with load_h5py().File(path, "a") as file:
        dataset = file["devices/fnirs/frames_data"]
        dataset.id.write_direct_chunk((53, 0, 0), b"no deflated data")

    (record,) = WindowTransform(sessions, settings=SETTINGS).run(Selection(names=("Ada L",))).records

    assert record.status == "failed"
    assert "frames from 53 cannot be decoded" in record.message
    with pytest.raises(NotFoundError):
        open_windows(sessions / "processed/windows/Ada L_windowed.zarr")
