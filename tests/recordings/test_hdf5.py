"""HDF5 files, sound and otherwise."""

from __future__ import annotations

import doctest
import fcntl
import os

import h5py
import numpy as np
import pytest

from zarrmill.errors import LockedError, NotFoundError, SourceFormatError, StoreAccessError
from zarrmill.recordings import hdf5
from zarrmill.recordings.hdf5 import Hdf5File, UnreadableError


@pytest.fixture
def path(tmp_path):
    """A file with text, numbers in chunks, a group, and names that are not UTF-8."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("group/text", data=[b"a", b"\xff", b""], dtype=h5py.string_dtype())
        file["group/fixed"] = np.array([b"ab", b"c"])
        file.create_dataset("numbers", data=np.arange(20.0).reshape(10, 2), chunks=(4, 2), fletcher32=True)
        file.create_group(b"caf\xe9")
        file["nothing"] = h5py.Empty("f8")
        file["single"] = 5.0
        file["group"].attrs["size"] = 3
    return path


def test_examples_run():
    """What the docstrings show is so."""
    assert doctest.testmod(hdf5).failed == 0


def test_nodes_are_told_apart(path):
    """Groups, datasets and nothing are three things."""
    with Hdf5File(path) as file:
        assert [file.kind(name) for name in ("", "group", "group/text", "group/no", "no/no", "numbers/x")] == [
            "group", "group", "dataset", None, None, None,
        ]  # fmt: skip
        assert file.attributes("group") == {"size": 3}
        assert file.attributes("no") == {}


def test_a_dataset_is_found_or_what_is_in_its_place(path):
    """By one look."""
    with Hdf5File(path) as file:
        assert file.find("group/text").shape == (3,)
        assert [file.find(name) for name in ("group", "group/no", "no/no")] == ["group", None, None]


def test_names_that_are_not_utf8_can_be_used(path):
    """A name from the listing finds its node."""
    with Hdf5File(path) as file:
        names = file.names()

        assert "caf\udce9" in names
        assert [file.kind(name) for name in names] == [
            "group" if name in ("group", "caf\udce9") else "dataset" for name in names
        ]


def test_rows_are_read_in_part_or_into_an_array(path):
    """Ends beyond the rows are no error, and an array is filled from its start."""
    with Hdf5File(path) as file:
        numbers = file.dataset("numbers")
        out = np.zeros((6, 2))

        assert (numbers.shape, numbers.chunks, len(numbers)) == ((10, 2), (4, 2), 10)
        np.testing.assert_array_equal(numbers.read(8, 99), [[16, 17], [18, 19]])
        assert numbers.read(10, 12).shape == (0, 2)
        np.testing.assert_array_equal(numbers.read(1, 3, out=out), [[2, 3], [4, 5]])
        np.testing.assert_array_equal(out[:3], [[2, 3], [4, 5], [0, 0]])


def test_text_is_bytes(path):
    """Text comes as it is stored, whatever its encoding."""
    with Hdf5File(path) as file:
        assert file.dataset("group/text").is_text
        assert file.dataset("group/fixed").is_text
        assert not file.dataset("numbers").is_text
        assert file.dataset("group/text").read().tolist() == [b"a", b"\xff", b""]


def test_text_of_either_kind_becomes_bytes():
    """h5py gives bytes for nearly all of it."""
    assert hdf5.all_bytes([b"a", "é", 5]) == [b"a", "é".encode(), b"5"]
    assert hdf5.all_bytes([b"a", b"b"]) == [b"a", b"b"]


def test_datasets_without_rows_are_no_fault(path):
    """Neither a dataset without a dataspace nor a single value has rows."""
    with Hdf5File(path) as file:
        assert file.dataset("nothing").shape == (0,)
        assert len(file.dataset("single")) == 0
        assert file.dataset("single").read().item() == 5.0


def _flip(path, dataset, chunk):
    with h5py.File(path) as file:
        offset = file[dataset].id.get_chunk_info(chunk).byte_offset
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


def test_a_damaged_chunk_leaves_the_others(path):
    """The rows of one chunk are an error with its place and without the file's name, those of others are read."""
    _flip(path, "numbers", 1)
    with Hdf5File(path) as file:
        numbers = file.dataset("numbers")
        with pytest.raises(SourceFormatError, match=r"a\.h5: numbers rows 0 to 10 cannot be read: "):
            numbers.read()
        parts = dict(numbers.read_parts())

    assert sorted(parts) == [0, 4, 8]
    np.testing.assert_array_equal(parts[8], [[16, 17], [18, 19]])
    assert isinstance(parts[4], UnreadableError)
    assert parts[4].fault.startswith("numbers rows 4 to 8 cannot be read: ")


