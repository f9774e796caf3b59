"""What is to be run for one recording: its jobs, the stages of blocks that do them, and which blocks have lost keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.grid import ceil_div
from zarrmill.layout import ArrayLayout
from zarrmill.plan.model import BlockResult
from zarrmill.recordings.windows.eeg_stream import EegJob
from zarrmill.recordings.windows.fnirs_stream import FnirsJob
from zarrmill.recordings.windows.operation import WindowStage, eeg_block, fnirs_block, scan_block
from zarrmill.recordings.windows.settings import WindowSettings
from zarrmill.recordings.windows.window_plan import WindowPlan
from zarrmill.recordings.windows.window_source import SignalDevice, WindowSource
from zarrmill.recordings.windows.window_store import Scheme, eeg_layout, fnirs_layout

MOST_CHUNK_NBYTES = 2**28
"""Size of a chunk of EEG from which on something is wrong: a few of them are in memory at once."""


def eeg_job(source: WindowSource, plan: WindowPlan, settings: WindowSettings) -> tuple[EegJob, ArrayLayout] | None:
    """Return what is to be made of EEG and how it lies, None without EEG.

    Raises InvalidInputError when the file has none of the channels, or when a chunk would be enormous.
    """
    device = source.devices.get("eeg")
    if device is None:
        return None
    _, there, samples = device.shape
    channels = np.array([number - 1 for number in settings.eeg_channels if number <= there], dtype=np.int64)
    if not len(channels):
        raise InvalidInputError(f"EEG has channels 1 to {there}, and none of those that are kept. Set eeg_channels.")
    frame_ms = plan.period_ms / plan.frames_per_window
    min_run = settings.min_run(frame_ms)
    job = EegJob(source.frames("eeg"), plan.eeg.frames, channels, samples, frame_ms, settings.filter, min_run)
    chunk, codec = settings.chunk_windows, settings.codec
    layout = eeg_layout(plan, channels=len(channels), samples=samples, chunk=chunk, codec=codec)
    nbytes = int(np.prod(layout.chunks)) * layout.itemsize
    if nbytes > MOST_CHUNK_NBYTES:
        raise InvalidInputError(
            f"{layout.chunks[0]} windows of {plan.frames_per_window} EEG frames, of {frame_ms:.4g} ms each, are "
            f"{nbytes / 2**20:,.0f} MiB a chunk, more than {MOST_CHUNK_NBYTES >> 20}. Lower chunk_windows, or see "
            f"whether the times are in milliseconds."
        )
    return job, layout


def fnirs_job(
    source: WindowSource, plan: WindowPlan, settings: WindowSettings, *, channels: NDArray[np.int32]
) -> tuple[FnirsJob, ArrayLayout] | None:
    """Return what is to be made of fNIRS and how it lies, None where there is no channel."""
    if not len(channels):
        return None
    job = FnirsJob(source.frames("fnirs"), plan.fnirs.frames, channels, settings.scale)
    chunk, codec = settings.chunk_windows, settings.codec
    return job, fnirs_layout(plan, channels=len(channels), chunk=chunk, codec=codec)


def scan_stage(source: WindowSource) -> WindowStage:
    """Return the stage that finds the fNIRS channels that ever hold a value."""
    device = source.devices["fnirs"]
    rows = _chunk_rows(device)
    return WindowStage("find channels", (("scan", device.shape[0], scan_block(rows), _frame_nbytes(device)),))


def signal_stage(source: WindowSource, plan: WindowPlan, settings: WindowSettings) -> WindowStage:
    """Return the stage that makes the signals: blocks of EEG, then those of fNIRS."""
    parts: list[Any] = []
    eeg, fnirs = source.devices.get("eeg"), source.devices.get("fnirs")
    if eeg is not None:
        layout = eeg_layout(plan, channels=1, samples=1, chunk=settings.chunk_windows, codec="none")
        width = plan.frames_per_window
        length = eeg_block(layout, chunk_frames=_chunk_rows(eeg), frames_per_window=width)
        parts.append(("eeg", plan.count, length, width * _frame_nbytes(eeg)))
    if fnirs is not None:
        layout = fnirs_layout(plan, channels=1, chunk=settings.chunk_windows, codec="none")
        per_window = plan.period_ms / plan.fnirs_period_ms if plan.fnirs_period_ms > 0 else 1.0
        length = fnirs_block(layout, chunk_frames=_chunk_rows(fnirs), frames_per_window=per_window)
        parts.append(("fnirs", plan.count, length, max(1, round(per_window * _frame_nbytes(fnirs)))))
    return WindowStage("make windows", tuple(parts))


def _chunk_rows(device: SignalDevice) -> int:
    return device.chunks[0] if device.chunks else 1


def _frame_nbytes(device: SignalDevice) -> int:
    return max(1, int(np.prod(device.shape[1:])) * device.dtype.itemsize)


def results_of(results: Iterable[BlockResult], kind: str) -> list[BlockResult]:
    """Return the results of one kind of blocks, in order of their windows."""
    found = [result for result in results if result.block.startswith(f"{kind}:")]
    return sorted(found, key=lambda result: span_of(result.block))


def span_of(block: str) -> tuple[int, int]:
    """Return the first window or frame of a block, and the one after the last, from its id.

    >>> span_of("eeg:1000:2000")
    (1000, 2000)
    """
    _, start, stop = block.split(":")
    return int(start), int(stop)


def find_lost(
    results: Iterable[BlockResult], sizes: Mapping[str, int], *, path: str, chunk: int, scheme: Scheme
) -> Iterator[str]:
    """Yield the blocks of an array whose keys are no longer stored as they were written.

    ``sizes`` are the stored bytes by name below the array, ``chunk`` the windows of a chunk.
    """
    by_chunk: dict[int, int] = {}
    for key, nbytes in sizes.items():
        name = key.split(scheme)
        if name[0] == "c" and len(name) > 1 and name[1].isdecimal():
            by_chunk[int(name[1])] = key_term(f"{path}/{key}", nbytes)
    for result in results:
        start, stop = span_of(result.block)
        total = 0
        for number in range(start // chunk, ceil_div(stop, chunk)):
            total = add_terms(total, by_chunk.get(number, 0))
        if total != int(result.facts.get("terms", "0"), 16):
            yield result.block
