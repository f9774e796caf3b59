"""Damages of devices: their frames and their timestamps. The file needs EEG in the present layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zarrmill.testing.damage_model import Damage
from zarrmill.testing.edits import corrupt_chunk, open_file, replace, write_time

_FRAMES, _TIMES = "devices/eeg/frames_data", "devices/eeg/timestamps"


def _put(dataset: str, make: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Return the damage that puts something made from a dataset's values in its place."""

    def apply(path: Path) -> None:
        with open_file(path) as file:
            replace(file, dataset, make(file[dataset][:]))

    return apply


def _copy_to_old_layout(path: Path) -> None:
    with open_file(path) as file:
        file.copy("devices/eeg", file, name="eeg")
        file.move("eeg/frames_data", "eeg/data")


def _dataset_for_device(path: Path) -> None:
    with open_file(path) as file:
        del file["devices/eeg"]
        file["devices/eeg"] = np.zeros(3)


SIGNAL_DAMAGES: Mapping[str, Damage] = {
    "short_device_times": Damage(
        "times for 10 frames", _put(_TIMES, lambda v: v[:10]), (("too_short", _TIMES, 10),)
    ),
    "no_device_times": Damage("a device without times", _put(_TIMES, lambda _: None), (("no_timestamps", _TIMES, -1),)),
    "device_times_of_two": Damage(
        "two columns of times", _put(_TIMES, lambda v: v[:, :2]), (("wrong_shape", _TIMES, -1),)
    ),
    "nan_device_time": Damage(
        "a frame without a time", lambda path: write_time(path, _TIMES, (5, 1), np.nan), (("missing_time", _TIMES, 5),)
    ),
    "device_time_back": Damage(
        "a time before the one before",
        _put(_TIMES, lambda v: np.concatenate((v[:5], v[4:5] - 1, v[6:]))),
        (("time_order", _TIMES, 5),),
    ),
    "no_frames": Damage("a device without frames", _put(_FRAMES, lambda _: None), (("no_frames", _FRAMES, -1),)),
    "flat_frames": Damage(
        "frames of two dimensions", _put(_FRAMES, lambda v: v[..., 0]), (("wrong_shape", _FRAMES, -1),)
    ),
    "text_frames": Damage(
        "frames of text", _put(_FRAMES, lambda v: [b"frame"] * len(v)), (("wrong_type", _FRAMES, -1),)
    ),
    "two_layouts": Damage("a device in both layouts", _copy_to_old_layout, (("two_layouts", "eeg", -1),)),
    "dataset_for_device": Damage(
        "a dataset where a device should be", _dataset_for_device, (("wrong_kind", "devices/eeg", -1),)
    ),
    "damaged_frames": Damage(
        "a damaged chunk of frames, which is found when it is read",
        lambda path: corrupt_chunk(path, _FRAMES, 1, rows=64),
    ),
}  # fmt: skip
"""Damages of the EEG."""
