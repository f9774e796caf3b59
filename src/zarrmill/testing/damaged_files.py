"""Damages of whole files, which cannot be opened afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from zarrmill.recordings.hdf5 import load_h5py
from zarrmill.testing.damage_model import Damage


def _write(data: bytes) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_bytes(data)

    return apply


def _truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def _corrupt_start(path: Path) -> None:
    """Overwrite what follows the signature."""
    data = bytearray(path.read_bytes())
    data[8:96] = bytes(range(160, 248))
    path.write_bytes(data)


def _other_hdf5(path: Path) -> None:
    with load_h5py().File(path, "w") as file:
        file["temperature"] = np.zeros(3)


def _old_event_file(path: Path) -> None:
    with load_h5py().File(path, "w") as file:
        for name in ("tasks", "elements", "segments"):
            file.create_group(name)


FILE_DAMAGES: Mapping[str, Damage] = {
    "truncated": Damage("the last third is missing", _truncate, fatal=True),
    "empty_file": Damage("nothing in it", _write(b""), fatal=True),
    "foreign": Damage("a zip archive", _write(b"PK\x03\x04" + bytes(600)), fatal=True),
    "damaged_start": Damage("a damaged superblock", _corrupt_start, fatal=True),
    "other_hdf5": Damage("HDF5 of something else", _other_hdf5, fatal=True),
    "old_event_file": Damage("an event file of the HDF5 version", _old_event_file, fatal=True),
}
"""Damages of which every one leaves nothing to read."""
