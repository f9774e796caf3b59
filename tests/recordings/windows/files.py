"""Small curated files with signals: few channels, real chunks, values that tell which frame they are of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.recordings.windows.signals import START, Frames
from zarrmill.recordings.hdf5 import load_h5py

CHANNELS = 40_000
"""fNIRS channels of the small files: enough for chunks large enough to be decoded here."""
CHUNKS = (53, 972, 1)


@dataclass(frozen=True)
class Written:
    """A file and what is in it."""

    path: Path
    eeg: NDArray[np.float32] | None
    fnirs: NDArray[np.float64] | None


def write_recording(path: Path, *, eeg: Frames | None = None, fnirs: Frames | None = None, **layout: Any) -> Written:
    """Write a curated file; values are noise with an offset, and most fNIRS channels are -inf."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with load_h5py().File(path, "w") as file:
        file.create_group("metadata").attrs["start_time"] = START
        values = [
            None if frames is None else write_device(file, name, frames, **layout)
            for name, frames in (("eeg", eeg), ("fnirs", fnirs))
        ]
    return Written(path, values[0], values[1])


def write_device(
    file: Any,
    name: str,
    frames: Frames,
    *,
    chunks: tuple[int, ...] | None = CHUNKS,
    channels: int = CHANNELS,
    shuffle: bool = False,
) -> Any:
    """Write the frames of a device and return their values."""
    random = np.random.default_rng(len(frames.stored))
    if name == "eeg":
        count = len(frames.stored)
        values = (50 + 20 * random.standard_normal((count, 28, 15))).astype(np.float32)
        options: dict[str, Any] = {"chunks": (64, 28, 15)}
    else:
        values = np.full((len(frames.stored), channels, 1), -np.inf)
        values[:, finite_channels(channels), 0] = 1 + random.random((len(values), len(finite_channels(channels))))
        options = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": shuffle} if chunks else {}
    group = file.create_group(f"devices/{name}")
    group.create_dataset("frames_data", data=values, **options)
    group["timestamps"] = np.stack([frames.stored + 40, frames.stored, frames.stored - 12], axis=1)
    return values


def finite_channels(channels: int = CHANNELS) -> NDArray[np.int64]:
    """Return the channels that hold values: some in the first chunk, some across two, one in the last."""
    return np.array([0, 1, 5, 970, 971, 972, 973, channels // 2, channels - 1])


def files_of(store: Path) -> dict[str, bytes]:
    """Return the bytes of every key of a store, but for when it was made."""
    found = {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}
    root = json.loads(found.pop("zarr.json"))
    del root["attributes"]["created_at"]
    return {**found, "zarr.json": json.dumps(root).encode()}
