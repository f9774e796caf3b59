"""Windows in a store: the very values of the file, whole or not there, the same after a kill and by any executor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.recordings.windows.files import CHANNELS, Written, files_of, finite_channels, write_recording
from tests.recordings.windows.signals import START, make_frames, with_hole, without
from zarrmill.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from zarrmill.progress import BlockFinished, Message
from zarrmill.recordings import WindowReport, WindowSettings, open_recording, open_windows, write_windows
from zarrmill.recordings.windows import operation, stages
from zarrmill.recordings.windows.channels import make_layout
from zarrmill.recordings.windows.reasons import Reason
from zarrmill.store import open_keys

PLAIN = WindowSettings(filter=None)
FEW = 5_000
"""fNIRS channels where their chunks are the usual ones."""


@dataclass(frozen=True)
class Made:
    """A store that several tests compare with; never written to."""

    path: Path
    report: WindowReport


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A file with three minutes of both devices, and a hole in each."""
    folder = tmp_path_factory.mktemp("recording")
    eeg = with_hole(make_frames(6_000, jitter=2.0), at=2_000, milliseconds=4_000.0)
    fnirs = without(make_frames(620, period=292.8, jitter=2.0), slice(300, 320))
    return write_recording(folder / "s-01.h5", eeg=eeg, fnirs=fnirs, channels=FEW)


@pytest.fixture(scope="module")
def whole(written: Written) -> Made:
    """The windows of the file as they are."""
    path = written.path.with_name("whole.zarr")
    return Made(path, convert(written, path))


@pytest.fixture(scope="module")
def filtered(written: Written) -> Made:
    """The windows of the file with filtered EEG."""
    path = written.path.with_name("filtered.zarr")
    return Made(path, convert(written, path, settings=WindowSettings()))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the file make many blocks."""
    for name, value in {"EEG_FRAMES": 1400, "FNIRS_FRAMES": 200, "HDF5_CHUNKS": 1}.items():
        monkeypatch.setattr(operation, name, value)


def convert(written: Written, target: Any, **options: Any) -> WindowReport:
    with open_recording(written.path) as recording:
        return write_windows(recording, target, **{"settings": PLAIN, "executor": "serial", **options})


def test_valid_windows_hold_the_frames_of_the_file(written: Written, whole: Made) -> None:
    """Every value of a valid window is the file's, of EEG and of fNIRS, and all else is NaN."""
    windows = open_windows(whole.path, times="milliseconds").load()

    with open_recording(written.path) as recording:
        plan = recording_plan(recording)
    valid = windows.eeg_valid.values
    assert written.eeg is not None
    frames = written.eeg[plan.eeg.frames[valid]][:, :, :21]
    expected = frames.transpose(0, 2, 1, 3).reshape(valid.sum(), 21, 105)
    np.testing.assert_array_equal(windows.eeg.values[valid], expected)
    gaps = windows.eeg_reason.values == Reason.GAP
    assert gaps.sum() >= 18
    assert np.isnan(windows.eeg.values[gaps]).all()
    there = windows.fnirs_valid.values
    assert written.fnirs is not None
    values = written.fnirs[plan.fnirs.frames[there]][:, finite_channels(FEW), 0]
    np.testing.assert_array_equal(windows.fnirs.values[there], values.astype(np.float32))
    assert np.isnan(windows.fnirs.values[~there]).all()
    assert not there.all()


def recording_plan(recording: Any) -> Any:
    from zarrmill.recordings import plan_windows

    times = {name: device.times for name, device in recording.devices.items()}
    return plan_windows(eeg=times["eeg"], fnirs=times["fnirs"], settings=PLAIN)


def test_the_store_has_the_names_dimensions_and_attributes_of_the_format(whole: Made) -> None:
    """Plain zarr and plain xarray find what the specification names, with 100 windows to a chunk."""
    root = zarr.open_group(whole.path, mode="r")
    dataset = xr.open_zarr(whole.path, chunks=None)
    n = whole.report.windows
    assert {name: array.shape for name, array in root.arrays()} == {
        "time": (n,),
        "eeg": (n, 21, 105),
        "fnirs": (n, 9),
        **{f"{device}_{what}": (n,) for device in ("eeg", "fnirs") for what in ("valid", "reason")},
        **dict.fromkeys(("real_eeg_ts", "real_fnirs_ts", "original_array_idx", "dataset_idx"), (n,)),
    }
    assert root["eeg"].chunks == (100, 21, 105)
    assert dataset.eeg.dims == ("time", "eeg_channel", "eeg_sample")
    assert dataset.fnirs.dims == ("time", "fnirs_channel")
    assert dataset.time.dtype.kind == "M"
    assert [str(root[name].dtype) for name in ("time", "eeg", "fnirs", "eeg_valid", "dataset_idx")] == [
        "float64",
        "float32",
        "float32",
        "bool",
        "int32",
    ]
    names = [f"master_{device}_{end}_idx" for device in ("eeg", "fnirs") for end in ("start", "end")]
    assert {*names, "slice_start", "slice_end"} <= set(root.attrs)
    assert root.attrs["storage_format"] == "zarr3"
    assert root.attrs["session_id"] == "s-01"
    assert root.attrs["fnirs_scale"] == "linear"
    assert root["time"][0] == pytest.approx(START, abs=15)


