"""Several passes over an intermediate give what one pass gives, for arrays that do not fit the limit."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from zarr.codecs import ZstdCodec

import zarrmill
from tests.properties.cases import RECORD, quiet
from tests.properties.checks import check_plan, check_same_values, stored_keys

LIMIT = "36MiB"
"""Some megabytes above what is set aside for everything but tiles, for arrays of 15 MB."""


def values_of(dtype, shape):
    """Return different values."""
    numbers = np.arange(np.prod(shape), dtype="u4").reshape(shape)
    if dtype == "record":
        values = np.zeros(shape, RECORD)
        values["id"], values["flux"] = numbers, numbers / 7
        return values
    if dtype == "S5":
        return numbers.astype("S7").astype("S5")
    words = numbers.astype(f"u{np.dtype(dtype).itemsize}")
    words *= words.dtype.type(2654435761)
    return words.view(dtype)


CASES = {
    "rows to columns": ("f4", (2000, 2000), (8, 2000), (2000, 10), None),
    "frames to pixels": ("i4", (200, 150, 140), (1, 150, 140), (200, 5, 7), (200, 50, 70)),
    "shards larger than memory": ("f4", (2000, 2000), (8, 2000), (2000, 20), (2000, 2000)),
    "chunks that do not divide": ("u4", (1999, 2001), (7, 2001), (1999, 13), (1999, 130)),
    "four axes": ("M8[s]", (30, 40, 50, 36), (30, 40, 5, 4), (5, 4, 50, 36), (10, 20, 50, 36)),
    "text": ("S5", (1500, 2000), (15, 2000), (1500, 8), (1500, 400)),
    "records": ("record", (1000, 1000), (50, 1000), (1000, 25), None),
}


SOAK = {(case, 4) for case in CASES} - {("shards larger than memory", 4)}
SOAK |= {(case, 2) for case in ("text", "rows to columns", "shards larger than memory")}
"""Cases whose like is always run, with other shapes: one of four passes, records as values of many bytes, two axes."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "passes"),
    [
        pytest.param(case, passes, id=f"{case}-{passes}", marks=[pytest.mark.soak] * ((case, passes) in SOAK))
        for case in CASES
        for passes in (2, 4)
    ],
)
def test_several_passes_leave_what_one_leaves(tmp_path, case, passes, prefer_passes):
    """Through intermediates within a few megabytes come the values, and the keys with the sizes, of one pass."""
    dtype, shape, before, chunks, shards = CASES[case]
    values = values_of(dtype, shape)
    with quiet():
        array = zarr.create_array(
            tmp_path / "s", shape=shape, chunks=before, dtype=values.dtype, compressors=ZstdCodec(level=1)
        )
        array[...] = values
        options = {"chunks": chunks, "shards": shards, "sync": False, "codecs": "zstd:1"}
        one = zarrmill.rechunk(tmp_path / "s", tmp_path / "one", max_mem="2GiB", verify="none", **options)
        prefer_passes(passes)
        plan = zarrmill.plan_rechunk(
            tmp_path / "s", chunks=chunks, shards=shards, codecs="zstd:1", max_mem=LIMIT, workers=2
        )
        several = zarrmill.rechunk(tmp_path / "s", tmp_path / "several", max_mem=LIMIT, workers=2, **options)

    check_plan(plan)
    # Tiles that cut through a shard append its chunks in another order.
    check_same_values(tmp_path / "several", values)
    assert stored_keys(tmp_path / "several") == stored_keys(tmp_path / "one")
    assert one.arrays[0].passes == 1
    assert several.arrays[0].passes > 1
    assert several.source_chunks_read == several.source_chunks
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "s", "several"]
