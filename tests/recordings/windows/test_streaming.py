"""Reading windows: one costs one chunk, and in order they come at the speed of decoding."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import make_frames
from tests.servers.client import Proxy
from zarrmill.execute.executors import cores
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.recordings import WindowChunks, WindowSettings, iter_batches, open_recording, open_windows, write_windows

PLAIN = WindowSettings(filter=None)
MOST_OVER_DECODING = 2.0
"""Part of the processor's time for decoding that batches may take; nearly all is decoding, but little data is noisy."""


def write(path: Path, target: Any, *, windows: int, **options: Any) -> None:
    """Write so many windows of both devices."""
    made = write_recording(path, eeg=make_frames(7 * windows), fnirs=make_frames(windows, period=210.0), channels=2_000)
    with open_recording(made.path) as recording:
        write_windows(recording, target, settings=PLAIN, **options)


@pytest.fixture
def remote(tmp_path: Path, s3_bucket: str, proxy: Proxy) -> str:
    """A store of 400 windows in a bucket; requests are counted from here on."""
    url = f"{s3_bucket}/w.zarr"
    write(tmp_path / "s.h5", url, windows=400, storage_options=proxy.server.storage_options)
    proxy.reset_counts()
    return url


def chunks_read(proxy: Proxy, url: str, array: str) -> list[str]:
    """Return the chunks of an array that were asked for, in order."""
    bucket, _, store = url.removeprefix("s3://").partition("/")
    found = proxy.get_requests(f"{store}/{array}/c", bucket=bucket)
    assert {request.kind for request in found} <= {"GET"}
    return [request.key.rpartition("/")[2] for request in found]


@pytest.mark.parametrize("signal", ["eeg", "fnirs"])
def test_one_window_costs_one_chunk(remote: str, proxy: Proxy, signal: str) -> None:
    """A window is one request for one chunk, and so are the hundred windows of a chunk."""
    windows = open_windows(remote, storage_options=proxy.storage_options)
    assert chunks_read(proxy, remote, signal) == []

    one = windows[signal][250].values
    assert np.isfinite(one).all()
    assert [key.split(".")[:2] for key in chunks_read(proxy, remote, signal)] == [["c", "2"]]

    _ = windows[signal][300:400].values
    assert [key.split(".")[1] for key in chunks_read(proxy, remote, signal)] == ["2", "3"]


def test_in_order_every_chunk_is_asked_for_once(remote: str, proxy: Proxy) -> None:
    """Batches of any size cost a request per chunk and signal."""
    chunks = WindowChunks(remote, storage_options=proxy.storage_options)

    count = sum(len(batch) for batch in iter_batches(chunks, size=33))

    assert count == 400
    for signal in ("eeg", "fnirs"):
        assert sorted(key.split(".")[1] for key in chunks_read(proxy, remote, signal)) == ["0", "1", "2", "3"]


def test_chunks_are_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first batch is in use, threads have the next chunk already."""
    write(tmp_path / "s.h5", tmp_path / "w.zarr", windows=800)
    read, plain = set(), WindowChunks.read

    def note(self: WindowChunks, name: str, number: int) -> Any:
        made = plain(self, name, number)
        read.add((name, number))
        return made

    monkeypatch.setattr(WindowChunks, "read", note)
    batches = iter_batches(tmp_path / "w.zarr", size=100)
    first = next(batches)

    deadline = time.monotonic() + 10
    while ("eeg", 1) not in read and time.monotonic() < deadline:
        time.sleep(0.01)
    assert first.index.tolist() == list(range(100))
    assert ("eeg", 1) in read


@pytest.mark.slow
def test_in_order_windows_come_at_the_speed_of_decoding(tmp_path: Path) -> None:
    """Reading all windows in batches takes hardly more of the processor than decoding their chunks does."""
    write(tmp_path / "s.h5", tmp_path / "w.zarr", windows=4_000)
    files = sorted((tmp_path / "w.zarr/eeg").glob("c.*"))
    assert len(files) == 40

    def decode_all() -> None:
        codec = numcodecs.Zstd()
        for made in WORKSHOP.pool(cores()).map(lambda path: codec.decode(path.read_bytes()), files):
            assert len(made) == 100 * 21 * 105 * 4

    def read_all() -> None:
        assert sum(len(batch) for batch in iter_batches(tmp_path / "w.zarr", size=100, signals=["eeg"])) == 4_000

    decoding, batches = (min(cpu_seconds(job) for _ in range(5)) for job in (decode_all, read_all))

    assert batches < MOST_OVER_DECODING * decoding


def cpu_seconds(job: Any) -> float:
    """Return the processor's time for a job, all threads together."""
    begun = time.process_time()
    job()
    return time.process_time() - begun
