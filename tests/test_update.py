"""rechunk(update=True): only what reads something new is done again, and the result is that of a whole run."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import zarrmill
from tests.properties.cases import quiet
from zarrmill.errors import InvalidInputError, ResumeError
from zarrmill.made_from import RECORD
from zarrmill.store import open_keys, open_new, open_store

OBJECTS, EPOCHS = 60, 24
LAYOUT: dict[str, Any] = {"chunks": (1, 8), "shards": (20, 8)}


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Names places for stores."""
    if request.param == "disk":
        return lambda name: str(tmp_path / name)
    root = f"memory://{uuid.uuid4().hex}"
    return lambda name: f"{root}/{name}"


def zarr_store(location: str) -> Any:
    return location if "://" not in location else open_new(location).store


def write_source(location: str, *, epochs: int = 10, shape: tuple[int, int] = (OBJECTS, EPOCHS)) -> Any:
    """Write a cube of which the first epochs have come in."""
    root = zarr.create_group(zarr_store(location), attributes={"title": "survey"})
    flux = root.create_array(
        "flux", shape=shape, chunks=(shape[0], 1), dtype="f4", fill_value=np.nan, dimension_names=("object", "epoch")
    )
    root.create_array("time", data=np.arange(shape[1], dtype="f8"), dimension_names=("epoch",))
    for epoch in range(epochs):
        add_epoch(flux, epoch)
    return root


def add_epoch(flux: Any, epoch: int, *, seed: int = 0) -> None:
    flux[:, epoch] = np.random.default_rng((epoch, seed)).normal(1000, 30, flux.shape[0])


def run(source: str, target: str, **options: Any) -> zarrmill.RechunkReport:
    asked = {"chunks": {"flux": LAYOUT["chunks"]}, "shards": {"flux": LAYOUT["shards"]}, "max_mem": "64MiB"}
    return zarrmill.rechunk(source, target, **asked | options)


def values(location: str) -> dict[str, np.ndarray]:
    """Return the arrays by name; a draft below a store makes zarr warn where its members are listed."""
    root = zarr.open_group(zarr_store(location), mode="r")
    names = (key.split("/")[0] for key in keys(location) if key.endswith("/zarr.json") and not key.startswith("."))
    return {name: root[name][...] for name in names}


