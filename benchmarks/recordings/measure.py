"""What is measured: one large session, many usual ones, requests, and the same work as the HDF5 version did it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import zarr

from benchmarks.figures import Figure, median_ms
from benchmarks.recordings.original import RangeReader, read_original, write_original
from tests.servers.client import Proxy
from tests.servers.s3 import S3Server
from zarrmill.execute.executors import cores
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.progress import BlockFinished
from zarrmill.recordings.dataset import create_dataset
from zarrmill.recordings.encoded_dataset import encode_dataset
from zarrmill.recordings.event_reader import open_events
from zarrmill.recordings.event_transform import EventTransform
from zarrmill.recordings.processing import extract, process
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.save import save_dataset
from zarrmill.recordings.selection import Selection
from zarrmill.store import open_keys
from zarrmill.testing import SignalSpec, write_curated, write_usual

READERS = {
    "plain": """
import json, sys, time
import h5py

def read(path):
    with h5py.File(path, "r") as file:
        file["metadata"].attrs["start_time"]
        for group in file["events"].values():
            for dataset in group.values():
                values = dataset[()]
                if h5py.check_string_dtype(dataset.dtype):
                    [text.decode() for text in values.tolist()]
""",
    "checked": """
import json, sys, time
from zarrmill.recordings.recording import open_recording

def read(path):
    with open_recording(path) as recording:
        assert recording.events and recording.source.sha256
""",
}
"""What no transform can be faster than: every dataset of the events by h5py, text as text; and as the transform reads
it, JSON parsed, every row checked, with the checksum of the file."""
TIMED = """
begun = time.perf_counter()
for path in sys.argv[1:]:
    read(path)
print(json.dumps(time.perf_counter() - begun))
"""


def read_tables(path: Path):
    """The tables of a curated file."""
    with open_recording(path) as recording:
        found = extract(recording)
    return process(found.events, session_id=found.session_id, start_time=found.start_time, problems=found.problems)


def measure_large(folder: Path, scale: float) -> Iterator[Figure]:
    """One session of 5,000 elements and 5,000 segments, from file to store."""
    count = max(20, round(5000 * scale))
    (folder / "in").mkdir()
    truth = write_curated(folder / "in" / "large.h5", tasks=50, elements=count, segments=count)
    transform = EventTransform(folder / "in", folder / "out")
    seconds = median_ms(lambda: transform.run(Selection(only=("all",))), times=3, before=1) / 1000
    yield Figure(f"{count:,} elements and {count:,} segments, file to store", seconds, "s", 2, "on disk, with sync")
    begun = time.process_time()
    transform.run(Selection(only=("all",)))
    yield Figure("of that processor time", time.process_time() - begun, "s", None, "whatever else the machine does")
    yield Figure("of that reading the file", median_ms(lambda: _read(truth.path), times=3) / 1000, "s")
    processed = read_tables(truth.path)
    encoded = median_ms(lambda: encode_dataset(create_dataset(processed)), times=3) / 1000
    yield Figure("of that encoding the store", encoded, "s", None, f"{len(create_dataset(processed).variables)} arrays")


def _read(path: Path) -> None:
    with open_recording(path) as recording:
        assert recording.source.sha256


def measure_many(folder: Path, scale: float) -> Iterator[Figure]:
    """A thousand sessions of the usual size on all cores, beside reading them alone; memory over their number."""
    count, inputs = max(4, round(1000 * scale)), folder / "in"
    inputs.mkdir()
    write_usual(folder / "usual.h5")
    paths = [inputs / f"s{i:04}.h5" for i in range(count)]
    for path in paths:
        os.link(folder / "usual.h5", path)
    reading = {kind: _read_alone(paths, kind) for kind in READERS}
    for kind, what in (("plain", "by h5py, text as text"), ("checked", "JSON parsed and every row checked")):
        note = f"{what}; {count / reading[kind]:.1f} sessions a second, {cores()} processes"
        yield Figure(f"reading {count:,} sessions alone, {kind}", reading[kind] / count * 1000, "ms each", None, note)
    peaks, before = Peaks(), _processor_seconds()
    report = EventTransform(inputs, folder / "out").run(executor="processes", progress=peaks)
    spent = _processor_seconds() - before
    assert report.by_status == {"success": count}, report.by_status
    note = f"{count / report.seconds:.1f} sessions a second"
    yield Figure(f"{count:,} sessions to stores", report.seconds / count * 1000, "ms each", None, note)
    yield Figure("of that processor time", spent / count * 1000, "ms each", None, "of all processes, their start too")
    for kind, seconds in reading.items():
        yield Figure(f"times of reading alone, {kind}", report.seconds / seconds, "", None, "what is read is stored")
    for part in (0.1, 0.5, 1):
        sessions = max(1, round(part * count))
        peak = peaks.after[sessions - 1]
        yield Figure(f"memory of a process after {sessions:,} sessions", peak / 2**20, "MiB", None, "at the most")
    growth = peaks.after[-1] / max(1, peaks.after[max(1, count // 10) - 1])
    yield Figure("memory over 10 times the sessions", growth, "times", 1.25, "flat is 1")
    yield Figure("a second run with nothing to do", _again(inputs, folder / "out"), "s", None, "two listings")


def measure_whole(folder: Path, scale: float) -> Iterator[Figure]:
    """Sessions as they come from a lab: files of a gigabyte with their signals, on the disk and not in memory."""
    count, frames, inputs = max(4, round(20 * scale)), max(500, round(600_000 * scale)), folder / "in"
    inputs.mkdir()
    paths = [inputs / f"s{i:02}.h5" for i in range(count)]
    truth = write_usual(paths[0], signals=[SignalSpec("eeg", frames, 12.0)])
    for path in paths[1:]:
        shutil.copyfile(truth.path, path)
    _forget(paths)
    begun = time.perf_counter()
    _read_alone(paths, "checked")
    reading = time.perf_counter() - begun
    note = f"{truth.path.stat().st_size * count / reading / 2**20:.0f} MiB a second from the disk, with their checksums"
    yield Figure(f"reading {count} sessions with signals alone", reading / count * 1000, "ms each", None, note)
    _forget(paths)
    report = EventTransform(inputs, folder / "out").run(executor="processes")
    assert report.by_status == {"success": count}, report.by_status
    yield Figure(
        f"{count} sessions with signals to stores", report.seconds / count * 1000, "ms each", None, "with sync"
    )
    note = "in both the start of the processes too"
    yield Figure("times of reading alone, with signals", report.seconds / reading, "", 1.25, note)


def _forget(paths: Sequence[Path]) -> None:
    """Have the next reader fetch files from the disk."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Peaks:
    """The largest memory of any process above its start, after each session."""

    def __init__(self) -> None:
        self.after: list[int] = []

    def __call__(self, message) -> None:
        if isinstance(message, BlockFinished):
            self.after.append(max([message.peak, *self.after[-1:]]))


