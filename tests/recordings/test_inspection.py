"""What is in a file or store."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import zarr

from zarrmill.errors import NotFoundError
from zarrmill.recordings import inspect_recording
from zarrmill.testing import DAMAGES, EEG, START, write_curated


def test_a_file_is_described(tmp_path):
    """Groups with rows and times, devices with period and gaps, other groups, problems by code."""
    spec = replace(EEG, frames=300, gaps=((100, 500.0), (200, 1000.0)), missing=(7,))
    truth = write_curated(tmp_path / "a.h5", signals=[spec])
    DAMAGES["bad_json"](truth.path)
    with h5py.File(truth.path, "r+") as file:
        file["audio/audio_data"] = np.zeros((2, 4096), dtype="f4")
    info = inspect_recording(truth.path)

    groups = {group.event_type: group for group in info.events}
    assert (info.session_id, info.start_time, info.start_unit) == ("a", START, "ms")
    assert {name: group.rows for name, group in groups.items()} == truth.rows
    assert (groups["element_sent"].readable, groups["element_sent"].ids) == (23, True)
    assert groups["element_sent"].first_time == truth.elements[0].start_time
    (device,) = info.devices
    assert (device.name, device.shape, device.dtype) == ("eeg", (300, 28, 15), "float32")
    assert device.period_ms == pytest.approx(30)
    assert (device.gaps, device.missing_times) == (3, 1)
    assert device.longest_gap_ms == pytest.approx(1030)
    assert info.other_groups == ("audio",)
    assert info.problems == {"bad_json": 1, "missing_time": 1}
    assert json.loads(json.dumps(info.to_json()))["kind"] == "recording"


def test_an_empty_session_is_described(tmp_path):
    """Nothing there is nothing to fail on, and what is not known is null."""
    truth = write_curated(tmp_path / "a.h5", tasks=0, elements=0, segments=0)
    DAMAGES["start_missing"](truth.path)
    info = inspect_recording(truth.path)

    assert (info.events, info.devices, info.start_time) == ((), (), None)
    assert json.loads(json.dumps(info.to_json(), allow_nan=False))["start_time"] is None


def test_a_store_is_described(tmp_path):
    """Its arrays, the length of each dimension, and what its attributes say."""
    group = zarr.create_group(tmp_path / "a_events.zarr", attributes={"session_id": "a", "transform": "event", "x": 1})
    group.create_array("element_count", shape=(5,), dtype="i4", dimension_names=("task_id",))
    group.create_group("channels").create_array("index", shape=(7,), dtype="i4", dimension_names=("channel",))
    info = inspect_recording(tmp_path / "a_events.zarr")

    assert info.facts == {"session_id": "a", "transform": "event"}
    assert info.sizes == {"task_id": 5, "channel": 7}
    assert [(array.path, array.dtype) for array in info.arrays] == [
        ("channels/index", "int32"), ("element_count", "int32"),
    ]  # fmt: skip
    assert json.loads(json.dumps(info.to_json()))["kind"] == "store"


def test_nothing_is_not_found(tmp_path):
    """Neither a file nor a store."""
    for name in ("a.h5", "a.zarr"):
        with pytest.raises(NotFoundError):
            inspect_recording(tmp_path / name)