def keys(location: str) -> dict[str, tuple[Any, ...]]:
    """Return what tells the keys of a store from others that were written later."""
    if "://" in location:
        return {info.key: (info.nbytes, info.etag, info.modified_ns) for info in open_keys(location).list()}
    files = [path for path in Path(location).rglob("*") if path.is_file()]
    return {str(path.relative_to(location)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def check_as_source(source: str, target: str) -> None:
    ours, theirs = values(target), values(source)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array)
    assert zarrmill.verify(source, target).equal
    assert not any(".zarrmill" in key for key in keys(target))


def test_one_more_epoch(place: Callable[[str], str]) -> None:
    """The shards of its block of epochs are made again, the others stay: on the disk the very files."""
    source, target = place("s"), place("t")
    root = write_source(source, epochs=9)
    run(source, target)
    before = keys(target)
    add_epoch(root["flux"], 9)
    report = run(source, target, update=True)
    after = keys(target)

    assert (report.blocks, report.kept_blocks) == (1, 3)
    assert report.keys_written == 3
    assert {key for key in before if before[key] != after[key]} >= {"flux/c/0/1", "flux/c/1/1", "flux/c/2/1"}
    same = [key for key in before if before[key] == after[key]]
    assert sorted(key for key in same if "/c/" in key) == ["flux/c/0/0", "flux/c/1/0", "flux/c/2/0"]
    check_as_source(source, target)


def test_nothing_new(place: Callable[[str], str]) -> None:
    """Nothing is written."""
    source, target = place("s"), place("t")
    write_source(source)
    run(source, target)
    before = keys(target)
    report = run(source, target, update=True)

    assert (report.blocks, report.keys_written, report.bytes_read) == (0, 0, 0)
    assert report.kept_blocks > 0
    assert keys(target) == before


def test_without_a_target_all_is_done(place: Callable[[str], str]) -> None:
    """The first run of a nightly command makes the target."""
    source, target = place("s"), place("t")
    write_source(source)
    report = run(source, target, update=True)
    assert report.kept_blocks == 0
    assert report.digest == zarrmill.digest(source)
    check_as_source(source, target)


def test_a_night_after_the_other(place: Callable[[str], str]) -> None:
    """Update after update, from an empty cube to a full one, is the same as making it anew."""
    source, target = place("s"), place("t")
    root = write_source(source, epochs=0)
    for epoch in range(0, EPOCHS, 5):
        add_epoch(root["flux"], epoch)
        run(source, target, update=True)
        check_as_source(source, target)
    run(source, place("anew"))
    assert {k for k in keys(place("anew")) if RECORD not in k} == {k for k in keys(target) if RECORD not in k}


def test_a_cube_that_grows(place: Callable[[str], str]) -> None:
    """An axis may become longer: what lay at its end is made again, and one-key arrays of other lengths with it."""
    source, target = place("s"), place("t")
    root = write_source(source, epochs=20, shape=(OBJECTS, 20))
    run(source, target)
    root["flux"].resize((OBJECTS, 21))
    root["time"].resize((21,))
    add_epoch(root["flux"], 20)
    root["time"][20] = 77.0
    report = run(source, target, update=True)
    assert (report.kept_blocks > 0, report.keys_written) == (True, 3 + 1)
    check_as_source(source, target)


def test_a_cube_that_shrinks(place: Callable[[str], str]) -> None:
    """Keys beyond the new end go."""
    source, target = place("s"), place("t")
    root = write_source(source, epochs=EPOCHS)
    run(source, target)
    root["flux"].resize((OBJECTS, 10))
    root["time"].resize((10,))
    run(source, target, update=True)
    assert "flux/c/0/2" not in keys(target)
    check_as_source(source, target)


def test_values_that_became_missing(place: Callable[[str], str]) -> None:
    """A shard of which nothing is left goes."""
    source, target = place("s"), place("t")
    root = write_source(source, epochs=9)
    run(source, target)
    root["flux"][:, 8] = np.nan
    report = run(source, target, update=True)
    assert report.keys_empty == 3
    assert "flux/c/0/1" not in keys(target)
    check_as_source(source, target)


def test_metadata_follow(place: Callable[[str], str]) -> None:
    """Attributes that changed are taken over, though no block is done again."""
    source, target = place("s"), place("t")
    root = write_source(source)
    run(source, target)
    root.attrs["title"] = "second release"
    report = run(source, target, update=True)
    assert report.blocks == 0
    assert zarr.open_group(zarr_store(target), mode="r").attrs["title"] == "second release"
    check_as_source(source, target)


def test_an_array_that_came_later(place: Callable[[str], str]) -> None:
    """An array that is new is made whole; the others are kept."""
    source, target = place("s"), place("t")
    root = write_source(source)
    run(source, target)
    root.create_array("error", data=np.ones((OBJECTS, EPOCHS), dtype="f4"), chunks=(OBJECTS, 1))
    report = run(source, target, update=True)
    assert report.kept_blocks == 2
    assert report.keys_written == len([key for key in keys(target) if key.startswith("error/c")])
    check_as_source(source, target)


def test_plain_readers_see_no_record(tmp_path: Path) -> None:
    """Neither the members of a group nor its arrays show it, and nothing warns."""
    write_source(str(tmp_path / "s"))
    run(str(tmp_path / "s"), str(tmp_path / "t"))
    root = zarr.open_group(tmp_path / "t", mode="r")
    assert sorted(name for name, _ in root.members(max_depth=None)) == ["flux", "time"]
    assert (tmp_path / "t" / "flux" / RECORD).exists()
    assert zarrmill.info(tmp_path / "t").arrays[0].keys_stored == 6


@pytest.mark.parametrize("verify", ["full", "written", "none"])
def test_every_way_to_verify(tmp_path: Path, verify: str) -> None:
    """An update verifies what it does as a whole run does; of what it keeps there is no digest."""
    source, target = str(tmp_path / "s"), str(tmp_path / "t")
    root = write_source(source, epochs=9)
    run(source, target)
    add_epoch(root["flux"], 9)
    report = run(source, target, update=True, verify=verify)
    assert (report.verify, report.digest) == (verify, None)
    check_as_source(source, target)


def test_old_readers_are_not_disturbed(tmp_path: Path) -> None:
    """An array that was open before the update reads either state, never a mixture, block by block."""
    source, target = str(tmp_path / "s"), str(tmp_path / "t")
    root = write_source(source, epochs=9)
    run(source, target)
    old = values(target)["flux"]
    seen = []

    def look(_: object) -> None:
        seen.append(np.array_equal(values(target)["flux"], old, equal_nan=True))

    add_epoch(root["flux"], 9)
    run(source, target, update=True, progress=look)
    assert len(seen) > 3
    assert seen == sorted(seen, reverse=True)
    assert seen[0]


@given(st.data())
def test_updates_are_as_whole_runs(data: st.DataObject) -> None:
    """Whatever changes, in whatever layout and with whatever memory: the update has the values of the source."""
    draw = data.draw
    source, target = (f"memory://{uuid.uuid4().hex}/{name}" for name in "st")
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    chunk = tuple(draw(st.integers(1, n)) for n in shape)
    inner = tuple(draw(st.integers(1, n)) for n in shape)
    shards = tuple(draw(st.integers(1, 3)) * n for n in inner) if draw(st.booleans()) else None
    array = zarr.create_array(open_new(source).store, shape=shape, chunks=chunk, dtype="i4", fill_value=0)
    array[:] = np.arange(shape[0] * shape[1]).reshape(shape)
    options: dict[str, Any] = {"chunks": inner, "shards": shards, "max_mem": "64MiB"}
    first = zarrmill.rechunk(source, target, **options)
    for _ in range(draw(st.integers(1, 2))):
        i, j = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
        array[i, j:] = draw(st.integers(0, 9))
    report = zarrmill.rechunk(source, target, update=True, **options)

    np.testing.assert_array_equal(zarr.open_array(open_new(target).store, mode="r")[...], array[...])
    assert report.target_bytes <= max(first.target_bytes, report.target_bytes)
    again = zarrmill.rechunk(source, target, update=True, **options)
    assert (again.blocks, again.keys_written) == (0, 0)


# --- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"chunks": {"flux": (2, 8)}}, "has the chunks"),
        ({"shards": {"flux": (30, 8)}}, "has the shards"),
        ({"codecs": "zstd:9"}, "has the codecs"),
        ({"arrays": ["flux"]}, "not asked for"),
        ({"overwrite": True}, "exclude each other"),
    ],
    ids=["chunks", "shards", "codecs", "arrays", "overwrite"],
)
def test_other_requests_are_refused(place: Callable[[str], str], options: dict[str, Any], said: str) -> None:
    """A target in another layout is not brought up to date, and stays as it is."""
    source, target = place("s"), place("t")
    write_source(source)
    run(source, target)
    before = keys(target)
    with pytest.raises(InvalidInputError, match=said):
        run(source, target, update=True, **options)
    assert keys(target) == before


