"""lightcurves/sizing.py: sizes that keep the rules, whatever the survey is like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.sizing import (
    EPOCHS_PER_BLOCK,
    FEWEST_OBJECTS,
    MOST_INNER,
    SHARD_BYTES,
    Sizes,
    choose_sizes,
    read_chunks,
)

SIZES = st.integers(min_value=1, max_value=10**7)


@given(
    n_objects=SIZES,
    max_epochs=st.none() | st.integers(1, 10**5),
    record=st.integers(1, 10**4),
    chunk=st.just(0) | st.integers(1, 10**5),
    remote=st.booleans(),
)
def test_rules_hold(n_objects, max_epochs, record, chunk, remote) -> None:
    """An index is at most 64 kB, a shard holds no more than its aim but for one object, blocks are even."""
    sizes = choose_sizes(
        n_objects=n_objects, max_epochs=max_epochs, record=record, asked=Sizes(0, 0, chunk), remote=remote
    )

    assert 1 <= sizes.epoch_block <= EPOCHS_PER_BLOCK
    assert 1 <= sizes.shard_objects <= MOST_INNER
    assert 16 * sizes.shard_objects + 4 <= 65_536
    aim = SHARD_BYTES["remote" if remote else "local"]
    assert sizes.shard_objects == 1 or sizes.shard_objects * sizes.epoch_block * record <= aim
    assert sizes.epoch_chunk >= 1
    if max_epochs is not None:
        blocks = -(-max_epochs // sizes.epoch_block)
        assert blocks * sizes.epoch_block - max_epochs < blocks
    if not chunk and sizes.shard_objects >= FEWEST_OBJECTS:
        assert sizes.shard_objects % sizes.epoch_chunk == 0


def test_real_survey() -> None:
    """50,000 objects, 1,200 epochs, 40 measurements: 32 MiB shards of whole chunks of epochs."""
    sizes = choose_sizes(n_objects=50_000, max_epochs=1200, record=160)

    assert sizes == Sizes(epoch_block=400, shard_objects=524, epoch_chunk=262)


def test_what_is_asked_stays() -> None:
    """Explicit sizes are taken as they are, and chunks of epochs then divide shards where they can."""
    assert choose_sizes(n_objects=100, max_epochs=10, record=8, asked=Sizes(3, 32, 16)) == Sizes(3, 32, 16)
    assert choose_sizes(n_objects=10**6, max_epochs=None, record=8, asked=Sizes(0, 0, 1000)) == Sizes(512, 4000, 1000)


def test_chunks_in_the_words_of_the_promised_call() -> None:
    """``value`` has no effect, ``measurement`` is a number of measurements, and -1 leaves it to the rule."""
    assert read_chunks({"object": 1000, "epoch": 1, "measurement": 2, "value": 2}) == (1000, 2)
    assert read_chunks({"object": -1}) == read_chunks(None) == (0, 0)


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ({"objects": 5}, "'objects' is no dimension. Did you mean 'object'"),
        ({"epoch": 10}, "an epoch is written alone"),
        ({"object": 0}, "chunks: object 0 is no whole number"),
        ({"object": 2.5}, "chunks: object 2.5 is no whole number"),
    ],
    ids=["name", "epochs together", "zero", "fraction"],
)
def test_chunks_that_cannot_be(chunks, message) -> None:
    """Each says what is wrong."""
    with pytest.raises(InvalidInputError, match=message):
        read_chunks(chunks)
