"""lightcurves/stored_key.py: shards and chunks as zarr-python reads and writes them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from zarrmill.errors import SourceFormatError
from zarrmill.lightcurves.options import CreateOptions
from zarrmill.lightcurves.schema import Schema, encode, field_document, make_fields
from zarrmill.lightcurves.sizing import Sizes
from zarrmill.lightcurves.stored_key import StoredKey

OPTIONS = CreateOptions()
MEASUREMENTS = OPTIONS.measurements(["g", "r"])
SCHEMA = Schema(
    fields=make_fields(OPTIONS, MEASUREMENTS),
    measurements=MEASUREMENTS,
    key_kind="range",
    time_scale="utc",
    sizes=Sizes(epoch_block=4, shard_objects=6, epoch_chunk=4),
    max_epochs=4,
    codecs=("blosc:zstd:5:shuffle",),
    epoch_codecs=("zstd:1",),
)
RANDOM = np.random.default_rng(0)


def cube(rows: int) -> np.ndarray:
    values = RANDOM.normal(size=(rows, 2, 4)).astype("f4")
    values[1:3] = np.nan
    return values


@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor(2)], ids=["alone", "threads"])
@pytest.mark.parametrize("rows", [0, 1, 5, 6], ids=str)
def test_a_shard_comes_back(rows, pool) -> None:
    """Whole or with rows missing at its end; chunks of nothing but the fill value are left out."""
    field = SCHEMA.field("flux")
    stored, values = StoredKey(SCHEMA.cube_layout(field, n_objects=6, n_epochs=4), fill=field.fill_array), cube(rows)
    stored._batch = 2
    data = stored.encode(values, pool)

    np.testing.assert_array_equal(stored.decode(data, rows, pool), values)
    assert np.isnan(stored.decode(data, 6)[rows:]).all()
    assert stored.index is not None
    index = stored.index.decode(data[-stored.index.nbytes :])
    assert [bool(n != 2**64 - 1) for n in index[:rows, 0]] == [True, False, False, True, True, True][:rows]


def test_zarr_python_reads_and_writes_the_same() -> None:
    """A shard is read by zarr-python, and one of its own is read here."""
    field = SCHEMA.field("flux")
    layout = SCHEMA.cube_layout(field, n_objects=6, n_epochs=4)
    stored, values, store = StoredKey(layout, fill=field.fill_array), cube(6), MemoryStore()
    set_key(store, "zarr.json", encode(field_document(field, layout)))
    set_key(store, "c.0.0.0", stored.encode(values))
    array = zarr.open_array(store, mode="r+")
    np.testing.assert_array_equal(array[...], values)

    array[...] = values[::-1]
    np.testing.assert_array_equal(stored.decode(get_key(store, "c.0.0.0"), 6), values[::-1])


@pytest.mark.parametrize("rows", [1, 4, 5, 23], ids=str)
def test_epochs_in_one_chunk_or_several(rows) -> None:
    """The array of an epoch is one key, whatever its length."""
    field = SCHEMA.field("status")
    layout, store = SCHEMA.epoch_layout(field, rows=rows), MemoryStore()
    values = RANDOM.integers(1, 4, size=(rows, 2), dtype=np.uint8)
    stored = StoredKey(layout, fill=field.fill_array)
    set_key(store, "zarr.json", encode(field_document(field, layout)))
    set_key(store, "c.0.0", stored.encode(values))

    assert (layout.shards is None) == (rows <= 4)
    np.testing.assert_array_equal(zarr.open_array(store, mode="r")[...], values)
    np.testing.assert_array_equal(stored.decode(get_key(store, "c.0.0"), rows), values)


def test_damage_is_told() -> None:
    """Every flipped byte and every missing end is found."""
    field = SCHEMA.field("flux")
    stored = StoredKey(SCHEMA.cube_layout(field, n_objects=6, n_epochs=4), fill=field.fill_array)
    data = stored.encode(cube(6))
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(SourceFormatError):
            stored.decode(damaged, 6)
    for length in (0, 10, len(data) - 1):
        with pytest.raises(SourceFormatError):
            stored.decode(data[:length], 6)


def set_key(store: MemoryStore, key: str, data: bytes) -> None:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def get_key(store: MemoryStore, key: str) -> bytes:
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    found = sync(store.get(key, default_buffer_prototype()))
    assert found is not None
    return found.to_bytes()