@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_without_a_record_it_is_refused(place: Callable[[str], str], how: str) -> None:
    """Without a record, or with half of one, nobody knows what is up to date."""
    source, target = place("s"), place("t")
    write_source(source)
    run(source, target)
    store = open_keys(target)
    if how == "removed":
        store.delete([f"flux/{RECORD}"])
    else:
        store.put(f"flux/{RECORD}", bytes(store.get(f"flux/{RECORD}") or b"")[:-9])
    with pytest.raises(InvalidInputError, match=r"flux has no record .*--overwrite"):
        run(source, target, update=True)


def test_a_target_that_somebody_changed_is_refused(place: Callable[[str], str]) -> None:
    """A shard that is gone cannot be kept."""
    source, target = place("s"), place("t")
    root = write_source(source)
    run(source, target)
    open_keys(target).delete(["flux/c/0/0"])
    add_epoch(root["flux"], 11)
    with pytest.raises(InvalidInputError, match="keys of flux were changed"):
        run(source, target, update=True)


def test_sources_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    """A store whose listing has no tags makes targets, but cannot say later what is new."""
    store = zarr.storage.MemoryStore()
    zarr.create_array(store, data=np.arange(60).reshape(10, 6), chunks=(10, 1))
    zarrmill.rechunk(store, tmp_path / "t", chunks=(1, 6))
    with pytest.raises(InvalidInputError, match="no record"):
        zarrmill.rechunk(store, tmp_path / "t", chunks=(1, 6), update=True)


