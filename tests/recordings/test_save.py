"""Saving a dataset: nothing half-made opens, on a disk and in a store; an old store stays until the new is there."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.recordings.sample_transform import plain
from zarrmill.draft import Draft
from zarrmill.errors import AlreadyExistsError, PublishError, ResumeError
from zarrmill.keyspace.object_store import ObjectKeys
from zarrmill.recordings import save as module
from zarrmill.recordings.encoded_dataset import encode_dataset
from zarrmill.recordings.save import save_dataset, save_encoded
from zarrmill.store import open_keys, open_store


def dataset(number: int = 1, *, rows: int = 3, extra: bool = False) -> xr.Dataset:
    """Return a small dataset whose every value is the number given."""
    found = xr.Dataset(
        {
            "a": ("x", np.full(rows, number)),
            "t": ("x", np.array([str(number)] * rows, dtype=object)),
            "s": ((), number),
        },
        attrs={"number": number},
    )
    return found.assign(more=("x", np.full(rows, number))) if extra else found


def numbers(location) -> set[int]:
    """Return every value of a store by two ways of reading it: one store has one number."""
    store = open_store(location).store
    read = xr.open_zarr(store, consolidated=True, chunks=None).load()
    found = {int(v) for name in read.data_vars for v in np.ravel(read[name].values)} | {int(read.attrs["number"])}
    group = zarr.open_group(store, mode="r", use_consolidated=False)
    for _, array in group.arrays():
        found |= {int(v) for v in np.ravel(array[...])}
    return found


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A path, or the URL of a store in memory."""
    return str(tmp_path / "a.zarr") if request.param == "disk" else f"memory://save-{plain(request)}/a.zarr"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"memory://save-{plain(request)}/a.zarr"


def keys_at(location: str) -> set[str]:
    return {info.key for info in open_keys(location).list()}


def test_a_saved_dataset_opens(place: str):
    """The report tells its arrays, bytes and requests."""
    saved = save_dataset(dataset(), place)

    assert numbers(place) == {1}
    assert (saved.arrays, saved.location) == (3, place)
    assert saved.requests.bytes_written > saved.nbytes > 0


def test_a_store_that_exists_is_left_alone(place: str):
    """Unless it is to be replaced."""
    save_dataset(dataset(1), place)

    with pytest.raises(AlreadyExistsError, match="exists"):
        save_dataset(dataset(2), place)

    assert numbers(place) == {1}


def test_a_store_is_replaced_again_and_again(place: str):
    """Arrays that the new one has not are gone, and nothing else is left."""
    save_dataset(dataset(1, extra=True, rows=5), place)
    first = keys_at(place)
    for number in (2, 3, 4):
        save_dataset(dataset(number), place, overwrite=True)
        assert numbers(place) == {number}
        assert not any("more" in key or ".zarrmill" in key for key in keys_at(place))
    save_dataset(dataset(5, extra=True, rows=5), place, overwrite=True)

    assert len(keys_at(place)) == len(first)


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path):
    """Somebody's data may be in it."""
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").touch()

    with pytest.raises(AlreadyExistsError, match="no Zarr store"):
        save_dataset(dataset(), tmp_path / "a.zarr", overwrite=True)

    assert (tmp_path / "a.zarr" / "thesis.txt").exists()


def test_nothing_is_left_beside_a_store_on_disk(tmp_path: Path):
    """No draft, no temporary file."""
    save_dataset(dataset(), tmp_path / "deep" / "a.zarr")
    save_dataset(dataset(2), tmp_path / "deep" / "a.zarr", overwrite=True)

    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["a.zarr"]


def test_two_runs_never_write_one_store_on_disk(tmp_path: Path):
    """The second is told that another is at work."""
    save_dataset(dataset(1), tmp_path / "a.zarr")
    draft = Draft(tmp_path / "a.zarr")
    draft.folder.mkdir()
    draft._take_lock()
    try:
        with pytest.raises(ResumeError, match="another run"):
            save_dataset(dataset(2), tmp_path / "a.zarr", overwrite=True)
    finally:
        draft.release()
    assert numbers(tmp_path / "a.zarr") == {1}


