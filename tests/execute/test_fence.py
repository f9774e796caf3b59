"""execute/fence.py: files that are made aside, and late blocks that can do no harm."""

from __future__ import annotations

import os

import pytest

from zarrmill.errors import NotFoundError
from zarrmill.execute.fence import PREFIX, Fences, check_mark, fenced, mark_of
from zarrmill.execute.sinks import FileSinks
from zarrmill.keyspace.local import LocalKeys


def write(folder, key, data):
    file = folder.open(key)
    file.write([data])
    return file


def files(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_a_file_is_in_its_place_when_it_is_whole(tmp_path):
    """Until a file is kept nothing is at its key; then it is, and nowhere else."""
    with fenced(tmp_path / "draft") as fence:
        file = write(FileSinks(tmp_path / "data", fence), "c/0/1", b"whole")
        assert not (tmp_path / "data/c/0/1").exists()
        file.close()
        assert os.listdir(fence.folder) == [fence.sign.name]

    assert files(tmp_path) == {"data/c/0/1": b"whole"}


def test_two_attempts_at_one_key_never_mix(tmp_path):
    """The file of the attempt that ends last stays, as long or short as it is."""
    with fenced(tmp_path / "draft") as fence:
        first, second = (FileSinks(tmp_path / "data", fence) for _ in range(2))
        slow = write(first, "0", b"slow")
        write(second, "0", b"quick and long").close()
        slow.write([b"er"])
        slow.close()

    assert files(tmp_path) == {"data/0": b"slower"}


def test_a_dropped_file_leaves_nothing(tmp_path):
    """What an attempt gives up is gone at once, and what another one has written stays."""
    with fenced(tmp_path / "draft") as fence:
        folder = FileSinks(tmp_path / "data", fence)
        write(folder, "0", b"good").close()
        write(folder, "0", b"ba").abandon()

        assert os.listdir(fence.folder) == [fence.sign.name]
    assert files(tmp_path) == {"data/0": b"good"}


def test_a_late_block_can_do_no_harm(tmp_path):
    """Once its run is over, a block can neither begin, nor finish, nor remove a key."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/0").write_bytes(b"another run's")
    with fenced(tmp_path / "draft") as fence:
        folder = FileSinks(tmp_path / "data", fence)
        begun = write(folder, "0", b"late")

    with pytest.raises(FileNotFoundError):
        begun.close()
    with pytest.raises(NotFoundError, match="into which this run writes"):
        folder.open("1")
    with pytest.raises(NotFoundError):
        folder.remove("0")
    with pytest.raises(NotFoundError):
        folder.adopt(LocalKeys(tmp_path / "elsewhere"), "0")
    assert files(tmp_path) == {"data/0": b"another run's"}


def test_folders_that_zarr_python_makes_again_are_no_fence(tmp_path):
    """A late block whose folder comes back without its sign is still shut out."""
    with fenced(tmp_path / "draft") as fence:
        made = fence.new_path()
    made.mkdir(parents=True)
    (made / "0").write_bytes(b"late")

    with pytest.raises(NotFoundError):
        FileSinks(tmp_path / "data", fence).adopt(LocalKeys(made), "0")


def test_earlier_runs_are_fenced_off(tmp_path):
    """A run removes the fences that killed ones left, with what is in them."""
    (tmp_path / f"{PREFIX}old").mkdir()
    (tmp_path / f"{PREFIX}old/half").write_bytes(b"ha")
    (tmp_path / "data").mkdir()
    with fenced(tmp_path) as fence:
        assert set(os.listdir(tmp_path)) == {"data", fence.folder.name}

    assert os.listdir(tmp_path) == ["data"]


def test_runs_that_share_a_folder_leave_each_other_alone(tmp_path):
    """One that begins or ends beside another takes nothing but its own fence away."""
    with fenced(tmp_path, alone=False) as first:
        with fenced(tmp_path, alone=False) as second:
            assert set(os.listdir(tmp_path)) == {first.folder.name, second.folder.name}
        first.check()
        with pytest.raises(NotFoundError):
            second.check()

    assert os.listdir(tmp_path) == []


def test_a_failure_takes_the_fence_away(tmp_path):
    """Ctrl-C and errors end a run as well."""
    with pytest.raises(KeyboardInterrupt), fenced(tmp_path):
        raise KeyboardInterrupt

    assert os.listdir(tmp_path) == []


def test_no_fences_shut_nobody_out():
    """Where no block can outlive its run there is nothing to see."""
    Fences().check()


@pytest.mark.parametrize("which", ["target", "scratch"])
def test_every_fence_must_be_seen(tmp_path, which):
    """A process that does not see one of the disks is told so, by host."""
    with fenced(tmp_path) as fence:
        fences = Fences(**{which: fence})
        fences.check()

    with pytest.raises(NotFoundError, match=f"{os.uname().nodename} does not see"):
        fences.check()


@pytest.mark.parametrize("name", ["zarr.json", ".zarray"])
def test_mark_tells_arrays_apart(tmp_path, name):
    """An array has the mark of its metadata; without any, or with others, it is not the one."""
    for folder, text in {"a": "{}", "b": '{"a":1}', "c": "{}"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    mark = mark_of(tmp_path / "a")

    check_mark(tmp_path / "c", mark)
    for other in ("b", "missing"):
        with pytest.raises(NotFoundError, match="does not see the source"):
            check_mark(tmp_path / other, mark)
    assert mark_of(tmp_path / "missing") == ""
