"""execute/records.py: trailing axes taken as one item, without a change of any bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.cases import FIXED, random_values, same_bits
from zarrmill.execute.records import RECORD_BYTES, Records
from zarrmill.grid import Region


@st.composite
def cases(draw):
    dtype = draw(st.sampled_from(FIXED))
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=4)))
    boxes = [tuple(draw(st.sampled_from([n, max(1, n - 1)])) for n in shape) for _ in range(3)]
    return np.dtype(dtype), shape, boxes


@given(case=cases(), seed=st.integers(0, 99))
def test_values_come_back_from_records(case, seed):
    """Seen as records and back, values have the same bits; of a chunk too, which may be strided."""
    dtype, shape, boxes = case
    records = Records.of(dtype, shape, boxes)
    values = random_values(dtype.str.lstrip("<|"), shape, np.random.default_rng(seed)).astype(dtype)
    for box in (shape, *boxes):
        chunk = values[tuple(map(slice, box))]
        seen = records.of_values(chunk)
        assert seen.shape == records.shape(box)
        assert same_bits(
            records.to_values(np.ascontiguousarray(seen).reshape(seen.shape), dtype=dtype, shape=box), chunk
        )


@given(cases())
def test_only_axes_that_every_box_has_whole_are_merged(case):
    """No chunk or tile ends inside a record."""
    dtype, shape, boxes = case
    records = Records.of(dtype, shape, boxes)

    assert all(box[axis] == shape[axis] for box in boxes for axis in range(records.axes, len(shape)))
    assert records.dtype.itemsize == dtype.itemsize * int(np.prod(shape[records.axes :]))


@given(case=cases(), seed=st.integers(0, 99))
def test_a_record_of_fill_values_has_their_bits(case, seed):
    """One record of fill values is as many of them as a record holds."""
    dtype, shape, boxes = case
    records = Records.of(dtype, shape, boxes)
    fill = random_values(dtype.str.lstrip("<|"), (1,), np.random.default_rng(seed)).astype(dtype).reshape(())
    count = records.dtype.itemsize // dtype.itemsize

    assert records.fill(fill).shape == ()
    assert records.fill(fill).tobytes() == fill.tobytes() * count


def test_records_have_an_upper_size():
    """Rows of megabytes are not one record: a copy gains nothing from longer ones."""
    long = RECORD_BYTES // 8 + 1

    assert Records.of(np.dtype("f8"), (4, long), [(4, long)]).axes == 2
    assert Records.of(np.dtype("f8"), (4, long - 1), [(2, long - 1)]).axes == 1


@pytest.mark.parametrize("dtype", ["O", np.dtypes.StringDType()], ids=str)
def test_objects_are_never_merged(dtype):
    """What is not its own bytes stays as it is."""
    records = Records.of(np.dtype(dtype), (2, 3), [(2, 3)])

    assert (records.axes, records.dtype) == (2, np.dtype(dtype))


def test_axes_without_length_are_never_merged():
    """A record of no bytes could not be copied."""
    assert Records.of(np.dtype("f8"), (3, 0), [(3, 0)]).axes == 2


def test_regions_lose_the_merged_axes():
    """A region of values becomes one of records."""
    records = Records.of(np.dtype("f8"), (6, 4, 2), [(3, 4, 2)])

    assert records.axes == 0 or records.axes == 1
    assert records.region(Region((3, 0, 0), (6, 4, 2))) == Region((3,), (6,))
