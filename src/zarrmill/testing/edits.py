"""Small changes of curated files that exist: a row, a column, a dataset, some bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.hdf5 import load_h5py

Change = Callable[[dict[str, Any]], Any]
"""Changes the object of a row in place, or returns another value to store."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One group of events while it is changed."""

    texts: list[bytes]
    """JSON texts."""
    ids: list[bytes]
    """Event ids."""
    times: NDArray[np.float64]
    """(n, 2) server and client times."""


@contextmanager
def open_file(path: Path) -> Iterator[Any]:
    """Give the file for changes."""
    with load_h5py().File(path, "r+") as file:
        yield file


def replace(file: Any, path: str, values: Any) -> None:
    """Put values in place of a dataset: bytes as text, arrays as they are; None removes it."""
    if path in file:
        del file[path]
    if isinstance(values, list):
        text = load_h5py().string_dtype()
        file.create_dataset(path, data=np.array(values, dtype=object), dtype=text)
    elif values is not None:
        file[path] = values


def change_row(path: Path, event_type: str, row: int, change: Change) -> None:
    """Change the object of one row."""
    change_rows(path, event_type, change, rows=[row])


def change_rows(path: Path, event_type: str, change: Change, *, rows: Sequence[int] | None = None) -> None:
    """Change the objects of some rows, or all."""
    with open_file(path) as file:
        texts = list(file[f"events/{event_type}/data"][:])
        for row in range(len(texts)) if rows is None else rows:
            data = json.loads(texts[row])
            other = change(data)
            texts[row] = json.dumps(data if other is None else other, ensure_ascii=False).encode()
        replace(file, f"events/{event_type}/data", texts)


def write_text(path: Path, event_type: str, row: int, text: bytes, *, name: str = "data") -> None:
    """Put bytes in place of the text of one row."""
    with open_file(path) as file:
        texts = list(file[f"events/{event_type}/{name}"][:])
        texts[row] = text
        replace(file, f"events/{event_type}/{name}", texts)


def write_time(path: Path, dataset: str, place: tuple[int, int], time: float) -> None:
    """Put one time in place of another; ``place`` is its row and column."""
    with open_file(path) as file:
        file[dataset][place] = time


def change_group(path: Path, event_type: str, change: Callable[[Rows], Rows]) -> None:
    """Change whole rows of a group."""
    with open_file(path) as file:
        group = f"events/{event_type}"
        texts, ids = (list(file[f"{group}/{name}"][:]) for name in ("data", "event_ids"))
        new = change(Rows(texts, ids, file[f"{group}/timestamps"][:]))
        for name, values in (("data", new.texts), ("event_ids", new.ids), ("timestamps", new.times)):
            replace(file, f"{group}/{name}", values)


def drop_row(row: int) -> Callable[[Rows], Rows]:
    """Return the change that leaves a row out."""

    def drop(rows: Rows) -> Rows:
        keep = [number for number in range(len(rows.texts)) if number != row % len(rows.texts)]
        return Rows([rows.texts[k] for k in keep], [rows.ids[k] for k in keep], rows.times[keep])

    return drop


def add_row(data: Any, *, event_id: str, time: float) -> Callable[[Rows], Rows]:
    """Return the change that puts a row at the end."""

    def add(rows: Rows) -> Rows:
        times = np.concatenate((rows.times, [(time + 40.0, time)]))
        return Rows([*rows.texts, json.dumps(data).encode()], [*rows.ids, event_id.encode()], times)

    return add


def new_group(path: Path, event_type: str, rows: Sequence[tuple[Any, str, float]]) -> None:
    """Write a group of events from (data, id, time) rows; data that are bytes are stored as they are."""
    with open_file(path) as file:
        group = f"events/{event_type}"
        texts = [data if isinstance(data, bytes) else json.dumps(data).encode() for data, _, _ in rows]
        replace(file, f"{group}/data", texts)
        replace(file, f"{group}/event_ids", [event_id.encode() for _, event_id, _ in rows])
        replace(file, f"{group}/timestamps", np.array([(time + 40.0, time) for *_, time in rows]).reshape(-1, 2))


def times_of(path: Path, event_type: str) -> NDArray[np.float64]:
    """Return the client times of a group."""
    with open_file(path) as file:
        times: NDArray[np.float64] = file[f"events/{event_type}/timestamps"][:, 1]
        return times


def corrupt_chunk(path: Path, dataset: str, number: int, *, rows: int) -> None:
    """Store a dataset in chunks with checksums, and damage the bytes of one of them."""
    with open_file(path) as file:
        values = file[dataset][:]
        # HDF5 has no checksums for text of variable length.
        values = values.astype("S") if values.dtype.kind == "O" else values
        del file[dataset]
        file.create_dataset(dataset, data=values, chunks=(rows, *values.shape[1:]), fletcher32=True)
    with open_file(path) as file:
        offset = file[dataset].id.get_chunk_info(number).byte_offset
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


def corrupt_heap(path: Path, dataset: str) -> None:
    """Store text of variable length anew, and damage the first of the heaps that hold it."""
    with open_file(path) as file:
        values = list(file[dataset][:])
        before = path.stat().st_size
        replace(file, dataset, [*values])
    data = bytearray(path.read_bytes())
    place = data.index(b"GCOL", before)
    data[place : place + 4] = b"LOST"
    path.write_bytes(data)
