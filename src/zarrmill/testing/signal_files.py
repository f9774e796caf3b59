"""Writes signals into curated files; fNIRS chunk by chunk, as most of its 2 MB a frame are -inf."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.hdf5 import load_h5py
from zarrmill.testing.signals import (
    EEG_CHANNELS,
    EEG_SAMPLES,
    FNIRS_CHANNELS,
    SignalSpec,
    SignalTruth,
    plan_signal,
)

EEG_CHUNKS, FNIRS_CHUNKS = (64, EEG_CHANNELS, EEG_SAMPLES), (53, 972, 1)
"""Usual chunks; those of fNIRS are what h5py chooses by itself for 26,980 frames."""
LARGE_MODULES = (*range(1, 9), 13, 14, 19, 20, 23, 24, 25, 26, 29, 30, 31, 32)
"""Modules of a real headset: 20 of 48, 2,160 channels with values."""
_ROWS = 1024
"""Rows of EEG that are made at once."""
_LEVEL = 1
"""Level of gzip: -inf shrinks to a thousandth with any, and the values do not shrink."""
_CLOCKS = (40.0, 0.0, -12.0)
"""What the three columns of timestamps say beside the time of a frame, in milliseconds."""


def write_signals(
    path: str | os.PathLike[str], signals: Sequence[SignalSpec], *, seed: int = 0
) -> dict[str, SignalTruth]:
    """Write signals into a curated file, a new one where there is none, and return the truth by device."""
    with load_h5py().File(path, "a") as file:
        return add_signals(file, signals, seed=seed)


def write_large_fnirs(path: str | os.PathLike[str], *, frames: int = 26_980, seed: int = 0) -> SignalTruth:
    """Write a file with fNIRS as large as a real session's: 53.7 GB of values in about 650 MB, in two minutes."""
    spec = SignalSpec("fnirs", frames, 292.8, modules=LARGE_MODULES)
    return write_signals(path, [spec], seed=seed)["fnirs"]


def add_signals(file: Any, signals: Sequence[SignalSpec], *, seed: int) -> dict[str, SignalTruth]:
    """Write signals into an open h5py file and return the truth by device."""
    truths: dict[str, SignalTruth] = {}
    for spec in signals:
        truth = plan_signal(spec, seed=seed)
        name = spec.device if spec.old_layout else f"devices/{spec.device}"
        group = file.require_group(name)
        group["timestamps"] = truth.stored_times[:, None] + np.array(_CLOCKS)
        write = _write_eeg if spec.device == "eeg" else _write_fnirs
        write(group, "data" if spec.old_layout else "frames_data", truth)
        truths[spec.device] = truth
    return truths


def _write_eeg(group: Any, name: str, truth: SignalTruth) -> None:
    rows = len(truth.times)
    chunks = truth.spec.chunks or EEG_CHUNKS
    dataset = group.create_dataset(
        name, (rows, EEG_CHANNELS, EEG_SAMPLES), "f4", chunks=chunks, maxshape=(None, EEG_CHANNELS, EEG_SAMPLES)
    )
    for start in range(0, rows, _ROWS):
        stop = min(start + _ROWS, rows)
        dataset[start:stop] = truth.values(start, stop, channels=truth.channels)


def _write_fnirs(group: Any, name: str, truth: SignalTruth) -> None:
    rows = len(truth.times)
    chunks = truth.spec.chunks or FNIRS_CHUNKS
    dataset = group.create_dataset(
        name, (rows, FNIRS_CHANNELS, 1), "f8", chunks=chunks, compression="gzip", compression_opts=_LEVEL,
        maxshape=(None, FNIRS_CHANNELS, 1), fillvalue=-np.inf,
    )  # fmt: skip
    columns = _group_columns(truth.channels, chunks[1])
    empty = _compress(np.full(chunks[:2], -np.inf))
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, rows, chunks[0]):
            values = truth.values(start, start + chunks[0], channels=truth.channels)
            packed = dict(zip(columns, pool.map(partial(_pack, values, chunks), columns.values()), strict=True))
            for number in range(-(-FNIRS_CHANNELS // chunks[1])):
                dataset.id.write_direct_chunk((start, number * chunks[1], 0), packed.get(number, empty))


_Columns = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Which of the finite channels lie in a chunk, and where in it."""


def _group_columns(channels: NDArray[np.int64], width: int) -> dict[int, _Columns]:
    """Return which chunks along the channels hold values, and where."""
    return dict(_columns_of(channels, width))


def _columns_of(channels: NDArray[np.int64], width: int) -> Iterator[tuple[int, _Columns]]:
    for number in np.unique(channels // width).tolist():
        which = np.flatnonzero(channels // width == number)
        yield number, (which, channels[which] % width)


def _pack(values: NDArray[np.float64], chunks: tuple[int, ...], columns: _Columns) -> bytes:
    """Return the bytes of a chunk; one at the end of the frames is as large as the others."""
    block = np.full(chunks[:2], -np.inf)
    which, places = columns
    block[: len(values), places] = values[:, which]
    return _compress(block)


def _compress(block: NDArray[np.float64]) -> bytes:
    return zlib.compress(block.tobytes(), _LEVEL)