def test_a_store_has_few_keys(whole: Made) -> None:
    """A signal has a key per 100 windows, every other array one and its metadata."""
    keys = [path for path in whole.path.rglob("*") if path.is_file()]
    chunks = -(-whole.report.windows // 100)
    assert whole.report.keys_written <= 2 * chunks
    assert len(keys) - whole.report.keys_written <= 50


def test_channels_are_labelled_in_a_group_of_their_own(whole: Made) -> None:
    """Without a layout the channels that ever hold a finite value are kept, described, and the notes say so."""
    channels = zarr.open_group(whole.path, mode="r")["channels"]
    windows = open_windows(whole.path)
    assert channels["global_index"][:].tolist() == finite_channels(FEW).tolist()
    assert channels["valid"][:].all()
    assert channels["complete"][:].all()
    assert np.isnan(channels["distance"][:]).all()
    assert windows.fnirs.coords["source_module"].dims == ("fnirs_channel",)
    assert windows.eeg.coords["eeg_number"].values.tolist() == list(range(1, 22))
    assert any("no layout is given: all 9 fNIRS channels" in note for note in whole.report.notes)


def test_a_layout_chooses_the_channels(written: Written, tmp_path: Path) -> None:
    """With a layout the near channels of the modules are kept, whether or not they hold values."""
    rows = [{"kind": "source", "module": 1, "number": 1, "x": 0, "y": 0, "z": 0}]
    rows += [{"kind": "detector", "module": 1, "number": k, "x": 20 * k, "y": 0, "z": 0} for k in range(1, 7)]

    report = convert(written, tmp_path / "w.zarr", layout=make_layout(rows))

    windows = open_windows(tmp_path / "w.zarr").load()
    assert report.fnirs_channels == windows.sizes["fnirs_channel"]
    assert windows.global_index.values[:3].tolist() == [0, 1, 2]
    assert windows.distance.values[:3].tolist() == [20.0, 40.0, 60.0]
    assert windows.valid.values[:3].tolist() == [True, True, False]
    there = windows.fnirs_valid.values
    assert np.isfinite(windows.fnirs.values[there][:, :2]).all()
    assert np.isnan(windows.fnirs.values[:, 2]).all()


def test_the_logarithm_is_taken_when_asked_for(written: Written, whole: Made, tmp_path: Path) -> None:
    """The attribute says which scale the values have, and they have it."""
    convert(written, tmp_path / "log.zarr", settings=WindowSettings(filter=None, scale="log"))

    linear, log = (open_windows(path).fnirs.load() for path in (whole.path, tmp_path / "log.zarr"))
    assert log.attrs["scale"] == "log"
    np.testing.assert_allclose(log.values, np.log(linear.values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", [100, 300], ids=str)
def test_where_blocks_end_does_not_show(
    written: Written, filtered: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """Filtered EEG is the same to a millionth of its size whether it is made at once or in small blocks."""
    monkeypatch.setattr(operation, "EEG_FRAMES", 7 * length)
    monkeypatch.setattr(operation, "HDF5_CHUNKS", 1)

    report = convert(written, tmp_path / "blocks.zarr", settings=WindowSettings())

    whole, blocks = (open_windows(path).eeg.values for path in (filtered.path, tmp_path / "blocks.zarr"))
    size = np.nanstd(whole)
    assert report.blocks >= 900 // length
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(blocks))
    assert np.nanmax(np.abs(whole - blocks)) < 1e-6 * size * 10
    assert np.nanmax(np.abs(whole - blocks)) / np.nanmax(np.abs(whole)) < 1e-6


class StopError(Exception):
    """What a test stops a run with."""


def stop_after(blocks: int) -> Any:
    """Return a progress client that stops a run after some blocks."""
    seen: list[Message] = []

    def tell(message: Message) -> None:
        seen.extend([message] if isinstance(message, BlockFinished) else [])
        if len(seen) >= blocks:
            raise StopError

    return tell


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("blocks", [1, pytest.param(2, marks=pytest.mark.soak), 4], ids=str)
def test_a_stopped_run_goes_on_and_gives_the_same_bytes(
    written: Written, whole: Made, tmp_path: Path, blocks: int
) -> None:
    """Until all is done nothing opens; then every key is what it is without a stop, and no block is done twice."""
    with pytest.raises(StopError):
        convert(written, tmp_path / "w.zarr", progress=stop_after(blocks))
    with pytest.raises(NotFoundError):
        open_windows(tmp_path / "w.zarr")
    report = convert(written, tmp_path / "w.zarr")

    assert report.resumed_blocks >= blocks
    assert files_of(tmp_path / "w.zarr") == files_of(whole.path)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("small_blocks")
def test_a_key_that_got_lost_is_written_again(written: Written, whole: Made, tmp_path: Path) -> None:
    """A chunk that is gone from the draft when a run goes on is made anew."""
    with pytest.raises(StopError):
        convert(written, tmp_path / "w.zarr", progress=stop_after(5))
    (tmp_path / ".w.zarr.zarrmill/data/eeg/c.0.0.0").unlink()

    convert(written, tmp_path / "w.zarr")

    assert files_of(tmp_path / "w.zarr") == files_of(whole.path)


@pytest.mark.usefixtures("small_blocks")
def test_what_a_killed_writer_left_is_not_in_the_store(written: Written, whole: Made, tmp_path: Path) -> None:
    """A file that was being written goes when the run goes on."""
    with pytest.raises(StopError):
        convert(written, tmp_path / "w.zarr", progress=stop_after(5))
    (tmp_path / ".w.zarr.zarrmill/data/eeg/.0a1b2c3d.zarrmill-tmp").write_bytes(b"half a chunk")

    convert(written, tmp_path / "w.zarr")

    assert files_of(tmp_path / "w.zarr") == files_of(whole.path)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_every_executor_gives_the_same_bytes(written: Written, whole: Made, tmp_path: Path, executor: str) -> None:
    """Where blocks run does not show."""
    convert(written, tmp_path / "w.zarr", executor=executor)

    assert files_of(tmp_path / "w.zarr") == files_of(whole.path)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The windows of a file with the usual chunks of many channels."""
    folder = tmp_path_factory.mktemp("usual")
    written = write_recording(folder / "s.h5", fnirs=make_frames(130, period=210.0))
    return Made(folder / "w.zarr", convert(written, folder / "w.zarr"))


@pytest.mark.parametrize(
    "layout",
    [{"chunks": (1, CHANNELS, 1)}, {"chunks": None}, {"shuffle": True}, {"chunks": (20, 7_000, 1)}],
    ids=["a frame", "one piece", "shuffled", "ragged"],
)
def test_any_chunks_of_the_file_give_the_same_windows(usual: Made, tmp_path: Path, layout: dict[str, Any]) -> None:
    """How HDF5 has the frames does not show."""
    other = write_recording(tmp_path / "s.h5", fnirs=make_frames(130, period=210.0), **layout)

    convert(other, tmp_path / "w.zarr")

    one, two = (open_windows(path).load() for path in (usual.path, tmp_path / "w.zarr"))
    np.testing.assert_array_equal(one.fnirs.values, two.fnirs.values)
    assert one.global_index.values.tolist() == two.global_index.values.tolist() == finite_channels().tolist()


@pytest.mark.parametrize("device", ["eeg", "fnirs"])
def test_a_device_that_is_absent_has_no_signal(tmp_path: Path, device: str) -> None:
    """The variable is not there, its mask is False and the reason says why."""
    frames = {"eeg": make_frames(700), "fnirs": make_frames(100, period=210.0)}
    other = "fnirs" if device == "eeg" else "eeg"
    made = write_recording(tmp_path / "s.h5", **{device: frames[device]}, channels=FEW)

    convert(made, tmp_path / "w.zarr")

    windows = open_windows(tmp_path / "w.zarr").load()
    assert device in windows
    assert other not in windows
    assert windows[f"{device}_valid"].values.all()
    assert (windows[f"{other}_reason"].values == Reason.NO_DEVICE).all()


def test_a_recording_without_times_writes_nothing(tmp_path: Path) -> None:
    """The report has no windows and says why, and there is no store."""
    frames = make_frames(70)
    frames.stored[:] = np.nan
    made = write_recording(tmp_path / "s.h5", eeg=frames)

    report = convert(made, tmp_path / "w.zarr")

    assert report.windows == 0
    assert "there are no windows: no frame has a time" in report.notes
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_frames_without_values_make_no_valid_window(tmp_path: Path) -> None:
    """NaN in all channels of a frame, and -inf in all of fNIRS, are told as such."""
    made = write_recording(tmp_path / "s.h5", eeg=make_frames(700), fnirs=make_frames(100, period=210.0), channels=FEW)
    spoil(made.path)

    convert(made, tmp_path / "w.zarr")

    windows = open_windows(tmp_path / "w.zarr").load()
    assert np.flatnonzero(windows.eeg_reason.values == Reason.NOT_FINITE).tolist() == [50]
    assert np.flatnonzero(windows.fnirs_reason.values == Reason.NOT_FINITE).tolist() == [60]
    assert not windows.complete.values.any()


def test_values_between_two_that_are_missing_too_close_for_the_filter_are_not_valid(tmp_path: Path) -> None:
    """Of a fifth of a second between frames of NaN a filter makes but its own echo; without one it is what it is."""
    from zarrmill.recordings.hdf5 import load_h5py

    made = write_recording(tmp_path / "s.h5", eeg=make_frames(1_400))
    with load_h5py().File(made.path, "a") as file:
        file["devices/eeg/frames_data"][[699, 707]] = np.nan

    convert(made, tmp_path / "w.zarr", settings=WindowSettings())
    convert(made, tmp_path / "plain.zarr")

    filtered, plain = (open_windows(tmp_path / f"{name}.zarr").load() for name in ("w", "plain"))
    assert np.flatnonzero(filtered.eeg_reason.values == Reason.NOT_FINITE).tolist() == [99, 100, 101]
    assert np.isnan(filtered.eeg.values[100]).all()
    assert np.flatnonzero(plain.eeg_reason.values == Reason.NOT_FINITE).tolist() == [99, 101]


def spoil(path: Path) -> None:
    from zarrmill.recordings.hdf5 import load_h5py

    with load_h5py().File(path, "a") as file:
        file["devices/eeg/frames_data"][352] = np.nan
        file["devices/fnirs/frames_data"][60] = -np.inf


def test_what_is_there_is_replaced_only_when_asked(written: Written, tmp_path: Path) -> None:
    """An old store stays unless overwrite is said, and what is no store stays in any case."""
    convert(written, tmp_path / "w.zarr")
    (tmp_path / "mine").mkdir()

    with pytest.raises(AlreadyExistsError, match="overwrite"):
        convert(written, tmp_path / "w.zarr")
    with pytest.raises(AlreadyExistsError, match="no Zarr store"):
        convert(written, tmp_path / "mine", overwrite=True)
    with pytest.raises(InvalidInputError, match="is the source"):
        convert(written, written.path, overwrite=True)
    report = convert(written, tmp_path / "w.zarr", settings=WindowSettings(filter=None, window_ms=420), overwrite=True)

    assert open_windows(tmp_path / "w.zarr").sizes["time"] == report.windows
    assert open_windows(tmp_path / "w.zarr").sizes["eeg_sample"] == 210


def test_a_store_on_s3_is_the_same(
    written: Written, whole: Made, s3_bucket: str, storage_options: dict[str, Any]
) -> None:
    """Windows written to S3 have the values of those on disk; a stopped run shows nothing and goes on."""
    target = f"{s3_bucket}/processed/s-01_windowed.zarr"

    with pytest.raises(StopError):
        convert(written, target, storage_options=storage_options, progress=stop_after(2))
    report = convert(written, target, storage_options=storage_options)

    there = open_windows(target, storage_options=storage_options).load()
    assert report.resumed_blocks >= 2
    xr.testing.assert_equal(there, open_windows(whole.path).load())


def test_an_old_store_on_s3_stays_until_the_new_one_is_complete(
    written: Written, s3_bucket: str, storage_options: dict[str, Any]
) -> None:
    """A stopped replacement leaves the old values readable; a complete one leaves nothing of them."""
    target, options = f"{s3_bucket}/w.zarr", {"storage_options": storage_options}
    longer = WindowSettings(filter=None, window_ms=420)
    convert(written, target, **options)
    before = open_windows(target, **options).load()

    with pytest.raises(StopError):
        convert(written, target, settings=longer, overwrite=True, progress=stop_after(2), **options)
    xr.testing.assert_identical(open_windows(target, **options).load(), before)
    report = convert(written, target, settings=longer, overwrite=True, **options)
    after = open_windows(target, **options).load()

    assert report.resumed_blocks >= 2
    assert after.sizes["eeg_sample"] == 210
    assert np.isfinite(after.eeg.values[after.eeg_valid.values]).all()
    keys = [info.key for info in open_keys(target, **options).list()]
    assert not any(key.rpartition("/")[2].startswith("c.") or key.startswith(".") for key in keys)


def test_chunks_that_would_be_enormous_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred windows of an hour each, or times in seconds: the message says what to look at, nothing is written."""
    monkeypatch.setattr(stages, "MOST_CHUNK_NBYTES", 2**20)
    made = write_recording(tmp_path / "s.h5", eeg=make_frames(2_000))

    with pytest.raises(InvalidInputError, match="chunk_windows, or see whether the times are in milliseconds"):
        convert(made, tmp_path / "w.zarr", settings=WindowSettings(filter=None, window_ms=6_000.0))
    assert not (tmp_path / "w.zarr").exists()