def _again(inputs: Path, out: Path) -> float:
    begun = time.perf_counter()
    assert EventTransform(inputs, out).run().records == ()
    return time.perf_counter() - begun


def _processor_seconds() -> float:
    """The processor time of this process and of those of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _read_alone(paths: list[Path], kind: str) -> float:
    """The seconds that as many processes as cores take to read every file, their start not counted."""
    parts = [paths[i :: cores()] for i in range(cores())]
    command = [sys.executable, "-c", READERS[kind] + TIMED]
    children = [subprocess.Popen([*command, *map(str, part)], stdout=subprocess.PIPE) for part in parts]
    return max(json.loads(child.communicate()[0]) for child in children)


def measure_beside(folder: Path, scale: float) -> Iterator[Figure]:
    """The same tables of a large session as the HDF5 version wrote them: structured arrays in nested groups."""
    count = max(20, round(5000 * scale))
    truth = write_curated(folder / "large.h5", tasks=50, elements=count, segments=count)
    processed, old, new = read_tables(truth.path), folder / "old.h5", folder / "new.zarr"
    dataset = create_dataset(processed)
    for what, call, path in (
        ("store", lambda: save_dataset(dataset, new, overwrite=True, sync=False), new),
        ("HDF5", lambda: write_original(processed, old), old),
    ):
        meter = WORKSHOP.measure()
        meter.restart()
        taken = median_ms(call, times=5, before=1)
        yield Figure(f"writing, {what}", taken, "ms", None, f"{meter.peak() / 2**20:.0f} MiB of memory")
        raw = ", raw events and issues among them" if what == "store" else ""
        yield Figure(f"stored bytes, {what}", _nbytes(path) / 1024, "KiB", None, f"{count:,} elements{raw}")
    yield Figure("elements as arrays, store", median_ms(lambda: open_events(new).columns("element"), times=9), "ms")
    yield Figure("elements as arrays, HDF5", median_ms(lambda: _read_old(old), times=9), "ms")
    one = median_ms(lambda: zarr.open_group(new, mode="r")["element_start_time"][:], times=9)
    yield Figure("one column, store", one, "ms", None, "by zarr-python")


def _read_old(path: Path):
    with h5py.File(path) as file:
        return read_original(file, "element")


def _nbytes(path: Path) -> int:
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


def measure_requests(folder: Path, scale: float) -> Iterator[Figure]:
    """Requests on S3: writing the store of a session, opening it, and reading one table, beside the HDF5 file."""
    count = max(20, round(5000 * scale))
    truth = write_curated(folder / "large.h5", tasks=50, elements=count, segments=count)
    processed = read_tables(truth.path)
    dataset, old = create_dataset(processed), folder / "old.h5"
    write_original(processed, old)
    with S3Server() as server, Proxy(server) as proxy:
        bucket = f"s3://{server.create_bucket()}"
        stored = {"storage_options": proxy.storage_options}
        encoded = encode_dataset(dataset)
        arrays, chunks = len(dataset.variables), len(encoded.chunks("."))
        # A chunk for each array at the most, a document for each and for the root, and the claim.
        parts = f"{chunks} chunks of {arrays} arrays, {len(encoded.documents('.'))} documents, 1 claim"
        for kind in ("new", "replaced"):
            proxy.reset_counts()
            save_dataset(dataset, f"{bucket}/a.zarr", overwrite=True, **stored)
            counts = proxy.get_counts()
            limit = 2 * arrays + 2 if kind == "new" else None
            note = f"{parts}; all requests: {_say(counts)}"
            yield Figure(f"PUTs of a {kind} store", counts["PUT"], "requests", limit, note)
        proxy.reset_counts()
        open_events(f"{bucket}/a.zarr", **stored).columns("element")
        yield Figure("open and read the elements, store", proxy.get_counts().total, "requests", None, _traffic(proxy))
        keys = open_keys(bucket, **stored)
        keys.put("old.h5", old.read_bytes())
        proxy.reset_counts()
        reader = RangeReader(keys, "old.h5")
        with h5py.File(reader) as file:
            read_original(file, "element")
        yield Figure(
            "open and read the elements, HDF5 in parts", proxy.get_counts().total, "requests", None, _traffic(proxy)
        )
        proxy.reset_counts()
        keys.get("old.h5")
        yield Figure(
            "open and read the elements, HDF5 whole", proxy.get_counts().total, "requests", None, _traffic(proxy)
        )


def _say(counts) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in counts.requests.items())


def _traffic(proxy: Proxy) -> str:
    return f"{proxy.get_counts().bytes_out / 1024:.0f} KiB"
