"""Windows on a dask cluster: the bytes of one process, on disk and on S3, a lost worker included."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from tests.recordings.windows.files import Written, files_of, write_recording
from tests.recordings.windows.signals import make_frames, with_hole
from zarrmill.progress import BlockFinished, Message
from zarrmill.recordings import WindowReport, WindowTransform, open_recording, open_windows, write_windows
from zarrmill.recordings.windows import operation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    """A little data makes many blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"EEG_FRAMES": 700, "FNIRS_FRAMES": 100, "HDF5_CHUNKS": 1}.items():
            patch.setattr(operation, name, value)
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A file of two minutes with a hole."""
    eeg = with_hole(make_frames(4_200), at=2_000, milliseconds=3_000.0)
    fnirs = make_frames(600, period=210.0)
    return write_recording(tmp_path_factory.mktemp("cluster") / "s-01.h5", eeg=eeg, fnirs=fnirs, channels=5_000)


@pytest.fixture(scope="module")
def alone(written: Written) -> WindowReport:
    """What one process says of the store that it makes of the file."""
    return convert(written, written.path.with_name("whole.zarr"), executor="serial")


@pytest.fixture(scope="module")
def whole(written: Written, alone: WindowReport) -> Path:
    """That store, which is never written to."""
    return written.path.with_name("whole.zarr")


def convert(written: Written, target: Any, **options: Any) -> WindowReport:
    with open_recording(written.path) as recording:
        return write_windows(recording, target, **options)


def test_a_cluster_writes_the_same_bytes(
    client: Any, written: Written, whole: Path, alone: WindowReport, tmp_path: Path
) -> None:
    """Blocks are filtered on the workers; nothing is left beside the store."""
    report = convert(written, tmp_path / "w.zarr", executor=client)

    assert report.blocks == alone.blocks >= 10
    assert files_of(tmp_path / "w.zarr") == files_of(whole)
    assert os.listdir(tmp_path) == ["w.zarr"]
    assert report.peak_mem > 0


def test_a_cluster_writes_to_s3(
    client: Any, written: Written, whole: Path, s3_bucket: str, storage_options: dict[str, Any]
) -> None:
    """The workers put the chunks themselves."""
    convert(written, f"{s3_bucket}/w.zarr", executor=client, storage_options=storage_options)

    there = open_windows(f"{s3_bucket}/w.zarr", storage_options=storage_options).load()
    xr.testing.assert_equal(there, open_windows(whole).load())


def test_a_worker_that_dies_costs_its_block(client: Any, written: Written, whole: Path, tmp_path: Path) -> None:
    """Its block is done again, and the store is the same."""
    seen: list[Message] = []

    def strike(message: Message) -> None:
        seen.extend([message] if isinstance(message, BlockFinished) else [])
        if len(seen) == 2 and isinstance(message, BlockFinished):
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)

    convert(written, tmp_path / "w.zarr", executor=client, progress=strike)

    assert files_of(tmp_path / "w.zarr") == files_of(whole)


def test_sessions_on_a_cluster(client: Any, written: Written, tmp_path: Path) -> None:
    """A worker does a whole session."""
    report = WindowTransform(written.path, tmp_path).run(executor=client)

    assert report.by_status == {"success": 1}
    windows = open_windows(tmp_path / "s-01_windowed.zarr")
    assert windows.sizes["time"] == report.records[0].metadata["windows"]
