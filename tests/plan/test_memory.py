"""plan/memory.py: bounds of memory, against what codecs and counting say."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.cases import CODECS_V3
from zarrmill.codecs.chain import CodecChain
from zarrmill.layout import ArrayLayout
from zarrmill.plan.memory import (
    SLACK,
    Side,
    encoded_bound,
    index_nbytes,
    pass_mem,
    puts_at_once,
    read_side,
    write_side,
)

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def layout(chunks, *, shards=None, itemsize=8):
    return ArrayLayout((1000,) * len(chunks), "float64", itemsize, chunks, shards=shards)


@pytest.mark.parametrize("values", [1, 100, 5000, 300_000], ids=str)
@pytest.mark.parametrize("name", CODECS_V3)
def test_encoded_bound_holds_for_random_bits(name, values):
    """No codec that the driver knows makes more of incompressible bytes than the bound allows."""
    documents = [LITTLE] + [c if isinstance(c, dict) else c.to_dict() for c in CODECS_V3[name]]
    if name.startswith("blosc"):
        documents[1]["configuration"] |= {"typesize": 4}
    chain = CodecChain([json.dumps(d) for d in documents], dtype=np.dtype("i4"), chunk=(values,))
    raw = np.random.default_rng(values).integers(-(2**31), 2**31, values, dtype="i4")

    assert len(chain.encode(raw)) <= encoded_bound(raw.nbytes)


@given(a=st.integers(0, 2**40), b=st.integers(0, 2**40))
def test_encoded_bound_grows_with_its_input(a, b):
    """More bytes never have a smaller bound."""
    assert encoded_bound(min(a, b)) <= encoded_bound(max(a, b))


def test_index_is_sixteen_bytes_an_inner_chunk():
    """Offset and length, eight bytes each; none without shards."""
    inner = len(list(itertools.product(range(4), range(3))))

    assert index_nbytes(layout((5, 2), shards=(20, 6))) == 16 * inner
    assert index_nbytes(layout((5, 2))) == 0


@pytest.mark.parametrize("native", [True, False], ids=["driver", "zarr"])
@pytest.mark.parametrize("shards", [None, (400, 400)], ids=["chunks", "shards"])
def test_ends_hold_at_least_what_one_thread_touches(native, shards):
    """Reading holds a chunk encoded and decoded; writing holds a decoded chunk and its encoded bytes."""
    stored = layout((200, 200), shards=shards)
    least = stored.chunk_nbytes + encoded_bound(stored.chunk_nbytes)

    assert read_side(stored, native=native).mem(1) >= least
    assert write_side(stored, native=native, verify=False, open_shards=1).mem(1) >= least


@given(
    chunk=st.integers(1, 10**6),
    per_shard=st.integers(1, 1000),
    threads=st.integers(1, 64),
    shards=st.integers(1, 50),
    verify=st.booleans(),
)
def test_memory_grows_with_threads_and_open_shards(chunk, per_shard, threads, shards, verify):
    """One more thread or open shard never takes less; verifying never takes less than not verifying."""
    stored = layout((chunk,), shards=(chunk * per_shard,))

    def mem(threads, shards, verify):
        side = write_side(stored, native=True, verify=verify, open_shards=shards)
        return pass_mem(0, buffers=2, threads=threads, read=read_side(stored, native=True), write=side)

    now = mem(threads, shards, verify)
    assert now <= mem(threads + 1, shards, verify)
    assert now + 16 * per_shard == mem(threads, shards + 1, verify)
    assert mem(threads, shards, False) <= mem(threads, shards, True)


def test_two_buffers_count_both_ends_and_one_the_larger():
    """With two tiles reading and writing overlap; with one they take turns; what is held counts always."""
    read, write = Side(per_thread=10, shared=1), Side(per_thread=3, shared=100)

    assert pass_mem(1000, buffers=2, threads=4, read=read, write=write) == SLACK + 2000 + 41 + 112
    assert pass_mem(1000, buffers=1, threads=4, read=read, write=write) == SLACK + 1000 + 112
    assert pass_mem(1000, buffers=1, threads=4, read=read, write=write, held=7) == SLACK + 7 + 1000 + 112


@pytest.mark.parametrize("values", [125_000, 3_000_000], ids=["small", "large"])
def test_every_copy_on_its_way_counts(values):
    """Of small values fewer are on their way, in the same memory; of a large one all copies are there at once."""
    stored = ArrayLayout((30_000_000,), "float64", 8, (values,))
    bound = encoded_bound(stored.chunk_nbytes)
    once, thrice = (
        write_side(stored, native=True, verify=False, open_shards=1, remote=copies).shared for copies in (1, 3)
    )

    assert once >= puts_at_once(bound) * bound
    assert thrice >= 3 * puts_at_once(3 * bound) * bound
    assert thrice - once == 2 * bound if values == 3_000_000 else thrice <= once
    assert read_side(stored, native=True, remote=3).shared >= 3 * bound
