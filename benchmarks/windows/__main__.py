"""Convert a recording with fNIRS at full scale, with a layout and without, beside h5py reading the file once.

    python -m benchmarks.windows --folder /data/bench --frames 26980

Every contender has a process of its own. Peaks are of resident memory above the start.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.execute.workshop import MemoryMeter

CONTENDERS = ("h5py", "layout", "no-layout", "decode", "batches", "xarray", "one-window")
READERS = ("decode", "batches", "xarray")
"""Contenders that read every window; they are compared with the first."""
SINGLE_WINDOWS = 200
"""Windows that are read one by one, at random."""
EEG_FRAMES_PER_FNIRS = 9.76
READ_FRAMES = 53


def make(folder: Path, frames: int) -> Path:
    """Write the file once; later runs find it."""
    from zarrmill.testing.signal_files import LARGE_MODULES, write_signals
    from zarrmill.testing.signals import SignalSpec

    path = folder / f"full-{frames}.h5"
    if not path.exists():
        draft = path.with_suffix(".part")
        draft.unlink(missing_ok=True)
        eeg = SignalSpec("eeg", round(frames * EEG_FRAMES_PER_FNIRS), 30.0, jitter_ms=3.0, drift_ppm=40.0)
        write_signals(draft, [eeg, SignalSpec("fnirs", frames, 292.8, jitter_ms=3.0, modules=LARGE_MODULES)])
        draft.rename(path)
    return path


def make_layout() -> Any:
    """Return a layout on a grid: modules 30 mm apart, sources and detectors within a centimetre of their module."""
    from zarrmill.recordings.windows import channels

    rows = []
    for module in range(1, channels.MODULES + 1):
        x, y = 30.0 * ((module - 1) % 8), 30.0 * ((module - 1) // 8)
        for kind, count in (("source", channels.SOURCES), ("detector", channels.DETECTORS)):
            for number in range(1, count + 1):
                turn = 2 * np.pi * number / count
                place = {"x": x + 9 * np.cos(turn), "y": y + 9 * np.sin(turn), "z": 0.0}
                rows.append({"kind": kind, "module": module, "number": number, **place})
    return channels.make_layout(rows)


def read_h5py(path: Path, _: Path) -> dict[str, Any]:
    """Read all frames once, whole rows of chunks at a time."""
    import h5py

    with h5py.File(path, "r") as file:
        dataset = file["devices/fnirs/frames_data"]
        out = np.empty((READ_FRAMES, *dataset.shape[1:]), dtype=dataset.dtype)
        for start in range(0, len(dataset), READ_FRAMES):
            stop = min(start + READ_FRAMES, len(dataset))
            dataset.read_direct(out, np.s_[start:stop], np.s_[: stop - start])
    return {}


def convert(path: Path, target: Path, *, layout: Any) -> dict[str, Any]:
    """Convert the recording."""
    from zarrmill.recordings import open_recording, write_windows

    with open_recording(path) as recording:
        report = write_windows(recording, target, layout=layout, overwrite=True)
    return {key: report.to_json()[key] for key in ("windows", "fnirs_channels", "bytes_written", "keys_written")}


def decode_chunks(_: Path, target: Path) -> dict[str, Any]:
    """Read and decode every chunk of both signals with as many threads as there are cores, and do nothing with it."""
    import numcodecs

    from zarrmill.execute.executors import cores

    files = [path for name in ("eeg", "fnirs") for path in sorted((target / name).glob("c.*"))]
    codecs = json.loads((target / "eeg/zarr.json").read_text())["codecs"]
    assert [codec["name"] for codec in codecs] == ["bytes", "zstd"]
    codec = numcodecs.Zstd()
    with ThreadPoolExecutor(cores()) as pool:
        nbytes = sum(pool.map(lambda path: len(codec.decode(path.read_bytes())), files))
    return {"bytes_read": nbytes, "chunks": len(files)}


def read_one_by_one(_: Path, target: Path) -> dict[str, Any]:
    """Read single windows at random with xarray, each of which decodes one chunk of either signal."""
    from zarrmill.recordings import open_windows

    windows = open_windows(target)
    chosen = np.random.default_rng(0).integers(0, windows.sizes["time"], SINGLE_WINDOWS).tolist()
    begun = time.perf_counter()
    for number in chosen:
        part = windows.isel(time=number)
        _, _ = part.eeg.values, part.fnirs.values
    return {"ms_per_window": round(1000 * (time.perf_counter() - begun) / len(chosen), 2)}


def read_batches(_: Path, target: Path) -> dict[str, Any]:
    """Read every window once in batches."""
    from zarrmill.recordings import iter_batches

    nbytes = sum(v.nbytes for b in iter_batches(target, size=256, valid=[]) for v in b.signals.values())
    return {"bytes_read": nbytes}


def read_xarray(_: Path, target: Path) -> dict[str, Any]:
    """Read every window once with xarray, a chunk of windows at a time."""
    from zarrmill.recordings import open_windows

    windows, nbytes = open_windows(target), 0
    for start in range(0, windows.sizes["time"], 100):
        part = windows.isel(time=slice(start, start + 100))
        nbytes += part.eeg.values.nbytes + part.fnirs.values.nbytes
    return {"bytes_read": nbytes}


def work(name: str, path: Path, target: Path) -> None:
    """Do one contender and print its figures as JSON."""
    jobs = {
        "h5py": read_h5py,
        "layout": lambda p, t: convert(p, t, layout=make_layout()),
        "no-layout": lambda p, t: convert(p, t, layout=None),
        "decode": decode_chunks,
        "batches": read_batches,
        "xarray": read_xarray,
        "one-window": read_one_by_one,
    }
    meter, begun, cpu = MemoryMeter(), time.perf_counter(), time.process_time()
    figures = jobs[name](path, target)
    seconds = time.perf_counter() - begun
    cost = {"seconds": round(seconds, 2), "cpu_seconds": round(time.process_time() - cpu, 2)}
    print(json.dumps({"name": name, **cost, "peak_mem": meter.peak(), **figures}))


def main() -> None:
    """Run the contenders one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=26_980)
    parser.add_argument("--only", nargs="*", default=CONTENDERS, choices=CONTENDERS)
    parser.add_argument("--work", choices=CONTENDERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    path, target = asked.folder / f"full-{asked.frames}.h5", asked.folder / "windows.zarr"
    if asked.work:
        work(asked.work, path, target)
        return
    make(asked.folder, asked.frames)
    base = decoding = 0.0
    for name in asked.only:
        command = [sys.executable, "-m", "benchmarks.windows", "--folder", str(asked.folder)]
        command += ["--frames", str(asked.frames), "--work", name]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        base = found["seconds"] if name == "h5py" else base
        decoding = found["seconds"] if name == "decode" else decoding
        ratio = f" {found['seconds'] / base:.2f} x h5py" if base else ""
        if decoding and name in READERS:
            ratio = f" {found['seconds'] / decoding:.2f} x decode"
        print(f"{name:10} {found['seconds']:8.1f} s {found['peak_mem'] / 2**20:7.0f} MiB{ratio}  {found}", flush=True)
    shutil.rmtree(target, ignore_errors=True)


if __name__ == "__main__":
    main()
