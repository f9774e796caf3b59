"""Batches: every valid window once, every chunk once, in order or shuffled by chunk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.recordings.windows.files import write_recording
from tests.recordings.windows.signals import make_frames, without
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.recordings import WindowChunks, WindowSettings, iter_batches, open_recording, open_windows, write_windows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 431 windows with a hole in each signal."""
    folder = tmp_path_factory.mktemp("batches")
    eeg, fnirs = without(make_frames(3_015), slice(900, 1_000)), without(make_frames(430, period=210.0), slice(50, 60))
    made = write_recording(folder / "s.h5", eeg=eeg, fnirs=fnirs)
    with open_recording(made.path) as recording:
        write_windows(recording, folder / "w.zarr", settings=WindowSettings(filter=None))
    return folder / "w.zarr"


@pytest.mark.parametrize("size", [1, 64, 100, 1_000], ids=str)
def test_in_order_all_valid_windows_come_once(store: Path, size: int) -> None:
    """Batches are full but for the last, and hold what xarray reads."""
    windows = open_windows(store).load()
    valid = np.flatnonzero(windows.eeg_valid.values & windows.fnirs_valid.values)

    batches = list(iter_batches(store, size=size))

    assert np.concatenate([batch.index for batch in batches]).tolist() == valid.tolist()
    assert {len(batch) for batch in batches[:-1]} <= {size}
    for name in ("eeg", "fnirs"):
        read = np.concatenate([batch.signals[name] for batch in batches])
        np.testing.assert_array_equal(read, windows[name].values[valid])


def test_shuffled_batches_are_a_permutation_by_chunk(store: Path) -> None:
    """The same seed gives the same order, another one another, and a chunk's windows stay together."""
    one, again, other = (
        np.concatenate([batch.index for batch in iter_batches(store, size=50, seed=seed)]) for seed in (1, 1, 2)
    )

    plain = np.concatenate([batch.index for batch in iter_batches(store)])
    assert one.tolist() == again.tolist() != other.tolist()
    assert sorted(one.tolist()) == plain.tolist() != one.tolist()
    assert (np.diff(one // 100) != 0).sum() == len(set((one // 100).tolist())) - 1


def test_shuffled_values_are_those_of_their_windows(store: Path) -> None:
    """The signals of a shuffled batch are in the order of its numbers."""
    windows = open_windows(store).load()

    for batch in iter_batches(store, size=70, seed=5):
        np.testing.assert_array_equal(batch.signals["eeg"], windows.eeg.values[batch.index])


def test_every_chunk_is_read_once(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of batches, no chunk is decoded twice."""
    chunks, read = WindowChunks(store), []
    plain = WindowChunks.read

    def note(self: WindowChunks, name: str, number: int) -> object:
        read.append((name, number))
        return plain(self, name, number)

    monkeypatch.setattr(WindowChunks, "read", note)
    list(iter_batches(chunks, size=33, seed=1, signals=["eeg"]))

    signals = [entry for entry in read if entry[0] == "eeg"]
    assert len(signals) == len(set(signals)) == 5


def test_only_the_windows_of_a_query(store: Path) -> None:
    """Windows that are given are taken, those of them that are valid."""
    index = np.concatenate([batch.index for batch in iter_batches(store, windows=[5, 3, 55, 200, 5])])

    assert index.tolist() == [3, 5, 200]


def test_windows_that_are_not_valid_come_when_asked_for(store: Path) -> None:
    """With no device to be valid for, all windows come, NaN and all."""
    batches = list(iter_batches(store, valid=[], size=500))

    assert len(batches[0]) == len(WindowChunks(store))
    assert np.isnan(batches[0].signals["fnirs"][55]).all()


def test_what_is_not_there_is_told(store: Path, tmp_path: Path) -> None:
    """Unknown signals, sizes below one, windows beyond the end and other stores are refused."""
    import zarr

    zarr.create_group(tmp_path / "other.zarr")

    with pytest.raises(InvalidInputError, match="audio"):
        iter_batches(store, signals=["audio"])
    with pytest.raises(InvalidInputError, match="a batch of 0"):
        iter_batches(store, size=0)
    with pytest.raises(InvalidInputError, match="431"):
        iter_batches(store, windows=[431])
    with pytest.raises(SourceFormatError, match="no store of windows"):
        iter_batches(tmp_path / "other.zarr")
