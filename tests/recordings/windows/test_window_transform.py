"""``WindowTransform``: sessions become stores of windows, by the framework's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import make_frames
from zarrmill.errors import NotFoundError
from zarrmill.recordings import Identities, Selection, TransformOptions, WindowSettings, WindowTransform, open_windows
from zarrmill.recordings.windows import operation

SETTINGS = WindowSettings(filter=None)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A place with two sessions, one of which has no frame with a time."""
    write_recording(tmp_path / "curated-h5/Ada L.h5", eeg=make_frames(1_400), fnirs=make_frames(200, period=210.0))
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
