"""HDF5 files for reading: the one place that imports h5py, and that knows which of its faults means what."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import LockedError, NotFoundError, SourceFormatError, StoreAccessError
from zarrmill.recordings.optional import load

Kind = Literal["group", "dataset", "other"]
FAULTS = (OSError, KeyError, RuntimeError, TypeError, ValueError)
"""What h5py raises for what it cannot read; which of them it is depends on the call and its version."""
_SIGNATURES = {
    b"CDF": "a NetCDF 3 file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"MATLAB": "an old MATLAB file",
    b"{": "JSON text",
    b"version https://git-lfs": "a Git LFS pointer and not the file itself",
}
"""First bytes of files that are taken for HDF5."""


def load_h5py() -> Any:
    """Return h5py, imported now; raises ModuleNotFoundError, which names what to install."""
    return load("h5py")


class UnreadableError(SourceFormatError):
    """A part of a file cannot be read."""

    def __init__(self, message: str, fault: str = "") -> None:
        super().__init__(message)
        self.fault = fault or message
        """What and why without the name of the file, which may be that of a person."""


class Hdf5Dataset:
    """One dataset of an open file: what it is like is known at once, its values are read when they are asked for."""

    def __init__(self, found: Any, *, path: str, where: str) -> None:
        self._found = found
        self.path = path
        """Path within the file."""
        self.where = where
        """Name of the file, for messages."""
        try:
            # One without a dataspace has None for a shape.
            self.shape: tuple[int, ...] = tuple(found.shape or ()) if found.shape is not None else (0,)
            self.dtype: np.dtype[Any] = found.dtype
            self.chunks: tuple[int, ...] | None = found.chunks
            self.is_text: bool = load_h5py().check_string_dtype(found.dtype) is not None
            self.compression: str | None = found.compression
            self.nbytes_stored = int(found.id.get_storage_size())
        except FAULTS as error:
            raise unreadable(where, path, error) from error

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 0

    @property
    def nbytes(self) -> int:
        """Bytes of the values, decoded; those of text count its references only."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def read(self, start: int = 0, stop: int | None = None, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return rows, into an array of their shape and type where one is given.

        Raises SourceFormatError where they cannot be read.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        start = min(start, stop)
        if start == stop and self.shape and out is None:
            return np.empty((0, *self.shape[1:]), dtype=self.dtype)
        try:
            if out is None:
                return np.asarray(self._found[start:stop] if self.shape else self._found[()])
            if start < stop:
                self._found.read_direct(out, np.s_[start:stop], np.s_[: stop - start])
        except FAULTS as error:
            raise unreadable(self.where, f"{self.path} rows {start} to {stop}", error) from error
        return out[: stop - start]

    @property
    def filters(self) -> tuple[int, ...]:
        """Numbers of the filters that chunks went through, in their order; none where values lie in one piece."""
        made = self._found.id.get_create_plist()
        return tuple(made.get_filter(i)[0] for i in range(made.get_nfilters()))

    def read_encoded(self, offset: tuple[int, ...]) -> tuple[int, bytes] | None:
        """Return the chunk that begins at an offset as it is stored, with a bit for each filter that was left out.

        None where there is no such chunk: its values are the fill value. Raises SourceFormatError.
        """
        try:
            skipped, data = self._found.id.read_direct_chunk(offset)
        except FAULTS as error:
            if self._found.id.get_chunk_info_by_coord(offset).byte_offset is None:
                return None
            raise unreadable(self.where, f"{self.path} chunk {offset}", error) from error
        return (int(skipped), data) if data else None

    def read_parts(self) -> Iterator[tuple[int, NDArray[Any] | UnreadableError]]:
        """Yield all rows as one part with its first row; where that fails, chunk by chunk, rows or the fault."""
        try:
            yield 0, self.read()
            return
        except UnreadableError as error:
            if not self.chunks and not self.is_text:
                yield 0, error
                return
        # Text in one piece is references only: each row has a place of its own.
        step = self.chunks[0] if self.chunks else 1
        for start in range(0, len(self), step):
            try:
                yield start, self.read(start, start + step)
            except UnreadableError as error:
                yield start, error