def test_links_that_lead_nowhere_are_an_error(path):
    """What is listed and cannot be opened is not taken for missing."""
    with h5py.File(path, "r+") as file:
        file["broken"] = h5py.SoftLink("/nowhere")
    with Hdf5File(path) as file, pytest.raises(UnreadableError, match="broken cannot be read"):
        file.kind("broken")


def test_what_is_no_dataset_is_refused(path):
    """Neither a group nor nothing can be read."""
    with Hdf5File(path) as file:
        for name in ("group", "no"):
            with pytest.raises(SourceFormatError, match=f"{name} is no dataset"):
                file.dataset(name)


def test_a_truncated_file_says_both_sizes(path):
    """How much is there and how much should be."""
    data = path.read_bytes()
    path.write_bytes(data[:-1000])

    with pytest.raises(SourceFormatError, match=f"truncated: {len(data) - 1000} bytes of {len(data)}. Copy it again."):
        Hdf5File(path)


FOREIGN = {
    "empty": (b"", "is empty: 0 bytes"),
    "zip": (b"PK\x03\x04" + bytes(99), "is no HDF5 file: it is a zip archive"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "text": ("Zoë Quill,p01\n".encode() * 9, r"is no HDF5 file: it is text\.$"),
    "unknown": (b"\x89PNG\r\n", r"is no HDF5 file: it begins with 89 50 4e 47\.$"),
    "damaged": (b"\x89HDF\r\n\x1a\n" + bytes(range(160, 255)) * 9, "is damaged: "),
}


@pytest.mark.parametrize(("data", "message"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_one_clear_line(tmp_path, data, message):
    """What it is instead is said in one line."""
    path = tmp_path / "a.h5"
    path.write_bytes(data)

    with pytest.raises(SourceFormatError, match=message) as caught:
        Hdf5File(path)
    assert "\n" not in str(caught.value)


def test_places_without_a_file_are_named(tmp_path):
    """Nothing, a folder, and a file where a folder should be."""
    (tmp_path / "file").write_bytes(b"x")

    for path, kind in ((tmp_path / "no.h5", NotFoundError), (tmp_path / "file/a.h5", NotFoundError)):
        with pytest.raises(kind, match="there is nothing at"):
            Hdf5File(path)
    with pytest.raises(SourceFormatError, match="is a folder"):
        Hdf5File(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_no_damage(path):
    """Permissions are said to be the cause."""
    path.chmod(0)

    with pytest.raises(StoreAccessError, match="permissions"):
        Hdf5File(path)


def test_a_file_that_is_being_written_waits(path):
    """A file that is open for writing is not damaged, and the lock is said to be the cause."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LockedError, match="a is open for writing elsewhere"):
            Hdf5File(path, shown="a")


def test_a_file_that_was_never_closed_says_so(path):
    """The mark that a crashed writer leaves is recognised."""
    data = bytearray()
    newest = path.with_name("newest.h5")
    with h5py.File(newest, "w", libver="latest") as file:
        file["x"] = 1
        file.flush()
        data += newest.read_bytes()
    crashed = path.with_name("crashed.h5")
    crashed.write_bytes(data)

    with pytest.raises(SourceFormatError, match="never closed by what wrote it"):
        Hdf5File(crashed)