def test_something_else_at_the_target(tmp_path: Path) -> None:
    """What is no Zarr store is not touched."""
    write_source(str(tmp_path / "s"))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "thesis.txt").write_text("years of work")
    with pytest.raises(zarrmill.SourceFormatError):
        run(str(tmp_path / "s"), str(tmp_path / "t"), update=True)
    assert os.listdir(tmp_path / "t") == ["thesis.txt"]


def test_an_update_beside_another(tmp_path: Path) -> None:
    """On the disk the second is told to wait."""
    source, target = str(tmp_path / "s"), str(tmp_path / "t")
    root = write_source(source, epochs=9)
    run(source, target)
    add_epoch(root["flux"], 9)
    told = []

    def second(message: object) -> None:
        if not told:
            told.append("tried")
            with pytest.raises(ResumeError, match="another run is writing"):
                run(source, target, update=True)

    run(source, target, update=True, progress=second)
    assert told
    check_as_source(source, target)


def test_a_v2_source(tmp_path: Path) -> None:
    """Sources of Zarr v2 are updated from as well."""
    with quiet():
        array = zarr.create_array(tmp_path / "s", shape=(20, 6), chunks=(20, 1), dtype="i4", zarr_format=2)
        array[:, :4] = 1
    zarrmill.rechunk(tmp_path / "s", tmp_path / "t", chunks=(1, 2), shards=(20, 2))
    with quiet():
        array[:, 5] = 2
    report = zarrmill.rechunk(tmp_path / "s", tmp_path / "t", chunks=(1, 2), shards=(20, 2), update=True)
    assert (report.blocks, report.kept_blocks > 0) == (1, True)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "t", mode="r")[...], array[...])


def test_updates_in_processes(tmp_path: Path) -> None:
    """Any executor does it."""
    source, target = str(tmp_path / "s"), str(tmp_path / "t")
    root = write_source(source, epochs=9)
    run(source, target)
    add_epoch(root["flux"], 9)
    report = run(source, target, update=True, executor="processes", workers=2)
    assert (report.kept_blocks, report.keys_written) == (3, 3)
    check_as_source(source, target)


def test_several_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an intermediate the independent boxes that changed are done again, the others are kept."""
    from zarrmill.plan import arrays

    monkeypatch.setattr(arrays, "_one_pass_plans", lambda *args, **options: iter(()))
    monkeypatch.setattr(arrays, "_small_plan", lambda job, limits: None)
    monkeypatch.setattr(arrays, "_block_aim", lambda *args: 0)
    source, target = str(tmp_path / "s"), str(tmp_path / "t")
    root = write_source(source, epochs=9)
    options: dict[str, Any] = {"arrays": ["flux"]}
    run(source, target, **options)
    add_epoch(root["flux"], 9)
    report = run(source, target, update=True, **options)
    assert report.arrays[0].passes > 1
    assert report.kept_blocks > 0
    assert report.keys_written == 3
    np.testing.assert_array_equal(values(target)["flux"], root["flux"][...])


def test_sources_open_in_a_store_object(tmp_path: Path) -> None:
    """A zarr Group, or an opened store, is a source and a target like its path."""
    root = write_source(str(tmp_path / "s"), epochs=9)
    run(str(tmp_path / "s"), str(tmp_path / "t"))
    add_epoch(root["flux"], 9)
    report = zarrmill.rechunk(
        root, zarr.storage.LocalStore(tmp_path / "t"), chunks={"flux": (1, 8)}, shards={"flux": (20, 8)}, update=True
    )
    assert (report.kept_blocks, report.keys_written) == (3, 3)
    assert open_store(tmp_path / "t").location == report.target