class Hdf5File:
    """An open file; paths have no leading slash, and "" is the root."""

    def __init__(self, path: str | os.PathLike[str], *, shown: str | None = None) -> None:
        self.where = shown or os.fspath(path)
        """What messages call the file."""
        self._h5py = load_h5py()
        self._file = _open(self._h5py, os.fspath(path), self.where)

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read of it afterwards."""
        self._file.close()

    def names(self, path: str = "") -> list[str]:
        """Return the names in a group in the file's order; bytes that are not UTF-8 are lone surrogates."""
        node = self._find(path)
        if not isinstance(node, self._h5py.Group):
            return []
        try:
            return [_text(name) for name in node]
        except FAULTS as error:
            raise unreadable(self.where, path, error) from error

    def kind(self, path: str) -> Kind | None:
        """Return what there is, None for nothing; raises SourceFormatError for something that cannot be opened."""
        return self._kind(self._find(path))

    def find(self, path: str) -> Hdf5Dataset | Kind | None:
        """Return a dataset, or what else there is, None for nothing; raises SourceFormatError as ``kind`` does."""
        node = self._find(path)
        return Hdf5Dataset(node, path=path, where=self.where) if self._is_dataset(node) else self._kind(node)

    def dataset(self, path: str) -> Hdf5Dataset:
        """Return a dataset; raises SourceFormatError where there is none."""
        found = self.find(path)
        if isinstance(found, Hdf5Dataset):
            return found
        raise UnreadableError(f"{self.where}: {path} is no dataset", f"{path} is no dataset")

    def attributes(self, path: str) -> Mapping[str, Any]:
        """Return the attributes of a group or dataset, none where there is nothing."""
        node = self._find(path)
        found: dict[str, Any] = {}
        try:
            for name in () if node is None else node.attrs:
                found[name] = node.attrs[name]
        except FAULTS as error:
            raise unreadable(self.where, f"attributes of {path}", error) from error
        return found

    def _kind(self, node: Any) -> Kind | None:
        if node is None:
            return None
        if isinstance(node, self._h5py.Group):
            return "group"
        return "dataset" if self._is_dataset(node) else "other"

    def _is_dataset(self, node: Any) -> bool:
        return isinstance(node, self._h5py.Dataset)

    def _find(self, path: str) -> Any:
        try:
            return self._file[_key(path) or "/"]
        except FAULTS as error:
            if self._is_listed(path):
                raise unreadable(self.where, path, error) from error
            return None

    def _is_listed(self, path: str) -> bool:
        """Tell whether a link goes by this name, wherever it leads."""
        try:
            return bool(self._file.id.links.exists(_key(path)))
        except FAULTS:
            return False


def all_bytes(values: list[Any]) -> list[bytes]:
    """Return texts as h5py gives them in their bytes, which nearly all of them are already."""
    return values if set(map(type, values)) <= {bytes} else [as_bytes(value) for value in values]


def as_bytes(value: Any) -> bytes:
    """Return text as h5py gives it in its bytes.

    >>> as_bytes("e"), as_bytes(b"x"), as_bytes(5)
    (b'e', b'x', b'5')
    """
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "surrogateescape")


def unreadable(where: str, path: str, error: BaseException) -> UnreadableError:
    """Return the error that says what of a file cannot be read."""
    fault = f"{path or 'its root'} cannot be read: {reason(error)}"
    return UnreadableError(f"{where}: {fault}", fault)


def reason(error: BaseException) -> str:
    """Return HDF5's own words from an error of h5py's, in one line.

    >>> reason(OSError("Unable to synchronously open file (file signature not found)"))
    'file signature not found'
    """
    text = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    found = re.search(r"\((.*)\)$", text)
    return found[1] if found else text or type(error).__name__


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name


def _key(path: str | bytes) -> bytes:
    return path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")


def _open(h5py: Any, path: str, where: str) -> Any:
    if os.path.isdir(path):
        raise SourceFormatError(f"{where} is a folder and not an HDF5 file.")
    try:
        nbytes = os.stat(path).st_size
        # Reading from a file system without locks is no fault; a writer elsewhere is.
        return h5py.File(path, "r", locking="best-effort") if nbytes else _refuse_empty(where)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is nothing at {where}") from None
    except PermissionError as error:
        raise StoreAccessError(f"{where} may not be read. Check its permissions.") from error
    except SourceFormatError:
        raise
    except FAULTS as error:
        raise _explain(path, where, str(error)) from error


def _refuse_empty(where: str) -> Any:
    raise SourceFormatError(f"{where} is empty: 0 bytes. Copy it again from where it was recorded.")


def _explain(path: str, where: str, text: str) -> SourceFormatError | LockedError:
    """Return the error that says why a file cannot be opened and what to do."""
    sizes = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", text)
    if sizes:
        return SourceFormatError(f"{where} is truncated: {sizes[1]} bytes of {sizes[2]}. Copy it again.")
    if "signature not found" in text:
        return SourceFormatError(f"{where} is no HDF5 file: {_describe(path)}.")
    if "lock" in text and "errno" in text:
        return LockedError(f"{where} is open for writing elsewhere. Wait until it is closed.")
    if "already open for" in text:
        return SourceFormatError(f"{where} was never closed by what wrote it. Run h5clear -s on a copy, and try that.")
    return SourceFormatError(f"{where} is damaged: {reason(OSError(text))}. Copy it again.")


def _describe(path: str) -> str:
    with open(path, "rb") as file:
        start = file.read(64)
    for signature, name in _SIGNATURES.items():
        if start.startswith(signature):
            return f"it is {name}"
    # Text is not repeated: a list of people is a likely file to stand among those of sessions.
    return "it is text" if _is_text(start) else f"it begins with {start[:4].hex(' ')}"


def _is_text(start: bytes) -> bool:
    """Tell whether bytes are printable text; the last character may be cut off."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)