@pytest.mark.parametrize("old", [False, True], ids=["new", "replaced"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool):
    """And no draft."""
    if old:
        save_dataset(dataset(1), tmp_path / "a.zarr")

    def fail(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module.LocalKeys, "fill", fail)
    with pytest.raises(OSError, match="No space"):
        save_dataset(dataset(2), tmp_path / "a.zarr", overwrite=True)

    assert [entry.name for entry in tmp_path.iterdir()] == (["a.zarr"] if old else [])


def test_the_requests_of_a_new_store_are_as_few_as_can_be(url: str):
    """One PUT per array and one per document, and of others: the claim, its removal, two readings and one listing."""
    store = encode_dataset(dataset())

    requests = save_encoded(store, open_keys(url), overwrite=True).requests

    arrays, documents = 3, 4
    assert requests.puts == arrays + documents + 1
    assert (requests.lists, requests.deletes) == (1, 1)
    assert requests.gets <= 2 + documents


class Recorder(ObjectKeys):
    """Keys that tell of each change, before and after it."""

    def __init__(self, url: str, told) -> None:
        keys = open_keys(url)
        super().__init__(keys.link, prefix=keys.prefix)
        self.told = told

    def put(self, key, data):
        self.told(key)
        found = super().put(key, data)
        self.told(key)
        return found

    def create(self, key, data):
        self.told(key)
        found = super().create(key, data)
        self.told(key)
        return found

    def delete(self, keys):
        for key in keys:
            self.told(key)
            super().delete([key])
            self.told(key)


def consolidated(url: str) -> set[int] | None:
    """Return the numbers that readers by consolidated metadata see, None where nothing opens."""
    try:
        read = xr.open_zarr(open_store(url).store, consolidated=True, chunks=None).load()
    except (FileNotFoundError, KeyError):
        return None
    return {int(v) for name in read.data_vars for v in np.ravel(read[name].values)} | {int(read.attrs["number"])}


def each_array(url: str) -> list[set[int]]:
    """Return the numbers in each array that opens by its own metadata."""
    found = []
    for name in ("a", "t", "s"):
        try:
            array = zarr.open_array(open_store(url).store, path=name, mode="r")
        except FileNotFoundError:
            continue
        found.append({int(v) for v in np.ravel(array[...])})
    return found


def test_a_new_store_is_seen_whole_or_not_at_all(url: str, monkeypatch: pytest.MonkeyPatch):
    """At every moment while it is written."""
    one_at_a_time(monkeypatch)
    seen = []
    keys = Recorder(url, lambda _: seen.append(consolidated(url)))

    save_encoded(encode_dataset(dataset(1)), keys, overwrite=True)

    assert None in seen
    assert [s for s in seen if s is not None] == [{1}] * sum(s is not None for s in seen)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_replaced_store_is_seen_old_or_new_at_every_moment(url: str, monkeypatch: pytest.MonkeyPatch, times: int):
    """By consolidated metadata there is never a gap and never a mixture; each array by itself is whole as well."""
    one_at_a_time(monkeypatch)
    for number in range(times):
        save_encoded(encode_dataset(dataset(number)), open_keys(url), overwrite=True)
    old, new = times - 1, times
    seen, arrays = [], []

    def look(_: str) -> None:
        seen.append(consolidated(url))
        arrays.extend(each_array(url))

    save_encoded(encode_dataset(dataset(new, rows=4)), Recorder(url, look), overwrite=True)

    assert {frozenset(s or ()) for s in seen} == {frozenset({old}), frozenset({new})}
    assert all(values in ({old}, {new}) for values in arrays)


def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have requests made one after the other, so that every moment can be looked at."""
    monkeypatch.setattr(module, "collect", lambda pool, calls: (call() for call in calls))


class Killed(BaseException):
    """Stands for the end of the process."""


def save_and_die(url: str, number: int, *, step: int, extra: bool = False) -> bool:
    """Save, and die at a step, with nothing that a dead process would not do; tell whether it came that far."""
    count = 0

    def told(_: str) -> None:
        nonlocal count
        count += 1
        if count > step:
            raise Killed

    keys = Recorder(url, told)
    try:
        save_encoded(encode_dataset(dataset(number, extra=extra)), keys, overwrite=True)
    except Killed:
        return True
    return False


@pytest.mark.parametrize("before", [0, 1, 2], ids=["nothing there", "one there", "replaced before"])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_store(url: str, monkeypatch: pytest.MonkeyPatch, before: int):
    """And the next run makes it whole by every way of reading, with nothing left over."""
    one_at_a_time(monkeypatch)
    monkeypatch.setattr("zarrmill.recordings.store_claim._is_dead", lambda holder: True)
    step, died = 0, True
    while died:
        place = f"{url}-{step}"
        for number in range(before):
            save_dataset(dataset(number, extra=True), place, overwrite=True)
        died = save_and_die(place, 7, step=step)

        assert consolidated(place) in ([None, {7}] if not before else [{before - 1}, {7}])
        save_dataset(dataset(8), place, overwrite=True)
        assert numbers(place) == {8}
        assert len(keys_at(place)) == 7
        step += 1
    assert step > 12


def test_a_key_that_somebody_else_changed_is_noticed(url: str, monkeypatch: pytest.MonkeyPatch):
    """What is not as it was put is never shown."""
    one_at_a_time(monkeypatch)

    class Meddler(ObjectKeys):
        def list(self, prefix=""):
            ObjectKeys(self.link, prefix=self.prefix).put("a/c.0", b"other")
            return super().list(prefix)

    keys = open_keys(url)
    with pytest.raises(PublishError, match=r"a/c\.0"):
        save_encoded(encode_dataset(dataset()), Meddler(keys.link, prefix=keys.prefix), overwrite=True)

    assert consolidated(url) is None


def test_a_key_that_is_lost_is_noticed(url: str, monkeypatch: pytest.MonkeyPatch):
    """A missing chunk would be read as fill values."""
    one_at_a_time(monkeypatch)

    class Loser(ObjectKeys):
        def list(self, prefix=""):
            return (info for info in super().list(prefix) if info.key != "t/c.0")

    keys = open_keys(url)
    with pytest.raises(PublishError, match=r"t/c\.0 is missing"):
        save_encoded(encode_dataset(dataset()), Loser(keys.link, prefix=keys.prefix), overwrite=True)


@pytest.mark.parametrize("old", [False, True], ids=["new", "replaced"])
def test_what_a_killed_run_left_is_not_read_as_a_missing_chunk(url: str, old: bool):
    """An array of nothing but fill values has no key, and none of another run is taken for it."""
    if old:
        save_dataset(dataset(4), url)
    stray = "a/c/0" if old else "a/c.0"
    open_keys(url).put(stray, encode_dataset(dataset(9)).chunks(".")["a/c.0"])

    seen: list[set[str]] = []
    keys = Recorder(url, lambda key: seen.append(keys_at(url)) if key == "zarr.json" else None)
    save_encoded(encode_dataset(dataset(0)), keys, overwrite=True)

    assert all(stray not in names for names in seen)
    assert numbers(url) == {0}
    assert sorted(key for key in keys_at(url) if not key.endswith("zarr.json")) == [f"t/c{stray[3]}0"]


def test_a_store_of_another_program_is_replaced(url: str):
    """Whatever its chunks are called."""
    for separator in ("/", "."):
        keys = open_keys(url)
        group = zarr.create_group(open_store_new(url), overwrite=True, attributes={"number": 1})
        encoding = {"name": "default", "separator": separator}
        group.create_array("a", data=np.array([1, 1]), chunk_key_encoding=encoding, dimension_names=["x"])

        save_encoded(encode_dataset(dataset(2)), keys, overwrite=True)

        assert numbers(url) == {2}
        assert len(keys_at(url)) == 7


def open_store_new(url: str):
    from zarrmill.store import open_new

    return open_new(url).store
