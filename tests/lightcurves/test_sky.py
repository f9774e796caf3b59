"""sky.py: separations, and cones equal to brute force whatever the place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.lightcurves.sky import PositionIndex, check_positions, find_separation, wrap

SPECIAL_RA = st.sampled_from([0.0, 1e-7, 90.0, 179.999999, 180.0, 270.0, 359.9999999])
SPECIAL_DEC = st.sampled_from([-90.0, -89.99999, -45.0, 0.0, 1e-9, 89.5, 89.99999, 90.0])
RA = st.one_of(st.floats(0, 360), SPECIAL_RA)
DEC = st.one_of(st.floats(-90, 90), SPECIAL_DEC)
RADIUS = st.one_of(st.floats(0, 180), st.floats(0, 2), st.sampled_from([0.0, 1 / 3600, 0.5, 90.0, 179.9999, 180.0]))
SPREAD = {"whole sky": (360.0, 180.0), "field": (3.0, 3.0), "point": (1e-4, 1e-4)}


def find_angle(ra, dec, ra2, dec2):
    """Return a separation by unit vectors, another way than that of the module: half the chord, or its supplement."""

    def direct(a, d):
        a, d = np.radians(a), np.radians(d)
        return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=-1)

    one, two = direct(ra, dec), direct(ra2, dec2)
    near, far = (np.linalg.norm(each, axis=-1) / 2 for each in (one - two, one + two))
    return np.degrees(
        np.where(near < far, 2 * np.arcsin(np.minimum(near, 1)), np.pi - 2 * np.arcsin(np.minimum(far, 1)))
    )


def make_sky(seed, n, centre, spread):
    """Return positions around a centre, some of them equal, poles and the turn of right ascension among them."""
    rng = np.random.default_rng(seed)
    ra = wrap(centre[0] + spread[0] * rng.uniform(-0.5, 0.5, n))
    dec = np.clip(centre[1] + spread[1] * rng.uniform(-0.5, 0.5, n), -90, 90)
    ra[: n // 10], dec[: n // 10] = ra[-1:], dec[-1:]
    return ra, dec


@given(RA, DEC, RA, DEC)
@example(10.0, 90.0, 200.0, -90.0)
@example(0.0, 0.0, 360.0, 0.0)
def test_separation_is_that_of_the_directions(ra, dec, ra2, dec2):
    """From 0 to 180 degrees to a billionth of a degree, and the same both ways."""
    found = find_separation(ra, dec, ra2, dec2)

    assert found == pytest.approx(find_angle(ra, dec, ra2, dec2), abs=1e-9)
    assert found == pytest.approx(find_separation(ra2, dec2, ra, dec), abs=1e-12)


def test_separation_is_accurate_when_small_and_when_large():
    """A microarcsecond is not lost to rounding, where a cosine would lose an arcsecond."""
    tiny = 1e-6 / 3600

    assert find_separation(150.0, 0.0, 150.0, tiny) == pytest.approx(tiny, rel=1e-9)
    assert 180 - find_separation(0.0, 0.0, 180.0, 1e-6) == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize("spread", SPREAD.values(), ids=SPREAD)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 400), ra=RA, dec=DEC, radius=RADIUS)
@example(seed=1, n=400, ra=0.0, dec=90.0, radius=0.5)
@example(seed=1, n=400, ra=359.9999999, dec=0.0, radius=1.0)
@example(seed=1, n=400, ra=180.0, dec=-89.99999, radius=90.0)
def test_a_cone_is_what_brute_force_finds(spread, seed, n, ra, dec, radius):
    """All objects within the radius and no other, with their separations, the nearest first."""
    ras, decs = make_sky(seed, n, (ra, dec), spread)
    found, separation = PositionIndex.build(ras, decs).cone(ra, dec, radius)
    every = find_separation(wrap(np.array([ra])), dec, ras, decs)

    np.testing.assert_array_equal(np.sort(found), np.flatnonzero(every <= radius))
    np.testing.assert_array_equal(separation, every[found])
    assert list(zip(separation, found, strict=True)) == sorted(zip(separation, found, strict=True))


def test_a_cone_over_the_turn_of_right_ascension():
    """359.9 degrees and 0.1 degrees are neighbours, from either side and however the centre is written."""
    index = PositionIndex.build([359.9, 0.1, 180.0], [0.0, 0.0, 0.0])

    for ra in (0.0, 360.0, -360.0, 720.0):
        assert sorted(index.cone(ra, 0.0, 0.2)[0]) == [0, 1]


def test_a_cone_around_a_pole_takes_every_right_ascension():
    """The four objects of a ring are all half a degree from the pole."""
    index = PositionIndex.build([0.0, 90.0, 180.0, 270.0, 10.0], [89.5, 89.5, 89.5, 89.5, -89.5])

    assert sorted(index.cone(123.0, 90.0, 0.6)[0]) == [0, 1, 2, 3]
    assert sorted(index.cone(0.0, 89.7, 0.7)[0]) == [0, 1, 3]
    assert sorted(index.cone(123.0, 90.0, 180.0)[0]) == [0, 1, 2, 3, 4]


def test_a_stored_index_reads_only_the_bands_of_the_cone():
    """The long arrays are read by slices, of which those of a small cone are short."""
    ras, decs = make_sky(1, 10_000, (0.0, 0.0), (360.0, 180.0))
    index = PositionIndex.build(ras, decs)
    read = []

    class Stored:
        def __init__(self, values):
            self.values = values

        def __getitem__(self, rows):
            read.append(rows)
            return self.values[rows]

    arrays = index.arrays()
    assert {values.ndim for values in arrays.values()} == {1}
    again = PositionIndex.from_arrays(arrays | {name: Stored(arrays[name]) for name in ("order", "ra", "dec")})
    found, separation = again.cone(40.0, 30.0, 1.0)

    np.testing.assert_array_equal((found, separation), index.cone(40.0, 30.0, 1.0))
    assert len(found) > 0
    assert len(again) == 10_000
    assert max(rows.stop - rows.start for rows in read) < 500


def test_an_empty_catalogue_has_empty_cones():
    """Nothing is found where nothing is."""
    found, separation = PositionIndex.build([], []).cone(1.0, 2.0, 180.0)

    assert (len(found), len(separation)) == (0, 0)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [([1, np.nan, 3], [0, 0, 0]), ([1, 2, 3], [0, 91, 0]), ([1, np.inf, 3], [0, 0, 0]), ([1, 2, 3], [0, -np.inf, 0])],
    ids=["NaN", "beyond the pole", "infinite ra", "infinite dec"],
)
def test_rows_without_a_position_are_named(ra, dec):
    """An index over them would never find them."""
    with pytest.raises(InvalidInputError, match=r"1 of 3 rows have no position: 1 \(ra .*leave those rows out"):
        PositionIndex.build(ra, dec)


def test_a_masked_position_is_none():
    """What lies under a mask is not a place."""
    with pytest.raises(InvalidInputError, match=r"2 of 2 rows have no position: 0 .*, 1 "):
        check_positions(np.ma.array([1.0, 2.0], mask=[True, False]), np.ma.array([0.0, 0.0], mask=[False, True]))


def test_many_bad_rows_are_counted():
    """A message names five and counts the rest."""
    with pytest.raises(InvalidInputError, match="and 4 more"):
        check_positions(np.full(9, np.nan), np.zeros(9))


@pytest.mark.parametrize("radius", [-1, 180.1, math.nan], ids=str)
def test_a_radius_is_from_0_to_180(radius):
    """More than half a turn is a mistake of units."""
    with pytest.raises(InvalidInputError, match="0 to 180"):
        PositionIndex.build([1.0], [1.0]).cone(0.0, 0.0, radius)


def test_positions_of_unequal_length_are_refused():
    """Both shapes are named."""
    with pytest.raises(InvalidInputError, match=r"ra has shape \(2,\), dec \(3,\)"):
        check_positions([1, 2], [1, 2, 3])
