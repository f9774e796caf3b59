"""Properties of the digest: the same for every cut and every memory layout, another for every other array."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.test_digest import DTYPES, brute_force, make_values
from zarrmill.digest import ArrayDigest, Share

Array = NDArray[Any]

LENGTHS = st.one_of(st.integers(0, 5), st.sampled_from([16, 63, 64, 65, 250, 1000, 1025]))
"""Short ones, and those around which the sum takes another path."""
STARTS = st.one_of(st.just(0), st.integers(0, 5000), st.sampled_from([15, 16, 1023, 2**20 - 1, 2**30]))
MOST_VALUES = 20_000


class Case(NamedTuple):
    """A region of random values, in few words so that an example can be read."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    origin: tuple[int, ...]
    seed: int

    def make(self) -> tuple[ArrayDigest, Array, tuple[int, ...]]:
        """Return an array that ends with the region, the values of the region, and where it begins."""
        whole = tuple(np.add(self.origin, self.shape).tolist())
        return ArrayDigest(whole, self.dtype.str), make_values(self.dtype, self.shape, seed=self.seed), self.origin


@st.composite
def cases(draw: st.DrawFn, *, dtypes: list[np.dtype[Any]] = DTYPES, least: int = 0) -> Case:
    """Draw a region of at most `MOST_VALUES` values, each axis at least so long."""
    shape: list[int] = []
    for length in draw(st.lists(LENGTHS, max_size=4)):
        fits = np.prod(shape) * length <= MOST_VALUES
        shape.append(max(length if fits else min(length, 2), least))
    origin = tuple(draw(STARTS) for _ in shape)
    return Case(draw(st.sampled_from(dtypes)), tuple(shape), origin, draw(st.integers(0, 9)))


def sum_parts(draw: Any, array: ArrayDigest, values: Array, origin: tuple[int, ...], *, cuts: int = 4) -> Share:
    """Return the sum of the shares of random parts, cut in two at most so many times over."""
    if values.ndim == 0 or cuts == 0:
        return array.share(values, origin)
    axis = draw(st.integers(0, values.ndim - 1))
    at = draw(st.integers(0, values.shape[axis]))
    left, right = np.split(values, [at], axis=axis)
    moved = (*origin[:axis], origin[axis] + at, *origin[axis + 1 :])
    return array.share(left, origin) + sum_parts(draw, array, right, moved, cuts=cuts - 1)


@given(cases(), st.data())
def test_any_cut_adds_up(case, data):
    """The shares of any partition add up to the share of the whole."""
    array, values, origin = case.make()

    assert sum_parts(data.draw, array, values, origin) == array.share(values, origin)


@given(cases(least=1))
def test_share_is_that_of_the_definition(case):
    """Every path gives the sum of weighted words."""
    array, values, origin = case.make()

    assert array.share(values, origin) == brute_force(values, origin)


@given(cases(), st.data())
def test_memory_layout_does_not_count(case, data):
    """Order of axes, steps and directions in memory leave the share as it is."""
    array, values, origin = case.make()
    order = data.draw(st.permutations(range(values.ndim)))
    steps = [data.draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in order]
    room = np.zeros([3 * values.shape[axis] for axis in order], values.dtype).transpose(np.argsort(order).astype(int))
    ends = [step * n if step > 0 else None for step, n in zip(steps, values.shape, strict=True)]
    firsts = [None if step > 0 else -step * n - 1 for step, n in zip(steps, values.shape, strict=True)]
    view = room[(*map(slice, firsts, ends, steps), ...)]
    view[...] = values

    assert array.share(view, origin) == array.share(values, origin)


@given(cases(), st.integers(0, 9))
def test_fill_is_the_share_of_a_filled_region(case, seed):
    """A fill value stands for an array of it."""
    array, values, origin = case.make()
    fill = make_values(values.dtype, (1,), seed=seed).reshape(())
    filled = np.full(values.shape, fill, values.dtype)

    assert array.fill_share(fill, origin, array.shape) == array.share(filled, origin)


@given(cases(dtypes=[np.dtype(name) for name in ("u1", "i2", "f4", "f8", "c16", "S12")], least=1), st.data())
def test_one_bit_shows_in_both_lanes(case, data):
    """A single flipped bit anywhere changes each lane."""
    array, values, origin = case.make()
    flipped = values.copy()
    data_bytes = flipped.reshape(-1).view("u1")
    data_bytes[data.draw(st.integers(0, data_bytes.size - 1))] ^= 1 << data.draw(st.integers(0, 7))
    before, after = array.share(values, origin), array.share(flipped, origin)

    assert before.first != after.first
    assert before.second != after.second


@given(cases(least=1), st.data())
def test_a_swap_shows_in_both_lanes(case, data):
    """Two unlike values that trade places change each lane."""
    array, values, origin = case.make()
    i, j = (tuple(data.draw(st.integers(0, n - 1)) for n in values.shape) for _ in range(2))
    assume(values[i].tobytes() != values[j].tobytes())
    swapped = values.copy()
    swapped[i], swapped[j] = values[j], values[i]
    before, after = array.share(values, origin), array.share(swapped, origin)

    assert before.first != after.first
    assert before.second != after.second


@given(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)))
def test_share_survives_json(lanes):
    """Text and back is the same share."""
    assert Share.from_json(Share(*lanes).to_json()) == Share(*lanes)
